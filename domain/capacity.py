"""What locations with a capacity have taken on for each of their days; who writes it has locked the stock before."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

from domain.network import Snapshot
from domain.planning.problem import Committed
from domain.planning.timetable import committed
from domain.transaction import Connection, Row

DAY = timedelta(days=1)


class CommittedRow(Row):
    """How many orders and units a location has taken on for a day of its own."""

    location_id: UUID
    day: date
    orders: int
    units: int


async def committed_from(connection: Connection, snapshot: Snapshot, now: datetime) -> Committed | None:
    """Return what the planner has to know of the work on today and later; nothing is read where nobody has a limit."""
    if not snapshot.planner.limited.size:
        return None
    yesterday = now.date() - DAY  # it may still be that day somewhere
    rows = await connection.fetch("SELECT * FROM committed_work WHERE day >= $1", yesterday, record_class=CommittedRow)
    work = {
        (snapshot.locations[row.location_id].code, row.day): (row.orders, row.units)
        for row in rows
        if row.location_id in snapshot.locations
    }
    return committed(snapshot.planner, work)


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
