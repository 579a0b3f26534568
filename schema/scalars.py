"""Scalars, money, places: what every other type of the contract is made of."""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, NewType

import strawberry
from graphql import GraphQLError
from strawberry.types.scalar import ScalarDefinition

from domain import money
from domain.duration import format_duration, parse_duration
from domain.places import Address as AddressValue
from domain.planning.problem import Point

Cursor = NewType("Cursor", str)

LONGEST_CURSOR = 100
_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def _refuse(kind: str, example: str) -> GraphQLError:
    return GraphQLError(f"This is no {kind}, like {example}.", extensions={"code": "INVALID_INPUT"})


def _parse_moment(value: object) -> datetime:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        if moment is not None and moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise _refuse("ISO 8601 time with an offset", "2026-11-22T15:04:05+01:00")


def _parse_date(value: object) -> date:
    try:
        if isinstance(value, str):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise _refuse("ISO 8601 date", "2026-12-24")


def _parse_duration(value: object) -> timedelta:
    try:
        if isinstance(value, str):
            return parse_duration(value)
    except (ValueError, OverflowError):
        pass
    raise _refuse("ISO 8601 duration", "PT45M")


def _parse_decimal(value: object) -> Decimal:
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return Decimal(value)
    raise _refuse("decimal in a string", '"19.90"')


def _parse_cursor(value: object) -> str:
    if isinstance(value, str) and len(value) <= LONGEST_CURSOR:
        return value
    raise _refuse("cursor", "one that an update brought")


SCALARS: dict[object, ScalarDefinition] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="ISO 8601 with an offset.",
        serialize=datetime.isoformat,
        parse_value=_parse_moment,
    ),
    date: strawberry.scalar(
        name="Date", description="ISO 8601, YYYY-MM-DD.", serialize=date.isoformat, parse_value=_parse_date
    ),
    timedelta: strawberry.scalar(
        name="Duration",
        description="ISO 8601, weeks to seconds, like PT45M.",
        serialize=format_duration,
        parse_value=_parse_duration,
    ),
    Decimal: strawberry.scalar(
        name="Decimal", description="A decimal in a string; never a float.", serialize=str, parse_value=_parse_decimal
    ),
    Cursor: strawberry.scalar(
        name="Cursor",
        description="A place in the updates. Keep it and hand it back; never look inside.",
        serialize=str,
        parse_value=_parse_cursor,
    ),
}


@strawberry.type(description="An amount of a currency (ISO 4217), as a decimal string.")
class Money:
    amount: Decimal
    currency: str

    @classmethod
    def of(cls, minor: int, currency: str) -> "Money":
        return cls(amount=money.to_decimal(minor, currency), currency=currency)


@strawberry.type(description="A place on earth, WGS 84 degrees.")
class GeoPoint:
    latitude: float
    longitude: float


@strawberry.input(description="A place on earth, WGS 84 degrees.")
class GeoPointInput:
    latitude: float
    longitude: float

    def value(self) -> Point:
        return Point(latitude=self.latitude, longitude=self.longitude)


@strawberry.type(description="A postal address; country is ISO 3166 alpha-2.")
class Address:
    name: str | None
    lines: list[str]
    postal_code: str
    city: str
    region: str | None
    country: str
    position: GeoPoint | None

    @classmethod
    def of(cls, value: AddressValue) -> "Address":
        at = value.position
        return cls(
            name=value.name,
            lines=list(value.lines),
            postal_code=value.postal_code,
            city=value.city,
            region=value.region,
            country=value.country,
            position=GeoPoint(latitude=at.latitude, longitude=at.longitude) if at else None,
        )


@strawberry.input(description="A postal address; country is ISO 3166 alpha-2. Without a position it is looked up.")
class AddressInput:
    name: str | None = None
    lines: list[str] = strawberry.field(default_factory=list)
    postal_code: str
    city: str
    region: str | None = None
    country: str
    position: GeoPointInput | None = None

    def value(self) -> AddressValue:
        return AddressValue(
            name=self.name,
            lines=tuple(self.lines),
            postal_code=self.postal_code.strip(),
            city=self.city.strip(),
            region=self.region,
            country=self.country.strip().upper(),
            position=self.position.value() if self.position else None,
        )


def optional(value: Any, absent: object) -> Any:  # noqa: ANN401 - a Maybe of any type, and what it holds
    """Return what a `strawberry.Maybe` holds, or `absent` where the caller left the field out."""
    return absent if value is None else value.value
