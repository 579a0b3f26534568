import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import InvalidInput
from domain.planning.costs import HANDLING
from domain.planning.plan import distances_km, make_network, plan_deliveries, plan_pickups, rank
from domain.planning.problem import (
    Answer,
    Line,
    Missing,
    Opening,
    Plan,
    Point,
    Problem,
    Service,
    Share,
    Site,
    Tariff,
    Zone,
)
from domain.vocabulary import (
    FulfillmentMethod,
    LocationKind,
    LocationService,
    LocationStatus,
    ServiceLevel,
    UnavailabilityCode,
)

BERLIN = ZoneInfo("Europe/Berlin")
MITTE = Point(latitude=52.52, longitude=13.405)
POTSDAM = Point(latitude=52.39, longitude=13.065)
HAMBURG = Point(latitude=53.551, longitude=9.994)
MONDAY = datetime(2026, 11, 23, 10, tzinfo=BERLIN)
WEEK = tuple(range(1, 8))
SHOP = tuple(Opening(weekday=weekday, opens=540, closes=1200) for weekday in WEEK[:6])
ALWAYS = tuple(Opening(weekday=weekday, opens=0, closes=1440) for weekday in WEEK)

STORE = Site(
    code="BER-1",
    kind=LocationKind.STORE,
    status=LocationStatus.ACTIVE,
    country="DE",
    position=MITTE,
    time_zone=BERLIN,
    services=frozenset({LocationService.SHIP, LocationService.PICKUP}),
    openings=SHOP,
    handling=timedelta(hours=1),
)
STORE_2 = replace(STORE, code="BER-2", position=POTSDAM)
WAREHOUSE = replace(
    STORE,
    code="WH-1",
    kind=LocationKind.WAREHOUSE,
    position=HAMBURG,
    services=frozenset({LocationService.SHIP}),
    openings=ALWAYS,
)

POST = Service(
    code="post",
    carrier="Post",
    name="Standard",
    level=ServiceLevel.STANDARD,
    countries=frozenset({"DE"}),
    currency="EUR",
    cutoff=time(16),
    deliver_by=time(18),
    max_grams=31_500,
    zones=(
        Zone(name="national", max_km=900, transit_days=(1, 2)),
        Zone(name="near", max_km=150, transit_days=(1, 1)),
    ),
    tariffs=(
        Tariff(zone="near", max_grams=5000, amount=390),
        Tariff(zone="near", max_grams=31_500, amount=720),
        Tariff(zone="national", max_grams=5000, amount=460),
        Tariff(zone="national", max_grams=31_500, amount=890),
    ),
    shopper_price=495,
    free_from=6000,
    co2_grams_per_km=0.9,
)
EVENING = replace(
    POST,
    code="evening",
    level=ServiceLevel.SAME_DAY,
    location_kinds=frozenset({LocationKind.STORE}),
    cutoff=time(15),
    deliver_by=time(21),
    max_grams=15_000,
    zones=(Zone(name="city", max_km=25, transit_days=(0, 0)),),
    tariffs=(Tariff(zone="city", max_grams=15_000, amount=680),),
    shopper_price=790,
    free_from=None,
)
BIKE = replace(
    EVENING,
    code="bike",
    level=ServiceLevel.INSTANT,
    cutoff=None,
    deliver_by=None,
    collects=frozenset(WEEK),
    zones=(Zone(name="city", max_km=8, transit_minutes=(30, 75)),),
    tariffs=(Tariff(zone="city", max_grams=10_000, amount=850),),
    shopper_price=990,
)


def problem(
    stock: Sequence[Sequence[int]],
    wanted: Sequence[int] = (1,),
    *,
    sites: Sequence[Site] = (STORE, STORE_2, WAREHOUSE),
    services: Sequence[Service] = (POST, EVENING, BIKE),
    grams: int = 500,
    levels: Sequence[ServiceLevel] = (ServiceLevel.STANDARD,),
) -> Problem:
    """A cart of so many units of S0, S1 ...; `stock` has a row for each site, in the order of their codes."""
    return Problem(
        network=make_network(1, sites, services),
        lines=[Line(sku=f"S{index}", quantity=quantity, grams=grams) for index, quantity in enumerate(wanted)],
        available=np.array(stock, dtype=np.int64),
        now=MONDAY,
        currency="EUR",
        country="DE",
        destination=MITTE,
        levels=levels,
    )


