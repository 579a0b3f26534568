"""`crossdock load`: a network from files. Every row that cannot be used is told with its line and its reason."""

import asyncio
import csv
import json
import os
import re
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from io import TextIOWrapper
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

import typer
from pydantic import TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from app.settings import InvalidSettingError
from app.wakeups import CHANNEL
from domain.duration import parse_duration
from domain.errors import InvalidInput
from domain.imports import ImportOutcome, OnRowError
from domain.inventory import ItemRecord, StockRecord, import_items, import_stock
from domain.network import (
    CarrierServiceChange,
    CostStep,
    LocationRecord,
    ZoneReach,
    import_carrier_services,
    import_locations,
)
from domain.places import PostalCodeRecord, import_postal_codes
from domain.transaction import Database, open_pool

ROWS_AT_ONCE = 20_000
CONNECTIONS = 4
STATEMENT_TIMEOUT_MS = 120_000
LONGEST_NUMBER = 18
LISTS = frozenset({"services", "tags", "barcodes"})
"""Columns whose cells hold several values, with | between them."""

Record: TypeAlias = Any


class UnreadableFileError(InvalidSettingError):
    """A file that cannot be read, or is not what it has to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of file: what a row becomes, what tells rows apart, and how they are written.

    A CSV has the fields of `record` as its columns, `required` at least; a kind without them is a JSON list.
    """

    record: type[Record]
    read: Callable[[object], Record]
    key: Callable[[Record], Hashable]
    write: Callable[[Database, Sequence[Record]], Awaitable[ImportOutcome]]
    required: Sequence[str] = ()
    parts_at_once: int = 1

    @property
    def columns(self) -> list[str]:
        """Return the names of all columns."""
        return list(self.record.__annotations__)


@dataclass(slots=True, kw_only=True)
class Loaded:
    """What became of a file."""

    path: Path
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: int = 0
    lines: dict[int, int] = field(default_factory=dict)
    """The line each key came from; keys are hashed, since a file may hold millions."""

    def __str__(self) -> str:
        """Return the summary for people."""
        counts = ("created", "updated", "unchanged", "failed")
        return f"{self.path}: " + ", ".join(f"{getattr(self, name)} {name}" for name in counts)


def run(
    dsn: str,
    *,
    locations: Path | None = None,
    items: Path | None = None,
    stock: Path | None = None,
    services: Path | None = None,
    postal_codes: Path | None = None,
) -> int:
    """Load the files, those first that others speak of; return how many rows failed.

    Raises UnreadableFileError, before anything is written where a file or one of its columns is missing.
    """
    named = [
        (postal_codes, _POSTAL_CODES),
        (locations, _LOCATIONS),
        (services, _SERVICES),
        (items, _ITEMS),
        (stock, _STOCK),
    ]
    chosen = [(path, kind) for path, kind in named if path is not None]
    if not chosen:
        raise InvalidSettingError("name at least one file to load; crossdock load --help tells which there are")
    talk = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    for path, kind in chosen:
        _examine(path, kind, talk)
    return asyncio.run(_load(dsn, chosen, talk))


async def _load(dsn: str, files: Sequence[tuple[Path, Kind]], talk: Console) -> int:
    pool = await open_pool(dsn, size=CONNECTIONS, statement_timeout_ms=STATEMENT_TIMEOUT_MS)

    async def wake() -> None:
        await pool.execute(f"NOTIFY {CHANNEL}")

    bars = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    failed = 0
    try:
        with Progress(*bars, console=talk) as progress:
            for path, kind in files:
                loaded = await _load_file(Database(pool, wake), path, kind, progress)
                failed += loaded.failed
                typer.echo(str(loaded))
    finally:
        await pool.close()
    return failed


async def _load_file(database: Database, path: Path, kind: Kind, progress: Progress) -> Loaded:
    loaded = Loaded(path=path)
    writing: deque[asyncio.Task[list[tuple[int, str]]]] = deque()

    async def written() -> None:
        for line, reason in sorted(await writing.popleft()):
            loaded.failed += 1
            progress.console.print(f"{path}:{line}: {reason}")

    with _open(path) as file:
        bar = progress.add_task(path.name, total=os.fstat(file.fileno()).st_size)
        rows = _rows(path, file, kind)
        try:
            while part := list(islice(rows, ROWS_AT_ONCE)):
                # Postgres merges one part while the next is read.
                writing.append(asyncio.create_task(_load_part(database, part, kind, loaded)))
                await asyncio.sleep(0)
                if len(writing) == kind.parts_at_once:
                    await written()
                progress.update(bar, completed=cast("BinaryIO", file.buffer).tell())
            while writing:
                await written()
        finally:
            for task in writing:
                task.cancel()
            await asyncio.gather(*writing, return_exceptions=True)
    return loaded


