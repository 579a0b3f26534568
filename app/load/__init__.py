"""`crossdock load`: a network from files. Every row that cannot be used is told with its line and its reason."""

import asyncio
import csv
import gc
import json
import os
import re
import stat
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from io import TextIOWrapper
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeAlias, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from app.load.records import Columns, Read, Record, each, read_levels, read_service, read_table
from app.settings import InvalidSettingError
from app.wakeups import CHANNEL
from domain import shortage
from domain.imports import ImportOutcome, OnRowError, without
from domain.inventory import ItemRecord, Key, StockRecord, import_items, import_stock
from domain.network import (
    CarrierServiceChange,
    LocationRecord,
    Networks,
    import_carrier_services,
    import_locations,
)
from domain.places import PostalCodeRecord, import_postal_codes
from domain.text import plain
from domain.transaction import Connection, Database, open_pool
from domain.viewer import Viewer
from domain.vocabulary import Role

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
    read: Callable[[Columns, Sequence[Any]], Read]
    key: Callable[[Record], Hashable]
    write: Callable[[Database, Sequence[Record]], Awaitable[ImportOutcome]]
    required: Sequence[str] = ()
    rows_at_once: int = 20_000
    parts_at_once: int = 1

    @property
    def columns(self) -> list[str]:
        """Return the names of all columns."""
        return list(self.record.__annotations__)


_Rows: TypeAlias = tuple[Columns, list[int], list[Any]]


class _Part(NamedTuple):
    """Records to write, the line that each came from, and the lines that are no such record."""

    lines: list[int]
    records: list[Record]
    bad: list[tuple[int, str]]


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
    done: list[Loaded] = []
    try:
        with Progress(*bars, console=talk) as progress:
            for path, kind in files:
                done.append(await _load_file(Database(pool, wake), path, kind, progress))
    finally:
        typer.echo("\n".join(map(str, done)), nl=bool(done))  # only now: on a terminal it would run into the bars
        await pool.close()
    return sum(loaded.failed for loaded in done)


async def _load_file(database: Database, path: Path, kind: Kind, progress: Progress) -> Loaded:
    loaded = Loaded(path=path)
    console = progress.console  # it lays out each line, which is for people, and takes its time
    tell = console.print if console.is_terminal else partial(print, file=console.file)
    writing: deque[asyncio.Task[list[tuple[int, str]]]] = deque()

    async def written() -> None:
        bad = sorted(await writing.popleft())
        loaded.failed += len(bad)
        if bad:
            tell("\n".join(f"{path}:{line}: {reason}" for line, reason in bad))

    with _open(path) as file:
        bar = progress.add_task(path.name, total=os.fstat(file.fileno()).st_size)
        parts = _parts(path, file, kind)
        try:
            # Postgres merges some parts while the next is read.
            while part := await asyncio.to_thread(_read, parts, kind, loaded):
                writing.append(asyncio.create_task(_write(database, part, kind, loaded)))
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


def _read(parts: Iterator[_Rows], kind: Kind, loaded: Loaded) -> _Part | None:
    """Return the next part of the file, None after the last."""
    if (part := next(parts, None)) is None:
        return None
    columns, lines, rows = part
    records, faults = kind.read(columns, rows)
    bad = [(lines[number], _reason(fault.message, fault.path)) for number, fault in faults.items()]
    lines, records = without(faults, lines), without(faults, records)
    before = list(map(loaded.lines.setdefault, map(hash, map(kind.key, records)), lines))
    if before != lines:
        again = [number for number, line in enumerate(lines) if line != before[number]]
        bad += [(lines[number], f"Line {before[number]} is about the same thing.") for number in again]
        lines, records = without(again, lines), without(again, records)
    return _Part(lines, records, bad)


