"""Whether the books agree: stock with what holds it and comes, orders with work, parcels, returns."""

from domain.transaction import Connection

_LEVELS = """
WITH ledger AS (
    SELECT sku, location_id, sum(on_hand_delta) AS on_hand, sum(reserved_delta) AS reserved,
           -coalesce(sum(on_hand_delta) FILTER (WHERE reason = 'DAMAGED'), 0) AS damaged
      FROM (SELECT sku, location_id, reason, on_hand_delta, reserved_delta FROM stock_movement UNION ALL
            SELECT sku, location_id, reason, on_hand_delta, reserved_delta FROM counted_movement()) movement
     GROUP BY sku, location_id
), open AS (
    SELECT l.sku, a.location_id, l.quantity - l.short AS held, 0 AS expected
      FROM assignment a JOIN assignment_line l ON l.assignment_id = a.id
     WHERE a.status IN ('HELD', 'OFFERED', 'ACCEPTED', 'PICKING', 'PACKED', 'READY_FOR_PICKUP')
    UNION ALL
    SELECT l.sku, a.location_id, l.picked, 0
      FROM assignment a JOIN assignment_line l ON l.assignment_id = a.id
     WHERE a.status IN ('CANCELLED', 'NOT_COLLECTED') AND a.restocked_at IS NULL
    UNION ALL
    SELECT l.sku, l.location_id, l.quantity, 0
      FROM reservation r JOIN reservation_line l ON l.reservation_id = r.id
     WHERE r.status = 'OPEN'
    UNION ALL
    SELECT l.sku, t.from_location_id, l.quantity, 0
      FROM transfer t JOIN transfer_line l ON l.transfer_id = t.id
     WHERE t.status = 'REQUESTED'
    UNION ALL
    SELECT l.sku, t.to_location_id, 0, l.quantity
      FROM transfer t JOIN transfer_line l ON l.transfer_id = t.id
     WHERE t.status = 'IN_TRANSIT'
    UNION ALL
    SELECT sku, location_id, 0, quantity - received FROM receipt WHERE quantity > received
), due AS (
    SELECT sku, location_id, sum(held) AS held, sum(expected) AS expected FROM open GROUP BY sku, location_id
), level AS (
    SELECT sku, location_id, coalesce(s.on_hand, 0) AS on_hand, coalesce(s.reserved, 0) AS reserved,
           coalesce(s.safety_stock, 0) AS safety_stock, coalesce(s.incoming, 0) AS incoming,
           coalesce(s.damaged, 0) AS damaged, coalesce(g.on_hand, 0) AS ledger_on_hand,
           coalesce(g.reserved, 0) AS ledger_reserved, coalesce(g.damaged, 0) AS ledger_damaged,
           coalesce(d.held, 0) AS held, coalesce(d.expected, 0) AS expected
      FROM stock s FULL JOIN ledger g USING (sku, location_id) FULL JOIN due d USING (sku, location_id)
), finding AS (
    SELECT sku, location_id, unnest(ARRAY[
        CASE WHEN on_hand <> ledger_on_hand THEN format('%s on hand, the ledger says %s', on_hand, ledger_on_hand) END,
        CASE WHEN reserved <> ledger_reserved
             THEN format('%s reserved, the ledger says %s', reserved, ledger_reserved) END,
        CASE WHEN damaged <> ledger_damaged THEN format('%s damaged, the ledger says %s', damaged, ledger_damaged) END,
        CASE WHEN reserved <> held
             THEN format('%s reserved, open work, reservations and transfers hold %s', reserved, held) END,
        CASE WHEN incoming <> expected
             THEN format('%s incoming, receipts and transfers expect %s', incoming, expected) END,
        CASE WHEN least(on_hand, reserved, safety_stock, incoming, damaged) < 0
             THEN format('%s on hand, %s reserved, %s kept, %s incoming, %s damaged: one is negative',
                         on_hand, reserved, safety_stock, incoming, damaged) END,
        CASE WHEN NOT EXISTS (SELECT FROM item i WHERE i.sku = level.sku) THEN 'there is no such item' END,
        CASE WHEN NOT EXISTS (SELECT FROM location p WHERE p.id = location_id) THEN 'there is no such location' END
    ]) AS what FROM level
)
SELECT format('%s at %s: %s.', f.sku, coalesce(l.code, f.location_id::text), f.what)
  FROM finding f LEFT JOIN location l ON l.id = f.location_id
 WHERE f.what IS NOT NULL ORDER BY 1
"""

