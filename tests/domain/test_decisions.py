"""What a policy's fences keep out, and what is told of it."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.planning.explain import MOST_BYTES, MOST_CANDIDATES, Stop, dump, explain, load
from domain.planning.lots import MOST_LOTS
from domain.planning.plan import decide_deliveries, decide_pickups, plan_deliveries, plan_pickups
from domain.planning.policy import Fence
from domain.planning.problem import DayCapacity, Line, Plan, Problem
from domain.vocabulary import FenceKind, LocationKind, LocationStatus, ServiceLevel, UnavailabilityCode
from tests.domain.carts import (
    ALWAYS,
    EVENING,
    MONDAY,
    POST,
    SHOP,
    STORE,
    STORE_2,
    WAREHOUSE,
    committed,
    only,
    problem,
    reasons,
)

TODAY = date(2026, 11, 23)
PLACES = (
    replace(STORE, country="AT", tags=frozenset({"small"})),
    replace(STORE_2, tags=frozenset({"hazmat"})),
    replace(WAREHOUSE, tags=frozenset({"hazmat", "large"})),
)


def fenced(cart: Problem, *fences: Fence) -> Problem:
    return replace(cart, policy=replace(cart.policy, fences=fences))


def asked(cart: Problem, *fences: Fence) -> tuple[set[str], dict[str, Stop]]:
    """Which locations are left, and what stopped the others."""
    (decision,) = decide_deliveries(fenced(cart, *fences))
    told = explain(decision).candidates
    stopped = {each.location_code: each.stopped for each in told if each.stopped}
    return {each.location_code for each in told if not each.stopped}, stopped


CART = problem([[5], [5], [5]], sites=PLACES, services=[POST])


@pytest.mark.parametrize(
    ("fence", "left", "actual", "limit"),
    [
        (Fence(kind=FenceKind.COUNTRY), {"BER-2", "WH-1"}, "AT", "DE"),
        (Fence(kind=FenceKind.COUNTRY, tags=("AT", "CH")), {"BER-1"}, "DE", "AT, CH"),
        (Fence(kind=FenceKind.COUNTRY, tags=("AT",), forbid=True), {"BER-2", "WH-1"}, "AT", "none of AT"),
        (Fence(kind=FenceKind.DISTANCE, limit=Decimal(20)), {"BER-1"}, "27 km", "20 km"),
        (Fence(kind=FenceKind.TAGS, tags=("hazmat",)), {"BER-2", "WH-1"}, "small", "hazmat"),
        (Fence(kind=FenceKind.TAGS, tags=("hazmat", "large")), {"WH-1"}, "small", "hazmat, large"),
        (Fence(kind=FenceKind.TAGS, tags=("small",), forbid=True), {"BER-2", "WH-1"}, "small", "none of small"),
        (Fence(kind=FenceKind.TAGS, tags=("order:large",)), {"WH-1"}, "small", "order:large"),
        (Fence(kind=FenceKind.TAGS, tags=("item:hazmat",)), {"BER-2", "WH-1"}, "small", "item:hazmat"),
        (Fence(kind=FenceKind.PRESELECTED, location_codes=("BER-2",)), {"BER-2"}, None, None),
        (Fence(kind=FenceKind.BLOCKED, location_codes=("BER-1", "WH-1")), {"BER-2"}, None, None),
    ],
)
def test_a_fence_of_places_leaves_the_others_and_says_what_it_found(
    fence: Fence, left: set[str], actual: str | None, limit: str | None
) -> None:
    lines = [Line(sku="S0", quantity=1, grams=500, tags=frozenset({"hazmat"}))]
    found, stopped = asked(replace(CART, lines=lines, tags=frozenset({"large"})), fence)
    assert found == left
    assert {stop.fence for stop in stopped.values()} == {fence.kind}
    first = stopped[min(stopped)]
    assert (first.actual, first.limit) == (actual, limit)
    assert first.message.endswith(".")


def test_tags_of_items_and_orders_ask_nothing_of_others() -> None:
    fences = [Fence(kind=FenceKind.TAGS, tags=("item:hazmat", "order:large"))]
    assert asked(CART, *fences)[0] == {"BER-1", "BER-2", "WH-1"}
    lines = [Line(sku="S0", quantity=1), Line(sku="S1", quantity=1, tags=frozenset({"hazmat"}))]
    mixed = replace(CART, lines=lines, available=np.array([[5, 5], [0, 5], [0, 0]]))
    parcels = only(plan_deliveries(fenced(mixed, *fences))).parcels
    assert [(parcel.location_code, parcel.shares[0].sku) for parcel in parcels] == [("BER-1", "S0"), ("BER-2", "S1")]


def test_units_that_stay_behind_are_not_sold() -> None:
    found, stopped = asked(
        replace(CART, available=np.array([[3], [4], [2]])), Fence(kind=FenceKind.STOCK, limit=Decimal(3))
    )
    assert found == {"BER-2"}
    assert stopped["BER-1"] == stopped["BER-1"]._replace(fence=FenceKind.STOCK, actual="0 units", limit="1 units")


def test_a_place_that_takes_no_work_says_so() -> None:
    sites = [replace(STORE, status=LocationStatus.SUSPENDED), STORE_2]
    _, stopped = asked(problem([[1], [1]], sites=sites, services=[POST]))
    assert (stopped["BER-1"].fence, stopped["BER-1"].actual) == (FenceKind.STATUS, "SUSPENDED")


def test_a_policy_may_ask_for_places_that_are_open_now_and_collected_today() -> None:
    night = replace(CART, now=MONDAY.replace(hour=22), network=problem([[1], [1], [1]], services=[POST]).network)
    found, stopped = asked(night, Fence(kind=FenceKind.OPENING_HOURS))
    assert found == {"WH-1"}
    assert stopped["BER-1"].fence is FenceKind.OPENING_HOURS
    late = asked(night, Fence(kind=FenceKind.CARRIER_CUTOFF))[1]
    assert {stop.fence for stop in late.values()} == {FenceKind.CARRIER_CUTOFF}
    assert asked(replace(night, now=MONDAY), Fence(kind=FenceKind.CARRIER_CUTOFF))[0] == {"BER-1", "BER-2", "WH-1"}


def test_what_was_promised_stops_those_that_are_too_late_and_says_by_how_much() -> None:
    _, stopped = asked(replace(CART, promised_latest=MONDAY.replace(day=24, hour=18)))
    assert list(stopped) == ["WH-1"]
    stop = stopped["WH-1"]
    assert (stop.fence, stop.actual, stop.limit) == (
        FenceKind.PROMISE,
        "2026-11-25T18:00+01:00",
        "2026-11-24T18:00+01:00",
    )


def test_more_parcels_than_allowed_are_no_plan_and_say_so() -> None:
    cart = problem([[1, 0], [0, 1], [0, 0]], (1, 1), services=[POST])
    (decision,) = decide_deliveries(fenced(cart, Fence(kind=FenceKind.MAX_PARCELS, limit=Decimal(1))))
    assert decision.plan is None
    assert [(reason.code, reason.level) for reason in decision.unavailable] == [
        (UnavailabilityCode.TOO_MANY_PARCELS, ServiceLevel.STANDARD)
    ]
    stops = [candidate.stopped for candidate in explain(decision).candidates if candidate.stopped]
    assert [(stop.fence, stop.actual) for stop in stops] == [
        (FenceKind.MAX_PARCELS, "1 of 2 lines"),
        (FenceKind.MAX_PARCELS, "1 of 2 lines"),
        (FenceKind.STOCK, "0 units"),
    ]


# ---------------------------------------------------------------- capacity


def limited(orders: int | None = None, units: int | None = None) -> tuple[DayCapacity, ...]:
    return tuple(DayCapacity(weekday=weekday, orders=orders, units=units) for weekday in range(1, 8))


def with_work(cart: Problem, *work: tuple[str, date, int, int]) -> Problem:
    return replace(
        cart, committed=committed(cart.network, {(code, day): (orders, units) for code, day, orders, units in work})
    )


def days(plan: Plan) -> list[tuple[str, date | None]]:
    return [(parcel.location_code, parcel.work_day) for parcel in plan.parcels]


ONE = problem([[9]], (2,), sites=[replace(STORE, capacity=limited(orders=3, units=10))], services=[POST, EVENING])


def test_a_full_day_moves_the_work_to_the_next_day_on_which_the_place_opens() -> None:
    free = only(plan_deliveries(with_work(ONE, ("BER-1", TODAY, 2, 8))))
    assert days(free) == [("BER-1", TODAY)]
    full = only(plan_deliveries(with_work(ONE, ("BER-1", TODAY, 3, 3))))
    assert days(full) == [("BER-1", TODAY + timedelta(days=1))]
    assert full.parcels[0].ready_at == MONDAY.replace(day=24, hour=10)
    assert full.latest == free.latest + timedelta(days=1)
    units = only(plan_deliveries(with_work(ONE, ("BER-1", TODAY, 1, 9))))
    assert days(units) == [("BER-1", TODAY + timedelta(days=1))]


def test_full_days_over_a_weekend_are_all_passed_over() -> None:
    friday = replace(ONE, now=MONDAY.replace(day=27))
    work = [("BER-1", date(2026, 11, day), 3, 3) for day in (27, 28, 30)]
    assert days(only(plan_deliveries(with_work(friday, *work)))) == [("BER-1", date(2026, 12, 1))]


def test_a_full_place_gives_way_to_another_that_can_keep_the_level() -> None:
    cart = problem(
        [[9], [9]],
        sites=[replace(STORE, capacity=limited(orders=3)), replace(STORE, code="BER-9")],
        services=[EVENING],
        levels=[ServiceLevel.SAME_DAY],
    )
    assert days(only(plan_deliveries(cart))) == [("BER-1", TODAY)]
    busy = with_work(cart, ("BER-1", TODAY, 3, 3))
    assert days(only(plan_deliveries(busy))) == [("BER-9", TODAY)]
    (decision,) = decide_deliveries(busy)
    (stop,) = (each.stopped for each in explain(decision).candidates if each.stopped)
    assert (stop.fence, stop.actual, stop.limit) == (FenceKind.CAPACITY, "3 orders on 2026-11-23", "3 orders")


def test_a_place_that_never_has_room_says_that_its_hands_are_full() -> None:
    shut = problem([[9]], sites=[replace(STORE, capacity=limited(orders=0))], services=[POST])
    answer = plan_deliveries(shut)
    assert reasons(answer) == [(UnavailabilityCode.NO_CAPACITY, ServiceLevel.STANDARD, None)]
    assert reasons(plan_pickups(shut)) == [(UnavailabilityCode.NO_CAPACITY, None, None)]


def test_an_order_of_more_than_a_day_can_do_is_taken_on_an_empty_day() -> None:
    big = replace(ONE, lines=[Line(sku="S0", quantity=50)], available=np.array([[60]]))
    assert days(only(plan_deliveries(with_work(big, ("BER-1", TODAY, 1, 1))))) == [("BER-1", TODAY + timedelta(days=1))]


def test_a_policy_may_leave_a_share_of_the_capacity_free() -> None:
    half = Fence(kind=FenceKind.CAPACITY, limit=Decimal("0.5"))
    work = with_work(ONE, ("BER-1", TODAY, 1, 1))
    assert days(only(plan_deliveries(work))) == [("BER-1", TODAY)]
    assert days(only(plan_deliveries(fenced(work, half)))) == [("BER-1", TODAY + timedelta(days=1))]


def test_a_pickup_at_a_full_store_is_ready_once_it_has_room() -> None:
    plan = plan_pickups(with_work(ONE, ("BER-1", TODAY, 3, 3))).plans[0]
    assert plan.parcels[0].ready_at == MONDAY.replace(day=24, hour=10)


@settings(max_examples=120, deadline=None)
@given(
    first=st.integers(0, 4 * 1440),
    more=st.integers(0, 2 * 1440),
    handling=st.integers(0, 600),
    always=st.booleans(),
    work=st.lists(st.integers(0, 4), min_size=8, max_size=8),
)
def test_a_later_order_at_a_busy_place_is_never_promised_earlier(
    first: int, more: int, handling: int, work: list[int], *, always: bool
) -> None:
    place = replace(
        STORE,
        openings=ALWAYS if always else SHOP,
        handling=timedelta(minutes=handling),
        capacity=limited(orders=3, units=10),
    )
    cart = problem([[9]], sites=[place], services=[POST])
    busy = with_work(cart, *(("BER-1", TODAY + timedelta(days=day), orders, orders) for day, orders in enumerate(work)))
    early, late = (
        only(plan_deliveries(replace(busy, now=MONDAY + timedelta(minutes=minutes))))
        for minutes in (first, first + more)
    )
    assert early.parcels[0].ready_at <= late.parcels[0].ready_at
    assert early.latest <= late.latest
    begins = early.parcels[0].work_day
    assert begins is not None
    assert {TODAY + timedelta(days=day): orders for day, orders in enumerate(work)}.get(begins, 0) < 3


# ---------------------------------------------------------------- explanations


def test_a_decision_says_who_was_considered_what_each_would_cost_and_what_else_there_was() -> None:
    (decision,) = decide_deliveries(problem([[5, 0], [5, 5], [0, 5]], (1, 1), services=[POST]))
    told = explain(decision)
    assert decision.plan
    assert (told.considered, told.gap, told.cost) == (3, 0.0, decision.plan.cost)
    assert [(each.location_code, each.chosen, each.rank) for each in told.candidates] == [
        ("BER-2", True, 1),
        ("WH-1", False, 2),
        ("BER-1", False, 3),
    ]
    assert all(sum(each.ratings.values()) == each.total for each in told.candidates)
    assert [(each.parcel_count, each.location_codes) for each in told.alternatives] == [
        (1, ("BER-2",)),
        (2, ("BER-1", "WH-1")),
    ]
    assert told.alternatives[0].cost == told.cost < told.alternatives[1].cost


def test_no_alternative_sends_twice_from_one_location_where_once_is_cheaper() -> None:
    (decision,) = decide_deliveries(problem([[5, 5], [0, 0], [0, 0]], (1, 1), services=[POST]))
    assert [each.parcel_count for each in explain(decision).alternatives] == [1]


def test_a_decision_over_many_places_is_told_in_eight_kilobytes_and_read_back_as_it_was() -> None:
    sites = [
        replace(
            STORE, code=f"a location with quite a long code, number {number:04}", kind=list(LocationKind)[number % 4]
        )
        for number in range(400)
    ]
    stock = np.random.default_rng(1).integers(0, 2, (400, 8))
    (decision,) = decide_deliveries(problem(stock, (1,) * 8, sites=sites, services=[POST]))
    told = explain(decision)
    assert len(told.candidates) == MOST_CANDIDATES
    assert len(dump(told)) <= MOST_BYTES
    assert load(dump(told)) == told
    long = replace(told, candidates=[each._replace(location_code=each.location_code * 9) for each in told.candidates])
    assert len(dump(long)) <= MOST_BYTES
    assert 0 < len(load(dump(long)).candidates) < MOST_CANDIDATES


def test_a_decision_that_found_nothing_is_told_as_well() -> None:
    (decision,) = decide_deliveries(problem([[0], [0], [0]], services=[POST]))
    told = explain(decision)
    assert (told.cost, told.stopped, told.alternatives) == (0, {FenceKind.STOCK: 3}, [])
    assert load(dump(told)) == told


def test_a_pickup_is_told_too() -> None:
    first, second = decide_pickups(problem([[1], [1], [1]], services=[POST]))
    told = explain(first)
    assert first.plan
    assert second.plan
    assert told.cost == first.plan.cost
    assert told.candidates[0].location_code == first.plan.pickup_code == "BER-1"
    assert told.stopped == {FenceKind.SERVICE: 1}


def test_what_comes_in_lots_is_not_proven_the_cheapest() -> None:
    (decision,) = decide_deliveries(problem([[3], [5], [2]], (9,), services=[POST]))
    assert explain(decision).gap == 1.0
    (decision,) = decide_deliveries(problem([[3], [9], [2]], (9,), services=[POST]))
    assert explain(decision).gap == 0.0


def test_there_are_only_so_many_lots_and_the_rest_is_missing() -> None:
    sites = [replace(STORE, code=f"L{number:03}") for number in range(MOST_LOTS + 5)]
    plan = only(plan_deliveries(problem([[1]] * len(sites), (MOST_LOTS + 5,), sites=sites, services=[POST])))
    assert (len(plan.parcels), plan.missing[0].quantity) == (MOST_LOTS, 5)


@settings(max_examples=60, deadline=None)
@given(
    stock=st.lists(st.lists(st.integers(0, 6), min_size=3, max_size=3), min_size=5, max_size=5),
    wanted=st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(1, 8)),
)
def test_whatever_is_in_the_network_is_found_in_lots_and_no_place_gives_more_than_it_has(
    stock: list[list[int]], wanted: tuple[int, ...]
) -> None:
    sites = [replace(STORE, code=f"L{number}") for number in range(5)]
    there = np.array(stock)
    for plan in plan_deliveries(problem(there, wanted, sites=sites, services=[POST])).plans:
        given_out = np.zeros_like(there)
        for parcel in plan.parcels:
            for share in parcel.shares:
                given_out[int(parcel.location_code[1:]), int(share.sku[1:])] += share.quantity
        assert (given_out <= there).all()
        assert given_out.sum(axis=0).tolist() == np.minimum(there.sum(axis=0), wanted).tolist()
