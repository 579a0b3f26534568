from dataclasses import replace
from datetime import date, datetime

import numpy as np
import pytest

from domain.planning.plan import plan_deliveries
from domain.planning.problem import (
    Missing,
    Point,
    Problem,
    Share,
)
from domain.vocabulary import (
    LocationKind,
    LocationService,
    LocationStatus,
    ServiceLevel,
    UnavailabilityCode,
)
from tests.domain.carts import BIKE, MONDAY, POST, STORE, only, pack, problem, reasons


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


def test_a_quantity_that_no_single_place_has_comes_in_lots_of_several() -> None:
    answer = plan_deliveries(problem([[3, 1], [5, 0], [2, 0]], (9, 1)))
    plan = only(answer)
    assert plan.missing == answer.unavailable == ()
    assert [(parcel.location_code, parcel.shares) for parcel in plan.parcels] == [
        ("BER-1", (Share(sku="S0", quantity=3), Share(sku="S1", quantity=1))),
        ("BER-2", (Share(sku="S0", quantity=5),)),
        ("WH-1", (Share(sku="S0", quantity=1),)),
    ]


def test_what_all_places_together_lack_is_missing() -> None:
    answer = plan_deliveries(problem([[3, 1], [5, 0], [2, 0]], (12, 1)))
    plan = only(answer)
    assert plan.missing == (Missing(sku="S0", quantity=2),)
    assert sum(share.quantity for parcel in plan.parcels for share in parcel.shares if share.sku == "S0") == 10
    (reason,) = answer.unavailable
    assert (reason.code, reason.sku, reason.level) == (UnavailabilityCode.OUT_OF_STOCK, "S0", ServiceLevel.STANDARD)
    assert "12 of S0" in reason.message
    assert "more than 10" in reason.message


def test_a_line_that_nobody_has_is_missing_whole() -> None:
    answer = plan_deliveries(problem([[1, 0], [0, 0], [0, 0]], (1, 2)))
    assert only(answer).missing == (Missing(sku="S1", quantity=2),)
    assert reasons(answer) == [(UnavailabilityCode.OUT_OF_STOCK, ServiceLevel.STANDARD, "S1")]


def test_a_line_too_heavy_for_one_parcel_comes_in_several_from_where_it_is() -> None:
    answer = plan_deliveries(problem([[9], [0], [0]], (9,), grams=5000))
    assert answer.unavailable == ()
    assert [(parcel.location_code, parcel.shares[0].quantity) for parcel in only(answer).parcels] == [
        ("BER-1", 6),
        ("BER-1", 3),
    ]


def test_a_parcel_keeps_to_the_limit_of_the_service_below_that_of_the_tariff() -> None:
    light_post = replace(POST, max_grams=1000)
    plan = only(plan_deliveries(problem([[1, 1], [0, 0], [0, 0]], (1, 1), grams=501, services=[light_post])))
    assert [parcel.shares for parcel in plan.parcels] == [
        (Share(sku="S0", quantity=1),),
        (Share(sku="S1", quantity=1),),
    ]


def test_a_blocked_pair_is_left_out_and_the_rest_of_the_place_is_not() -> None:
    cart = problem([[1, 1], [1, 0], [0, 0]], (1, 1))
    blocked = np.array([[True, False], [False, False], [False, False]])
    parcels = only(plan_deliveries(replace(cart, blocked=blocked))).parcels
    assert [(parcel.location_code, parcel.shares[0].sku) for parcel in parcels] == [("BER-1", "S1"), ("BER-2", "S0")]


def test_what_there_is_of_a_line_is_told_beside_a_line_that_is_too_heavy() -> None:
    cart = problem([[9, 10]], wanted=(1, 11), sites=[STORE])
    heavy, light = cart.lines
    answer = plan_deliveries(replace(cart, lines=[replace(heavy, grams=31_501), light]))
    (reason,) = (reason for reason in answer.unavailable if reason.sku == light.sku)
    assert reason.message.endswith("do not have more than 10.")


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
