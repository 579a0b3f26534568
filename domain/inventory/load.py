"""Items and stock in bulk: whole sets at a time, and nothing is written that is so already."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeVar
from uuid import UUID

from domain.errors import InvalidInput, NotFound
from domain.imports import ImportOutcome, OnRowError, check_each
from domain.inventory.read import stock_levels
from domain.inventory.rows import MOST, ItemRow, Movement, StockRow, enter, tell
from domain.inventory.waiting import wake
from domain.text import check_code, check_codes, check_text
from domain.transaction import Database
from domain.vocabulary import MovementReason

T = TypeVar("T")

ROWS_AT_ONCE = 20_000
LONGEST_URL = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRecord:
    """A row about an item: None, a blank text and an empty list leave things as they are."""

    sku: str
    name: str | None = None
    weight_grams: int | None = None
    tags: Sequence[str] | None = None
    barcodes: Sequence[str] | None = None
    image_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StockRecord:
    """A row about a level; None leaves things as they are."""

    sku: str
    location_code: str
    on_hand: int | None = None
    safety_stock: int | None = None


class _Level(NamedTuple):
    """A row that can be written; None leaves things as they are."""

    sku: str
    location_id: UUID
    on_hand: int | None
    safety_stock: int | None


async def import_items(
    database: Database,
    rows: Sequence[ItemRecord],
    *,
    on_error: OnRowError,
    now: datetime,  # noqa: ARG001 - every import takes it
) -> ImportOutcome:
    """Take rows about items, at most ROWS_AT_ONCE a transaction."""
    outcome = ImportOutcome()
    checked = check_each(rows, key=lambda row: row.sku, check=_item, outcome=outcome)
    nameless = {number: rows[number].sku for number, columns in checked if "name" not in columns}
    async with database.reading() as connection:
        known = {row["sku"] for row in await connection.fetch(_KNOWN_ITEMS, list(nameless.values()))}
    for number in [number for number, sku in nameless.items() if sku not in known]:
        outcome.fail(number, InvalidInput(message="A new item needs a name.", path=("name",)))
    if not outcome.rejects(on_error):
        failed = outcome.failed_rows()
        usable = [{"sku": rows[number].sku, **columns} for number, columns in checked if number not in failed]
        for part in _parts(usable):
            await _write_items(database, part, outcome)
    return outcome


_KNOWN_ITEMS = "SELECT sku FROM item WHERE sku = ANY($1)"


def _parts(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    return (rows[start : start + ROWS_AT_ONCE] for start in range(0, len(rows), ROWS_AT_ONCE))


def _item(row: ItemRecord) -> dict[str, object]:
    check_code(row.sku, path=("sku",))
    columns: dict[str, object] = {}
    if row.name:
        columns["name"] = check_text(row.name, path=("name",))
    if row.weight_grams is not None:
        columns["weight_grams"] = _quantity(row.weight_grams, "weightGrams")
    if row.tags:
        columns["tags"] = check_codes(row.tags, path=("tags",))
    if row.barcodes:
        columns["barcodes"] = check_codes(row.barcodes, path=("barcodes",))
    if row.image_url:
        columns["image_url"] = check_text(row.image_url, path=("imageUrl",), longest=LONGEST_URL)
    return columns


def _quantity(value: int | None, field: str) -> int | None:
    if value is not None and not 0 <= value <= MOST:
        raise InvalidInput(message=f"This is a number from 0 to {MOST}.", path=(field,))
    return value


async def _write_items(database: Database, rows: Sequence[Mapping[str, object]], outcome: ImportOutcome) -> None:
    async with database.transaction() as connection:
        found = await connection.fetch(
            'SELECT * FROM item WHERE sku = ANY($1) ORDER BY sku COLLATE "C" FOR UPDATE',
            [row["sku"] for row in rows],
            record_class=ItemRow,
        )
        known = {row.sku: dict(row) for row in found}
        new = {"weight_grams": 0, "tags": [], "barcodes": [], "image_url": None}
        changed = []
        for row in rows:
            before = known.get(str(row["sku"]))
            after = {**(before or new), **row}
            outcome.count(new=before is None, changed=after != before)
            changed += [after] if after != before else []
        await connection.execute(
            """
            INSERT INTO item SELECT * FROM jsonb_populate_recordset(NULL::item, $1) ORDER BY sku COLLATE "C"
            ON CONFLICT (sku) DO UPDATE
               SET name = EXCLUDED.name, weight_grams = EXCLUDED.weight_grams, tags = EXCLUDED.tags,
                   barcodes = EXCLUDED.barcodes, image_url = EXCLUDED.image_url
            """,
            changed,
        )


async def import_stock(
    database: Database, rows: Sequence[StockRecord], *, on_error: OnRowError, now: datetime
) -> ImportOutcome:
    """Take counted levels, at most ROWS_AT_ONCE a transaction; a level may be set below what is reserved of it."""
    outcome = ImportOutcome()
    checked = check_each(rows, key=lambda row: (row.sku, row.location_code), check=_check_level, outcome=outcome)
    usable = await _find(database, [(number, rows[number]) for number, _ in checked], outcome)
    if not outcome.rejects(on_error):
        for part in _parts(usable):
            await _write_levels(database, part, outcome, now=now)
    return outcome


def _check_level(row: StockRecord) -> None:
    check_code(row.sku, path=("sku",))
    check_code(row.location_code, path=("locationCode",))
    _quantity(row.on_hand, "onHand")
    _quantity(row.safety_stock, "safetyStock")


async def _find(database: Database, rows: Sequence[tuple[int, StockRecord]], outcome: ImportOutcome) -> list[_Level]:
    """Return the rows with their locations; one of an unknown item, location or level fails."""
    async with database.reading() as connection:
        skus = list({row.sku for _, row in rows})
        items = {found["sku"] for found in await connection.fetch(_KNOWN_ITEMS, skus)}
        codes = list({row.location_code for _, row in rows})
        found = await connection.fetch("SELECT code, id FROM location WHERE code = ANY($1)", codes)
        locations: dict[str, UUID] = {row["code"]: row["id"] for row in found}
        partial = [(row.sku, locations.get(row.location_code)) for _, row in rows if row.on_hand is None]
        levels = {
            (level.sku, level.location_id)
            for level in await stock_levels(connection, [(sku, place) for sku, place in partial if place])
        }
    usable = []
    for number, row in rows:
        place = locations.get(row.location_code)
        if row.sku not in items:
            outcome.fail(number, NotFound(message=f"There is no item {row.sku!r}.", path=("sku",)))
        elif place is None:
            message = f"There is no location {row.location_code!r}."
            outcome.fail(number, NotFound(message=message, path=("locationCode",)))
        elif row.on_hand is None and (row.sku, place) not in levels:
            outcome.fail(number, InvalidInput(message="A new level needs a quantity on hand.", path=("onHand",)))
        else:
            usable.append(_Level(row.sku, place, row.on_hand, row.safety_stock))
    return usable


async def _write_levels(database: Database, rows: Sequence[_Level], outcome: ImportOutcome, *, now: datetime) -> None:
    columns = [list(column) for column in zip(*rows, strict=True)]
    async with database.transaction() as connection:
        created = await connection.fetch(_CREATE_LEVELS, *columns, now, record_class=StockRow)
        counted = await connection.fetch(_COUNT_LEVELS, *columns, now, record_class=_CountedRow)
        movements = [_counted(row, row["on_hand"]) for row in created]
        movements += [_counted(row, row["on_hand_delta"]) for row in counted]
        await enter(connection, movements, now=now)
        await tell(connection, [*created, *counted], now=now)
        await wake(connection, {level["sku"] for level in (*created, *counted) if level["available"] > 0}, now=now)
    outcome.created += len(created)
    outcome.updated += len(counted)
    outcome.unchanged += len(rows) - len(created) - len(counted)


class _CountedRow(StockRow):
    on_hand_delta: int


def _counted(level: StockRow, delta: int) -> Movement:
    reason = MovementReason.COUNTED
    return Movement(sku=level["sku"], location_id=level["location_id"], reason=reason, on_hand_delta=delta)


_CREATE_LEVELS = """
INSERT INTO stock AS s (sku, location_id, on_hand, safety_stock, updated_at)
SELECT w.sku, w.location_id, w.on_hand, coalesce(w.safety_stock, 0), $5
  FROM unnest($1::text[], $2::uuid[], $3::int[], $4::int[]) AS w(sku, location_id, on_hand, safety_stock)
 WHERE w.on_hand IS NOT NULL
   AND NOT EXISTS (SELECT FROM stock k WHERE k.sku = w.sku AND k.location_id = w.location_id)
 ORDER BY w.sku COLLATE "C", w.location_id
