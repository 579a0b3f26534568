"""What rows of a file say, as the records that the domain takes; InvalidInput names what is no such thing."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import timedelta
from functools import partial
from itertools import compress, count
from typing import Any, TypeAlias

from pydantic import TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from domain.duration import parse_duration
from domain.errors import InvalidInput
from domain.inventory import ItemRecord
from domain.network import CarrierServiceChange, CostStep, LocationRecord, ZoneReach
from domain.places import PostalCodeRecord

LONGEST_NUMBER = 18
LISTS = frozenset({"services", "tags", "barcodes"})
"""Columns whose cells hold several values, with | between them."""

Record: TypeAlias = Any


Columns: TypeAlias = Sequence[str]
Read: TypeAlias = tuple[list[Record], dict[int, InvalidInput]]
"""A record for each row, and why those of these numbers, counted from 0, are none."""


def each(read: Callable[[Any], Record], rows: Sequence[object]) -> Read:
    """Return what `read` makes of each row."""
    records: list[Record] = []
    faults = {}
    for number, row in enumerate(rows):
        try:
            records.append(read(row))
        except InvalidInput as fault:
            records.append(None)
            faults[number] = fault
    return records, faults


def read_table(record: type[Record], columns: Columns, rows: Sequence[Sequence[str]]) -> Read:
    """Return the records of a CSV's rows; an empty cell says nothing."""
    return each(lambda cells: _typed(_row(record, columns, cells), record), rows)


def _row(record: type[Record], columns: Columns, cells: Sequence[str]) -> dict[str, object]:
    _check_width(columns, cells)
    names = record.__annotations__
    row: dict[str, object] = {}
    for name, cell in zip(columns, map(str.strip, cells), strict=True):
        if not cell or name not in names:
            continue
        if name in LISTS:
            row[name] = [word for part in cell.split("|") if (word := part.strip())]
        elif name == "handling_time":
            row[name] = _duration(cell)
        else:
            row[name] = cell
    return row


def _check_width(columns: Columns, cells: Sequence[str]) -> None:
    if len(cells) != len(columns):
        raise InvalidInput(message=f"This row has {len(cells)} cells; the columns are {len(columns)}.")


def read_levels(columns: Columns, rows: Sequence[Sequence[str]]) -> Read:
    """Return StockRecords, column by column: of levels there are millions."""
    width = len(columns)
    _, faults = each(partial(_check_width, columns), rows) if set(map(len, rows)) - {width} else ([], {})
    if faults:
        rows = [[""] * width if number in faults else cells for number, cells in enumerate(rows)]
    told = dict(zip(columns, zip(*rows, strict=True), strict=True))
    skus, codes = (_made(str.strip, told[name]) for name in ("sku", "location_code"))
    numbers = []
    for name in ("on_hand", "safety_stock"):
        column = _made(_whole, told[name]) if name in told else [None] * len(rows)
        if words := {value for value in set(column) if isinstance(value, str)}:
            for number in compress(count(), map(words.__contains__, column)):
                faults.setdefault(number, InvalidInput(message=f"{column[number]!r} is no whole number.", path=(name,)))
        numbers.append(column)
    return list(zip(skus, codes, *numbers, strict=True)), faults


def _made(make: Callable[[str], Record], cells: Sequence[str]) -> list[Record]:
    """Return what `make` makes of each cell, made once of those that say the same."""
    made = {cell: make(cell) for cell in set(cells)}
    return list(map(made.__getitem__, cells))


def _whole(cell: str) -> int | str | None:
    """Return the number that a cell says, None where it says nothing, and else what it says."""
    cell = cell.strip()
    if not cell:
        return None
    if not (cell.isascii() and cell.removeprefix("-").isdecimal() and len(cell) <= LONGEST_NUMBER):
        return cell
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
