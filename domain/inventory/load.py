"""Items and stock in bulk: whole sets at a time, and nothing is written that is so already."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple, TypeVar
from uuid import UUID

from domain.errors import InvalidInput, NotFound
from domain.imports import ImportOutcome, OnRowError, check_each
from domain.inventory.corrections import OnShortage
from domain.inventory.merge import Counted, merge
from domain.inventory.read import stock_levels
from domain.inventory.rows import MOST, ItemRow
from domain.text import check_code, check_codes, check_text
from domain.transaction import Connection, Database

T = TypeVar("T")

ROWS_AT_ONCE = 20_000
LEVELS_AT_ONCE = 1_000
"""In one transaction: while it lasts, nothing that is committed after it began can be read from the feed."""
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


class StockRecord(NamedTuple):
    """A row about a level; None leaves things as they are."""

    sku: str
    location_code: str
    on_hand: int | None = None
    safety_stock: int | None = None


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
        for part in _parts(usable, ROWS_AT_ONCE):
            await _write_items(database, part, outcome)
    return outcome


_KNOWN_ITEMS = "SELECT sku FROM item WHERE sku = ANY($1)"


def _parts(rows: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


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
    database: Database,
    rows: Sequence[StockRecord],
    *,
    on_error: OnRowError,
    on_shortage: OnShortage | None = None,
    now: datetime,
) -> ImportOutcome:
    """Take counted levels, at most LEVELS_AT_ONCE a transaction.

    A level may be set below what is reserved of it: `on_shortage` is told so, in the same transaction.
    """
    outcome = ImportOutcome()
    checked = check_each(rows, key=_LEVEL, check=_check_level, outcome=outcome)
    usable = await _find(database, checked, outcome)
    if not outcome.rejects(on_error):
        for part in _parts(usable, LEVELS_AT_ONCE):
            async with database.transaction() as connection:
                merged = await merge(connection, part, now=now)
                if merged.short and on_shortage:
                    await on_shortage(connection, merged.short)
            outcome.created += merged.created
            outcome.updated += merged.updated
            outcome.unchanged += len(part) - merged.created - merged.updated
    return outcome


_LEVEL = itemgetter(0, 1)


def _check_level(row: StockRecord) -> StockRecord:
    sku, location_code, on_hand, safety_stock = row
    if not _is_code(sku):
        check_code(sku, path=("sku",))
    if not _is_code(location_code):
        check_code(location_code, path=("locationCode",))
    _quantity(on_hand, "onHand")
    _quantity(safety_stock, "safetyStock")
    return row


@lru_cache(maxsize=ROWS_AT_ONCE)
def _is_code(text: str) -> bool:
    """Say whether `check_code` has nothing against a text; a long file says the same ones again and again."""
    try:
        check_code(text, path=())
    except InvalidInput:
        return False
    return True


async def _find(database: Database, rows: Sequence[tuple[int, StockRecord]], outcome: ImportOutcome) -> list[Counted]:
    """Return the rows with their locations; one of an unknown item, location or level fails."""
    async with database.reading() as connection:
        items, locations = await _known(connection, {row.sku for _, row in rows}, {row[1] for _, row in rows})
        partial = [(row.sku, locations.get(row.location_code)) for _, row in rows if row.on_hand is None]
        levels = {
            (level.sku, level.location_id)
            for level in await stock_levels(connection, [(sku, place) for sku, place in partial if place])
        }
    usable = []
    for number, (sku, code, on_hand, safety_stock) in rows:
        place = locations.get(code)
        if sku not in items:
            outcome.fail(number, NotFound(message=f"There is no item {sku!r}.", path=("sku",)))
        elif place is None:
            outcome.fail(number, NotFound(message=f"There is no location {code!r}.", path=("locationCode",)))
        elif on_hand is None and (sku, place) not in levels:
            outcome.fail(number, InvalidInput(message="A new level needs a quantity on hand.", path=("onHand",)))
        else:
            usable.append(Counted(sku, place, on_hand, safety_stock))
    return usable


async def _known(
    connection: Connection, skus: Collection[str], codes: Collection[str]
) -> tuple[set[str], dict[str, UUID]]:
    """Return those of the SKUs that are items', and the locations that there are of these codes."""
    items = await connection.fetch(_KNOWN_ITEMS, list(skus))
    locations = await connection.fetch("SELECT code, id FROM location WHERE code = ANY($1)", list(codes))
    return {row["sku"] for row in items}, {row["code"]: row["id"] for row in locations}
