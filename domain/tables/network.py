"""Where stock lies and who carries it."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from domain.tables.columns import json, known, moment, texts
from domain.vocabulary import LocationKind, LocationStatus, ServiceLevel


class Location(SQLModel, table=True):
    """A place that holds stock. `opening_hours` is `[{weekday, opens, closes}]`, `closures` `[{date, reason}]`.

    `capacity` is `[{weekday, orders, units}]`; `carrier_service_codes` is null where every fitting service may be used.
    `public_holidays` names the country (`DE`) or the region (`DE-BE`) on whose holidays it stays closed.
    """

    __tablename__ = "location"
    __table_args__ = (
        sa.CheckConstraint("latitude BETWEEN -90 AND 90 AND longitude BETWEEN -180 AND 180", "location_on_earth"),
        sa.CheckConstraint("handling_seconds >= 0", "location_handling_not_negative"),
    )

    id: UUID = Field(primary_key=True)
    code: str = Field(unique=True)
    name: str
    kind: LocationKind = Field(sa_type=known(LocationKind))
    status: LocationStatus = Field(sa_type=known(LocationStatus))
    address_name: str | None = None
    address_lines: list[str] = Field(sa_type=texts())
    postal_code: str
    city: str
    region: str | None = None
    country: str
    latitude: float
    longitude: float
    time_zone: str
    tags: list[str] = Field(sa_type=texts())
    services: list[str] = Field(sa_type=texts())
    opening_hours: list[Any] = Field(sa_type=json())
    closures: list[Any] = Field(sa_type=json())
    capacity: list[Any] = Field(sa_type=json())
    handling_seconds: int
    carrier_service_codes: list[str] | None = Field(default=None, sa_type=texts())
    version: int
    updated_at: datetime = Field(sa_type=moment())
    public_holidays: str | None = None


class CarrierService(SQLModel, table=True):
    """One product of one carrier. Money is in minor units of `currency`; times of day are local `HH:MM`.

    `zones` is `[{zone, maxKm, transitDays, transitMinutes}]`, `cost` `[{zone, maxGrams, amount}]` with minor units.
    """

    __tablename__ = "carrier_service"

    id: UUID = Field(primary_key=True)
    code: str = Field(unique=True)
    carrier: str
    name: str
    level: ServiceLevel = Field(sa_type=known(ServiceLevel))
    countries: list[str] = Field(sa_type=texts())
    currency: str
    location_kinds: list[str] = Field(sa_type=texts())
    location_codes: list[str] = Field(sa_type=texts())
    cutoff: str | None = None
    deliver_by: str | None = None
    collects: list[int] = Field(sa_type=json())
    delivers: list[int] = Field(sa_type=json())
    max_grams: int | None = None
    zones: list[Any] = Field(sa_type=json())
    cost: list[Any] = Field(sa_type=json())
    shopper_price: int = Field(sa_type=sa.BigInteger)
    free_from: int | None = Field(default=None, sa_type=sa.BigInteger)
    co2_grams_per_km: float
    active: bool
    version: int


class NetworkRevision(SQLModel, table=True):
    """One row, counted up by every change of a location or a carrier service: the snapshot's version."""

    __tablename__ = "network_revision"
    __table_args__ = (sa.CheckConstraint('"only"', "network_revision_is_one_row"),)

    only: bool = Field(default=True, primary_key=True)
    revision: int = Field(sa_type=sa.BigInteger)


class PostalCode(SQLModel, table=True):
    """Where a postal code lies."""

    __tablename__ = "postal_code"

    country: str = Field(primary_key=True)
    postal_code: str = Field(primary_key=True)
    latitude: float
    longitude: float
