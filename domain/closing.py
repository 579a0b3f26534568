"""A location closes: its open work, and what orders wait for from there or to there, is routed anew; until it opens.

Other transfers from there or to there that nobody has dispatched yet are called off; what is on its way arrives, and is
received or called off by people.
"""

from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from domain import transfers
from domain.assignments import Desk
from domain.inventory.waiting import wake
from domain.network import CLOSING, Networks
from domain.shortage import SYSTEM
from domain.timers import Handler, set_timer
from domain.transaction import Connection
from domain.vocabulary import TransferStatus

LOOKS_AGAIN = timedelta(minutes=1)


def handler(networks: Networks) -> Handler:
    """Return what sees to the timers that closing a location sets, and `offer_assignments` where one is closed.

    A location that is open again keeps what it has left.
    """
    return partial(_handle, networks)


async def _handle(networks: Networks, connection: Connection, key: str, now: datetime) -> None:
    location_id, moment, *_ = key.split()
    place, closed_at = UUID(location_id), datetime.fromisoformat(moment)
    closed = await connection.fetchrow(_NEXT, place)
    if closed is None:
        return
    if closed["id"]:
        await Desk(connection=connection, networks=networks, viewer=SYSTEM, now=now).shut(closed["id"])
        await set_timer(connection, CLOSING, key, now)
    elif transfer := await connection.fetchrow(_NEXT_TRANSFER, place, closed_at):
        if transfer["status"] == TransferStatus.REQUESTED:
            await transfers.cancel_transfer(connection, networks, transfer["id"], viewer=SYSTEM, now=now)
        else:
            await transfers.shut(connection, networks, transfer["id"], now=now)
        await set_timer(connection, CLOSING, key, now)
    elif closed_at > now - LOOKS_AGAIN:  # an order that was being placed may not have known
        await set_timer(connection, CLOSING, key, now + LOOKS_AGAIN)


async def opened(connection: Connection, key: str, now: datetime) -> None:
    """See to the timer that a location sets which takes work again: wake those who wait for what it has."""
    await wake(connection, [row["sku"] for row in await connection.fetch(_WAITED_FOR, UUID(key))], now=now)


_NEXT = """
SELECT a.id
  FROM location l
  LEFT JOIN assignment a ON a.location_id = l.id
        AND a.status IN ('HELD', 'OFFERED', 'ACCEPTED', 'PICKING', 'PACKED', 'READY_FOR_PICKUP')
 WHERE l.id = $1 AND l.status = 'CLOSED'
 ORDER BY a.due_at, a.id LIMIT 1
"""
# Who asks for a transfer once the location has closed clears it out, or fills it before it opens.
_NEXT_TRANSFER = """
SELECT t.id, t.status FROM transfer t
 WHERE t.status = 'REQUESTED' AND $1 IN (t.from_location_id, t.to_location_id)
       AND (t.order_id IS NOT NULL OR t.created_at <= $2)
    OR t.status = 'IN_TRANSIT' AND t.to_location_id = $1 AND t.order_id IS NOT NULL
       AND EXISTS (SELECT FROM transfer_line l WHERE l.transfer_id = t.id AND l.bound > 0)
 ORDER BY t.id LIMIT 1
"""
_WAITED_FOR = """
SELECT DISTINCT l.sku FROM order_line l JOIN stock s ON s.sku = l.sku AND s.location_id = $1
 WHERE l.backordered > 0 AND s.on_hand - s.reserved - s.safety_stock > 0
"""
