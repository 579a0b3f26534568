"""Work that nobody answers, or begins, in time: found by one look, expired one piece after the other by any process."""

from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from domain.assignments import Desk
from domain.network import Networks
from domain.shortage import SYSTEM
from domain.timers import Handler, looking
from domain.transaction import Connection

LOOK = "deadlines"
"""The kind of the one timer that looks for work past its deadline."""
EXPIRY = "expiry"
"""The kind of the timers, one for each assignment that was found."""


def handler(networks: Networks) -> Handler:
    """Return what sees to the timers that a look sets; work that was answered or begun meanwhile stays."""
    return partial(_handle, networks)


async def _handle(networks: Networks, connection: Connection, key: str, now: datetime) -> None:
    await Desk(connection=connection, networks=networks, viewer=SYSTEM, now=now).expire(UUID(key))


_FIND = """
INSERT INTO timer (kind, key, due_at)
SELECT $1::text, a.id::text, a.deadline FROM assignment a
 WHERE a.deadline <= $2 AND NOT EXISTS (SELECT FROM timer t WHERE t.kind = $1::text AND t.key = a.id::text)
 ORDER BY a.deadline, a.id LIMIT $3
ON CONFLICT DO NOTHING
"""

look = looking(LOOK, every=timedelta(seconds=5), sets=EXPIRY, find=_FIND)
"""Sets a timer for each assignment past its deadline, and its own next."""
