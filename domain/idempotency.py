"""Keys under which a call that is repeated answers what it answered first."""

import hashlib
from datetime import datetime, timedelta
from functools import partial

import orjson

from domain.errors import IdempotencyConflict
from domain.text import check_text
from domain.timers import Handler, set_timer
from domain.transaction import Connection

LONGEST_KEY = 255
FORGET_EVERY = timedelta(hours=1)
FORGET_AT_ONCE = 10_000
TIMER = "idempotency"


async def answered(connection: Connection, scope: str, key: str, said: object, result: object, *, now: datetime) -> str:
    """Take a key for what was said, in the caller's transaction; return the key's first result: `result`, or another.

    `said` is the input, as JSON can hold it; a call with the same key that is under way is waited for. Raises
    InvalidInput for an unusable key and IdempotencyConflict where the key was used with another input.
    """
    check_text(key, path=("idempotencyKey",), longest=LONGEST_KEY)
    digest = hashlib.sha256(orjson.dumps(said, default=str)).digest()
    first = await connection.fetchval(
        """
        INSERT INTO idempotency (scope, key, input_hash, result, created_at) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (scope, key) DO NOTHING RETURNING result
        """,
        scope,
        key,
        digest,
        str(result),
        now,
    )
    if first is not None:
        return str(first)
    known = await connection.fetchrow(
        "SELECT input_hash, result FROM idempotency WHERE scope = $1 AND key = $2", scope, key
    )
    if known["input_hash"] != digest:
        message = "This key was used before, with another input."
        raise IdempotencyConflict(message=message, path=("idempotencyKey",))
    return str(known["result"])


async def forget(connection: Connection, scope: str, key: str) -> None:
    """Give back a key of the caller's transaction that came to nothing."""
    await connection.execute("DELETE FROM idempotency WHERE scope = $1 AND key = $2", scope, key)


def forgetting(remembered: timedelta) -> Handler:
    """Return what forgets, hour by hour, the keys that are older than `remembered`."""
    return partial(_forget, remembered)


async def _forget(remembered: timedelta, connection: Connection, key: str, now: datetime) -> None:
    status: str = await connection.execute(
        """
        DELETE FROM idempotency WHERE (scope, key) IN (
            SELECT scope, key FROM idempotency WHERE created_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED
        )
        """,
        now - remembered,
        FORGET_AT_ONCE,
    )
    more = int(status.rsplit(maxsplit=1)[-1]) == FORGET_AT_ONCE
    await set_timer(connection, TIMER, key, now if more else now + FORGET_EVERY)
