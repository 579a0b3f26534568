"""Locations: what people say about them, checked, and written."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

from domain.change import UNSET, Unset
from domain.errors import DomainError, InvalidInput, NotFound, VersionConflict
from domain.ids import new_id
from domain.imports import ImportOutcome, OnRowError, check_each
from domain.network.calendar import (
    LAST_WEEKDAY,
    MIDNIGHT,
    check_clock,
    check_closing,
    check_public_holidays,
    check_span,
    check_time_zone,
    check_weekday,
)
from domain.network.rows import (
    CapacityJson,
    ClosureJson,
    Columns,
    HoursJson,
    LocationRow,
    lock,
    write_locations,
)
from domain.places import Address, check_country, check_position, check_postal_code, validate
from domain.planning.problem import Point
from domain.text import LONGEST_LIST, check_code, check_codes, check_optional_text, check_text
from domain.timers import set_timer
from domain.transaction import Connection, Database
from domain.vocabulary import LocationKind, LocationService, LocationStatus

CLOSING = "closing"
"""The kind of the timers that take open work from a location that has closed."""
OPENING = "opening"
"""The kind of the timers that let a location that takes work again have what waits."""
MOST_A_DAY = 1_000_000_000
Path = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """A stretch of opening on a weekday, local HH:MM; `closes` 24:00 is midnight."""

    weekday: int
    opens: str
    closes: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """A day without opening."""

    date: date
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WeekdayLimit:
    """What a location takes on a weekday; None is no limit."""

    weekday: int
    orders: int | None = None
    units: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationChange:
    """What is to be said about a location, new or known by its code; UNSET stays as it is."""

    code: str
    name: str | Unset | None = UNSET
    kind: LocationKind | Unset | None = UNSET
    address: Address | Unset | None = UNSET
    position: Point | Unset | None = UNSET
    time_zone: str | Unset | None = UNSET
    tags: Sequence[str] | Unset | None = UNSET
    services: Sequence[LocationService] | Unset | None = UNSET
    opening_hours: Sequence[Hours] | Unset | None = UNSET
    closures: Sequence[Closure] | Unset | None = UNSET
    public_holidays: str | Unset | None = UNSET
    capacity: Sequence[WeekdayLimit] | Unset | None = UNSET
    handling_time: timedelta | Unset | None = UNSET
    carrier_service_codes: Sequence[str] | Unset | None = UNSET
    expected_version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationRecord:
    """A row of an import: None and a blank text leave things as they are.

    `capacity_per_day` is a number of orders, the same each weekday.
    """

    code: str
    name: str | None = None
    kind: LocationKind | None = None
    latitude: float | None = None
    longitude: float | None = None
    country: str | None = None
    postal_code: str | None = None
    city: str | None = None
    time_zone: str | None = None
    services: Sequence[LocationService] | None = None
    tags: Sequence[str] | None = None
    capacity_per_day: int | None = None
    handling_time: timedelta | None = None


async def save_location(connection: Connection, change: LocationChange, *, now: datetime) -> LocationRow:
    """Change the location of that code, or make it; return it as it then is.

    Raise InvalidInput, or VersionConflict where `expected_version` is not the present one.
    """
    code, columns = check_code(change.code, path=("code",)), _columns_of_change(change)
    await lock(connection)
    row = (await _known(connection, [code])).get(code)
    version = row.version if row else 0
    if change.expected_version is not None and change.expected_version != version:
        message = f"The location's version is {version}."
        raise VersionConflict(message=message, path=("expectedVersion",), current_version=version)
    if isinstance(change.carrier_service_codes, Sequence):
        await _check_carriers(connection, change.carrier_service_codes)
    if row is None:
        return (await write_locations(connection, [_new(code, columns, now=now)]))[0]
    changed = _changed(row, columns, now=now)
    return (await write_locations(connection, [changed]))[0] if changed else row


async def set_location_status(
    connection: Connection, location_id: UUID, status: LocationStatus, *, now: datetime
) -> LocationRow:
    """Set a location's status; return it as it then is, or raise NotFound."""
    await lock(connection)
    row = await connection.fetchrow("SELECT * FROM location WHERE id = $1", location_id, record_class=LocationRow)
    if row is None:
        raise NotFound(message="There is no such location.", path=("id",))
    changed = _changed(row, {"status": status}, now=now)
    if changed and status is LocationStatus.CLOSED:
        await set_timer(connection, CLOSING, f"{location_id} {now.isoformat()}", now)
    if changed and status is LocationStatus.ACTIVE:
        await set_timer(connection, OPENING, str(location_id), now)
    return (await write_locations(connection, [changed]))[0] if changed else row


