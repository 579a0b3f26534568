"""The webhooks there are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.errors import InvalidInput, NotFound
from domain.feed import Cursor, standing
from domain.ids import new_id
from domain.transaction import Connection, Row
from domain.vocabulary import UpdateKind
from domain.webhooks.signing import new_secret

READ = """
SELECT w.*, EXISTS (SELECT FROM webhook_parked p WHERE p.webhook_id = w.id AND p.dead_at IS NULL) AS failing
  FROM webhook w
"""


class WebhookRow(Row):
    """A webhook; `failing` while something waits to be taken. `kinds` is empty where all are told."""

    id: UUID
    url: str
    kinds: list[str]
    active: bool
    secret: str
    delivered_through: str
    missed_through: str | None
    version: int
    failing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookChange:
    """What a webhook is to be; a new one where `id` is None. The caller has checked the URL."""

    id: UUID | None
    url: str
    kinds: Sequence[UpdateKind]
    active: bool


async def webhooks(connection: Connection, ids: Sequence[UUID]) -> list[WebhookRow]:
    """Return webhooks by their ids."""
    rows: list[WebhookRow] = await connection.fetch(f"{READ} WHERE w.id = ANY ($1)", ids, record_class=WebhookRow)
    return rows


async def all_webhooks(connection: Connection) -> list[WebhookRow]:
    """Return all webhooks, the oldest first."""
    rows: list[WebhookRow] = await connection.fetch(f"{READ} ORDER BY w.id", record_class=WebhookRow)
    return rows


async def active_webhooks(connection: Connection) -> list[WebhookRow]:
    """Return the webhooks that are to be told."""
    rows: list[WebhookRow] = await connection.fetch(f"{READ} WHERE w.active", record_class=WebhookRow)
    return rows


async def told_through(connection: Connection) -> Cursor | None:
    """Return the cursor up to which every webhook was told, the inactive too; None where there is none."""
    rows = await connection.fetch("SELECT delivered_through FROM webhook")
    return min((Cursor.parse(row["delivered_through"]) for row in rows), default=None)


async def skip(connection: Connection, webhook: WebhookRow, to: Cursor) -> bool:
    """Write that a webhook goes on at the cursor, as what came before is gone; False where it was changed meanwhile."""
    return bool(
        await connection.fetchval(
            """
            UPDATE webhook SET delivered_through = $3, missed_through = $3 WHERE id = $1 AND version = $2
            RETURNING true
            """,
            webhook.id,
            webhook.version,
            str(to),
        )
    )


async def save_webhook(connection: Connection, change: WebhookChange, *, now: datetime) -> WebhookRow:
    """Make a webhook, which is told what happens from now on, or change one; return it as it then is.

    What waits is tried at once at the changed webhook. Raise NotFound.
    """
    kinds = [kind for kind in UpdateKind if kind in change.kinds]
    if change.id is None:
        return await _make(connection, change.url, kinds, active=change.active, now=now)
    changed = await connection.fetchval(
        """
        UPDATE webhook SET url = $2, kinds = $3, active = $4, version = version + 1
         WHERE id = $1 AND (url, kinds, active) <> ($2, $3::text[], $4) RETURNING true
        """,
        change.id,
        change.url,
        kinds,
        change.active,
    )
    if changed:
        await connection.execute("UPDATE webhook_parked SET due_at = $2 WHERE webhook_id = $1", change.id, now)
    return await _found(connection, change.id)


async def delete_webhook(connection: Connection, webhook_id: UUID) -> WebhookRow:
    """Delete a webhook with all that waits for it; return it as it was. Raise NotFound."""
    await connection.execute("SELECT FROM webhook WHERE id = $1 FOR UPDATE", webhook_id)
    row = await _found(connection, webhook_id)
    await connection.execute("DELETE FROM webhook_parked WHERE webhook_id = $1", webhook_id)
    await connection.execute("DELETE FROM webhook WHERE id = $1", webhook_id)
    return row


async def replay_webhook(connection: Connection, webhook_id: UUID, after: Cursor) -> WebhookRow:
    """Let everything after the cursor be told again, what was given up included; return the webhook.

    What waits from before the cursor goes on waiting. Raise NotFound, and InvalidInput for a cursor that it has not
    come to yet: what lies between would never be told.
    """
    await connection.execute("SELECT FROM webhook WHERE id = $1 FOR UPDATE", webhook_id)
    row = await _found(connection, webhook_id)
    if after > Cursor.parse(row.delivered_through):
        raise InvalidInput(message="The webhook has not come to this cursor yet.", path=("after",))
    await connection.execute(
        "DELETE FROM webhook_parked WHERE webhook_id = $1 AND (epoch, xid, id) > ($2, $3, $4)", webhook_id, *after
    )
    await connection.execute(
        "UPDATE webhook SET delivered_through = $2, missed_through = NULL, version = version + 1 WHERE id = $1",
        webhook_id,
        str(after),
    )
    return await _found(connection, webhook_id)


async def claim(connection: Connection, webhook_id: UUID) -> bool:
    """Say whether this connection now is the one whose process tells a webhook; it is until it ends, or releases it."""
    mine: bool = await connection.fetchval("SELECT pg_try_advisory_lock(hashtextextended($1, 0))", str(webhook_id))
    return mine


async def release(connection: Connection, webhook_id: UUID) -> None:
    """Leave a webhook to other processes."""
    await connection.execute("SELECT pg_advisory_unlock(hashtextextended($1, 0))", str(webhook_id))


async def _make(
    connection: Connection, url: str, kinds: Sequence[UpdateKind], *, active: bool, now: datetime
) -> WebhookRow:
    webhook_id = new_id(now)
    await connection.execute(
        """
        INSERT INTO webhook (id, url, kinds, active, secret, delivered_through, version)
        VALUES ($1, $2, $3, $4, $5, $6, 1)
        """,
        webhook_id,
        url,
        kinds,
        active,
        new_secret(),
        str((await standing(connection)).newest),
    )
    return await _found(connection, webhook_id)


async def _found(connection: Connection, webhook_id: UUID) -> WebhookRow:
    for row in await webhooks(connection, [webhook_id]):
        return row
    raise NotFound(message="There is no such webhook.", path=("id",))
