"""Locations and carrier services."""

from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias
from zoneinfo import ZoneInfo

import strawberry

from domain import assignments as work
from domain import inventory, network
from domain.change import UNSET, Unset
from domain.network import (
    CarrierServiceChange,
    CarrierServiceRow,
    LocationChange,
    LocationRecord,
    LocationRow,
    Snapshot,
)
from domain.paging import Page
from domain.places import Address as AddressValue
from domain.planning.problem import Point
from domain.vocabulary import AssignmentStatus, LocationKind, LocationService, LocationStatus, Role, ServiceLevel
from schema.context import Info
from schema.errors import InvalidInputError, NotFoundError, VersionConflictError
from schema.paging import Connection, Node, Paged, connect_alike, global_id, no_rows, node_of
from schema.permission import EVERYBODY, STAFF, edge
from schema.scalars import Address, AddressInput, GeoPoint, GeoPointInput, optional

if TYPE_CHECKING:
    from schema.assignments import Assignment
    from schema.inventory import StockLevel

MOST_TOLD = 4096


@strawberry.type(description="weekday 1 is Monday; opens and closes are local HH:MM; closes 24:00 is midnight.")
class OpeningHours:
    weekday: int
    opens: str
    closes: str


@strawberry.type(description="A day without opening.")
class Closure:
    date: date
    reason: str | None


@strawberry.type(description="What a weekday takes; null is no limit.")
class WeekdayCapacity:
    weekday: int
    orders: int | None
    units: int | None


@strawberry.type(
    description="How much work a location takes, and how much it has for today, its own day. Left null: no limit."
)
class Capacity:
    weekdays: list[WeekdayCapacity]
    orders_committed_today: int = 0
    units_committed_today: int = 0
    orders_left_today: int | None = None
    units_left_today: int | None = None


@strawberry.type(
    description="One product of one carrier: who collects where, until when, how long it travels, what it costs."
)
class CarrierService(Node):
    code: str
    carrier: str
    name: str
    level: ServiceLevel
    countries: list[str]
    active: bool
    cutoff: str | None = strawberry.field(description="Local time at the collecting location; null: collects on call.")
    collects: list[int] = strawberry.field(description="1 is Monday, 7 is Sunday.")
    delivers: list[int] = strawberry.field(description="1 is Monday, 7 is Sunday.")
    max_grams: int | None
    version: int

    @classmethod
    def of(cls, row: CarrierServiceRow) -> "CarrierService":
        return cls(
            id=global_id("CarrierService", row.code),
            code=row.code,
            carrier=row.carrier,
            name=row.name,
            level=ServiceLevel(row.level),
            countries=row.countries,
            active=row.active,
            cutoff=row.cutoff,
            collects=row.collects,
            delivers=row.delivers,
            max_grams=row.max_grams,
            version=row.version,
        )