async def import_locations(
    database: Database, rows: Sequence[LocationRecord], *, on_error: OnRowError, now: datetime
) -> ImportOutcome:
    """Take rows about locations, in one transaction."""
    outcome = ImportOutcome()
    checked = check_each(rows, key=lambda row: row.code, check=_columns_of_record, outcome=outcome)
    async with database.transaction() as connection:
        await lock(connection)
        known = await _known(connection, [rows[number].code for number, _ in checked])
        changed: list[Columns] = []
        for number, columns in checked:
            try:
                code = rows[number].code
                row = known.get(code)
                merged = _changed(row, columns, now=now) if row else _new(code, columns, now=now)
            except DomainError as error:
                outcome.fail(number, error)
            else:
                outcome.count(new=row is None, changed=merged is not None)
                changed += [merged] if merged else []
        if not outcome.rejects(on_error):
            await write_locations(connection, changed)
    return outcome


async def _known(connection: Connection, codes: Sequence[str]) -> Mapping[str, LocationRow]:
    sql = "SELECT * FROM location WHERE code = ANY($1)"
    return {row.code: row for row in await connection.fetch(sql, codes, record_class=LocationRow)}


async def _check_carriers(connection: Connection, codes: Sequence[str]) -> None:
    known = await connection.fetch("SELECT code FROM carrier_service WHERE code = ANY($1)", codes)
    unknown = sorted(set(codes) - {row["code"] for row in known})
    if unknown:
        message = f"There is no carrier service {unknown[0]!r}."
        raise InvalidInput(message=message, path=("carrierServiceCodes", str(list(codes).index(unknown[0]))))


def _new(code: str, columns: Columns, *, now: datetime) -> Columns:
    """Return the whole of a new location."""
    missing = [field for column, field in _NEEDED.items() if column not in columns]
    if missing:
        message = f"A new location needs {', '.join(_NEEDED.values())}; this one lacks {', '.join(missing)}."
        raise InvalidInput(message=message, path=(missing[0],))
    whole = _defaults(LocationKind(str(columns["kind"])))
    return {**whole, **columns, "id": new_id(now), "code": code, "version": 1, "updated_at": now}


def _changed(row: LocationRow, columns: Columns, *, now: datetime) -> Columns | None:
    """Return the whole of a location as it is to be, or None where that is what it is."""
    if all(row[column] == value for column, value in columns.items()):
        return None
    return {**row, **columns, "version": row.version + 1, "updated_at": now}


_NEEDED = {
    "name": "name",
    "kind": "kind",
    "country": "country",
    "postal_code": "postalCode",
    "city": "city",
    "latitude": "position",
    "time_zone": "timeZone",
}

_SERVICES = {
    LocationKind.WAREHOUSE: [LocationService.SHIP],
    LocationKind.DROP_SHIPPER: [LocationService.SHIP],
    LocationKind.STORE: [LocationService.SHIP, LocationService.PICKUP, LocationService.RETURN],
    LocationKind.MICRO_HUB: [LocationService.SHIP, LocationService.PICKUP],
}

_HANDLING = {
    LocationKind.WAREHOUSE: timedelta(hours=2),
    LocationKind.DROP_SHIPPER: timedelta(hours=24),
    LocationKind.STORE: timedelta(minutes=60),
    LocationKind.MICRO_HUB: timedelta(minutes=30),
}


def _defaults(kind: LocationKind) -> Columns:
    days, opens, closes = (6, "09:00", "20:00") if kind is LocationKind.STORE else (LAST_WEEKDAY, "00:00", MIDNIGHT)
    return {
        "status": LocationStatus.ACTIVE,
        "address_name": None,
        "address_lines": [],
        "region": None,
        "tags": [],
        "services": _SERVICES[kind],
        "opening_hours": [HoursJson(weekday=day, opens=opens, closes=closes) for day in range(1, days + 1)],
        "closures": [],
        "public_holidays": None,
        "capacity": [],
        "handling_seconds": int(_HANDLING[kind].total_seconds()),
        "carrier_service_codes": None,
    }


def _columns_of_change(change: LocationChange) -> Columns:
    columns: dict[str, object] = {}
    for name, (field, check) in _CHECKS.items():
        value = getattr(change, name)
        if value is UNSET:
            continue
        if value is None and name not in _MAY_BE_NULL:
            raise InvalidInput(message="This cannot be null; leave it out to keep what it is.", path=(field,))
        columns |= {name: None} if value is None else check(value, (field,))
    return columns


def _columns_of_record(record: LocationRecord) -> Columns:
    check_code(record.code, path=("code",))
    said = {field.name: getattr(record, field.name) for field in fields(record)}
    said = {name: value for name, value in said.items() if value is not None and value != ""}
    columns: dict[str, object] = {}
    for name in ("name", "kind", "time_zone", "services", "tags", "handling_time"):
        if name in said:
            field, check = _CHECKS[name]
            columns |= check(said[name], (field,))
    if "country" in said:
        columns["country"] = check_country(said["country"], path=("country",))
    if "postal_code" in said:
        columns["postal_code"] = check_postal_code(said["postal_code"], path=("postalCode",))
    if "city" in said:
        columns["city"] = check_text(said["city"], path=("city",))
    if ("latitude" in said) != ("longitude" in said):
        raise InvalidInput(message="A position is a latitude and a longitude.", path=("latitude",))
    if "latitude" in said:
        columns |= _position(Point(latitude=said["latitude"], longitude=said["longitude"]), ())
    if "capacity_per_day" in said:
        orders = _limit(said["capacity_per_day"], ("capacityPerDay",))
        columns["capacity"] = [CapacityJson(weekday=n, orders=orders, units=None) for n in range(1, LAST_WEEKDAY + 1)]
    return columns


