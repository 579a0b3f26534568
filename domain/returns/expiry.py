"""Returns of which nothing comes: found by one look, called off one after the other by any process."""

from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from domain.network import Networks
from domain.returns.desk import Desk
from domain.shortage import SYSTEM
from domain.timers import Handler, looking
from domain.transaction import Connection

LOOK = "returns"
"""The kind of the one timer that looks for returns that nothing came of in time."""
EXPIRY = "expire_return"
"""The kind of the timers, one for each return that was found."""


def handler(networks: Networks) -> Handler:
    """Return what sees to the timers that a look sets; a return that moved on meanwhile stays as it is."""
    return partial(_handle, networks)


async def _handle(networks: Networks, connection: Connection, key: str, now: datetime) -> None:
    await Desk(connection=connection, networks=networks, viewer=SYSTEM, now=now).expire(UUID(key))


_FIND = """
INSERT INTO timer (kind, key, due_at)
SELECT $1::text, r.id::text, r.expires_at FROM customer_return r
 WHERE r.expires_at <= $2 AND NOT EXISTS (SELECT FROM timer t WHERE t.kind = $1::text AND t.key = r.id::text)
 ORDER BY r.expires_at, r.id LIMIT $3
ON CONFLICT DO NOTHING
"""

look = looking(LOOK, every=timedelta(minutes=1), sets=EXPIRY, find=_FIND)
"""Sets a timer for each return that nothing came of in time, and its own next."""