@strawberry.type(description="A place that holds stock and does the work of orders.")
class Location(Node):
    row: strawberry.Private[LocationRow]
    code: str
    name: str
    kind: LocationKind
    status: LocationStatus
    address: Address
    position: GeoPoint
    time_zone: str
    tags: list[str]
    services: list[LocationService]
    opening_hours: list[OpeningHours]
    closures: list[Closure]
    public_holidays: str | None = strawberry.field(
        description="The country (DE) or region (DE-BE) on whose public holidays it stays closed; null: on none."
    )
    handling_time: timedelta
    version: int

    @classmethod
    def of(cls, row: LocationRow) -> "Location":
        address = AddressValue(
            name=row.address_name,
            lines=tuple(row.address_lines),
            postal_code=row.postal_code,
            city=row.city,
            region=row.region,
            country=row.country,
            position=Point(latitude=row.latitude, longitude=row.longitude),
        )
        return cls(
            id=global_id("Location", row.id),
            row=row,
            code=row.code,
            name=row.name,
            kind=LocationKind(row.kind),
            status=LocationStatus(row.status),
            address=Address.of(address),
            position=GeoPoint(latitude=row.latitude, longitude=row.longitude),
            time_zone=row.time_zone,
            tags=row.tags,
            services=[LocationService(service) for service in row.services],
            opening_hours=[OpeningHours(**hours) for hours in row.opening_hours],
            closures=[
                Closure(date=date.fromisoformat(closure["date"]), reason=closure["reason"]) for closure in row.closures
            ],
            public_holidays=row.public_holidays,
            handling_time=timedelta(seconds=row.handling_seconds),
            version=row.version,
        )

    @edge(allow=STAFF, hidden=lambda: Capacity(weekdays=[]))
    async def capacity(self, info: Info) -> Capacity:
        if not info.context.viewer.works_at(self.row.id):
            return Capacity(weekdays=[])
        today = info.context.now().astimezone(ZoneInfo(self.row.time_zone)).date()
        used = await info.context.loaders.committed.load((self.row.id, today))
        orders, units = (used.orders, used.units) if used else (0, 0)
        weekdays = [WeekdayCapacity(**limit) for limit in self.row.capacity]
        limit = next((each for each in weekdays if each.weekday == today.isoweekday()), None)
        return Capacity(
            weekdays=weekdays,
            orders_committed_today=orders,
            units_committed_today=units,
            orders_left_today=_left(limit.orders, orders) if limit else None,
            units_left_today=_left(limit.units, units) if limit else None,
        )

    @edge(allow=EVERYBODY, description="The active ones it may use.")
    async def carrier_services(self, info: Info) -> list[CarrierService]:
        snapshot = await info.context.network()
        return [CarrierService.of(service) for service in snapshot.services_of(self.row)]

    @edge(allow=STAFF, hidden=no_rows, paged=Paged())
    async def stock_levels(
        self, info: Info, page: Page, skus: list[str] | None = None
    ) -> Connection[Annotated["StockLevel", strawberry.lazy("schema.inventory")]]:
        if not info.context.viewer.works_at(self.row.id):
            return no_rows()
        listing = inventory.stock_listing(skus=skus, location_ids=[self.row.id])
        return await connect_alike(info, listing, page, node_of)

    @edge(allow=STAFF, hidden=no_rows, paged=Paged())
    async def assignments(
        self, info: Info, page: Page, status: list[AssignmentStatus] | None = None
    ) -> Connection[Annotated["Assignment", strawberry.lazy("schema.assignments")]]:
        viewer = info.context.viewer
        if not viewer.works_at(self.row.id):
            return no_rows()
        withheld = viewer.role is not Role.STORE
        listing = work.listing(work.AssignmentFilter(location_ids=[self.row.id], status=status, withheld=withheld))
        return await connect_alike(info, listing, page, node_of)


_told: dict[int, Location] = {}
"""Locations told of late, by the identity of their rows: each holds its row, so no other is taken for it meanwhile."""


def located(snapshot: Snapshot, code: str) -> Location:
    """Return the location of a code, or raise NotFound."""
    return _location(snapshot.location(code))


def _location(row: LocationRow) -> Location:
    told = _told.get(id(row))
    if told is None:
        if len(_told) >= MOST_TOLD:
            _told.clear()
        told = _told[id(row)] = Location.of(row)
    return told


def _left(limit: int | None, used: int) -> int | None:
    return None if limit is None else max(limit - used, 0)


async def location_of(info: Info, location_id: Any) -> Location:  # noqa: ANN401 - the UUID of a row
    """Return the location of an id that a row of ours holds."""
    return _location((await info.context.network()).locations[location_id])


@strawberry.input(description="weekday 1 is Monday; opens and closes are local HH:MM; closes 24:00 is midnight.")
class OpeningHoursInput:
    weekday: int
    opens: str
    closes: str


@strawberry.input(description="A day without opening.")
class ClosureInput:
    date: date
    reason: str | None = None


@strawberry.input(description="What a weekday takes; null is no limit.")
class WeekdayCapacityInput:
    weekday: int
    orders: int | None = None
    units: int | None = None


def _each(values: Any, kind: Any) -> Any:  # noqa: ANN401 - a list of inputs, None or UNSET, and the value they make
    return values if values is None or values is UNSET else [kind(**vars(value)) for value in values]


def _value(value: Any) -> Any:  # noqa: ANN401 - an input, None or UNSET
    return value if value is None or isinstance(value, Unset) else value.value()


@strawberry.input(description="A location, new or known by its code. An absent field stays as it is.")
class LocationInput:
    code: str
    name: strawberry.Maybe[str | None]
    kind: strawberry.Maybe[LocationKind | None]
    address: strawberry.Maybe[AddressInput | None]
    position: strawberry.Maybe[GeoPointInput | None]
    time_zone: strawberry.Maybe[str | None]
    tags: strawberry.Maybe[list[str] | None]
    services: strawberry.Maybe[list[LocationService] | None]
    opening_hours: strawberry.Maybe[list[OpeningHoursInput] | None]
    closures: strawberry.Maybe[list[ClosureInput] | None]
    public_holidays: strawberry.Maybe[str | None] = strawberry.field(
        description="A country, DE, or a region of it, DE-BE, on whose public holidays it stays closed; null: on none."
    )
    capacity: strawberry.Maybe[list[WeekdayCapacityInput] | None]
    handling_time: strawberry.Maybe[timedelta | None]
    carrier_service_codes: strawberry.Maybe[list[str] | None]
    expected_version: int | None = None

    def value(self) -> LocationChange:
        return LocationChange(
            code=self.code,
            name=optional(self.name, UNSET),
            kind=optional(self.kind, UNSET),
            address=_value(optional(self.address, UNSET)),
            position=_value(optional(self.position, UNSET)),
            time_zone=optional(self.time_zone, UNSET),
            tags=optional(self.tags, UNSET),
            services=optional(self.services, UNSET),
            opening_hours=_each(optional(self.opening_hours, UNSET), network.Hours),
            closures=_each(optional(self.closures, UNSET), network.Closure),
            public_holidays=optional(self.public_holidays, UNSET),
            capacity=_each(optional(self.capacity, UNSET), network.WeekdayLimit),
            handling_time=optional(self.handling_time, UNSET),
            carrier_service_codes=optional(self.carrier_service_codes, UNSET),
            expected_version=self.expected_version,
        )


