"""Before less is on hand than is reserved: lock all that may have to be routed anew, in the order of everybody."""

from collections.abc import Collection

from domain.inventory.levels import Key
from domain.transaction import Connection


async def foresee(connection: Connection, short: Collection[Key], others: Collection[Key] = ()) -> None:
    """Lock the orders with work at levels that will be short, then each level of their items, and `others`.

    Orders come first, and then all levels at once: who took one alone would take the others in no order.
    """
    if short:
        await connection.execute(_LOCK_ORDERS, *_columns(short))
        await connection.execute(_LOCK_LEVELS, *_columns(others), sorted({sku for sku, _ in short}))


async def lock_items(connection: Connection, skus: Collection[str]) -> None:
    """Lock each level of these items, for who has to look for them anywhere after changing some of their levels."""
    await connection.execute(_LOCK_LEVELS, [], [], sorted(set(skus)))


def _columns(keys: Collection[Key]) -> tuple[list[str], list[object]]:
    return [sku for sku, _ in keys], [location_id for _, location_id in keys]


_LOCK_ORDERS = """
SELECT FROM customer_order o
 WHERE o.id IN (SELECT a.order_id
                  FROM unnest($1::text[], $2::uuid[]) AS k(sku, location_id)
                  JOIN assignment_line l ON l.sku = k.sku
                  JOIN assignment a ON a.id = l.assignment_id AND a.location_id = k.location_id
                 WHERE a.status IN ('HELD', 'OFFERED', 'ACCEPTED', 'PICKING'))
 ORDER BY o.id FOR NO KEY UPDATE
"""
_LOCK_LEVELS = """
SELECT FROM stock s
 WHERE (s.sku, s.location_id) IN (SELECT * FROM unnest($1::text[], $2::uuid[])
                                   UNION
                                  SELECT k.sku, k.location_id FROM stock k WHERE k.sku = ANY ($3::text[]))
 ORDER BY s.sku COLLATE "C", s.location_id FOR UPDATE
"""
