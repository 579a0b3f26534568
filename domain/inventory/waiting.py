"""Waking those who wait for stock: whoever raises what is available of an item does so in the same transaction."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain.ids import least_id
from domain.transaction import Connection

TIMER = "backorders"
AGAIN = "backorders_again"
SEPARATOR = "\x1f"
LOOK_AGAIN = timedelta(seconds=30)
"""Longer than any two transactions overlap."""


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


async def wake_together(connection: Connection, skus: Collection[str], *, due_at: datetime) -> None:
    """Set a timer for each SKU at about `due_at`, one for all who want it within the same LOOK_AGAIN.

    It sees to all who wait: were there one for each of them, and each set its own again, there would be ever more.
    """
    turn = due_at.timestamp() // LOOK_AGAIN.total_seconds()
    await connection.execute(
        """
        INSERT INTO timer (kind, key, due_at)
        SELECT $1, concat_ws($2, sku, $4::text), $5 FROM unnest($3::text[]) AS w(sku)
        ON CONFLICT (kind, key) DO NOTHING
        """,
        TIMER,
        SEPARATOR,
        sorted(set(skus)),
        f"{turn:.0f}",
        datetime.fromtimestamp(turn * LOOK_AGAIN.total_seconds(), UTC),
    )


async def look_again(connection: Connection, skus: Collection[str], order_id: UUID, *, now: datetime) -> None:
    """Set a timer for each SKU that an order begins to wait for.

    Who raises it at the same time sees nobody wait, and whoever sought it for the order did not see that.
    """
    if skus:
        await connection.execute(
            """
            INSERT INTO timer (kind, key, due_at)
            SELECT $1, concat_ws($2, sku, $4::text, $5::text), $6 FROM unnest($3::text[]) AS w(sku)
            ON CONFLICT (kind, key) DO NOTHING
            """,
            AGAIN,
            SEPARATOR,
            sorted(skus),
            str(order_id),
            now.isoformat(),
            now + LOOK_AGAIN,
        )


async def wake_again(connection: Connection, key: str, now: datetime) -> None:
    """See to such a timer: wake those who wait if about then more came to where the order had not been."""
    sku, order_id, moment = key.split(SEPARATOR)
    since = least_id(datetime.fromisoformat(moment) - LOOK_AGAIN)
    if await connection.fetchval(_CAME, sku, UUID(order_id), since):
        await wake_together(connection, [sku], due_at=now)


_CAME = """
SELECT EXISTS (
    SELECT FROM stock s JOIN stock_movement m USING (sku, location_id)
     WHERE s.sku = $1 AND m.id >= $3 AND m.on_hand_delta > m.reserved_delta
       AND s.location_id NOT IN (SELECT a.location_id FROM assignment a WHERE a.order_id = $2)
) OR EXISTS (
    SELECT FROM counted_movement() m
     WHERE m.of_skus @> ARRAY[$1::text] AND m.run_id >= $3 AND m.sku = $1 AND m.on_hand_delta > 0
       AND m.location_id NOT IN (SELECT a.location_id FROM assignment a WHERE a.order_id = $2))
"""