def reasons(answer: Answer) -> list[tuple[UnavailabilityCode, ServiceLevel | None, str | None]]:
    return [(reason.code, reason.level, reason.sku) for reason in answer.unavailable]


def pack(kind: LocationKind, units: int) -> int:
    return HANDLING[kind].parcel + HANDLING[kind].unit * units


def only(answer: Answer) -> Plan:
    assert len(answer.plans) == 1
    return answer.plans[0]


# ---------------------------------------------------------------- the network


def test_a_network_is_sorted_by_code_and_its_columns_stand_beside_it() -> None:
    network = make_network(7, [WAREHOUSE, STORE_2, STORE], [POST, EVENING])
    assert [site.code for site in network.sites] == ["BER-1", "BER-2", "WH-1"]
    assert [service.code for service in network.services] == ["evening", "post"]
    assert network.position_by_code == {"BER-1": 0, "BER-2": 1, "WH-1": 2}
    assert np.degrees(network.latitudes).tolist() == pytest.approx([52.52, 52.39, 53.551])
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
    light, heavy = ([[0, 0], [9, 9], [0, 0]], (1, 1)), ([[0, 0], [9, 9], [0, 0]], (5, 6))
    assert only(plan_deliveries(problem(*light))).cost == 390 + pack(LocationKind.STORE, 2)
    assert only(plan_deliveries(problem(*heavy))).cost == 720 + pack(LocationKind.STORE, 11)


def test_a_cart_that_no_place_has_alone_comes_in_the_cheapest_parcels() -> None:
    plan = only(plan_deliveries(problem([[1, 0, 1], [1, 1, 0], [0, 1, 1]], (1, 1, 1))))
    assert plan.missing == ()
    assert [(parcel.location_code, [share.sku for share in parcel.shares]) for parcel in plan.parcels] == [
        ("BER-1", ["S0"]),
        ("WH-1", ["S1", "S2"]),
    ]
    assert plan.cost == sum(parcel.cost for parcel in plan.parcels)


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


@pytest.mark.parametrize("wanted", [(), (1,) * 11])
def test_no_lines_or_more_than_ten_are_invalid(wanted: tuple[int, ...]) -> None:
    cart = problem(np.ones((3, len(wanted))), wanted)
    for planner in (plan_deliveries, plan_pickups):
        with pytest.raises(InvalidInput) as raised:
            planner(cart)
        assert raised.value.path == ["lines"]


# ---------------------------------------------------------------- fences


@pytest.mark.parametrize(
    ("code", "cart"),
    [
        (UnavailabilityCode.NOT_SERVED, replace(problem([[1], [1], [1]]), country="FR")),
        (UnavailabilityCode.NOT_SERVED, replace(problem([[1], [1], [1]]), currency="CHF")),
        (
            UnavailabilityCode.NOT_SERVED,
            problem([[1]], sites=[replace(STORE, services=frozenset({LocationService.PICKUP}))]),
        ),
        (UnavailabilityCode.NOT_SERVED, problem([[1]], sites=[replace(STORE, service_codes=frozenset({"other"}))])),
        (
            UnavailabilityCode.NOT_SERVED,
            problem([[1]], sites=[STORE], services=[replace(POST, location_codes=frozenset({"WH-1"}))]),
        ),
        (
            UnavailabilityCode.NOT_SERVED,
            problem([[1]], sites=[STORE], services=[replace(POST, location_kinds=frozenset({LocationKind.WAREHOUSE}))]),
        ),
        (UnavailabilityCode.CLOSED, problem([[1]], sites=[replace(STORE, status=LocationStatus.SUSPENDED)])),
        (
            UnavailabilityCode.TOO_FAR,
            replace(problem([[1], [1], [1]]), destination=Point(latitude=37.98, longitude=23.73)),
        ),
        (UnavailabilityCode.TOO_HEAVY, problem([[1], [1], [1]], grams=31_501)),
        (
            UnavailabilityCode.RESTRICTED,
            replace(problem([[1], [0], [0]]), blocked=np.array([[True], [False], [False]])),
        ),
        (UnavailabilityCode.CLOSED, problem([[1]], sites=[replace(STORE, openings=())])),
        (UnavailabilityCode.CUTOFF_PASSED, replace(problem([[1], [1], [1]]), promised_latest=MONDAY)),
    ],
)
def test_a_level_without_a_plan_says_which_fence_stands_before_it(code: UnavailabilityCode, cart: Problem) -> None:
    answer = plan_deliveries(cart)
    assert answer.plans == ()
    assert reasons(answer) == [(code, ServiceLevel.STANDARD, None)]
    assert answer.unavailable[0].message.endswith(".")