async def _write(database: Database, part: _Part, kind: Kind, loaded: Loaded) -> list[tuple[int, str]]:
    """Write a part; return the lines that failed, each with its reason."""
    outcome = await kind.write(database, part.records)
    loaded.created += outcome.created
    loaded.updated += outcome.updated
    loaded.unchanged += outcome.unchanged
    failed = [(part.lines[failure.row], _reason(failure.message, failure.path)) for failure in outcome.failed]
    return part.bad + failed


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
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise UnreadableFileError(f"{path} is no file on a disk, and files are read twice: write it to one first")
        if not kind.required:
            return
        columns = _Table(path, csv.reader(file, strict=True)).columns()
    missing = [column for column in kind.required if column not in columns]
    if missing:
        needed = f"its first line has to name {', '.join(kind.required)}, with commas between them"
        raise UnreadableFileError(f"{path} has no column {', '.join(missing)}: {needed}")
    if twice := [column for column in sorted(kind.columns) if columns.count(column) > 1]:
        raise UnreadableFileError(f"{path} has more than one column {', '.join(twice)}")
    unknown = [column for column in columns if column not in kind.columns]
    if unknown:
        talk.print(f"{path}: passing over the columns {', '.join(unknown)}, which mean nothing here")


def _parts(path: Path, file: TextIOWrapper, kind: Kind) -> Iterator[_Rows]:
    """Yield the columns, and the rows of a part with the line that each begins in."""
    if not kind.required:
        elements = _elements(path, file)
        while part := list(islice(elements, kind.rows_at_once)):
            yield (), [line for line, _ in part], [row for _, row in part]
        return
    table = _Table(path, csv.reader(file, strict=True))
    columns, line = table.columns(), table.line
    while rows := table.rows(kind.rows_at_once):
        lines = list(range(line, line + len(rows)))
        if table.line != line + len(rows) or [] in rows:
            told = [(start, cells) for start, cells in zip(_starts(rows, line), rows, strict=True) if cells]
            lines, rows = [start for start, _ in told], [cells for _, cells in told]
        if rows:
            yield columns, lines, rows
        line = table.line


@dataclass(frozen=True, slots=True)
class _Table:
    """A CSV. Its rows are read many at a time, for a step of Python's for each would take as long as reading them."""

    path: Path
    reader: Any

    @property
    def line(self) -> int:
        """Return the line in which the next row begins."""
        return int(self.reader.line_num) + 1

    def columns(self) -> Columns:
        """Return the names of the columns, none of an empty file."""
        while cells := self.rows(1):
            if cells[0]:
                return [cell.strip() for cell in cells[0]]
        return ()

    def rows(self, most: int) -> list[list[str]]:
        """Return the next rows, those that are empty too; none at the end of the file."""
        try:
            return list(islice(self.reader, most))
        except UnicodeDecodeError:
            raise UnreadableFileError(f"{self.path} is not UTF-8 after line {self.line - 1}") from None
        except csv.Error as error:
            raise UnreadableFileError(f"cannot read {self.path} at line {self.line - 1}: {error}") from None


def _starts(rows: Sequence[Sequence[str]], line: int) -> Iterator[int]:
    """Yield the line that each row begins in, where the first begins in `line`; a cell may hold several."""
    for cells in rows:
        yield line
        line += 1 + sum(len(_BREAK.findall(cell)) for cell in cells)


_BREAK = re.compile(r"\r\n?|\n")


def _elements(path: Path, file: TextIOWrapper) -> Iterator[tuple[int, object]]:
    """Yield the elements of a JSON list."""
    try:
        text = file.read()
        whole = json.loads(text)
    except UnicodeDecodeError:
        raise UnreadableFileError(f"{path} is not UTF-8") from None
    except RecursionError:
        raise UnreadableFileError(f"cannot read {path}: it is nested too deeply") from None
    except ValueError as error:
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
    read=partial(read_table, PostalCodeRecord),
    key=lambda row: (row.country, plain(row.postal_code)),
    write=_write_postal_codes,
)
_LOCATIONS = Kind(
    record=LocationRecord,
    required=("code",),
    read=partial(read_table, LocationRecord),
    key=lambda row: row.code,
    write=_write_locations,
)
_SERVICES = Kind(
    record=CarrierServiceChange,
    read=lambda _, rows: each(read_service, rows),
    key=lambda row: row.code,
    write=_write_services,
)
_ITEMS = Kind(
    record=ItemRecord,
    required=("sku",),
    read=partial(read_table, ItemRecord),
    key=lambda row: row.sku,
    write=_write_items,
)
_STOCK = Kind(
    record=StockRecord,
    required=("sku", "location_code", "on_hand"),
    read=read_levels,
    key=itemgetter(0, 1),
    write=_write_stock,
    rows_at_once=150_000,
    parts_at_once=3,
)
