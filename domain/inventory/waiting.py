"""Waking those who wait for stock: whoever raises what is available of an item does so in the same transaction."""

from collections.abc import Collection
from datetime import datetime

from domain.transaction import Connection

TIMER = "backorders"
SEPARATOR = "\x1f"


async def wake(connection: Connection, skus: Collection[str], *, now: datetime) -> None:
    """Set a timer for each SKU that somebody waits for.

    Each transaction sets its own, so that none waits for another, nor for the handler of an earlier one.
    """
    if skus:
        await connection.execute(
            """
            INSERT INTO timer (kind, key, due_at)
            SELECT $1, sku || $2 || pg_current_xact_id()::text, $4 FROM unnest($3::text[]) AS w(sku)
             WHERE EXISTS (SELECT FROM order_line l WHERE l.sku = w.sku AND l.backordered > 0)
            ON CONFLICT (kind, key) DO NOTHING
            """,
            TIMER,
            SEPARATOR,
            sorted(set(skus)),
            now,
        )