ON CONFLICT (sku, location_id) DO NOTHING
RETURNING s.*, greatest(s.on_hand - s.reserved - s.safety_stock, 0) AS available
"""

# What was on hand is read by the very statement that locks it: a movement that ends meanwhile is counted in.
_COUNT_LEVELS = """
WITH held AS MATERIALIZED (
    SELECT s.sku, s.location_id, s.on_hand AS before,
           coalesce(w.on_hand, s.on_hand) AS on_hand, coalesce(w.safety_stock, s.safety_stock) AS safety_stock
      FROM stock s
      JOIN unnest($1::text[], $2::uuid[], $3::int[], $4::int[]) AS w(sku, location_id, on_hand, safety_stock)
           USING (sku, location_id)
     WHERE (s.on_hand, s.safety_stock) <> (coalesce(w.on_hand, s.on_hand), coalesce(w.safety_stock, s.safety_stock))
     ORDER BY s.sku COLLATE "C", s.location_id
       FOR UPDATE OF s
)
UPDATE stock s
   SET on_hand = h.on_hand, safety_stock = h.safety_stock, version = s.version + 1, updated_at = $5
  FROM held h
 WHERE s.sku = h.sku AND s.location_id = h.location_id
RETURNING s.*, greatest(s.on_hand - s.reserved - s.safety_stock, 0) AS available, s.on_hand - h.before AS on_hand_delta
"""
