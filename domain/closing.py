"""A location closes: its open work is routed anew, one piece after the other."""

from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from domain.assignments import Desk
from domain.network import CLOSING, Networks
from domain.shortage import SYSTEM
from domain.timers import Handler, set_timer
from domain.transaction import Connection

LOOKS_AGAIN = timedelta(minutes=1)


def handler(networks: Networks) -> Handler:
    """Return what sees to the timers that closing a location sets; one that is open again keeps what it has left."""
    return partial(_handle, networks)


async def _handle(networks: Networks, connection: Connection, key: str, now: datetime) -> None:
    closed = await connection.fetchrow(_NEXT, UUID(key))
    if closed is None:
        return
    if closed["id"]:
        await Desk(connection=connection, networks=networks, viewer=SYSTEM, now=now).shut(closed["id"])
        await set_timer(connection, CLOSING, key, now)
    elif closed["updated_at"] > now - LOOKS_AGAIN:  # an order that was being placed may not have known
        await set_timer(connection, CLOSING, key, now + LOOKS_AGAIN)


_NEXT = """
SELECT l.updated_at, a.id
  FROM location l
  LEFT JOIN assignment a ON a.location_id = l.id
        AND a.status IN ('HELD', 'OFFERED', 'ACCEPTED', 'PICKING', 'PACKED', 'READY_FOR_PICKUP')
 WHERE l.id = $1 AND l.status = 'CLOSED'
 ORDER BY a.due_at, a.id LIMIT 1
"""
