"""When more of an item comes."""

from collections.abc import Collection
from datetime import datetime

from domain.transaction import Connection, Row


class ArrivalRow(Row):
    """When the next units of an item are expected at any location."""

    sku: str
    expected_at: datetime


async def arrivals(connection: Connection, skus: Collection[str]) -> list[ArrivalRow]:
    """Return when more of these items is expected, from suppliers or by transfer; nothing for an item that is not."""
    rows: list[ArrivalRow] = await connection.fetch(
        """
        SELECT sku, min(expected_at) AS expected_at
          FROM (SELECT sku, expected_at FROM receipt WHERE sku = ANY ($1::text[]) AND received < quantity
                 UNION ALL
                SELECT l.sku, t.expected_at FROM transfer_line l JOIN transfer t ON t.id = l.transfer_id
                 WHERE l.sku = ANY ($1::text[]) AND t.status = 'IN_TRANSIT' AND l.quantity > l.bound
           AND t.expected_at IS NOT NULL) coming
         GROUP BY sku
        """,
        list(skus),
        record_class=ArrivalRow,
    )
    return rows
