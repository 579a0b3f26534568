from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np
import pytest

from domain.errors import InvalidInput
from domain.planning.explain import dump, explain, load
from domain.planning.ground import delivery_ground, given
from domain.planning.network import distances_km, make_network
from domain.planning.plan import decide_pickups, plan_deliveries, plan_pickups, rank
from domain.planning.problem import (
    DayCapacity,
    Missing,
    Share,
)
from domain.planning.timetable import made_ready, timetable
from domain.vocabulary import (
    FulfillmentMethod,
    LocationKind,
    ServiceLevel,
    UnavailabilityCode,
)
from tests.domain.carts import (
    BERLIN,
    EVENING,
    HAMBURG,
    MITTE,
    MONDAY,
    POST,
    STORE,
    STORE_2,
    WAREHOUSE,
    committed,
    only,
    pack,
    problem,
    reasons,
)


def test_a_network_is_sorted_by_code_and_its_columns_stand_beside_it() -> None:
    network = make_network(7, [WAREHOUSE, STORE_2, STORE], [POST, EVENING])
    assert [site.code for site in network.sites] == ["BER-1", "BER-2", "WH-1"]
    assert [service.code for service in network.services] == ["evening", "post"]
    assert network.position_by_code == {"BER-1": 0, "BER-2": 1, "WH-1": 2}
    assert np.degrees(network.positions[0]).tolist() == pytest.approx([52.52, 52.39, 53.551])
    assert network.hands_out.tolist() == [True, True, False]
    assert network.fits.tolist() == [[True, True, False], [True, True, True]]
    assert network.schedules[0] == network.schedules[1] != network.schedules[2]


def test_an_empty_network_answers_that_nothing_is_served() -> None:
    empty = problem(np.zeros((0, 1)), sites=(), services=())
    assert reasons(plan_deliveries(empty)) == [(UnavailabilityCode.NOT_SERVED, ServiceLevel.STANDARD, None)]
    assert reasons(plan_pickups(empty)) == [(UnavailabilityCode.NOT_SERVED, None, None)]


def test_distances_are_great_circles_in_km() -> None:
    network = make_network(1, [STORE, STORE_2, WAREHOUSE], [])
    assert distances_km(network, MITTE).tolist() == pytest.approx([0, 27.2, 255.3], abs=0.1)


# ---------------------------------------------------------------- deliveries


def test_one_place_that_has_everything_ships_one_parcel_with_its_dates_and_its_cost() -> None:
    plan = only(plan_deliveries(problem([[0, 0], [0, 0], [5, 5]], (2, 1))))
    (parcel,) = plan.parcels
    assert plan.missing == ()
    assert (parcel.location_code, parcel.service_code) == ("WH-1", "post")
    assert parcel.shares == (Share(sku="S0", quantity=2), Share(sku="S1", quantity=1))
    assert parcel.ready_at == MONDAY + timedelta(hours=1)
    assert parcel.due_at == MONDAY.replace(hour=16)
    assert plan.order_before == MONDAY.replace(hour=15)
    assert plan.earliest == MONDAY.replace(day=24, hour=8)
    assert plan.latest == MONDAY.replace(day=25, hour=18)
    assert plan.cost == parcel.cost == 460 + pack(LocationKind.WAREHOUSE, 3)
    assert plan.price == 495
    assert parcel.distance_km == pytest.approx(255.3, abs=0.1)
    assert parcel.co2_grams == round(0.9 * 255.3)


def test_the_nearest_zone_that_reaches_the_destination_sets_price_and_transit() -> None:
    (parcel,) = only(plan_deliveries(problem([[0], [1], [0]]))).parcels
    assert parcel.cost == 390 + pack(LocationKind.STORE, 1)
    assert parcel.arrives_latest == MONDAY.replace(day=24, hour=18)


def test_the_tariff_step_is_that_of_the_whole_parcel() -> None:
    light, heavy = ([[0, 0], [9, 9], [0, 0]], (5, 5)), ([[0, 0], [9, 9], [0, 0]], (5, 6))
    assert only(plan_deliveries(problem(*light))).cost == 390 + pack(LocationKind.STORE, 10), "5000 g, to the gram"
    assert only(plan_deliveries(problem(*heavy))).cost == 720 + pack(LocationKind.STORE, 11)


def test_a_cart_that_no_place_has_alone_comes_in_the_cheapest_parcels() -> None:
    plan = only(plan_deliveries(problem([[1, 0, 1], [1, 1, 0], [0, 1, 1]], (1, 1, 1))))
    assert plan.missing == ()
    assert [(parcel.location_code, [share.sku for share in parcel.shares]) for parcel in plan.parcels] == [
        ("BER-1", ["S0"]),
        ("WH-1", ["S1", "S2"]),
    ]
    assert plan.cost == sum(parcel.cost for parcel in plan.parcels)
    assert plan.price == 495, "the shopper pays once"


