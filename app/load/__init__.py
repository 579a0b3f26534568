"""`crossdock load`: a network from files. Every row that cannot be used is told with its line and its reason."""

import asyncio
import csv
import gc
import json
import os
import re
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import TextIOWrapper
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from app.load.records import Record, read_cells, read_level, read_service
from app.settings import InvalidSettingError
from app.wakeups import CHANNEL
from domain import shortage
from domain.errors import InvalidInput
from domain.imports import ImportOutcome, OnRowError
from domain.inventory import ItemRecord, Key, StockRecord, import_items, import_stock
from domain.network import (
    CarrierServiceChange,
    LocationRecord,
    Networks,
    import_carrier_services,
    import_locations,
)
from domain.places import PostalCodeRecord, import_postal_codes
from domain.transaction import Connection, Database, open_pool
from domain.viewer import Viewer
from domain.vocabulary import Role

ROWS_AT_ONCE = 20_000
CONNECTIONS = 4
STATEMENT_TIMEOUT_MS = 120_000


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
    gc.disable()  # rows are freed as they are done with: looking for cycles among millions would double the time
    try:
        return asyncio.run(_load(dsn, chosen, talk))
    finally:
        gc.enable()


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


async def _write_postal_codes(database: Database, rows: Sequence[PostalCodeRecord]) -> ImportOutcome:
    return await import_postal_codes(database, rows)


async def _write_locations(database: Database, rows: Sequence[LocationRecord]) -> ImportOutcome:
    return await import_locations(database, rows, on_error=OnRowError.SKIP_ROW, now=datetime.now(UTC))


async def _write_services(database: Database, rows: Sequence[CarrierServiceChange]) -> ImportOutcome:
    return await import_carrier_services(database, rows, on_error=OnRowError.SKIP_ROW)


async def _write_items(database: Database, rows: Sequence[ItemRecord]) -> ImportOutcome:
    return await import_items(database, rows, on_error=OnRowError.SKIP_ROW, now=datetime.now(UTC))


async def _write_stock(database: Database, rows: Sequence[StockRecord]) -> ImportOutcome:
    now = datetime.now(UTC)
    viewer = Viewer(role=Role.OPERATIONS, name="crossdock load", expires_at=now)

    async def settle(connection: Connection, keys: Sequence[Key]) -> None:
        await shortage.settle(connection, Networks(database), keys, viewer=viewer, now=now)

    return await import_stock(database, rows, on_error=OnRowError.SKIP_ROW, on_shortage=settle, now=now)


_POSTAL_CODES = Kind(
    record=PostalCodeRecord,
    required=("country", "postal_code", "latitude", "longitude"),
    read=lambda said: read_cells(said, PostalCodeRecord),
    key=lambda row: (row.country, row.postal_code),
    write=_write_postal_codes,
)
_LOCATIONS = Kind(
    record=LocationRecord,
    required=("code",),
    read=lambda said: read_cells(said, LocationRecord),
    key=lambda row: row.code,
    write=_write_locations,
)
_SERVICES = Kind(record=CarrierServiceChange, read=read_service, key=lambda row: row.code, write=_write_services)
_ITEMS = Kind(
    record=ItemRecord,
    required=("sku",),
    read=lambda said: read_cells(said, ItemRecord),
    key=lambda row: row.sku,
    write=_write_items,
)
_STOCK = Kind(
    record=StockRecord,
    required=("sku", "location_code", "on_hand"),
    read=read_level,
    key=itemgetter(0, 1),
    write=_write_stock,
    parts_at_once=2,
)
