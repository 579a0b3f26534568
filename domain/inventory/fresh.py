"""Levels that nobody has made yet: copied straight into their table, and so are the runs that tell of them.

Postgres's binary format is written here, a column at a time. asyncpg would take 3 us of CPU a level for the arrays of
the runs and 4 for the moment, as much as Postgres takes to store the level.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, islice, repeat
from math import ceil
from struct import Struct
from typing import Any, TypeAlias
from uuid import UUID

import numpy as np
import numpy.typing as npt

from domain.feed import LEVELS_A_ROW
from domain.transaction import Connection

Counted: TypeAlias = tuple[str, UUID, int | None, int | None]
"""SKU, location, and what is to be on hand and kept there; None leaves things as they are.

A level that does not exist needs a quantity on hand.
"""

_HEAD, _TAIL = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
_COUNT, _LENGTH, _MOMENT, _ARRAY = Struct(">h"), Struct(">i"), Struct(">iq"), Struct(">6i")
_TEXT, _INT, _UUID = 25, 23, 2950
_EPOCH, _TICK = datetime(2000, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_NUMBER = np.dtype([("length", ">i4"), ("value", ">i4")])
_LEVEL_COLUMNS = ("updated_at", "sku", "location_id", "on_hand", "safety_stock")
_RUN_COLUMNS = (
    *("id", "occurred_at", "skus", "location_ids"),
    *("on_hand_deltas", "on_hand", "reserved", "available"),
)


async def are_new(connection: Connection, levels: Sequence[Counted]) -> bool:
    """Say whether no location has a level from the first to the last of its SKUs; levels are in the order of their key.

    No is always true. Yes may not be, where somebody makes a level meanwhile or the database sorts SKUs otherwise:
    then copying ends in a unique violation.
    """
    skus, places, _, _ = zip(*levels, strict=True)
    last = dict(zip(places, skus, strict=True))
    first = dict(zip(reversed(places), reversed(skus), strict=True))
    found = await connection.fetchval(_FIND, list(last), list(map(first.__getitem__, last)), list(last.values()))
    return not found


_FIND = """
SELECT EXISTS (
    SELECT FROM unnest($1::uuid[], $2::text[], $3::text[]) AS w(location_id, first, last)
     CROSS JOIN LATERAL (
         SELECT FROM stock s WHERE s.location_id = w.location_id AND s.sku BETWEEN w.first AND w.last LIMIT 1) k)
"""


async def create(connection: Connection, levels: Sequence[Counted], run_ids: Iterator[UUID], *, now: datetime) -> None:
    """Copy levels, their runs and what the feed tells of them, in the caller's transaction; `run_ids` are enough."""
    skus, places, counted, kept = zip(*levels, strict=True)
    on_hand = np.array(counted, np.int64)
    safety_stock = np.array([units or 0 for units in kept], np.int64)
    fields = {sku: _field(sku.encode()) for sku in set(skus)} | {place: _field(place.bytes) for place in set(places)}
    keys = [list(map(fields.__getitem__, column)) for column in (skus, places)]
    moment = _MOMENT.pack(8, (now - _EPOCH) // _TICK)
    numbers = _numbers(np.stack([on_hand, safety_stock], axis=1)).view("V16").ravel().tolist()
    await _copy(connection, "stock", _LEVEL_COLUMNS, [repeat(moment), *keys, numbers])
    ids = list(islice(run_ids, ceil(len(levels) / LEVELS_A_ROW)))
    runs = [
        [_field(run_id.bytes) for run_id in ids],
        repeat(moment),
        *map(_arrays, (_TEXT, _UUID), keys),
        *[list(_number_arrays(on_hand))] * 2,
        _number_arrays(np.zeros_like(on_hand)),
        _number_arrays(np.maximum(on_hand - safety_stock, 0)),
    ]
    await _copy(connection, "counted_run", _RUN_COLUMNS, runs)
    await connection.execute(_TELL, now, ids)


_TELL = """
INSERT INTO feed (epoch, kind, keys, payload, at, run_id)
SELECT e.epoch, 'STOCK_CHANGED', '{}', '{}', $1, run.id FROM unnest($2::uuid[]) run(id), feed_epoch e ORDER BY run.id
"""


async def _copy(connection: Connection, table: str, columns: Sequence[str], values: Sequence[Iterable[bytes]]) -> None:
    """Copy rows, given as the fields of each column; neighbours may come as one."""
    rows = chain.from_iterable(zip(repeat(_COUNT.pack(len(columns))), *values, strict=False))
    source = memoryview(b"".join(chain([_HEAD], rows, [_TAIL])))  # bytes would be the name of a file
    await connection.copy_to_table(table, source=source, columns=columns, format="binary")


def _field(data: bytes) -> bytes:
    return _LENGTH.pack(len(data)) + data


def _numbers(values: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Return integers as the fields that they are."""
    fields = np.empty(values.shape, _NUMBER)
    fields["length"], fields["value"] = 4, values
    return fields


def _arrays(of: int, fields: Sequence[bytes]) -> Iterator[bytes]:
    """Yield an array of elements of the type whose oid is `of` for each run."""
    for start in range(0, len(fields), LEVELS_A_ROW):
        elements = fields[start : start + LEVELS_A_ROW]
        yield _array(of, len(elements), b"".join(elements))


def _number_arrays(values: npt.NDArray[np.int64]) -> Iterator[bytes]:
    """Yield an array of integers for each run."""
    size, data = _NUMBER.itemsize, _numbers(values).tobytes()
    for start in range(0, len(data), LEVELS_A_ROW * size):
        elements = data[start : start + LEVELS_A_ROW * size]
        yield _array(_INT, len(elements) // size, elements)


def _array(of: int, count: int, elements: bytes) -> bytes:
    return _ARRAY.pack(20 + len(elements), 1, 0, of, count, 1) + elements
