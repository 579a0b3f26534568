"""Each rating alone decides who ships, and is told in money."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import pytest

from domain.planning.explain import Explanation, explain
from domain.planning.network import make_network
from domain.planning.plan import decide_deliveries
from domain.planning.policy import PRESETS, Fence, Policy, Rating
from domain.planning.problem import DayCapacity, Plan, Problem
from domain.vocabulary import FenceKind, LocationKind, RatingKind
from tests.domain.carts import HAMBURG, MITTE, POST, POTSDAM, STORE, STORE_2, WAREHOUSE, committed, problem


def decided(cart: Problem, *ratings: Rating) -> tuple[Plan, Explanation]:
    """The plan and its explanation under a policy of these ratings."""
    (decision,) = decide_deliveries(replace(cart, policy=Policy(name="p", ratings=ratings)))
    assert decision.plan
    told = explain(decision)
    assert sum(told.ratings.values()) == told.cost == decision.plan.cost
    return decision.plan, told


def shipper(plan: Plan) -> str:
    (parcel,) = plan.parcels
    return parcel.location_code


def rating(kind: RatingKind, weight: str = "1", **more: tuple[LocationKind, ...] | tuple[str, ...]) -> Rating:
    return replace(Rating(kind=kind, weight=Decimal(weight)), **more)  # type: ignore[arg-type]


EVERYWHERE = problem([[5], [5], [5]], services=[POST])


def test_shipping_is_what_the_tariff_says_times_its_weight() -> None:
    plan, told = decided(EVERYWHERE, rating(RatingKind.SHIPPING, "1.5"))
    assert (shipper(plan), told.ratings) == ("BER-1", {RatingKind.SHIPPING: 585})


def test_handling_prefers_the_place_that_packs_cheapest() -> None:
    plan, told = decided(EVERYWHERE, rating(RatingKind.HANDLING, "2"))
    assert (shipper(plan), told.ratings) == ("WH-1", {RatingKind.HANDLING: 290})


def test_a_km_costs_what_its_weight_says() -> None:
    plan, told = decided(replace(EVERYWHERE, destination=HAMBURG), rating(RatingKind.DISTANCE, "0.1"))
    assert (shipper(plan), told.ratings) == ("WH-1", {})
    far = next(candidate for candidate in told.candidates if candidate.location_code == "BER-1")
    assert far.total == far.ratings[RatingKind.DISTANCE] == pytest.approx(2553, abs=1)


def test_an_hour_later_than_the_earliest_costs_what_its_weight_says() -> None:
    slow = replace(STORE, code="BER-0", service_codes=frozenset({"slow"}))
    later = replace(POST, code="slow", zones=tuple(replace(zone, transit_days=(2, 2)) for zone in POST.zones))
    cart = problem([[5], [5]], sites=[slow, STORE_2], services=[POST, later])
    plan, told = decided(cart, rating(RatingKind.LATENESS, "1"))
    assert shipper(plan) == "BER-2"
    assert [dict(candidate.ratings) for candidate in told.candidates] == [{}, {RatingKind.LATENESS: 2400}]


def test_a_split_is_paid_for_each_parcel_after_the_first() -> None:
    cart = problem([[1, 0], [0, 1], [1, 1]], (1, 1), services=[POST])
    together, told = decided(cart, rating(RatingKind.SPLIT, "5"), rating(RatingKind.SHIPPING))
    assert (shipper(together), told.ratings) == ("WH-1", {RatingKind.SHIPPING: 460})
    apart = replace(cart, available=np.array([[1, 0], [0, 1], [0, 0]]))
    split, told = decided(apart, rating(RatingKind.SPLIT, "5"), rating(RatingKind.SHIPPING))
    assert (len(split.parcels), told.ratings) == (2, {RatingKind.SHIPPING: 780, RatingKind.SPLIT: 500})
    assert [parcel.cost for parcel in split.parcels] == [390, 890]


def test_carbon_dioxide_is_charged_by_the_kg() -> None:
    plan, told = decided(replace(EVERYWHERE, destination=POTSDAM), rating(RatingKind.CO2, "100"))
    assert shipper(plan) == "BER-2"
    near = next(candidate for candidate in told.candidates if candidate.location_code == "BER-1")
    assert near.total == pytest.approx(27.2 * 0.9 / 1000 * 100 * 100, abs=2)


def test_load_grows_with_the_square_of_the_capacity_that_is_used() -> None:
    busy = [replace(site, capacity=(DayCapacity(weekday=1, orders=10),)) for site in (STORE, STORE_2, WAREHOUSE)]
    cart = problem([[5], [5], [5]], sites=busy, services=[POST])
    today = date(2026, 11, 23)
    work = {("BER-1", today): (5, 50), ("BER-2", today): (1, 9), ("WH-1", today): (9, 9)}
    loaded = replace(cart, committed=committed(cart.network, work))
    plan, told = decided(loaded, rating(RatingKind.LOAD, "4"))
    assert shipper(plan) == "BER-2"
    assert {candidate.location_code: candidate.total for candidate in told.candidates} == {
        "BER-2": 4,
        "BER-1": 100,
        "WH-1": 324,
    }


def test_stock_balance_takes_from_where_most_is_left() -> None:
    cart = replace(EVERYWHERE, available=np.array([[2], [10], [4]]))
    plan, told = decided(cart, rating(RatingKind.STOCK_BALANCE, "1"))
    assert (shipper(plan), told.ratings) == ("BER-2", {RatingKind.STOCK_BALANCE: 10})


def test_a_markdown_sells_what_sits() -> None:
    cart = replace(EVERYWHERE, idle_days=np.array([[0], [45], [120]]))
    plan, told = decided(cart, rating(RatingKind.MARKDOWN, "2"))
    assert (shipper(plan), told.ratings) == ("WH-1", {})
    assert {candidate.location_code: candidate.total for candidate in told.candidates}["BER-2"] == 100
    others = rating(RatingKind.MARKDOWN, "2", tags=("seasonal",))
    assert shipper(decided(cart, others)[0]) == "BER-1", "it is not about this item"
    assert shipper(decided(replace(cart, idle_days=None), rating(RatingKind.MARKDOWN, "2"))[0]) == "BER-1"


def test_a_location_that_rejects_is_charged_for_its_record() -> None:
    known = EVERYWHERE.network
    network = make_network(1, known.sites, known.services, {"BER-1": 0.5, "BER-2": 0.9, "WH-1": 0.8})
    cart = replace(EVERYWHERE, network=network)
    plan, told = decided(cart, rating(RatingKind.REJECTION, "8"))
    assert (shipper(plan), told.ratings) == ("BER-2", {RatingKind.REJECTION: 80})


def test_a_preference_is_charged_to_all_others() -> None:
    kinds = rating(RatingKind.PREFERENCE, "3", location_kinds=(LocationKind.WAREHOUSE,))
    plan, told = decided(EVERYWHERE, kinds)
    assert (shipper(plan), told.ratings) == ("WH-1", {})
    tagged = problem([[5], [5]], sites=[STORE, replace(STORE_2, tags=frozenset({"outlet"}))], services=[POST])
    plan, told = decided(tagged, rating(RatingKind.PREFERENCE, "3", tags=("outlet",)))
    assert shipper(plan) == "BER-2"
    assert told.candidates[1].ratings == {RatingKind.PREFERENCE: 300}


def test_a_place_that_sends_a_parcel_anyway_opens_none() -> None:
    cart = replace(EVERYWHERE, opened_codes=frozenset({"BER-2"}))
    plan, told = decided(cart, rating(RatingKind.HANDLING), rating(RatingKind.SPLIT, "5"))
    assert (shipper(plan), told.ratings) == ("BER-2", {RatingKind.HANDLING: 60})


@pytest.mark.parametrize(
    ("preset", "locations"),
    [
        ("cheapest", ["BER-1", "BER-2"]),
        ("fewest-splits-nearest", ["WH-1"]),
        ("weighted-penalties", ["WH-1"]),
        ("fastest", ["BER-1", "BER-2"]),
        ("greenest", ["BER-1", "BER-2"]),
    ],
)
def test_each_preset_routes_the_same_cart_in_its_own_way(preset: str, locations: list[str]) -> None:
    dear = replace(
        POST,
        tariffs=tuple(replace(step, amount=step.amount * (1 + 4 * (step.zone == "national"))) for step in POST.tariffs),
    )
    cart = problem([[1, 0], [0, 1], [1, 1]], (1, 1), services=[dear])
    (decision,) = decide_deliveries(replace(cart, policy=PRESETS[preset]))
    assert decision.plan
    assert [parcel.location_code for parcel in decision.plan.parcels] == locations


def test_one_policy_changed_routes_the_same_cart_otherwise() -> None:
    cart = replace(problem([[1, 0], [0, 1], [1, 1]], (1, 1), services=[POST]), destination=MITTE)
    most = Fence(kind=FenceKind.MAX_PARCELS, limit=Decimal(1))
    free, bound = (
        decide_deliveries(replace(cart, policy=Policy(name="p", fences=fences, ratings=(rating(RatingKind.DISTANCE),))))
        for fences in ((), (most,))
    )
    assert [len(decision.plan.parcels) for (decision,) in (free, bound) if decision.plan] == [2, 1]