_ORDERS = """
WITH work AS (
    SELECT l.order_line_id, sum(l.quantity - l.short) AS quantity
      FROM assignment a JOIN assignment_line l ON l.assignment_id = a.id
     WHERE a.status IN ('HELD', 'OFFERED', 'ACCEPTED', 'PICKING', 'PACKED', 'READY_FOR_PICKUP')
     GROUP BY l.order_line_id
), coming AS (
    SELECT t.order_id, l.sku, sum(l.bound) AS quantity
      FROM transfer t JOIN transfer_line l ON l.transfer_id = t.id
     WHERE t.order_id IS NOT NULL AND t.status IN ('REQUESTED', 'IN_TRANSIT')
     GROUP BY t.order_id, l.sku
)
SELECT format('%s of order %s: %s ordered, but %s fulfilled, %s cancelled, %s backordered, %s in open work, '
              '%s to come.', l.sku, o.number, l.quantity, l.fulfilled, l.cancelled, l.backordered,
              coalesce(w.quantity, 0), coalesce(c.quantity, 0))
  FROM order_line l JOIN customer_order o ON o.id = l.order_id LEFT JOIN work w ON w.order_line_id = l.id
  LEFT JOIN coming c ON c.order_id = l.order_id AND c.sku = l.sku
 WHERE l.quantity <> l.fulfilled + l.cancelled + l.backordered + coalesce(w.quantity, 0) + coalesce(c.quantity, 0)
UNION ALL
SELECT format('%s of transfer %s: bound to an order that does not have it at that store.', l.sku, t.number)
  FROM transfer t JOIN transfer_line l ON l.transfer_id = t.id
 WHERE l.bound > 0
   AND NOT EXISTS (SELECT FROM customer_order o JOIN order_line w ON w.order_id = o.id
                    WHERE o.id = t.order_id AND o.pickup_location_id = t.to_location_id AND w.sku = l.sku)
UNION ALL
SELECT format('%s of transfer %s: of %s to send an order waits for %s.', l.sku, t.number, l.quantity, l.bound)
  FROM transfer t JOIN transfer_line l ON l.transfer_id = t.id
 WHERE t.order_id IS NOT NULL AND t.status = 'REQUESTED' AND l.bound <> l.quantity
ORDER BY 1
"""

_HOLDS = """
SELECT format('Assignment %s is %s, its order %s.', a.number, a.status, o.status)
  FROM assignment a JOIN customer_order o ON o.id = a.order_id
 WHERE (a.status = 'HELD') <> (o.status = 'ON_HOLD')
   AND a.status IN ('HELD', 'OFFERED', 'ACCEPTED', 'PICKING', 'PACKED', 'READY_FOR_PICKUP') ORDER BY 1
"""

# No foreign key holds the rows that placing writes together: docs/adr/0008.
_ORPHANS = """
SELECT format('A line of %s belongs to no order.', l.sku)
  FROM order_line l WHERE NOT EXISTS (SELECT FROM customer_order o WHERE o.id = l.order_id)
UNION ALL
SELECT format('Assignment %s belongs to no order.', a.number)
  FROM assignment a WHERE NOT EXISTS (SELECT FROM customer_order o WHERE o.id = a.order_id)
UNION ALL
SELECT format('Assignment %s is at no location.', a.number)
  FROM assignment a WHERE NOT EXISTS (SELECT FROM location p WHERE p.id = a.location_id)
UNION ALL
SELECT format('A line of %s to pick belongs to no assignment.', l.sku)
  FROM assignment_line l WHERE NOT EXISTS (SELECT FROM assignment a WHERE a.id = l.assignment_id)
UNION ALL
SELECT format('A line of %s to pick belongs to no line of an order.', l.sku)
  FROM assignment_line l WHERE NOT EXISTS (SELECT FROM order_line o WHERE o.id = l.order_line_id)
UNION ALL
SELECT format('Parcel %s belongs to no assignment.', s.number)
  FROM shipment s WHERE NOT EXISTS (SELECT FROM assignment a WHERE a.id = s.assignment_id)
UNION ALL
SELECT format('Return %s belongs to no order.', r.number)
  FROM customer_return r
 WHERE r.order_id IS NOT NULL AND NOT EXISTS (SELECT FROM customer_order o WHERE o.id = r.order_id)
UNION ALL
SELECT format('Order %s is to be collected at no location.', o.number)
  FROM customer_order o
 WHERE o.pickup_location_id IS NOT NULL AND NOT EXISTS (SELECT FROM location p WHERE p.id = o.pickup_location_id)
ORDER BY 1
"""

_PARCELS = """
WITH shipped AS (
    SELECT s.assignment_id, l.order_line_id, sum(l.quantity) AS quantity
      FROM shipment s JOIN shipment_line l ON l.shipment_id = s.id
     WHERE s.status <> 'CANCELLED'
     GROUP BY s.assignment_id, l.order_line_id
)
SELECT format('%s of assignment %s: %s picked, but its parcels hold %s.',
              l.sku, a.number, l.picked, coalesce(p.quantity, 0))
  FROM assignment a JOIN assignment_line l ON l.assignment_id = a.id
  LEFT JOIN shipped p ON p.assignment_id = a.id AND p.order_line_id = l.order_line_id
 WHERE a.status IN ('PACKED', 'HANDED_OVER') AND EXISTS (SELECT FROM shipment s WHERE s.assignment_id = a.id)
   AND l.picked <> coalesce(p.quantity, 0) ORDER BY 1
"""

