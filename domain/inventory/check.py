"""Whether the stock agrees with its ledger and with what holds it."""

from domain.transaction import Connection

_FINDINGS = """
WITH ledger AS (
    SELECT sku, location_id, sum(on_hand_delta) AS on_hand, sum(reserved_delta) AS reserved
      FROM stock_movement GROUP BY sku, location_id
), holder AS (
    SELECT l.sku, a.location_id, l.quantity - l.short AS quantity
      FROM assignment a JOIN assignment_line l ON l.assignment_id = a.id
     WHERE a.status IN ('OFFERED', 'ACCEPTED', 'PICKING', 'PACKED', 'READY_FOR_PICKUP')
    UNION ALL
    SELECT l.sku, l.location_id, l.quantity
      FROM reservation r JOIN reservation_line l ON l.reservation_id = r.id
     WHERE r.status = 'OPEN'
), held AS (
    SELECT sku, location_id, sum(quantity) AS reserved FROM holder GROUP BY sku, location_id
), level AS (
    SELECT sku, location_id, coalesce(s.on_hand, 0) AS on_hand, coalesce(s.reserved, 0) AS reserved,
           coalesce(s.safety_stock, 0) AS safety_stock,
           coalesce(g.on_hand, 0) AS ledger_on_hand, coalesce(g.reserved, 0) AS ledger_reserved,
           coalesce(h.reserved, 0) AS held
      FROM stock s FULL JOIN ledger g USING (sku, location_id) FULL JOIN held h USING (sku, location_id)
), finding AS (
    SELECT sku, location_id, unnest(ARRAY[
        CASE WHEN on_hand <> ledger_on_hand THEN format('%s on hand, the ledger says %s', on_hand, ledger_on_hand) END,
        CASE WHEN reserved <> ledger_reserved
             THEN format('%s reserved, the ledger says %s', reserved, ledger_reserved) END,
        CASE WHEN reserved <> held THEN format('%s reserved, open work and reservations hold %s', reserved, held) END,
        CASE WHEN least(on_hand, reserved, safety_stock) < 0
             THEN format('%s on hand, %s reserved, %s kept: one is negative', on_hand, reserved, safety_stock) END,
        CASE WHEN NOT EXISTS (SELECT FROM item i WHERE i.sku = level.sku) THEN 'there is no such item' END,
        CASE WHEN NOT EXISTS (SELECT FROM location p WHERE p.id = location_id) THEN 'there is no such location' END
    ]) AS what FROM level
)
SELECT format('%s at %s: %s.', f.sku, coalesce(l.code, f.location_id::text), f.what)
  FROM finding f LEFT JOIN location l ON l.id = f.location_id
 WHERE f.what IS NOT NULL ORDER BY 1
"""


async def check(connection: Connection) -> list[str]:
    """Return a sentence for each level that disagrees with its ledger or with what holds it, or is negative.

    It reads everything at one moment; under load that takes its time but stops nobody.
    """
    return [row[0] for row in await connection.fetch(_FINDINGS)]
