"""What falls due, and who sees to it: any number of processes, each timer at one of them.

A timer is gone in the transaction that saw to it, or it is tried again: handlers find out for themselves whether
there is still something to do. Locks have one order: the timer first, then what it is about.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import TypeAlias

import structlog

from domain.transaction import Connection, Database, Row

log = structlog.get_logger(__name__)

Handler: TypeAlias = Callable[[Connection, str, datetime], Awaitable[None]]
"""Sees to the timer of a key at a moment, in the transaction that it is given."""

RUN_AT_ONCE = 100
FOUND_AT_ONCE = 1000
FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(minutes=5)


class TimerRow(Row):
    """A timer that is set."""

    kind: str
    key: str
    due_at: datetime
    failures: int


async def set_timer(connection: Connection, kind: str, key: str, due_at: datetime) -> None:
    """Set a timer in the caller's transaction; one that is set already is moved."""
    await connection.execute(
        """
        INSERT INTO timer (kind, key, due_at) VALUES ($1, $2, $3)
        ON CONFLICT (kind, key) DO UPDATE SET due_at = excluded.due_at, failures = 0
        """,
        kind,
        key,
        due_at,
    )


def looking(kind: str, *, every: timedelta, sets: str, find: str) -> Handler:
    """Return what sees to the one timer of a kind that looks, again and again, for what is due.

    The statement `find` sets a timer of the kind $1 for each of at most $3 things that are due at $2 and have none.
    """

    async def look(connection: Connection, key: str, now: datetime) -> None:
        status: str = await connection.execute(find, sets, now, FOUND_AT_ONCE)
        more = int(status.rsplit(maxsplit=1)[-1]) == FOUND_AT_ONCE
        await set_timer(connection, kind, key, now if more else now + every)

    return look


async def begin(database: Database, kinds: Collection[str], *, now: datetime) -> None:
    """Set a timer of each of these kinds of which none is set: those that set themselves again whenever they ran."""
    async with database.transaction() as connection:
        await connection.execute(
            """
            INSERT INTO timer (kind, key, due_at)
            SELECT kind, '', $2 FROM unnest($1::text[]) kind
             WHERE NOT EXISTS (SELECT FROM timer t WHERE t.kind = kind) ORDER BY kind
            ON CONFLICT DO NOTHING
            """,
            list(kinds),
            now,
        )


async def clear_timer(connection: Connection, kind: str, key: str) -> None:
    """Take a timer back in the caller's transaction; it need not be there."""
    await connection.execute("DELETE FROM timer WHERE kind = $1 AND key = $2", kind, key)


async def next_due(connection: Connection, kinds: Collection[str]) -> datetime | None:
    """Return when the next timer of these kinds falls due, None where none is set."""
    due_at: datetime | None = await connection.fetchval(
        "SELECT due_at FROM timer WHERE kind = ANY ($1) ORDER BY due_at LIMIT 1", list(kinds)
    )
    return due_at


async def run_due(
    database: Database, handlers: Mapping[str, Handler], *, now: datetime, limit: int = RUN_AT_ONCE
) -> int:
    """See to at most `limit` timers that are due at `now`, each in a transaction with its handler; return how many.

    A timer that another process holds is left to it. One whose handler fails is put off, ever longer, and stops none
    of the others.
    """
    async with database.reading() as connection:
        due: list[TimerRow] = await connection.fetch(
            "SELECT * FROM timer WHERE due_at <= $1 AND kind = ANY ($2) ORDER BY due_at LIMIT $3",
            now,
            list(handlers),
            limit,
            record_class=TimerRow,
        )
    for timer in due:
        try:
            await _run(database, handlers[timer.kind], timer, now=now)
        except Exception:
            log.exception("timer_failed", kind=timer.kind, key=timer.key, failures=timer.failures + 1)
            await put_off(database, timer, now=now)
    return len(due)


async def _run(database: Database, handler: Handler, timer: TimerRow, *, now: datetime) -> None:
    async with database.transaction() as connection:
        mine = await connection.fetchval(
            """
            DELETE FROM timer WHERE (kind, key) IN (
                SELECT kind, key FROM timer WHERE kind = $1 AND key = $2 AND due_at <= $3 FOR UPDATE SKIP LOCKED
            ) RETURNING true
            """,
            timer.kind,
            timer.key,
            now,
        )
        if mine:
            await handler(connection, timer.key, now)


async def put_off(database: Database, timer: TimerRow, *, now: datetime) -> None:
    """Put a timer off that failed; one that was moved meanwhile stays where it is."""
    pause = min(FIRST_PAUSE * 2 ** min(timer.failures, 30), LONGEST_PAUSE)
    async with database.transaction() as connection:
        await connection.execute(
            "UPDATE timer SET due_at = $4, failures = failures + 1 WHERE kind = $1 AND key = $2 AND due_at = $3",
            timer.kind,
            timer.key,
            timer.due_at,
            now + pause,
        )