def test_stock_that_no_place_has_is_told_for_the_level_and_the_line() -> None:
    answer = plan_deliveries(problem([[0], [0], [0]]))
    assert answer.plans == ()
    assert reasons(answer) == [
        (UnavailabilityCode.OUT_OF_STOCK, ServiceLevel.STANDARD, None),
        (UnavailabilityCode.OUT_OF_STOCK, ServiceLevel.STANDARD, "S0"),
    ]


def test_a_quantity_that_no_single_place_has_is_cut_to_the_most_that_one_has() -> None:
    answer = plan_deliveries(problem([[3, 1], [5, 0], [2, 0]], (9, 1)))
    plan = only(answer)
    assert plan.missing == (Missing(sku="S0", quantity=4),)
    assert [(parcel.location_code, parcel.shares) for parcel in plan.parcels] == [
        ("BER-1", (Share(sku="S1", quantity=1),)),
        ("BER-2", (Share(sku="S0", quantity=5),)),
    ]
    (reason,) = answer.unavailable
    assert (reason.code, reason.sku, reason.level) == (UnavailabilityCode.OUT_OF_STOCK, "S0", ServiceLevel.STANDARD)
    assert "9 of S0" in reason.message
    assert "more than 5" in reason.message


def test_a_line_that_nobody_has_is_missing_whole() -> None:
    answer = plan_deliveries(problem([[1, 0], [0, 0], [0, 0]], (1, 2)))
    assert only(answer).missing == (Missing(sku="S1", quantity=2),)
    assert reasons(answer) == [(UnavailabilityCode.OUT_OF_STOCK, ServiceLevel.STANDARD, "S1")]


def test_a_line_too_heavy_for_one_parcel_is_cut_to_what_a_parcel_holds() -> None:
    answer = plan_deliveries(problem([[9], [9], [9]], (9,), grams=5000))
    assert only(answer).missing == (Missing(sku="S0", quantity=3),)
    assert reasons(answer) == [(UnavailabilityCode.TOO_HEAVY, ServiceLevel.STANDARD, "S0")]


def test_a_blocked_pair_is_left_out_and_the_rest_of_the_place_is_not() -> None:
    cart = problem([[1, 1], [1, 0], [0, 0]], (1, 1))
    blocked = np.array([[True, False], [False, False], [False, False]])
    parcels = only(plan_deliveries(replace(cart, blocked=blocked))).parcels
    assert [(parcel.location_code, parcel.shares[0].sku) for parcel in parcels] == [("BER-1", "S1"), ("BER-2", "S0")]


def test_a_line_of_which_only_a_blocked_place_has_any_is_restricted() -> None:
    cart = problem([[1, 1], [0, 0], [0, 0]], (1, 1))
    answer = plan_deliveries(replace(cart, blocked=np.array([[True, False], [False, False], [False, False]])))
    assert only(answer).missing == (Missing(sku="S0", quantity=1),)
    assert reasons(answer) == [(UnavailabilityCode.RESTRICTED, ServiceLevel.STANDARD, "S0")]


def test_no_parcel_passes_the_promised_moment() -> None:
    cart = problem([[0], [9], [9]], services=[POST])
    assert only(plan_deliveries(cart)).parcels[0].location_code == "WH-1"
    bound = replace(cart, promised_latest=MONDAY.replace(day=24, hour=18))
    assert only(plan_deliveries(bound)).parcels[0].location_code == "BER-2"


