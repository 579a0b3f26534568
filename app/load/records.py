"""What a row of a file says, as the record that the domain takes; InvalidInput names what is no such thing."""

from dataclasses import fields
from datetime import timedelta
from typing import Any, TypeAlias, cast

from pydantic import TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from domain.duration import parse_duration
from domain.errors import InvalidInput
from domain.inventory import ItemRecord, StockRecord
from domain.network import CarrierServiceChange, CostStep, LocationRecord, ZoneReach
from domain.places import PostalCodeRecord

LONGEST_NUMBER = 18
LISTS = frozenset({"services", "tags", "barcodes"})
"""Columns whose cells hold several values, with | between them."""

Record: TypeAlias = Any


def read_cells(said: object, record: type[Record]) -> Record:
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


def read_level(said: object) -> StockRecord:
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
