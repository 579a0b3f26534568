"""What locations with a capacity have taken on for each of their days; who writes it has locked the stock before."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import numpy as np

from domain.network import Snapshot
from domain.planning.problem import Committed
from domain.transaction import Connection, Row

DAY = timedelta(days=1)


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
    yesterday = now.date() - DAY  # it may still be that day somewhere
    days = await connection.fetch(_DAYS, yesterday)
    if not days:
        return None
    first = days[0]["day"]
    # One row more than there are sites takes what a snapshot that has been overtaken does not know.
    orders = np.zeros((len(snapshot.planner.sites) + 1, (days[-1]["day"] - first).days + 1), dtype=np.int64)
    units = orders.copy()
    for day, places, orders_taken, units_taken in days:
        cells = [snapshot.site_by_id.get(place, -1) for place in places], (day - first).days
        orders[cells], units[cells] = orders_taken, units_taken
    for place, freed_day, freed_units in without:
        if freed_day and 0 <= (freed_day - first).days < orders.shape[1]:
            cell = snapshot.site_by_id.get(place, -1), (freed_day - first).days
            orders[cell] -= 1
            units[cell] -= freed_units
    return Committed(first=first, orders=orders[:-1], units=units[:-1])


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