@pytest.mark.parametrize(
    ("now", "level", "code"),
    [
        (MONDAY.replace(hour=14, minute=0), ServiceLevel.SAME_DAY, None),
        (MONDAY.replace(hour=14, minute=1), ServiceLevel.SAME_DAY, UnavailabilityCode.CUTOFF_PASSED),
        (MONDAY.replace(hour=20, minute=1), ServiceLevel.SAME_DAY, UnavailabilityCode.CLOSED),
        (MONDAY.replace(hour=8, minute=59), ServiceLevel.SAME_DAY, None),
        (MONDAY.replace(day=29), ServiceLevel.SAME_DAY, UnavailabilityCode.CLOSED),
        (MONDAY.replace(hour=9), ServiceLevel.INSTANT, None),
        (MONDAY.replace(hour=19), ServiceLevel.INSTANT, None),
        (MONDAY.replace(hour=19, minute=1), ServiceLevel.INSTANT, UnavailabilityCode.CLOSED),
        (MONDAY.replace(hour=8, minute=59), ServiceLevel.INSTANT, UnavailabilityCode.CLOSED),
        (MONDAY.replace(day=29), ServiceLevel.STANDARD, None),
    ],
)
def test_a_level_that_is_too_late_says_whether_the_cutoff_or_the_hours_are_why(
    now: datetime, level: ServiceLevel, code: UnavailabilityCode | None
) -> None:
    answer = plan_deliveries(replace(problem([[1], [0], [0]], levels=[level]), now=now))
    assert reasons(answer) == ([] if code is None else [(code, level, None)])
    assert len(answer.plans) == (code is None)


def test_a_courier_that_does_not_come_today_promises_nothing_instantly() -> None:
    weekdays_only = replace(BIKE, collects=frozenset({1, 2, 3, 4, 5}))
    cart = problem([[1]], sites=[STORE], services=[weekdays_only], levels=[ServiceLevel.INSTANT])
    answer = plan_deliveries(replace(cart, now=MONDAY.replace(day=28)))
    assert reasons(answer) == [(UnavailabilityCode.CUTOFF_PASSED, ServiceLevel.INSTANT, None)]


def test_only_sites_that_can_still_keep_the_level_count_for_it() -> None:
    shut = replace(STORE, closures=frozenset({date(2026, 11, 23)}))
    near = replace(STORE, code="BER-3")
    cart = problem([[9], [2]], (5,), sites=[shut, near], levels=[ServiceLevel.SAME_DAY])
    answer = plan_deliveries(cart)
    assert only(answer).missing == (Missing(sku="S0", quantity=3),)
    assert reasons(answer) == [(UnavailabilityCode.CLOSED, ServiceLevel.SAME_DAY, "S0")]


def test_a_service_without_tariffs_is_free_and_a_zone_without_a_price_is_not_served() -> None:
    own_van = replace(POST, tariffs=(), max_grams=None)
    assert only(plan_deliveries(problem([[1], [0], [0]], services=[own_van]))).cost == pack(LocationKind.STORE, 1)
    unpriced = replace(POST, tariffs=POST.tariffs[2:])
    answer = plan_deliveries(problem([[1], [0], [0]], services=[unpriced]))
    assert reasons(answer) == [
        (UnavailabilityCode.OUT_OF_STOCK, ServiceLevel.STANDARD, None),
        (UnavailabilityCode.OUT_OF_STOCK, ServiceLevel.STANDARD, "S0"),
    ]


# ---------------------------------------------------------------- pickups


