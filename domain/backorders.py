"""What waits for stock, and what happens when stock may have come.

Whoever raises what is available of an item sets a timer for its SKU in the same transaction, where anybody waits for
it. The timer's handler sees to one order, the first that waits, and passes the rest on to another timer: first come,
first served, and no two orders are ever locked at once.
"""

from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from domain import orders, routing
from domain.inventory.waiting import SEPARATOR, TIMER
from domain.network import Networks
from domain.timers import Handler, set_timer
from domain.transaction import Connection
from domain.vocabulary import RoutingTrigger

FIRST = (datetime(2000, 1, 1, tzinfo=UTC), UUID(int=0))


def handler(networks: Networks) -> Handler:
    """Return what sees to the timers that `inventory.waiting.wake` sets."""
    return partial(_handle, networks)


async def _handle(networks: Networks, connection: Connection, key: str, now: datetime) -> None:
    """Route the first order that waits for the key's SKU, and see to the next one after.

    A key is the SKU and what tells timers apart, or the SKU with the moment and the id of the order seen to last.
    """
    sku, *last = key.split(SEPARATOR)
    after = (datetime.fromisoformat(last[0]), UUID(last[1])) if len(last) > 1 else FIRST
    found = await connection.fetchrow(_NEXT, sku, *after)
    if found is None:
        return
    placed_at, order_id = found["placed_at"], found["id"]
    await connection.execute("SELECT 1 FROM customer_order WHERE id = $1 FOR NO KEY UPDATE", order_id)
    order = await orders.order(connection, order_id)
    waiting = {line.sku: line.backordered for line in await orders.lines_of(connection, [order_id]) if line.backordered}
    if waiting:
        snapshot = await networks.current(connection)
        await routing.reroute(connection, snapshot, order, waiting, trigger=RoutingTrigger.STOCK_ARRIVED, now=now)
        await orders.settle(connection, order, actor=None, now=now)
    await set_timer(connection, TIMER, SEPARATOR.join((sku, placed_at.isoformat(), str(order_id))), now)


_NEXT = """
SELECT o.placed_at, o.id
  FROM order_line l JOIN customer_order o ON o.id = l.order_id
 WHERE l.sku = $1 AND l.backordered > 0 AND (o.placed_at, o.id) > ($2, $3)
   AND EXISTS (SELECT FROM stock s WHERE s.sku = $1 AND s.on_hand - s.reserved - s.safety_stock > 0)
 ORDER BY o.placed_at, o.id LIMIT 1
"""
