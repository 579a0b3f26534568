"""Locations and carrier services as Postgres holds them, and the one way to write them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypedDict, TypeVar
from uuid import UUID

from domain.transaction import Connection, Row

Columns = Mapping[str, object]
R = TypeVar("R", bound=Row)


class HoursJson(TypedDict):
    """Local times of day, HH:MM."""

    weekday: int
    opens: str
    closes: str


class ClosureJson(TypedDict):
    """A day without opening; the date is ISO 8601."""

    date: str
    reason: str | None


class CapacityJson(TypedDict):
    """What a weekday takes; None is no limit."""

    weekday: int
    orders: int | None
    units: int | None


class ZoneJson(TypedDict):
    """How far a carrier service reaches, and how long it travels."""

    zone: str
    maxKm: float
    transitDays: list[int] | None
    transitMinutes: list[int] | None


class CostJson(TypedDict):
    """What a parcel costs in a zone, in minor units."""

    zone: str
    maxGrams: int
    amount: int


class LocationRow(Row):
    """A location."""

    id: UUID
    code: str
    name: str
    kind: str
    status: str
    address_name: str | None
    address_lines: list[str]
    postal_code: str
    city: str
    region: str | None
    country: str
    latitude: float
    longitude: float
    time_zone: str
    tags: list[str]
    services: list[str]
    opening_hours: list[HoursJson]
    closures: list[ClosureJson]
    capacity: list[CapacityJson]
    handling_seconds: int
    carrier_service_codes: list[str] | None
    public_holidays: str | None
    version: int
    updated_at: datetime


class CarrierServiceRow(Row):
    """A product of a carrier; money is in minor units of `currency`."""

    id: UUID
    code: str
    carrier: str
    name: str
    level: str
    countries: list[str]
    currency: str
    location_kinds: list[str]
    location_codes: list[str]
    cutoff: str | None
    deliver_by: str | None
    collects: list[int]
    delivers: list[int]
    max_grams: int | None
    zones: list[ZoneJson]
    cost: list[CostJson]
    shopper_price: int
    free_from: int | None
    co2_grams_per_km: float
    active: bool
    version: int


async def lock(connection: Connection) -> None:
    """Make this transaction the only one that writes the network until it ends; readers do not wait."""
    await connection.execute("SELECT FROM network_revision FOR UPDATE")


async def write_locations(connection: Connection, rows: Sequence[Columns]) -> list[LocationRow]:
    """Write whole locations, new ones and changed ones, and count the network's revision up."""
    return await _write(connection, _WRITE_LOCATIONS, rows, LocationRow)


async def write_carrier_services(connection: Connection, rows: Sequence[Columns]) -> list[CarrierServiceRow]:
    """Write whole carrier services, new ones and changed ones, and count the network's revision up."""
    return await _write(connection, _WRITE_CARRIER_SERVICES, rows, CarrierServiceRow)


async def _write(connection: Connection, sql: str, rows: Sequence[Columns], record: type[R]) -> list[R]:
    if not rows:
        return []
    written = await connection.fetch(sql, rows, record_class=record)
    await connection.execute("UPDATE network_revision SET revision = revision + 1")
    return written


def _upsert(name: str, record: type[Row]) -> str:
    columns = [column for column in record.__annotations__ if column not in {"id", "code"}]
    return (
        f"INSERT INTO {name} SELECT * FROM jsonb_populate_recordset(NULL::{name}, $1) "  # noqa: S608 - our own names
        f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{column} = EXCLUDED.{column}' for column in columns)} RETURNING *"
    )


_WRITE_LOCATIONS = _upsert("location", LocationRow)
_WRITE_CARRIER_SERVICES = _upsert("carrier_service", CarrierServiceRow)
