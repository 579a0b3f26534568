"""Items and stock in bulk: whole sets at a time, and nothing is written that is so already."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import compress, count
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import numpy as np
import numpy.typing as npt
from asyncpg.exceptions import UniqueViolationError

from domain.errors import DomainError, InvalidInput, NotFound
from domain.imports import ImportOutcome, OnRowError, check_each
from domain.inventory.corrections import OnShortage
from domain.inventory.fresh import Counted
from domain.inventory.merge import Merged, merge
from domain.inventory.read import stock_levels
from domain.inventory.rows import MOST, ItemRow
from domain.text import check_code, check_codes, check_text
from domain.transaction import Connection, Database, Deadlock

T = TypeVar("T")

ROWS_AT_ONCE = 20_000
LEVELS_AT_FIRST, LEVELS_AT_MOST = 5_000, 20_000
PART_SECONDS = 0.25
"""While a transaction lasts, nothing that is committed after it began can be read from the feed."""
LONGEST_URL = 2000
MOST_AGAIN = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRecord:
    """A row about an item: None and a blank text leave things as they are."""

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
    if row.tags is not None:
        columns["tags"] = check_codes(row.tags, path=("tags",))
    if row.barcodes is not None:
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
    """Take counted levels, those of an item together, in transactions that are over in about PART_SECONDS.

    A level may be set below what is reserved of it: `on_shortage` is told so, in the same transaction.
    """
    outcome = ImportOutcome()
    usable = await _usable(database, rows, outcome) if rows else []
    if not outcome.rejects(on_error):
        await _merge_in_parts(database, usable, outcome, on_shortage=on_shortage, now=now)
    return outcome


async def _merge_in_parts(
    database: Database,
    rows: Sequence[Counted],
    outcome: ImportOutcome,
    *,
    on_shortage: OnShortage | None,
    now: datetime,
) -> None:
    """Merge rows, as many at once as would have taken PART_SECONDS at the pace of those before."""
    clock = asyncio.get_running_loop().time
    start, size = 0, LEVELS_AT_FIRST
    while part := rows[start : start + size]:
        began = clock()
        merged = await _merge(database, part, on_shortage=on_shortage, now=now)
        outcome.created += merged.created
        outcome.updated += merged.updated
        outcome.unchanged += len(part) - merged.created - merged.updated
        start += size
        size = min(int(size * PART_SECONDS / (clock() - began)) + 1, LEVELS_AT_MOST)


async def _merge(
    database: Database, rows: Sequence[Counted], *, on_shortage: OnShortage | None, now: datetime
) -> Merged:
    """Merge rows in one transaction; begin again where another came in between, MOST_AGAIN times at most."""
    for before in range(MOST_AGAIN + 1):
        try:
            async with database.transaction() as connection:
                merged = await merge(connection, rows, now=now, again=before > 0)
                if merged.short and on_shortage:
                    await on_shortage(connection, merged.short)
                return merged
        except (Deadlock, UniqueViolationError):
            if before == MOST_AGAIN:
                raise
    return Merged()


async def _usable(database: Database, rows: Sequence[StockRecord], outcome: ImportOutcome) -> list[Counted]:
    """Return the rows to merge, in the order of the key; each of the others fails, for the first reason that there is.

    A long file says the same SKUs, codes and quantities again and again: what is said is judged once, not each row.
    """
    skus, codes, on_hand, safety_stock = columns = tuple(zip(*rows, strict=True))
    said = [set(column) for column in columns]
    wrong = [_judge(values, check) for values, check in zip(said, _CHECKS, strict=True)]
    async with database.reading() as connection:
        items, places = await _known(connection, said[0] - wrong[0].keys(), said[1] - wrong[1].keys())
        order, faults = _order(skus, codes, places)
        for sku in said[0] - items - wrong[0].keys():
            wrong[0][sku] = NotFound(message=f"There is no item {sku!r}.", path=("sku",))
        for code in said[1] - places.keys() - wrong[1].keys():
            wrong[1][code] = NotFound(message=f"There is no location {code!r}.", path=("locationCode",))
        for column, refused in zip(columns, wrong, strict=True):
            faults = {n: refused[column[n]] for n in _places(refused, column)} | faults
        silent = {n: (skus[n], places[codes[n]]) for n in _places(said[2] & {None}, on_hand) if n not in faults}
        levels = {(level.sku, level.location_id) for level in await stock_levels(connection, list(silent.values()))}
    for n in [n for n, key in silent.items() if key not in levels]:
        faults[n] = InvalidInput(message="A new level needs a quantity on hand.", path=("onHand",))
    for n, fault in faults.items():
        outcome.fail(n, fault)
    ids: Iterator[Any] = map(places.get, codes)  # None where a row failed
    usable = list(zip(skus, ids, on_hand, safety_stock, strict=True))
    failed = np.zeros(len(rows), bool)
    failed[list(faults)] = True
    return list(map(usable.__getitem__, order[~failed[order]].tolist()))


def _order(
    skus: Sequence[str], codes: Sequence[str], places: Mapping[str, UUID]
) -> tuple[npt.NDArray[np.intp], dict[int, DomainError]]:
    """Return the rows' numbers in the order of the key, and the fault of each row about the same level as another."""
    by_id = sorted(set(codes), key=lambda code: places[code].bytes if code in places else b"")
    keys = _ranks(sorted(set(skus)), skus) * len(by_id) + _ranks(by_id, codes)
    order = np.argsort(keys, kind="stable")
    same = keys[order[1:]] == keys[order[:-1]]
    return order, _repeated(skus, codes) if same.any() else {}


def _ranks(ranked: Sequence[str], values: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return where each value stands among the ranked ones."""
    rank = {value: number for number, value in enumerate(ranked)}
    return np.fromiter(map(rank.__getitem__, values), np.int64, len(values))


def _places(wanted: Collection[object], column: Sequence[object]) -> Iterator[int]:
    """Return where a column has one of the values; without a step of Python's for each, since columns are long."""
    return compress(count(), map(wanted.__contains__, column)) if wanted else iter(())


def _repeated(skus: Sequence[str], codes: Sequence[str]) -> dict[int, DomainError]:
    """Return the fault of each row that is about the same level as one before it."""
    first: dict[tuple[str, str], int] = {}
    return {
        n: InvalidInput(message=f"Row {before} of this import is about the same thing.")
        for n, before in enumerate(map(first.setdefault, zip(skus, codes, strict=True), count()))
        if before != n
    }


def _judge(said: Collection[T], check: Callable[[T], object]) -> dict[T, DomainError]:
    """Return what `check` has against each thing that it refuses."""
    refused: dict[T, DomainError] = {}
    for value in said:
        try:
            check(value)
        except InvalidInput as fault:
            refused[value] = fault
    return refused


_CHECKS: Sequence[Callable[[Any], object]] = (
    partial(check_code, path=("sku",)),
    partial(check_code, path=("locationCode",)),
    partial(_quantity, field="onHand"),
    partial(_quantity, field="safetyStock"),
)
"""What is asked of each column of a StockRecord."""


async def _known(
    connection: Connection, skus: Collection[str], codes: Collection[str]
) -> tuple[set[str], dict[str, UUID]]:
    """Return those of the SKUs that are items', and the locations that there are of these codes."""
    items = await connection.fetch(_KNOWN_ITEMS, list(skus))
    locations = await connection.fetch("SELECT code, id FROM location WHERE code = ANY($1)", list(codes))
    return {row["sku"] for row in items}, {row["code"]: row["id"] for row in locations}