_CAPACITY = """
WITH work AS (
    SELECT a.location_id, a.work_day AS day, count(DISTINCT a.id) AS orders, sum(l.quantity) AS units
      FROM assignment a JOIN assignment_line l ON l.assignment_id = a.id
     WHERE a.work_day IS NOT NULL AND a.status NOT IN ('REJECTED', 'EXPIRED', 'CANCELLED')
     GROUP BY a.location_id, a.work_day
), day AS (
    SELECT location_id, day, coalesce(c.orders, 0) AS orders, coalesce(c.units, 0) AS units,
           coalesce(w.orders, 0) AS orders_taken, coalesce(w.units, 0) AS units_taken
      FROM committed_work c FULL JOIN work w USING (location_id, day)
)
SELECT format('%s on %s: %s orders and %s units committed, its work comes to %s and %s.',
              coalesce(l.code, d.location_id::text), d.day, d.orders, d.units, d.orders_taken, d.units_taken)
  FROM day d LEFT JOIN location l ON l.id = d.location_id
 WHERE (d.orders, d.units) <> (d.orders_taken, d.units_taken) ORDER BY 1
"""

# What could not be delivered comes back, too, but was no shopper's: it counts as returned nowhere.
_RETURNS = """
WITH back AS (
    SELECT b.order_line_id, sum(b.quantity) FILTER (WHERE r.status IN ('RECEIVED', 'INSPECTED', 'CLOSED')) AS returned,
           sum(b.quantity) FILTER (WHERE r.status NOT IN ('DECLINED', 'CANCELLED')) AS announced,
           sum(b.refund) AS refund
      FROM return_line b JOIN customer_return r ON r.id = b.return_id
     WHERE b.order_line_id IS NOT NULL AND r.shipment_id IS NULL
     GROUP BY b.order_line_id
), line AS (
    SELECT l.*, coalesce(b.returned, 0) AS came, coalesce(b.announced, 0) AS announced, coalesce(b.refund, 0) AS refund
      FROM order_line l LEFT JOIN back b ON b.order_line_id = l.id
     WHERE l.returned > 0 OR b.order_line_id IS NOT NULL
), finding AS (
    SELECT order_id, sku, unnest(ARRAY[
        CASE WHEN returned <> came THEN format('%s returned, its returns come to %s', returned, came) END,
        CASE WHEN announced > fulfilled
             THEN format('%s returned or announced of %s fulfilled', announced, fulfilled) END,
        CASE WHEN refund > returned * unit_price
             THEN format('%s refunded of %s paid', refund, returned * unit_price) END
    ]) AS what FROM line
)
SELECT format('%s of order %s: %s.', f.sku, o.number, f.what)
  FROM finding f JOIN customer_order o ON o.id = f.order_id WHERE f.what IS NOT NULL
UNION ALL
SELECT format('Return %s is %s: %s of %s lines inspected, %s refunded, received at %s.',
              r.number, r.status, b.inspected, b.lines, b.refund, coalesce(p.code, 'no location'))
  FROM customer_return r LEFT JOIN location p ON p.id = r.received_location_id
 CROSS JOIN LATERAL (SELECT count(*) AS lines, count(condition) AS inspected, coalesce(sum(refund), 0) AS refund,
                            count(*) FILTER (WHERE (disposition IS NULL) <> (condition IS NULL)
                                             OR coalesce(disposition = 'TRANSFER', false) <> (transfer_id IS NOT NULL)
                                             OR condition IS NULL AND refund <> 0) AS odd
                       FROM return_line l WHERE l.return_id = r.id) b
 WHERE b.odd > 0 OR b.lines = 0 OR (p.id IS NOT NULL) <> (r.status IN ('RECEIVED', 'INSPECTED', 'CLOSED'))
    OR CASE WHEN r.status IN ('INSPECTED', 'CLOSED') THEN b.inspected < b.lines
            WHEN r.status = 'RECEIVED' THEN b.inspected = b.lines ELSE b.inspected > 0 END
UNION ALL
SELECT format('%s of order %s: %s inspected, the ledger says %s came back.', c.sku, o.number, seen, booked)
  FROM (SELECT order_id, sku, coalesce(r.units, 0) AS seen, coalesce(m.units, 0) AS booked
          FROM (SELECT r.order_id, l.sku, sum(l.quantity) AS units
                  FROM return_line l JOIN customer_return r ON r.id = l.return_id
                 WHERE l.condition IS NOT NULL AND r.order_id IS NOT NULL GROUP BY 1, 2) r
          FULL JOIN (SELECT order_id, sku, sum(on_hand_delta) AS units FROM stock_movement
                      WHERE reason = 'RETURNED' AND order_id IS NOT NULL GROUP BY 1, 2) m USING (order_id, sku)) c
  LEFT JOIN customer_order o ON o.id = c.order_id
 WHERE seen <> booked
ORDER BY 1
"""


async def check(connection: Connection) -> list[str]:
    """Return a sentence for each level, order's line and day's work that disagrees with the rest of the books.

    It reads everything as of one moment; under load that takes its time but stops nobody.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        return [
            row[0]
            for statement in (_LEVELS, _ORDERS, _HOLDS, _CAPACITY, _ORPHANS, _PARCELS, _RETURNS)
            for row in await connection.fetch(statement)
        ]