def test_a_plan_of_two_parcels_lasts_as_long_as_the_more_urgent_and_costs_the_dearer_service() -> None:
    slow = replace(STORE_2, handling=timedelta(hours=3), service_codes=frozenset({"post-plus"}))
    plus = replace(POST, code="post-plus", shopper_price=695)
    plan = only(plan_deliveries(problem([[1, 0], [0, 1]], (1, 1), sites=[STORE, slow], services=[POST, plus])))
    assert sorted(str(parcel.service_code) for parcel in plan.parcels) == ["post", "post-plus"]
    assert plan.price == 695
    assert plan.order_before == MONDAY.replace(hour=13)


def test_equal_places_are_told_apart_by_their_code() -> None:
    twins = [replace(STORE, code=code) for code in ("C", "A", "B")]
    assert only(plan_deliveries(problem([[0], [3], [3]], sites=twins))).parcels[0].location_code == "B"


def test_a_cart_of_the_free_value_is_delivered_free_of_charge() -> None:
    cart = problem([[1], [0], [0]])
    assert only(plan_deliveries(replace(cart, cart_value=5999))).price == 495
    assert only(plan_deliveries(replace(cart, cart_value=6000))).price == 0


def test_each_level_asked_for_gets_its_plan() -> None:
    answer = plan_deliveries(problem([[1], [0], [0]], levels=tuple(ServiceLevel)))
    assert [(plan.level, plan.price) for plan in answer.plans] == [
        (ServiceLevel.STANDARD, 495),
        (ServiceLevel.SAME_DAY, 790),
        (ServiceLevel.INSTANT, 990),
    ]
    assert reasons(answer) == [
        (UnavailabilityCode.NOT_SERVED, ServiceLevel.EXPRESS, None),
        (UnavailabilityCode.NOT_SERVED, ServiceLevel.NEXT_DAY, None),
    ]
    instant = answer.plans[2]
    assert instant.order_before is None
    assert instant.latest == MONDAY + timedelta(minutes=60 + 75)


def test_without_a_destination_a_delivery_is_unknown() -> None:
    answer = plan_deliveries(replace(problem([[1], [1], [1]]), destination=None))
    assert answer.plans == ()
    assert reasons(answer) == [(UnavailabilityCode.DESTINATION_UNKNOWN, None, None)]


@pytest.mark.parametrize("wanted", [(), (1,) * 101])
def test_no_lines_or_more_than_a_hundred_are_invalid(wanted: tuple[int, ...]) -> None:
    cart = problem(np.ones((3, len(wanted))), wanted)
    for planner in (plan_deliveries, plan_pickups):
        with pytest.raises(InvalidInput) as raised:
            planner(cart)
        assert raised.value.path == ["lines"]


def test_pickup_is_offered_at_the_nearest_stores_complete_ones_first() -> None:
    far = replace(STORE, code="HAM-1", position=HAMBURG)
    answer = plan_pickups(problem([[1], [2], [2]], (2,), sites=[STORE, STORE_2, far]))
    assert [(plan.pickup_code, plan.missing) for plan in answer.plans] == [
        ("BER-2", ()),
        ("HAM-1", ()),
        ("BER-1", ()),  # one of its own, and one that is sent to it
    ]
    assert answer.unavailable == ()
    plan = answer.plans[0]
    (parcel,) = plan.parcels
    assert (plan.method, plan.level, plan.price, plan.order_before) == (FulfillmentMethod.PICKUP, None, 0, None)
    assert plan.distance_km == parcel.distance_km == pytest.approx(27.2, abs=0.1)
    assert plan.cost == parcel.cost == pack(LocationKind.STORE, 2)
    assert (parcel.service_code, parcel.co2_grams) == (None, None)
    ready = MONDAY + timedelta(hours=1)
    assert parcel.ready_at == parcel.due_at == parcel.arrives_earliest == parcel.arrives_latest == ready


def test_pickup_keeps_to_the_radius_and_the_number_of_stores_asked_for() -> None:
    cart = problem([[1], [1], [1]])
    assert [plan.pickup_code for plan in plan_pickups(replace(cart, within_km=20.0)).plans] == ["BER-1"]
    assert [plan.pickup_code for plan in plan_pickups(replace(cart, pickup_limit=1)).plans] == ["BER-1"]
    nobody = plan_pickups(replace(problem([[1]], sites=[STORE_2]), within_km=20.0))
    assert reasons(nobody) == [(UnavailabilityCode.TOO_FAR, None, None)]