def _address(address: Address, path: Path) -> Columns:
    validate(address, path=path)
    columns: dict[str, object] = {
        "address_name": address.name,
        "address_lines": list(address.lines),
        "postal_code": address.postal_code,
        "city": address.city,
        "region": address.region,
        "country": address.country,
    }
    return {**columns, **_position(address.position, path)} if address.position else columns


def _position(point: Point, path: Path) -> Columns:
    check_position(point, path=path)
    return {"latitude": point.latitude, "longitude": point.longitude}


def _opening_hours(hours: Sequence[Hours], path: Path) -> Columns:
    _check_length(hours, path)
    for n, stretch in enumerate(hours):
        check_weekday(stretch.weekday, path=(*path, str(n), "weekday"))
        check_clock(stretch.opens, path=(*path, str(n), "opens"))
        if stretch.opens >= check_closing(stretch.closes, path=(*path, str(n), "closes")):
            raise InvalidInput(message="It must open before it closes.", path=(*path, str(n), "closes"))
    ordered = sorted(enumerate(hours), key=lambda each: (each[1].weekday, each[1].opens))
    for (_, before), (n, after) in pairwise(ordered):
        if before.weekday == after.weekday and after.opens < before.closes:
            message = f"On weekday {after.weekday}, {after.opens} lies before {before.closes}."
            raise InvalidInput(message=message, path=(*path, str(n), "opens"))
    rows = [HoursJson(weekday=stretch.weekday, opens=stretch.opens, closes=stretch.closes) for _, stretch in ordered]
    return {"opening_hours": rows}


def _closures(closures: Sequence[Closure], path: Path) -> Columns:
    _check_length(closures, path)
    days: dict[str, ClosureJson] = {}
    for n, closure in enumerate(closures):
        day = closure.date.isoformat()
        if day in days:
            raise InvalidInput(message=f"{day} is named twice.", path=(*path, str(n), "date"))
        if closure.reason:
            check_optional_text(closure.reason, path=(*path, str(n), "reason"))
        days[day] = ClosureJson(date=day, reason=closure.reason)
    return {"closures": [days[day] for day in sorted(days)]}


def _capacity(limits: Sequence[WeekdayLimit], path: Path) -> Columns:
    days: dict[int, CapacityJson] = {}
    for n, limit in enumerate(limits):
        weekday = check_weekday(limit.weekday, path=(*path, str(n), "weekday"))
        if weekday in days:
            raise InvalidInput(message=f"Weekday {weekday} is named twice.", path=(*path, str(n), "weekday"))
        days[weekday] = CapacityJson(
            weekday=weekday,
            orders=_limit(limit.orders, (*path, str(n), "orders")),
            units=_limit(limit.units, (*path, str(n), "units")),
        )
    return {"capacity": [days[weekday] for weekday in sorted(days)]}


def _limit(limit: int | None, path: Path) -> int | None:
    if limit is not None and not 0 <= limit <= MOST_A_DAY:
        raise InvalidInput(message=f"A limit is a number from 0 to {MOST_A_DAY}.", path=path)
    return limit


def _check_length(values: Sequence[object], path: Path) -> None:
    if len(values) > LONGEST_LIST:
        raise InvalidInput(message=f"At most {LONGEST_LIST} are allowed.", path=path)


def _services(services: Sequence[LocationService], _: Path) -> Columns:
    return {"services": [service for service in LocationService if service in services]}


_CHECKS: Mapping[str, tuple[str, Callable[[Any, Path], Columns]]] = {
    "name": ("name", lambda value, path: {"name": check_text(value, path=path)}),
    "kind": ("kind", lambda value, _: {"kind": value}),
    "address": ("address", _address),
    "position": ("position", _position),
    "time_zone": ("timeZone", lambda value, path: {"time_zone": check_time_zone(value, path=path)}),
    "tags": ("tags", lambda value, path: {"tags": check_codes(value, path=path)}),
    "services": ("services", _services),
    "opening_hours": ("openingHours", _opening_hours),
    "closures": ("closures", _closures),
    "public_holidays": (
        "publicHolidays",
        lambda value, path: {"public_holidays": check_public_holidays(value, path=path)},
    ),
    "capacity": ("capacity", _capacity),
    "handling_time": ("handlingTime", lambda value, path: {"handling_seconds": check_span(value, path=path)}),
    "carrier_service_codes": (
        "carrierServiceCodes",
        lambda value, path: {"carrier_service_codes": check_codes(value, path=path)},
    ),
}
_MAY_BE_NULL = frozenset({"public_holidays", "carrier_service_codes"})
