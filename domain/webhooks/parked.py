"""What a webhook did not take: it waits, subject by subject and in order, and is given up after a day.

Only what fails is written down; what is taken at once leaves nothing but the cursor behind.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from domain.feed import Cursor
from domain.timers import Handler, set_timer
from domain.transaction import Connection, Row
from domain.webhooks.registry import WebhookRow

FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(hours=1)
GIVE_UP_AFTER = timedelta(hours=24)
DEAD_LETTERS_SHOWN = 100
FORGET_EVERY = timedelta(hours=1)
FORGET_AT_ONCE = 10_000
TIMER = "webhooks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A fact, as a receiver is told it. Those of one `subject` are told in order.

    `error` is why it was not taken, None where it waits only for what comes before it.
    """

    cursor: Cursor
    subject: str
    kind: str
    at: datetime
    body: str
    attempts: int = 0
    error: str | None = None

    @property
    def columns(self) -> tuple[object, ...]:
        """Return what is written of it, but for the cursor."""
        return (self.subject, self.kind, self.at, self.body, self.attempts, self.error)


class ParkedRow(Row):
    """A fact that waits or, once `dead_at` is set, was given up."""

    webhook_id: UUID
    epoch: int
    xid: int
    id: int
    subject: str
    kind: str
    at: datetime
    body: str
    attempts: int
    error: str | None
    parked_at: datetime
    due_at: datetime
    dead_at: datetime | None

    @property
    def cursor(self) -> Cursor:
        """Return the fact's place in the feed."""
        return Cursor(self.epoch, self.xid, self.id)


async def held(connection: Connection, webhook_id: UUID, subjects: Sequence[str]) -> set[str]:
    """Return those of the subjects of which something waits."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT subject FROM webhook_parked
         WHERE webhook_id = $1 AND subject = ANY ($2) AND dead_at IS NULL
        """,
        webhook_id,
        subjects,
    )
    return {row["subject"] for row in rows}


async def advance(
    connection: Connection, webhook: WebhookRow, through: Cursor, untaken: Sequence[Delivery], *, now: datetime
) -> bool:
    """Write that a webhook was told everything through the cursor but for what it did not take.

    Return False, with nothing written, where the webhook was changed, replayed or deleted since it was read.
    """
    same = await connection.fetchval(
        "UPDATE webhook SET delivered_through = $3 WHERE id = $1 AND version = $2 RETURNING true",
        webhook.id,
        webhook.version,
        str(through),
    )
    if not same:
        return False
    await connection.executemany(
        """
        INSERT INTO webhook_parked
               (webhook_id, epoch, xid, id, subject, kind, at, body, attempts, error, due_at, parked_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        ON CONFLICT DO NOTHING
        """,
        [(webhook.id, *each.cursor, *each.columns, now + FIRST_PAUSE if each.error else now, now) for each in untaken],
    )
    return True


async def due(connection: Connection, webhook_id: UUID, *, now: datetime, limit: int) -> list[ParkedRow]:
    """Return the first that waits of each subject, where it is due."""
    rows: list[ParkedRow] = await connection.fetch(
        """
        SELECT * FROM (
            SELECT DISTINCT ON (subject) * FROM webhook_parked
             WHERE webhook_id = $1 AND dead_at IS NULL
             ORDER BY subject, epoch, xid, id
        ) AS head
         WHERE due_at <= $2 ORDER BY due_at LIMIT $3
        """,
        webhook_id,
        now,
        limit,
        record_class=ParkedRow,
    )
    return rows


async def succeed(connection: Connection, row: ParkedRow) -> ParkedRow | None:
    """Take away what was taken; return what waits next of its subject."""
    await connection.execute(
        "DELETE FROM webhook_parked WHERE webhook_id = $1 AND (epoch, xid, id) = ($2, $3, $4)",
        row.webhook_id,
        *row.cursor,
    )
    following: ParkedRow | None = await connection.fetchrow(
        """
        SELECT * FROM webhook_parked WHERE webhook_id = $1 AND subject = $2 AND dead_at IS NULL
         ORDER BY epoch, xid, id LIMIT 1
        """,
        row.webhook_id,
        row.subject,
        record_class=ParkedRow,
    )
    return following


async def fail(connection: Connection, row: ParkedRow, error: str, *, now: datetime) -> bool:
    """Put off what was not taken, ever longer, and not all by the same; give it up after a day.

    Return whether it was given up: then what comes next of its subject is due.
    """
    dead = now - row.parked_at >= GIVE_UP_AFTER
    pause = min(FIRST_PAUSE * 2 ** min(row.attempts, 30), LONGEST_PAUSE)
    await connection.execute(
        """
        UPDATE webhook_parked SET attempts = attempts + 1, error = $5, dead_at = $6,
               due_at = $7::timestamptz + $8::interval * (0.75 + random() / 2)
         WHERE webhook_id = $1 AND (epoch, xid, id) = ($2, $3, $4)
        """,
        row.webhook_id,
        *row.cursor,
        error,
        now if dead else None,
        now,
        pause,
    )
    return dead


async def dead_letters(connection: Connection, webhook_ids: Sequence[UUID]) -> list[ParkedRow]:
    """Return what was given up of each webhook, the oldest first, at most 100 each."""
    rows: list[ParkedRow] = await connection.fetch(
        """
        SELECT p.* FROM unnest($1::uuid[]) AS w (id), LATERAL (
            SELECT * FROM webhook_parked WHERE webhook_id = w.id AND dead_at IS NOT NULL
             ORDER BY epoch, xid, id LIMIT $2
        ) AS p ORDER BY p.epoch, p.xid, p.id
        """,
        webhook_ids,
        DEAD_LETTERS_SHOWN,
        record_class=ParkedRow,
    )
    return rows


def forgetting(kept: timedelta) -> Handler:
    """Return what forgets, hour by hour, what was given up longer ago than `kept`."""
    return partial(_forget, kept)


async def _forget(kept: timedelta, connection: Connection, key: str, now: datetime) -> None:
    status: str = await connection.execute(
        """
        DELETE FROM webhook_parked WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM webhook_parked WHERE dead_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED
        ))
        """,
        now - kept,
        FORGET_AT_ONCE,
    )
    more = int(status.rsplit(maxsplit=1)[-1]) == FORGET_AT_ONCE
    await set_timer(connection, TIMER, key, now if more else now + FORGET_EVERY)
