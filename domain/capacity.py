"""What locations with a capacity have taken on for each of their days; who writes it has locked the stock before."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import asyncpg
import numpy as np

from domain.feed import Update
from domain.network import Snapshot
from domain.planning.problem import Committed
from domain.transaction import Connection, Row

DAY = timedelta(days=1)
MOST_MOVED = 200
"""Where something happened at more locations, all is read again."""


class CommittedRow(Row):
    """How many orders and units a location has taken on for a day of its own."""

    location_id: UUID
    day: date
    orders: int
    units: int


class Freed(NamedTuple):
    """An order's work that may be called off: its units count for a location's day, None where that has no limit."""

    location_id: UUID
    day: date | None
    units: int


async def committed_from(
    connection: Connection, snapshot: Snapshot, now: datetime, without: Sequence[Freed] = ()
) -> Committed | None:
    """Return what the planner has to know of the work on today and later; nothing is read where nobody has a limit."""
    if not snapshot.planner.limited.size:
        return None
    first = _first(now)
    days = await connection.fetch(_DAYS, first)
    shape = len(snapshot.planner.sites), (days[-1]["day"] - first).days + 1 if days else 1
    nothing = Committed(first=first, orders=np.zeros(shape, dtype=np.int64), units=np.zeros(shape, dtype=np.int64))
    known = _changed(nothing, snapshot, days)
    for place, freed_day, freed_units in without:
        site = snapshot.site_by_id.get(place)
        if site is not None and freed_day and 0 <= (freed_day - first).days < known.orders.shape[1]:
            known.orders[site, (freed_day - first).days] -= 1
            known.units[site, (freed_day - first).days] -= freed_units
    return known


@dataclass(slots=True)
class Work:
    """What locations have taken on, in this process's memory: a cache for planning, and never for placing.

    The feed tells where something happened; what has been taken on there is read again when it is next asked for.
    """

    _known: Committed | None = None
    _of: Snapshot | None = None
    _moved: set[UUID] = field(default_factory=set)
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    _missed: int = 0
    """How often something may have been missed."""

    def hear(self, updates: Iterable[Update]) -> None:
        """Take note of where something happened."""
        self._moved.update(*(update.location_ids for update in updates))

    def forget(self) -> None:
        """Forget everything: something may have happened that was not heard of."""
        self._known = None
        self._missed += 1

    async def committed_from(self, connection: Connection, snapshot: Snapshot, now: datetime) -> Committed | None:
        """Return the same as the function of that name, of all that was heard of."""
        if not snapshot.planner.limited.size:
            return None
        async with self._reading:
            known, self._known = self._known, None
            moved, self._moved, missed = self._moved, set(), self._missed
            if known is None or self._of is not snapshot or known.first != _first(now) or len(moved) > MOST_MOVED:
                known = await committed_from(connection, snapshot, now)
            elif moved:
                known = _changed(known, snapshot, await connection.fetch(_MOVED, known.first, list(moved)), moved)
            if missed == self._missed:
                self._known, self._of = known, snapshot
        return known


def _first(now: datetime) -> date:
    """Return the first day that matters: yesterday, for it may still be that day somewhere."""
    return now.date() - DAY


def _changed(
    known: Committed, snapshot: Snapshot, days: Sequence[asyncpg.Record], moved: Iterable[UUID] = ()
) -> Committed:
    """Return what is known with these days, in order, and nothing else for the locations that moved."""
    width = max(known.orders.shape[1], (days[-1]["day"] - known.first).days + 1 if days else 0)
    # One row more than there are sites takes what a snapshot that has been overtaken does not know.
    orders = np.zeros((len(known.orders) + 1, width), dtype=np.int64)
    units = orders.copy()
    places = [snapshot.site_by_id.get(place, -1) for place in moved]
    for after, before in ((orders, known.orders), (units, known.units)):
        after[:-1, : before.shape[1]] = before
        after[places] = 0
    for day, locations, orders_taken, units_taken in days:
        cells = [snapshot.site_by_id.get(place, -1) for place in locations], (day - known.first).days
        orders[cells], units[cells] = orders_taken, units_taken
    return Committed(first=known.first, orders=orders[:-1], units=units[:-1])


async def committed_on(connection: Connection, keys: Sequence[tuple[UUID, date]]) -> list[CommittedRow]:
    """Return what was taken on for these days of locations, those that have anything, in no order."""
    rows: list[CommittedRow] = await connection.fetch(
        """
        SELECT c.* FROM committed_work c
          JOIN unnest($1::uuid[], $2::date[]) AS k(location_id, day) USING (location_id, day)
        """,
        [location_id for location_id, _ in keys],
        [day for _, day in keys],
        record_class=CommittedRow,
    )
    return rows


async def commit(connection: Connection, order_id: UUID) -> bool:
    """Count an order's work as it is now, in the caller's transaction; say whether every day has room for it."""
    return not await connection.fetch("SELECT * FROM commit_work($1)", [order_id])


_DAYS = """
SELECT day, array_agg(location_id), array_agg(orders), array_agg(units)
  FROM committed_work WHERE day >= $1 GROUP BY day ORDER BY day
"""
_MOVED = _DAYS.replace("day >= $1", "day >= $1 AND location_id = ANY ($2::uuid[])")
