"""Available units as columns in memory: one row of numbers for each SKU, one place in it for each location."""

from collections.abc import Sequence
from typing import Any, TypeAlias
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from domain.network import Snapshot
from domain.transaction import Connection, Database

Row: TypeAlias = NDArray[np.signedinteger[Any]]

NARROW = np.iinfo(np.int16)
ROOM = 64
"""Places that a row is longer than it needs to be, for locations to come."""
BLOCK_BYTES = 1 << 20

_HEADER = 19
"""Bytes before the first row of a binary COPY without extensions."""
_COPIED = np.dtype(
    [("fields", ">i2"), ("", ">i4"), ("sku", ">i4"), ("", ">i4"), ("place", ">i4"), ("", ">i4"), ("units", ">i4")]
)
"""A row of the COPY: the number of its fields, then each with its length before it."""


class Columns:
    """What may be sold of each SKU at each location, by every channel.

    A row is 16 bits wide until a quantity needs 32. Locations are numbered here, in no order of anybody else's; how
    they stand in a network is looked up once for each snapshot of it.
    """

    def __init__(self, skus: Sequence[str] = (), places: Sequence[UUID] = ()) -> None:
        self._places = {place: number for number, place in enumerate(places)}
        self._width = len(places) + ROOM
        self._skus = skus
        self._block = np.zeros((len(skus), self._width), np.int16)
        self._rows: dict[str, Row] = dict(zip(skus, self._block, strict=True))
        self._order: NDArray[np.intp] | None = None
        self._order_of: Snapshot | None = None

    @property
    def size(self) -> int:
        """Return the bytes that the quantities take."""
        wide = sum(row.nbytes for row in self._rows.values() if row.base is None)
        return self._block.nbytes + wide

    def fill(self, numbers: NDArray[np.int32], places: NDArray[np.int32], units: NDArray[np.int32]) -> None:
        """Set many quantities of the SKUs and places that these columns began with, by their numbers."""
        narrow = units <= NARROW.max
        self._block[numbers[narrow], places[narrow]] = units[narrow]
        for number, place, quantity in zip(numbers[~narrow], places[~narrow], units[~narrow], strict=True):
            self._put(self._skus[number], int(place), int(quantity))

    def put(self, sku: str, location_id: UUID, units: int) -> None:
        """Set the quantity of a SKU at a location; either may be new."""
        self._put(sku, self._places.setdefault(location_id, len(self._places)), units)

    def _put(self, sku: str, place: int, units: int) -> None:
        row = self._rows.get(sku)
        if row is None:
            row = self._rows[sku] = np.zeros(max(self._width, place + 1), np.int16)
        if place >= len(row):
            longer = np.zeros(place + ROOM, row.dtype)
            longer[: len(row)] = row
            row = self._rows[sku] = longer
        if units > NARROW.max and row.dtype == np.int16:
            row = self._rows[sku] = row.astype(np.int32)
        row[place] = units

    def units(self, skus: Sequence[str], snapshot: Snapshot) -> NDArray[np.int64]:
        """Return what each site has of each SKU, shape `(sites in the planner's order, skus)`."""
        order = self._standing(snapshot)
        found = np.zeros((len(skus), len(order)), np.int64)
        for number, sku in enumerate(skus):
            row = self._rows.get(sku)
            if row is not None:
                found[number] = row.take(order, mode="clip")
                if len(row) < len(self._places):
                    found[number, order >= len(row)] = 0
        return found.T

    def _standing(self, snapshot: Snapshot) -> NDArray[np.intp]:
        """Return the place here of each site of the network; one that is new gets a place now."""
        if self._order is None or self._order_of is not snapshot:
            self._order_of = snapshot
            self._order = np.array(
                [self._places.setdefault(location_id, len(self._places)) for location_id in snapshot.site_by_id],
                np.intp,
            )
        return self._order


async def load(database: Database) -> Columns:
    """Return the columns of everything that is committed, read at one moment by binary COPY."""
    async with (
        database.pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        await connection.execute("SET LOCAL statement_timeout = 0")
        skus = [row[0] for row in await connection.fetch('SELECT sku FROM item ORDER BY sku COLLATE "C"')]
        places = [row[0] for row in await connection.fetch("SELECT id FROM location ORDER BY id")]
        columns = Columns(skus, places)
        await _copy(connection, columns)
    return columns


async def _copy(connection: Connection, columns: Columns) -> None:
    waiting = bytearray()
    begun = False

    def take(*, whole: bool) -> None:
        nonlocal begun
        if len(waiting) < BLOCK_BYTES and not whole:
            return
        start = 0 if begun else _HEADER
        count = (len(waiting) - start) // _COPIED.itemsize
        rows = np.frombuffer(bytes(waiting[start : start + count * _COPIED.itemsize]), _COPIED)
        columns.fill(rows["sku"].astype(np.int32), rows["place"].astype(np.int32), rows["units"].astype(np.int32))
        del waiting[: start + count * _COPIED.itemsize]
        begun = True

    async def hear(data: bytes) -> None:
        waiting.extend(data)
        take(whole=False)

    await connection.copy_from_query(_LEVELS, output=hear, format="binary")
    take(whole=True)


_LEVELS = """
SELECT i.n, l.n, s.on_hand - s.reserved - s.safety_stock
  FROM stock s
  JOIN (SELECT sku, (row_number() OVER (ORDER BY sku COLLATE "C") - 1)::int AS n FROM item) i ON i.sku = s.sku
  JOIN (SELECT id, (row_number() OVER (ORDER BY id) - 1)::int AS n FROM location) l ON l.id = s.location_id
 WHERE s.on_hand - s.reserved - s.safety_stock > 0
"""