def test_pickup_is_offered_at_the_nearest_stores_complete_ones_first() -> None:
    far = replace(STORE, code="HAM-1", position=HAMBURG)
    answer = plan_pickups(problem([[1], [2], [2]], (2,), sites=[STORE, STORE_2, far]))
    assert [(plan.pickup_code, plan.missing) for plan in answer.plans] == [
        ("BER-2", ()),
        ("HAM-1", ()),
        ("BER-1", (Missing(sku="S0", quantity=1),)),
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
    answer = plan_pickups(problem([[2, 0], [1, 0], [9, 9]], (3, 1)))
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


# ---------------------------------------------------------------- on random networks


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    lines = draw(st.integers(1, 3))
    sites = [
        replace(
            STORE,
            code=f"L{index}",
            kind=draw(st.sampled_from(LocationKind)),
            position=Point(latitude=52.5, longitude=13.4 + index / 50),
            openings=draw(st.sampled_from((SHOP, ALWAYS))),
            handling=timedelta(minutes=draw(st.integers(0, 240))),
        )
        for index in range(draw(st.integers(1, 4)))
    ]
    shape = (len(sites), lines)
    cells = len(sites) * lines
    stock = np.array(draw(st.lists(st.integers(0, 4), min_size=cells, max_size=cells)), dtype=np.int64).reshape(shape)
    flags = np.array(draw(st.lists(st.integers(0, 5), min_size=cells, max_size=cells))).reshape(shape)
    express = replace(POST, code="express", level=ServiceLevel.STANDARD, cutoff=time(12), tariffs=POST.tariffs[:2])
    cart = problem(
        stock,
        [draw(st.integers(1, 4)) for _ in range(lines)],
        sites=sites,
        services=(POST, express, EVENING, BIKE),
        grams=draw(st.sampled_from((0, 900, 3000))),
        levels=tuple(ServiceLevel),
    )
    now = MONDAY + timedelta(minutes=draw(st.integers(0, 7 * 1440)))
    return replace(cart, now=now, blocked=flags == 0, within_km=50.0)


def best_cost(cart: Problem, plan: Plan) -> int:
    """The least cost of the plan's quantities, by trying every service at every site for every line's parcel."""
    quantities = [line.quantity for line in cart.lines]
    for missing in plan.missing:
        quantities[[line.sku for line in cart.lines].index(missing.sku)] -= missing.quantity
    wanted = [index for index, quantity in enumerate(quantities) if quantity]
    legs = [
        (row, tariffs)
        for row, site in enumerate(cart.network.sites)
        for service in cart.network.services
        if service.level is plan.level and (not service.location_kinds or site.kind in service.location_kinds)
        for tariffs in [[step for step in service.tariffs if step.zone in ("near", "city")]]
    ]
    assert cart.blocked is not None
    costs = []
    for owners in itertools.product(range(len(legs) * len(wanted)), repeat=len(wanted)):
        total = 0
        for owner in set(owners):
            row, tariffs = legs[owner // len(wanted)]
            lines = [line for line, of_line in zip(wanted, owners, strict=True) if of_line == owner]
            able = all(cart.available[row, line] >= quantities[line] and not cart.blocked[row, line] for line in lines)
            grams = sum(quantities[line] * cart.lines[line].grams for line in lines)
            amounts = [step.amount for step in tariffs if step.max_grams >= grams]
            kind = cart.network.sites[row].kind
            total += amounts[0] + pack(kind, sum(quantities[line] for line in lines)) if able and amounts else 10**9
        costs.append(total)
    return min(costs)


@settings(max_examples=60, deadline=None)
@given(cart=problems())
def test_every_line_is_shared_out_or_missing_and_no_place_gives_what_it_has_not(cart: Problem) -> None:
    assert cart.blocked is not None
    for answer in (plan_deliveries(cart), plan_pickups(cart)):
        for plan in answer.plans:
            given_out = {line.sku: 0 for line in cart.lines}
            for parcel in plan.parcels:
                row = cart.network.position_by_code[parcel.location_code]
                for share in parcel.shares:
                    column = [line.sku for line in cart.lines].index(share.sku)
                    given_out[share.sku] += share.quantity
                    assert 0 < share.quantity <= cart.available[row, column]
                    assert not cart.blocked[row, column]
                assert cart.now <= parcel.ready_at <= parcel.due_at <= parcel.arrives_earliest <= parcel.arrives_latest
            for missing in plan.missing:
                given_out[missing.sku] += missing.quantity
            assert given_out == {line.sku: line.quantity for line in cart.lines}
            assert plan.order_before is None or plan.order_before >= cart.now


@settings(max_examples=25, deadline=None)
@given(cart=problems())
def test_a_standard_delivery_costs_what_trying_everything_finds(cart: Problem) -> None:
    small = replace(cart, levels=[ServiceLevel.STANDARD])
    for plan in plan_deliveries(small).plans:
        assert plan.cost == best_cost(small, plan)


@settings(max_examples=40, deadline=None)
@given(cart=problems())
def test_each_level_has_a_complete_plan_or_a_reason(cart: Problem) -> None:
    answer = plan_deliveries(cart)
    complete = {plan.level for plan in answer.plans if not plan.missing}
    told = {reason.level for reason in answer.unavailable}
    assert complete | told == set(ServiceLevel)
    assert not complete & told


@settings(max_examples=40, deadline=None)
@given(cart=problems(), minutes=st.integers(0, 2880))
def test_the_same_problem_has_the_same_answer_and_a_plan_holds_until_its_last_moment(
    cart: Problem, minutes: int
) -> None:
    answer = plan_deliveries(cart)
    assert plan_deliveries(cart) == answer
    later = cart.now + timedelta(minutes=minutes)
    for plan in answer.plans:
        if plan.order_before is None or later > plan.order_before:
            continue
        again = plan_deliveries(replace(cart, now=later, promised_latest=plan.latest, levels=[plan.level]))
        assert only(again).cost <= plan.cost
        assert only(again).latest <= plan.latest
