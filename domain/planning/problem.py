"""What the planner is asked and what it answers: values only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from domain.planning.policy import DEFAULT, Policy
from domain.vocabulary import (
    FulfillmentMethod,
    LocationKind,
    LocationService,
    LocationStatus,
    ServiceLevel,
    UnavailabilityCode,
)

UNLIMITED = 2**40
"""More than any weight, quantity or number of orders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A place on earth, WGS 84 degrees."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """One stretch of opening on a weekday (1 is Monday), minutes after local midnight; 1440 closes at midnight."""

    weekday: int
    opens: int
    closes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCapacity:
    """What a location can do on a weekday (1 is Monday); None is no limit."""

    weekday: int
    orders: int | None = None
    units: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Zone:
    """How far a carrier service reaches and how long it travels: days `(least, most)`, or minutes.

    Zones, services and sites are told apart by identity: caches are keyed by them.
    """

    name: str
    max_km: float
    transit_days: tuple[int, int] | None = None
    transit_minutes: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """What one parcel of up to `max_grams` costs the retailer in a zone, in minor units."""

    zone: str
    max_grams: int
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Service:
    """One product of one carrier. Times are local to the collecting location; money is in minor units of `currency`.

    `location_kinds` and `location_codes` are empty where every location may use it. `cutoff` is None where the carrier
    collects on call. `shopper_price` is what the shopper pays, nothing from a cart value of `free_from`.
    """

    code: str
    carrier: str
    name: str
    level: ServiceLevel
    countries: frozenset[str]
    currency: str
    location_kinds: frozenset[LocationKind] = frozenset()
    location_codes: frozenset[str] = frozenset()
    cutoff: time | None = None
    deliver_by: time | None = None
    collects: frozenset[int] = frozenset({1, 2, 3, 4, 5})
    delivers: frozenset[int] = frozenset({1, 2, 3, 4, 5, 6})
    max_grams: int | None = None
    zones: tuple[Zone, ...] = ()
    tariffs: tuple[Tariff, ...] = ()
    shopper_price: int = 0
    free_from: int | None = None
    co2_grams_per_km: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Site:
    """A location as the planner sees it.

    `openings` is empty where it never opens; `service_codes` is None where every fitting carrier service may be used.
    `public_holidays` names a country (`DE`) or a region of it (`DE-BE`) whose public holidays it keeps.
    """

    code: str
    kind: LocationKind
    status: LocationStatus
    country: str
    position: Point
    time_zone: ZoneInfo
    services: frozenset[LocationService]
    openings: tuple[Opening, ...]
    closures: frozenset[date] = frozenset()
    handling: timedelta = timedelta(0)
    tags: frozenset[str] = frozenset()
    service_codes: frozenset[str] | None = None
    public_holidays: str | None = None
    capacity: tuple[DayCapacity, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Network:
    """All sites, sorted by code, and all active carrier services, as one immutable snapshot.

    `positions[2, site]` (latitude, longitude, in radians) stand beside `sites`, in the same order, as do `narrowing`,
    the cosines of the former, and the masks `active`, `ships` and `hands_out` (status ACTIVE, offers SHIP, offers
    PICKUP). `fits[service, site]` tells where a carrier service may be used, `kinds[site]` is the place of its kind in
    LocationKind. Sites with the same number in `schedules` keep the same hours, closures, holidays, handling time and
    time zone; `keepers[schedule]` is the first of them, and `keeping[schedule]` its place. `limited` are the places of
    the sites with a capacity; `order_limits[site, weekday]` and `unit_limits` are theirs (1 is Monday), UNLIMITED where
    there is none. `acceptance[site]` is the share of what it was offered of late that it did the work of, from 0 to 1.
    `network.make_network` fills all of them.
    """

    revision: int
    sites: tuple[Site, ...]
    services: tuple[Service, ...]
    positions: NDArray[np.float64]
    narrowing: NDArray[np.float64]
    active: NDArray[np.bool_]
    ships: NDArray[np.bool_]
    hands_out: NDArray[np.bool_]
    fits: NDArray[np.bool_]
    kinds: NDArray[np.int64]
    schedules: NDArray[np.int64]
    keepers: tuple[Site, ...]
    keeping: NDArray[np.int64]
    limited: NDArray[np.int64]
    order_limits: NDArray[np.int64]
    unit_limits: NDArray[np.int64]
    acceptance: NDArray[np.float64]
    position_by_code: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A wanted quantity of one item; `grams` is the weight of one unit, `tags` are the item's."""

    sku: str
    quantity: int
    grams: int = 0
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Committed:
    """What the sites of a network have taken on already: `orders[site, day]` and `units[site, day]`, int64.

    Day 0 is `first`, and the days are the sites' own; what lies outside is nothing. It is never changed.
    """

    first: date
    orders: NDArray[np.int64]
    units: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Which locations shall serve these lines.

    `available[site, line]` is the quantity each site of the network may sell, int64. `blocked[site, line]` marks pairs
    that must not be used (a rejection, a short pick, a lost race). `country` is where the goods go. `destination` is
    None for pickup without a shopper's position. `pickup_codes`, where given, are the only sites asked for pickup;
    `levels` the delivery levels asked for. `cart_value` is in minor units of `currency`, None where unknown.
    `promised_latest`, where given, is a moment no parcel may pass.

    `policy` decides, over the order's `tags`. What its fences and ratings look at, None where nothing is known of it:
    `committed` is the work the sites have already; `idle_days[site, line]` for how long the item has sat at the site
    without selling. Sites in `opened_codes` send a parcel of this order anyway, and are charged nothing to open one.
    """

    network: Network
    lines: Sequence[Line]
    available: NDArray[np.int64]
    now: datetime
    currency: str
    country: str | None = None
    destination: Point | None = None
    blocked: NDArray[np.bool_] | None = None
    levels: Sequence[ServiceLevel] = tuple(ServiceLevel)
    pickup_codes: Sequence[str] | None = None
    within_km: float | None = None
    pickup_limit: int = 5
    cart_value: int | None = None
    promised_latest: datetime | None = None
    policy: Policy = DEFAULT
    tags: frozenset[str] = frozenset()
    committed: Committed | None = None
    idle_days: NDArray[np.int64] | None = None
    opened_codes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A quantity of one item that a parcel carries."""

    sku: str
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One location's share of a plan.

    `destination_code` is where it ends that goes to the store which hands it out, None otherwise. `service_code` is
    None for what is handed out where it lies. `due_at` is when it has to be ready at the latest (the carrier's
    collection, or the moment from which all is handed out). `cost` is what its ratings come to, in minor units.
    `work_day` is the local day on which the work begins, and whose capacity it uses.
    """

    location_code: str
    service_code: str | None
    shares: tuple[Share, ...]
    ready_at: datetime
    due_at: datetime
    arrives_earliest: datetime
    arrives_latest: datetime
    cost: int
    distance_km: float | None = None
    co2_grams: int | None = None
    work_day: date | None = None
    destination_code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """What a plan leaves out."""

    sku: str
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A way to serve the lines. `price` is what the shopper pays for it and `cost` what the retailer does, minor units.

    `order_before` is the last moment to order and keep the promise; None where it moves with the clock.
    """

    method: FulfillmentMethod
    level: ServiceLevel | None
    parcels: tuple[Parcel, ...]
    price: int
    cost: int
    missing: tuple[Missing, ...] = ()
    order_before: datetime | None = None
    pickup_code: str | None = None
    distance_km: float | None = None
    expected: tuple[datetime, datetime] | None = None
    """When the shopper has it at the earliest and the latest, where its parcels do not tell: all of it has yet to come,
    or a store has to make ready what comes to it."""

    @property
    def earliest(self) -> datetime:
        """The moment before which nothing arrives."""
        return self.expected[0] if self.expected else max(parcel.arrives_earliest for parcel in self.parcels)

    @property
    def latest(self) -> datetime:
        """The moment by which everything has arrived."""
        return self.expected[1] if self.expected else max(parcel.arrives_latest for parcel in self.parcels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unavailable:
    """Why a method, a level or a line has no plan."""

    method: FulfillmentMethod
    code: UnavailabilityCode
    message: str
    level: ServiceLevel | None = None
    sku: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Plans, best first, and the reasons for what could not be planned."""

    plans: tuple[Plan, ...] = field(default=())
    unavailable: tuple[Unavailable, ...] = field(default=())