async def _load_part(
    database: Database, part: Sequence[tuple[int, object]], kind: Kind, loaded: Loaded
) -> list[tuple[int, str]]:
    """Write rows; return the lines that failed, each with its reason."""
    records: list[Record] = []
    lines: list[int] = []
    bad: list[tuple[int, str]] = []
    for line, said in part:
        try:
            record = kind.read(said)
        except InvalidInput as error:
            bad.append((line, _reason(error.message, error.path)))
            continue
        before = loaded.lines.setdefault(hash(kind.key(record)), line)
        if before == line:
            records.append(record)
            lines.append(line)
        else:
            bad.append((line, f"Line {before} is about the same thing."))
    outcome = await kind.write(database, records)
    loaded.created += outcome.created
    loaded.updated += outcome.updated
    loaded.unchanged += outcome.unchanged
    return bad + [(lines[failure.row], _reason(failure.message, failure.path)) for failure in outcome.failed]


def _reason(message: str, path: Sequence[str]) -> str:
    return f"{'.'.join(path)}: {message}" if path else message


def _open(path: Path) -> TextIOWrapper:
    try:
        return path.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise UnreadableFileError(f"cannot read {path}: {error.strerror}") from None


def _examine(path: Path, kind: Kind, talk: Console) -> None:
    """Raise UnreadableFileError where the file or a column is missing; name the columns that nobody knows."""
    with _open(path) as file:
        if not kind.required:
            return
        columns = next((columns for _, columns in _lines(path, file)), [])
    missing = [column for column in kind.required if column not in columns]
    if missing:
        raise UnreadableFileError(f"{path} has no column {', '.join(missing)}; it needs {', '.join(kind.required)}")
    unknown = [column for column in columns if column not in kind.columns]
    if unknown:
        talk.print(f"{path}: passing over the columns {', '.join(unknown)}, which mean nothing here")


def _rows(path: Path, file: TextIOWrapper, kind: Kind) -> Iterator[tuple[int, object]]:
    """Yield each row with the line it begins in: a dictionary, or what is wrong with its form."""
    if not kind.required:
        yield from _elements(path, file)
        return
    lines = _lines(path, file)
    _, columns = next(lines)
    for line, cells in lines:
        if len(cells) == len(columns):
            yield line, dict(zip(columns, cells, strict=True))
        else:
            yield line, InvalidInput(message=f"This row has {len(cells)} cells; the columns are {len(columns)}.")


def _lines(path: Path, file: TextIOWrapper) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(file, strict=True)
    line = 1
    try:
        for cells in reader:
            if cells:
                yield line, [cell.strip() for cell in cells]
            line = reader.line_num + 1
    except UnicodeDecodeError:
        raise UnreadableFileError(f"{path} is not UTF-8 after line {line}") from None
    except csv.Error as error:
        raise UnreadableFileError(f"cannot read {path} after line {line}: {error}") from None


