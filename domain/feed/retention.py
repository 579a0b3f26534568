"""How long the feed is kept: rows go by their age, from the oldest on, and nobody who writes waits for it."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import TypeAlias

from domain.feed.cursors import Cursor
from domain.timers import Handler, set_timer
from domain.transaction import Connection

TIMER = "feed"
FORGET_EVERY = timedelta(minutes=10)
FORGET_AT_ONCE = 5_000
"""Rows of one transaction: what commits while it lasts is read only after it."""

Unread: TypeAlias = Callable[[Connection], Awaitable[Cursor | None]]
"""Returns the cursor after which somebody still has to read; None where nobody does."""


def forgetting(kept: timedelta, *, unread: Unread, longest: timedelta) -> Handler:
    """Return what forgets rows older than `kept` that nobody has to read any more, and any older than `longest`.

    What follows a row that is kept is kept too, so a cursor either finds everything after it, or has expired.
    """
    return partial(_forget, kept, unread, max(kept, longest))


async def _forget(
    kept: timedelta, unread: Unread, longest: timedelta, connection: Connection, key: str, now: datetime
) -> None:
    trimmed = Cursor.parse(await connection.fetchval("SELECT trimmed FROM feed_epoch"))
    last = await _last(connection, trimmed, await unread(connection), older=now - kept, oldest=now - longest)
    deleted = 0
    if last is not None:
        deleted = await _delete(connection, trimmed, last)
        await connection.execute("UPDATE feed_epoch SET trimmed = $1", str(last))
    await set_timer(connection, TIMER, key, now if deleted >= FORGET_AT_ONCE else now + FORGET_EVERY)


async def _last(
    connection: Connection, trimmed: Cursor, unread: Cursor | None, *, older: datetime, oldest: datetime
) -> Cursor | None:
    """Return the last of the next rows that may go, None where the first of them has to stay."""
    row = await connection.fetchrow(
        """
        SELECT epoch, xid::text::bigint, id FROM (
            SELECT *, bool_and(
                       at < $5 OR (at < $4 AND ($6::int IS NULL OR (epoch, xid, id) <= ($6, $7::text::xid8, $8)))
                   ) OVER (ORDER BY epoch, xid, id) AS may_go
              FROM (SELECT epoch, xid, id, at FROM feed
                     WHERE (epoch, xid, id) > ($1, $2::text::xid8, $3)
                       AND (epoch, xid) < ((SELECT epoch FROM feed_epoch), pg_snapshot_xmin(pg_current_snapshot()))
                     ORDER BY feed.epoch, feed.xid, feed.id LIMIT $9) AS head
        ) AS aged
         WHERE may_go ORDER BY aged.epoch DESC, aged.xid DESC, aged.id DESC LIMIT 1
        """,
        *_parts(trimmed),
        older,
        oldest,
        *(_parts(unread) if unread else (None, None, None)),
        FORGET_AT_ONCE,
    )
    return None if row is None else Cursor(*row)


async def _delete(connection: Connection, after: Cursor, through: Cursor) -> int:
    status: str = await connection.execute(
        "DELETE FROM feed WHERE (epoch, xid, id) > ($1, $2::text::xid8, $3)"
        " AND (epoch, xid, id) <= ($4, $5::text::xid8, $6)",
        *_parts(after),
        *_parts(through),
    )
    return int(status.rsplit(maxsplit=1)[-1])


def _parts(cursor: Cursor) -> tuple[int, str, int]:
    """Return a cursor as Postgres takes it."""
    return cursor.epoch, str(cursor.xid), cursor.id