def test_pickup_at_named_stores_asks_only_those_however_far() -> None:
    cart = replace(problem([[1], [1], [1]]), pickup_codes=["BER-2", "nowhere"], within_km=1.0, pickup_limit=1)
    assert [plan.pickup_code for plan in plan_pickups(cart).plans] == ["BER-2"]
    warehouse = plan_pickups(replace(cart, pickup_codes=["WH-1"]))
    assert reasons(warehouse) == [(UnavailabilityCode.NOT_SERVED, None, None)]


def test_pickup_without_a_position_goes_by_code() -> None:
    answer = plan_pickups(replace(problem([[1], [1], [1]]), destination=None, country=None))
    assert [(plan.pickup_code, plan.distance_km) for plan in answer.plans] == [("BER-1", None), ("BER-2", None)]


def test_a_pickup_that_stock_forbids_says_how_much_there_is() -> None:
    answer = plan_pickups(problem([[2, 0], [1, 0], [9, 9]], (3, 1), services=()))
    assert [plan.missing for plan in answer.plans] == [
        (Missing(sku="S0", quantity=1), Missing(sku="S1", quantity=1)),
        (Missing(sku="S0", quantity=2), Missing(sku="S1", quantity=1)),
    ]
    first, second = answer.unavailable
    assert (first.sku, first.code) == ("S0", UnavailabilityCode.OUT_OF_STOCK)
    assert "more than 2" in first.message
    assert "has any" in second.message


def test_pickup_keeps_a_promise_already_given() -> None:
    late = plan_pickups(replace(problem([[1], [1], [1]]), promised_latest=MONDAY))
    assert reasons(late) == [(UnavailabilityCode.CUTOFF_PASSED, None, None)]


# ---------------------------------------------------------------- ship to store


def test_what_a_store_lacks_is_sent_there_and_handed_out_with_its_own_once_it_has_made_ready_what_came() -> None:
    first, second = plan_pickups(problem([[3, 1], [0, 0], [9, 9]], (1, 2))).plans
    own, leg = first.parcels
    assert (first.pickup_code, first.missing, first.price) == ("BER-1", (), 0)
    assert (own.location_code, own.destination_code, own.shares) == (
        "BER-1", None, (Share(sku="S0", quantity=1), Share(sku="S1", quantity=1)),
    )  # fmt: skip
    assert (leg.location_code, leg.destination_code, leg.service_code) == ("WH-1", "BER-1", "post")
    assert leg.shares == (Share(sku="S1", quantity=1),)
    # Collected on Monday at 16:00, there by Wednesday at 18:00, ready an hour later.
    assert leg.arrives_latest == datetime(2026, 11, 25, 18, tzinfo=BERLIN)
    assert (first.latest, own.arrives_latest) == (leg.arrives_latest + timedelta(hours=1),) * 2
    assert leg.arrives_earliest < first.earliest < first.latest == own.due_at
    assert (first.cost, first.order_before) == (own.cost + leg.cost, datetime(2026, 11, 23, 15, tzinfo=BERLIN))
    assert [(each.location_code, each.destination_code) for each in second.parcels] == [("WH-1", "BER-2")]
    assert second.pickup_code == "BER-2"


def test_a_store_that_is_shut_or_has_its_hands_full_when_goods_come_hands_them_out_later() -> None:
    wednesday, thursday = date(2026, 11, 25), date(2026, 11, 26)
    shut = replace(STORE, closures=frozenset({wednesday}))
    full = replace(STORE, capacity=(DayCapacity(weekday=3, orders=0), DayCapacity(weekday=4, orders=1)))
    for store in (shut, full):
        cart = problem([[0], [9]], sites=[store, WAREHOUSE])
        assert only(plan_pickups(cart)).latest == datetime(2026, 11, 26, 10, tzinfo=BERLIN)
    busy = replace(cart, committed=committed(cart.network, {("BER-1", thursday): (1, 1)}))
    assert only(plan_pickups(busy)).latest == datetime(2026, 11, 27, 10, tzinfo=BERLIN)


def test_what_nobody_can_send_is_missing_and_a_promise_given_is_kept_or_not_repeated() -> None:
    cart = replace(problem([[1, 0], [0, 0], [0, 0]], (3, 1)), pickup_codes=["BER-1"])
    assert only(plan_pickups(cart)).missing == (Missing(sku="S0", quantity=2), Missing(sku="S1", quantity=1))
    cart = replace(problem([[1, 0], [0, 0], [9, 9]], (1, 1)), pickup_codes=["BER-1"])
    promised = only(plan_pickups(cart)).latest
    assert only(plan_pickups(replace(cart, promised_latest=promised))).missing == ()
    late = only(plan_pickups(replace(cart, promised_latest=promised - timedelta(minutes=1))))
    assert (late.missing, late.expected) == ((Missing(sku="S1", quantity=1),), None)
    unusable = np.array([[False, False], [False, False], [False, True]])
    assert only(plan_pickups(replace(cart, blocked=unusable))).missing == (Missing(sku="S1", quantity=1),)


