"""Which rows of an import speak of items and locations that exist."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from domain.errors import NotFound
from domain.imports import ImportOutcome
from domain.inventory.rows import EACH_LOCATION
from domain.transaction import Connection


class Placed(Protocol):
    """A row about an item at a location, or at each."""

    @property
    def sku(self) -> str:
        """Return the item's SKU."""

    @property
    def location_code(self) -> str | None:
        """Return the location's code, None for each location."""


async def find_places(
    connection: Connection, rows: Sequence[tuple[int, Placed]], outcome: ImportOutcome
) -> dict[int, UUID]:
    """Return the location's id for each row's number; a row about an unknown item or location fails."""
    skus = list({row.sku for _, row in rows})
    items = {found["sku"] for found in await connection.fetch("SELECT sku FROM item WHERE sku = ANY ($1)", skus)}
    codes = list({row.location_code for _, row in rows if row.location_code is not None})
    found = await connection.fetch("SELECT code, id FROM location WHERE code = ANY ($1)", codes)
    locations: dict[str | None, UUID] = {None: EACH_LOCATION, **{row["code"]: row["id"] for row in found}}
    places = {}
    for number, row in rows:
        if row.sku not in items:
            outcome.fail(number, NotFound(message=f"There is no item {row.sku!r}.", path=("sku",)))
        elif row.location_code not in locations:
            message = f"There is no location {row.location_code!r}."
            outcome.fail(number, NotFound(message=message, path=("locationCode",)))
        else:
            places[number] = locations[row.location_code]
    return places
