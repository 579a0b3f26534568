"""Three places, three carrier services, and carts for them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from domain.planning.costs import HANDLING
from domain.planning.network import make_network
from domain.planning.problem import (
    Answer,
    Committed,
    Line,
    Network,
    Opening,
    Plan,
    Point,
    Problem,
    Service,
    Site,
    Tariff,
    Zone,
)
from domain.vocabulary import (
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


def committed(network: Network, work: Mapping[tuple[str, date], tuple[int, int]]) -> Committed | None:
    """Return how many orders and units each location has on each of its local days; None where there is nothing."""
    known = {key: used for key, used in work.items() if key[0] in network.position_by_code}
    if not known:
        return None
    first, last = min(day for _, day in known), max(day for _, day in known)
    orders = np.zeros((len(network.sites), (last - first).days + 1), dtype=np.int64)
    units = orders.copy()
    for (code, day), used in known.items():
        place = network.position_by_code[code], (day - first).days
        orders[place], units[place] = used
    return Committed(first=first, orders=orders, units=units)
