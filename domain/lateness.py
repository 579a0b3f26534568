"""Which orders cannot arrive as promised any more: found before the shopper finds out, and told once.

An order is late when work of it is still at its location after the carrier was to take it or the shopper to find it
ready, and when the promised moment itself passes and not everything is known to have arrived: every LOOK_EVERY, one
process looks at what fell due since the last look, and at what was placed since by a promise that had passed. It is
late at once when it is routed anew to arrive too late, and when its carrier says that a parcel is lost, goes back or
came after the promise. Where people change the order so that all of it is to arrive as promised after all, it is late
no more.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain import feed, orders
from domain.timers import set_timer
from domain.transaction import Connection
from domain.vocabulary import OrderStatus, UpdateKind

TIMER = "late"
LOOK_EVERY = timedelta(seconds=10)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


async def look(connection: Connection, key: str, now: datetime) -> None:
    """Mark the orders that became late since the moment that is the key, and set the next look."""
    since = datetime.fromisoformat(key) if key else LONG_AGO
    found = await connection.fetch(_DUE, since, now)
    await mark(connection, [row["order_id"] for row in found], now=now)
    await set_timer(connection, TIMER, now.isoformat(), now + LOOK_EVERY)


async def compare(connection: Connection, order: orders.OrderRow, arrives_latest: datetime, *, now: datetime) -> None:
    """Mark an order late of which something is now to arrive after its promise."""
    if order.promised_latest and arrives_latest > order.promised_latest:
        await mark(connection, [order.id], now=now)


async def mark(connection: Connection, order_ids: Sequence[UUID], *, now: datetime) -> None:
    """Mark those of these orders late that are not yet, and tell it, in the caller's transaction."""
    rows = await connection.fetch(_MARK, order_ids, now, record_class=orders.OrderRow)
    places = await connection.fetch(
        """
        SELECT order_id, array_agg(DISTINCT location_id) FROM assignment
         WHERE order_id = ANY ($1::uuid[]) AND NOT withheld GROUP BY 1
        """,
        [row.id for row in rows],
    )
    told_at: dict[UUID, list[UUID]] = dict(places)
    for row in sorted(rows, key=lambda row: row.id):
        told = orders.Told(order_id=row.id, channel=row.channel, location_ids=told_at.get(row.id, []))
        step = orders.Step(
            kind=UpdateKind.ORDER_LATE, status=OrderStatus(row.status), message="The promise can no longer be kept."
        )
        await orders.note(connection, [orders.entry(told, step, actor=None, now=now)])
        await feed.record(connection, [orders.fact(told, step, now=now)])


async def reconsider(connection: Connection, order_id: UUID, *, now: datetime) -> None:
    """Take back that an order is late, where people saw to it and all of it is to arrive as promised now."""
    await connection.execute(_IN_TIME, order_id, now)


_DUE = """
SELECT a.order_id
  FROM location l
  JOIN LATERAL (
           SELECT order_id, status FROM assignment WHERE location_id = l.id AND due_at > $1 AND due_at <= $2
       ) a ON a.status IN ('OFFERED', 'ACCEPTED', 'PICKING', 'PACKED')
UNION
SELECT o.id FROM customer_order o
 WHERE o.promised_latest > $1 AND o.promised_latest <= $2
   AND (o.method = 'DELIVERY'
        OR EXISTS (SELECT FROM order_line l WHERE l.order_id = o.id AND l.backordered > 0)
        OR EXISTS (SELECT FROM transfer t WHERE t.order_id = o.id AND t.status IN ('REQUESTED', 'IN_TRANSIT')))
   AND o.status NOT IN ('COMPLETED', 'CANCELLED')
UNION
SELECT o.id FROM customer_order o
 WHERE o.placed_at > $1 - interval '1 minute' AND o.placed_at <= $2 AND o.promised_latest < o.placed_at
   AND o.status NOT IN ('COMPLETED', 'CANCELLED')
"""

_MARK = """
WITH found AS MATERIALIZED (
    SELECT id FROM customer_order WHERE id = ANY ($1::uuid[]) AND NOT late ORDER BY id FOR NO KEY UPDATE
)
UPDATE customer_order o SET late = true, updated_at = $2, version = version + 1
  FROM found WHERE o.id = found.id
RETURNING o.*
"""

# What is sent there first, waits, or went astray has no date of its own.
_IN_TIME = """
UPDATE customer_order o SET late = false
 WHERE o.id = $1 AND o.late AND o.promised_latest >= $2
   AND (SELECT bool_and(a.arrives_latest <= o.promised_latest AND (a.status = 'HANDED_OVER' OR a.due_at > $2))
          FROM assignment a
         WHERE a.order_id = o.id
           AND a.status IN ('HELD', 'OFFERED', 'ACCEPTED', 'PICKING', 'PACKED', 'HANDED_OVER'))
   AND NOT EXISTS (SELECT FROM order_line l WHERE l.order_id = o.id AND l.backordered > 0)
   AND NOT EXISTS (SELECT FROM transfer t WHERE t.order_id = o.id AND t.status IN ('REQUESTED', 'IN_TRANSIT'))
   AND NOT EXISTS (SELECT FROM shipment s WHERE s.order_id = o.id AND s.replaced_at IS NULL
                      AND s.status IN ('LOST', 'RETURNED_TO_SENDER'))
"""
