"""Where an item sells: read off the newest entries of the ledger, so that nothing has to be counted along.

What a load counted, it did not sell: its runs are not looked at.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from domain.ids import least_id
from domain.network import Snapshot
from domain.planning.disposition import Spot
from domain.transaction import Connection, Row

DEMAND_DAYS = 28
MOVEMENTS = 300
"""The newest of a level in these days are enough to see how fast it sells."""
LEAST_DAYS = 1 / 24


class _SpotRow(Row):
    location_id: UUID
    available: int
    sold: int
    movements: int
    since: datetime | None


async def spots(connection: Connection, snapshot: Snapshot, sku: str, *, now: datetime) -> dict[UUID, Spot]:
    """Return what the active locations of ours that have or had an item have of it, and sold of it a day of late."""
    rows: Sequence[_SpotRow] = await connection.fetch(
        _SPOTS,
        sku,
        least_id(now - timedelta(days=DEMAND_DAYS)),
        least_id(now + timedelta(milliseconds=1)),
        MOVEMENTS,
        record_class=_SpotRow,
    )
    return {
        row.location_id: Spot(
            code=snapshot.locations[row.location_id].code,
            available=row.available,
            sold_a_day=row.sold / _days(row, now),
        )
        for row in rows
        if row.location_id in snapshot.locations
    }


def _days(row: _SpotRow, now: datetime) -> float:
    if row.movements < MOVEMENTS or row.since is None:
        return DEMAND_DAYS
    return max((now - row.since) / timedelta(days=1), LEAST_DAYS)


async def waiting(connection: Connection, sku: str) -> int:
    """Return how many units of an item orders wait for."""
    units: int = await connection.fetchval(
        "SELECT coalesce(sum(backordered), 0)::int FROM order_line WHERE sku = $1 AND backordered > 0", sku
    )
    return units


_SPOTS = """
SELECT s.location_id, greatest(s.on_hand - s.reserved - s.safety_stock, 0) AS available, m.sold, m.movements, m.since
  FROM stock s
  JOIN location p ON p.id = s.location_id AND p.status = 'ACTIVE' AND p.services && ARRAY['SHIP', 'PICKUP']
       AND p.kind <> 'DROP_SHIPPER'
 CROSS JOIN LATERAL (
       SELECT coalesce(-sum(x.on_hand_delta) FILTER (WHERE x.reason = 'SOLD'), 0)::int AS sold,
              count(*)::int AS movements, min(x.occurred_at) AS since
         FROM (SELECT reason, on_hand_delta, occurred_at FROM stock_movement m
                WHERE m.sku = s.sku AND m.location_id = s.location_id AND m.id >= $2 AND m.id < $3
                ORDER BY m.id DESC LIMIT $4) x) m
 WHERE s.sku = $1
"""