def _elements(path: Path, file: TextIOWrapper) -> Iterator[tuple[int, object]]:
    """Yield the elements of a JSON list."""
    try:
        text = file.read()
        whole = json.loads(text)
    except UnicodeDecodeError:
        raise UnreadableFileError(f"{path} is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise UnreadableFileError(f"cannot read {path}: {error}") from None
    if not isinstance(whole, list):
        raise UnreadableFileError(f"{path} holds no JSON list")
    end = text.index("[") + 1
    while text[start := _SPACE.match(text, end).end()] != "]":  # type: ignore[union-attr]
        element, end = json.JSONDecoder().raw_decode(text, start)
        yield text.count("\n", 0, start) + 1, element


_SPACE = re.compile(r"[\s,]*")


def _cells(said: object, record: type[Record]) -> Record:
    """Return the record of a CSV's row; an empty cell says nothing."""
    if isinstance(said, InvalidInput):
        raise said
    names = record.__annotations__
    row: dict[str, object] = {}
    for name, cell in cast("dict[str, str]", said).items():
        if not cell or name not in names:
            continue
        if name in LISTS:
            row[name] = [word for part in cell.split("|") if (word := part.strip())]
        elif name == "handling_time":
            row[name] = _duration(cell)
        else:
            row[name] = cell
    return _typed(row, record)


def _level(said: object) -> StockRecord:
    """Return the record of a stock file's row, of which there are millions."""
    if isinstance(said, InvalidInput):
        raise said
    row = cast("dict[str, str]", said)
    return StockRecord(row["sku"], row["location_code"], _whole(row, "on_hand"), _whole(row, "safety_stock"))


def _whole(row: dict[str, str], name: str) -> int | None:
    cell = row.get(name)
    if not cell:
        return None
    if not (cell.isascii() and cell.removeprefix("-").isdecimal() and len(cell) <= LONGEST_NUMBER):
        raise InvalidInput(message=f"{cell!r} is no whole number.", path=(name,))
    return int(cell)


def _duration(cell: str) -> timedelta:
    try:
        return parse_duration(cell)
    except ValueError as error:
        raise InvalidInput(message=f"{error}.", path=("handling_time",)) from None


def read_service(said: object) -> CarrierServiceChange:
    """Return what a JSON object like CarrierServiceInput says, or raise InvalidInput for a field that is no such."""
    row = _snake(said, CarrierServiceChange)
    for name, record in (("zones", ZoneReach), ("cost", CostStep)):
        if isinstance(parts := row.get(name), list):
            row[name] = [_snake(part, record) for part in parts]
    change: CarrierServiceChange = _typed(row, CarrierServiceChange)
    return change


def _snake(said: object, record: type[Record]) -> dict[str, object]:
    if not isinstance(said, dict):
        raise InvalidInput(message="This has to be a JSON object.")
    names = {to_camel(column.name): column.name for column in fields(record)}
    for name in said:
        if name not in names:
            raise InvalidInput(message="There is no such field.", path=(name,))
    return {names[name]: value for name, value in said.items()}


def _typed(row: dict[str, object], record: type[Record]) -> Record:
    try:
        return _READERS[record].validate_python(row)
    except ValidationError as error:
        fault = error.errors()[0]
        raise InvalidInput(message=f"{fault['msg']}.", path=(str(fault["loc"][0]),)) from None


_READERS: dict[type[Record], TypeAdapter[Record]] = {
    record: TypeAdapter(record) for record in (PostalCodeRecord, LocationRecord, CarrierServiceChange, ItemRecord)
}


async def _write_postal_codes(database: Database, rows: Sequence[PostalCodeRecord]) -> ImportOutcome:
    return await import_postal_codes(database, rows)


async def _write_locations(database: Database, rows: Sequence[LocationRecord]) -> ImportOutcome:
    return await import_locations(database, rows, on_error=OnRowError.SKIP_ROW, now=datetime.now(UTC))


async def _write_services(database: Database, rows: Sequence[CarrierServiceChange]) -> ImportOutcome:
    return await import_carrier_services(database, rows, on_error=OnRowError.SKIP_ROW)


async def _write_items(database: Database, rows: Sequence[ItemRecord]) -> ImportOutcome:
    return await import_items(database, rows, on_error=OnRowError.SKIP_ROW, now=datetime.now(UTC))


async def _write_stock(database: Database, rows: Sequence[StockRecord]) -> ImportOutcome:
    return await import_stock(database, rows, on_error=OnRowError.SKIP_ROW, now=datetime.now(UTC))


_POSTAL_CODES = Kind(
    record=PostalCodeRecord,
    required=("country", "postal_code", "latitude", "longitude"),
    read=lambda said: _cells(said, PostalCodeRecord),
    key=lambda row: (row.country, row.postal_code),
    write=_write_postal_codes,
)
_LOCATIONS = Kind(
    record=LocationRecord,
    required=("code",),
    read=lambda said: _cells(said, LocationRecord),
    key=lambda row: row.code,
    write=_write_locations,
)
_SERVICES = Kind(record=CarrierServiceChange, read=read_service, key=lambda row: row.code, write=_write_services)
_ITEMS = Kind(
    record=ItemRecord,
    required=("sku",),
    read=lambda said: _cells(said, ItemRecord),
    key=lambda row: row.sku,
    write=_write_items,
)
_STOCK = Kind(
    record=StockRecord,
    required=("sku", "location_code", "on_hand"),
    read=_level,
    key=itemgetter(0, 1),
    write=_write_stock,
    parts_at_once=2,
)