@strawberry.input(description="How far a zone reaches, and how long the way takes: days or minutes, [least, most].")
class ZoneInput:
    zone: str
    max_km: float
    transit_days: list[int] | None = None
    transit_minutes: list[int] | None = None


@strawberry.input(description="What a parcel of up to maxGrams costs in a zone.")
class CostInput:
    zone: str
    max_grams: int = strawberry.field(description="For parcels of no more, in grams.")
    amount: Decimal


@strawberry.input(description="A carrier service, new or known by its code. An absent field stays as it is.")
class CarrierServiceInput:
    code: str
    carrier: strawberry.Maybe[str | None]
    name: strawberry.Maybe[str | None]
    level: strawberry.Maybe[ServiceLevel | None]
    countries: strawberry.Maybe[list[str] | None]
    currency: strawberry.Maybe[str | None]
    location_kinds: strawberry.Maybe[list[LocationKind] | None]
    location_codes: strawberry.Maybe[list[str] | None]
    cutoff: strawberry.Maybe[str | None]
    deliver_by: strawberry.Maybe[str | None]
    collects: strawberry.Maybe[list[int] | None]
    delivers: strawberry.Maybe[list[int] | None]
    max_grams: strawberry.Maybe[int | None]
    zones: strawberry.Maybe[list[ZoneInput] | None]
    cost: strawberry.Maybe[list[CostInput] | None] = strawberry.field(description="What it charges, by zone and grams.")
    shopper_price: strawberry.Maybe[Decimal | None]
    free_from: strawberry.Maybe[Decimal | None]
    co2_grams_per_km: strawberry.Maybe[float | None] = strawberry.field(name="co2GramsPerKm")
    active: strawberry.Maybe[bool | None]
    expected_version: int | None = None

    def value(self) -> CarrierServiceChange:
        return CarrierServiceChange(
            code=self.code,
            carrier=optional(self.carrier, UNSET),
            name=optional(self.name, UNSET),
            level=optional(self.level, UNSET),
            countries=optional(self.countries, UNSET),
            currency=optional(self.currency, UNSET),
            location_kinds=optional(self.location_kinds, UNSET),
            location_codes=optional(self.location_codes, UNSET),
            cutoff=optional(self.cutoff, UNSET),
            deliver_by=optional(self.deliver_by, UNSET),
            collects=optional(self.collects, UNSET),
            delivers=optional(self.delivers, UNSET),
            max_grams=optional(self.max_grams, UNSET),
            zones=_each(optional(self.zones, UNSET), network.ZoneReach),
            cost=_each(optional(self.cost, UNSET), network.CostStep),
            shopper_price=optional(self.shopper_price, UNSET),
            free_from=optional(self.free_from, UNSET),
            co2_grams_per_km=optional(self.co2_grams_per_km, UNSET),
            active=optional(self.active, UNSET),
            expected_version=self.expected_version,
        )


@strawberry.input(description="A row of an import. capacityPerDay is in orders, the same each weekday.")
class LocationRowInput:
    code: str
    name: str
    kind: LocationKind
    latitude: float
    longitude: float
    country: str
    postal_code: str
    city: str
    time_zone: str
    services: list[LocationService]
    tags: list[str] | None = None
    capacity_per_day: int | None = None
    handling_time: timedelta | None = None

    def value(self) -> LocationRecord:
        return LocationRecord(**vars(self))


LocationResult: TypeAlias = Annotated[
    Location | NotFoundError | VersionConflictError | InvalidInputError, strawberry.union("LocationResult")
]
CarrierServiceResult: TypeAlias = Annotated[
    CarrierService | VersionConflictError | InvalidInputError, strawberry.union("CarrierServiceResult")
]
