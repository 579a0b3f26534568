"""What is kept back: safety stock from everybody, the last units of an item from a channel."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.errors import InvalidInput
from domain.imports import ImportOutcome, OnRowError, check_each
from domain.inventory.known import find_places
from domain.inventory.rows import MOST, StockRow, tell
from domain.inventory.waiting import wake
from domain.text import check_code
from domain.transaction import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyStock:
    """How many units of an item a location keeps."""

    sku: str
    location_code: str
    safety_stock: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdback:
    """The last units of an item that a channel may not sell at a location, or, without one, at each; 0: it may."""

    channel: str
    sku: str
    location_code: str | None
    units: int


async def set_safety_stock(database: Database, rows: Sequence[SafetyStock], *, now: datetime) -> ImportOutcome:
    """Set what locations keep of items; a level that does not exist is made, with nothing on hand.

    What is reserved already stays reserved.
    """
    outcome = ImportOutcome()
    checked = check_each(rows, key=lambda row: (row.sku, row.location_code), check=_check_safety, outcome=outcome)
    async with database.transaction() as connection:
        places = await find_places(connection, [(number, rows[number]) for number, _ in checked], outcome)
        changed = await connection.fetch(
            _SET_SAFETY,
            [rows[number].sku for number in places],
            list(places.values()),
            [rows[number].safety_stock for number in places],
            now,
            record_class=StockRow,
        )
        await tell(connection, changed, now=now)
        await wake(connection, {level.sku for level in changed if level.available}, now=now)
    outcome.created = sum(level.version == 1 for level in changed)
    outcome.updated = len(changed) - outcome.created
    outcome.unchanged = len(places) - len(changed)
    outcome.rejects(OnRowError.SKIP_ROW)
    return outcome


def _check_safety(row: SafetyStock) -> None:
    check_code(row.sku, path=("sku",))
    check_code(row.location_code, path=("locationCode",))
    _check_units(row.safety_stock, "safetyStock")


def _check_units(units: int, field: str) -> None:
    if not 0 <= units <= MOST:
        raise InvalidInput(message=f"This is a number from 0 to {MOST}.", path=(field,))


_SET_SAFETY = """
INSERT INTO stock AS s (sku, location_id, on_hand, safety_stock, updated_at)
SELECT w.sku, w.location_id, 0, w.safety_stock, $4
  FROM unnest($1::text[], $2::uuid[], $3::int[]) AS w(sku, location_id, safety_stock)
 ORDER BY w.sku COLLATE "C", w.location_id
ON CONFLICT (sku, location_id) DO UPDATE
   SET safety_stock = excluded.safety_stock, version = s.version + 1, updated_at = excluded.updated_at
 WHERE s.safety_stock <> excluded.safety_stock
RETURNING s.*, greatest(s.on_hand - s.reserved - s.safety_stock, 0) AS available
"""


async def set_holdback(database: Database, rows: Sequence[Holdback], *, now: datetime) -> ImportOutcome:
    """Set what channels may not sell; 0 units take a holdback away. The larger holds: a location's own, or each's."""
    outcome = ImportOutcome()
    checked = check_each(
        rows, key=lambda row: (row.channel, row.sku, row.location_code), check=_check_holdback, outcome=outcome
    )
    async with database.transaction() as connection:
        places = await find_places(connection, [(number, rows[number]) for number, _ in checked], outcome)
        channels = [rows[number].channel for number in places]
        skus = [rows[number].sku for number in places]
        units = [rows[number].units for number in places]
        told = channels, skus, list(places.values()), units
        removed = await connection.fetch(_REMOVE_HOLDBACK, *told)
        written = await connection.fetch(_WRITE_HOLDBACK, *told)
        await wake(connection, {row["sku"] for row in [*removed, *written]}, now=now)
    outcome.created = sum(row["made"] for row in written)
    outcome.updated = len(removed) + len(written) - outcome.created
    outcome.unchanged = len(places) - len(removed) - len(written)
    outcome.rejects(OnRowError.SKIP_ROW)
    return outcome


def _check_holdback(row: Holdback) -> None:
    check_code(row.channel, path=("channel",))
    check_code(row.sku, path=("sku",))
    if row.location_code is not None:
        check_code(row.location_code, path=("locationCode",))
    _check_units(row.units, "units")


_REMOVE_HOLDBACK = """
WITH doomed AS MATERIALIZED (
    SELECT h.channel, h.sku, h.location_id
      FROM holdback h
      JOIN unnest($1::text[], $2::text[], $3::uuid[], $4::int[]) AS w(channel, sku, location_id, units)
           USING (channel, sku, location_id)
     WHERE w.units = 0
     ORDER BY h.channel COLLATE "C", h.sku COLLATE "C", h.location_id FOR UPDATE OF h
)
DELETE FROM holdback h USING doomed d
 WHERE (h.channel, h.sku, h.location_id) = (d.channel, d.sku, d.location_id)
RETURNING h.sku
"""

# A row that was inserted, and not updated, was deleted by nobody: its xmax is 0.
_WRITE_HOLDBACK = """
INSERT INTO holdback AS h (channel, sku, location_id, units)
SELECT w.channel, w.sku, w.location_id, w.units
  FROM unnest($1::text[], $2::text[], $3::uuid[], $4::int[]) AS w(channel, sku, location_id, units)
 WHERE w.units > 0
 ORDER BY w.channel COLLATE "C", w.sku COLLATE "C", w.location_id
ON CONFLICT (channel, sku, location_id) DO UPDATE SET units = excluded.units WHERE h.units <> excluded.units
RETURNING h.sku, h.xmax = 0 AS made
"""