def test_why_a_store_is_sent_goods_from_where_they_come_is_told_with_what_all_of_it_costs() -> None:
    (decision, *_) = decide_pickups(problem([[3, 0], [0, 9], [9, 9]], (1, 2)))
    told = explain(decision)
    assert decision.plan is not None
    assert sum(told.ratings.values()) == told.cost == decision.plan.cost
    chosen = [each.location_code for each in told.candidates if each.chosen]
    assert chosen == [parcel.location_code for parcel in decision.plan.parcels] == ["BER-1", "WH-1"]
    assert {each.location_code for each in told.candidates} == {"BER-1", "BER-2", "WH-1"}
    (best, *_) = told.alternatives
    assert (best.parcel_count, best.cost, best.location_codes) == (2, told.cost, ("BER-1", "WH-1"))
    assert load(dump(told)) == told


# ---------------------------------------------------------------- rank


def test_plans_rank_complete_first_then_by_price_and_what_is_later_and_dearer_last() -> None:
    standard, same_day, instant = plan_deliveries(
        problem([[1], [0], [0]], levels=[ServiceLevel.STANDARD, ServiceLevel.SAME_DAY, ServiceLevel.INSTANT])
    ).plans
    pickup = plan_pickups(replace(problem([[1], [0], [0]]), pickup_limit=1)).plans[0]
    late = replace(standard, level=ServiceLevel.EXPRESS, price=795)
    partial = replace(pickup, missing=(Missing(sku="S0", quantity=1),))
    ranked = rank([partial, late, instant, same_day, standard, pickup])
    assert ranked == (pickup, standard, same_day, instant, late, partial)
    assert rank(reversed(ranked)) == ranked


def test_pickups_are_never_beaten_by_a_delivery_or_by_each_other() -> None:
    instant = plan_deliveries(problem([[1], [0], [0]], levels=[ServiceLevel.INSTANT])).plans[0]
    pickup = plan_pickups(replace(problem([[1], [0], [0]]), now=MONDAY.replace(day=28, hour=20))).plans[0]
    dear_pickup = replace(pickup, price=instant.price + 1)
    dearer = replace(instant, price=instant.price + 2)
    assert rank([dearer, dear_pickup, instant]) == (instant, dear_pickup, dearer)


@pytest.mark.parametrize("seed", range(40))
def test_what_comes_now_is_made_ready_when_what_is_there_now_would_be(seed: int) -> None:
    """Search for a day with room twice: for one site, and for all at once."""
    random = np.random.default_rng(seed)
    some = lambda: None if random.random() < 0.3 else int(random.integers(0, 4))  # noqa: E731
    sites = [
        replace(
            STORE,
            code=f"BER-{number}",
            handling=timedelta(hours=int(random.integers(1, 30))),
            closures=frozenset(MONDAY.date() + timedelta(days=int(day)) for day in random.integers(0, 9, 3)),
            capacity=tuple(DayCapacity(weekday=day, orders=some(), units=some()) for day in range(1, 8)),
        )
        for number in range(4)
    ]
    cart = problem([[9, 9]] * 4, (1, int(random.integers(1, 3))), sites=sites)
    work = {
        (site.code, MONDAY.date() + timedelta(days=day)): (int(random.integers(0, 4)), int(random.integers(0, 4)))
        for site in sites
        for day in range(9)
    }
    now = MONDAY + timedelta(hours=int(random.integers(0, 72)))
    cart = replace(cart, now=now, committed=committed(cart.network, work))
    times = timetable(cart)
    assert [made_ready(cart, site, now) for site in range(4)] == [times._ready_at(site) for site in range(4)]


def test_where_every_lane_is_sure_to_keep_a_promise_none_lacks_one() -> None:
    week = frozenset(MONDAY.date() + timedelta(days=day) for day in range(70))
    shut = replace(STORE, closures=week - {MONDAY.date() + timedelta(days=day) for day in (0, 1, 2, 3)})
    verdicts = set()
    for hours in range(0, 120, 3):
        cart = replace(problem([[9], [9]], sites=[shut, WAREHOUSE]), now=MONDAY + timedelta(hours=hours))
        km = distances_km(cart.network, MITTE)
        ground = delivery_ground(given(cart, km), ServiceLevel.STANDARD, km)
        for site in range(2):
            sure = ground.given.timetable.all_promise([ground.given.timetable.turns.item(site)], ground.offer)
            lanes = range(len(ground.offer.lanes)) if ground.offer else ()
            kept = all(ground.promise(site, lane) for lane in lanes)
            assert kept or not sure, (hours, site)
            verdicts.add((site, sure, kept))
    assert {(0, True, True), (0, False, False), (1, True, True)} <= verdicts
