-- Places a batch of planned orders: each whole, with its reservation, ledger and feed rows, or not at all.
--
-- Locks are taken in one order by everybody: idempotency keys sorted, stock rows sorted, order numbers sorted. Where
-- not everybody can have of a level what they want, first come is first served, in the order of the batch. The verdict of each order is
-- PLACED; REPLAYED (its key was used before: read `idempotency`); OUT_OF_STOCK, with the pairs that ran out; or
-- NUMBER_TAKEN; or RESERVATION_EXPIRED. An order from a reservation takes over what that holds, and exactly once. A level
-- at a location that takes no work counts as empty, and a channel does not get what is held back from it.
CREATE FUNCTION place_orders(
    batch jsonb, -- {keys, reservations, orders, lines, assignments, assignmentLines, entries, facts}: lists of rows
    at timestamptz,
    remembered interval
) RETURNS TABLE (order_id uuid, verdict text, short jsonb, made customer_order) LANGUAGE plpgsql
-- A connection keeps its plans, also those that it made when tables were small: none may be to read a whole table.
SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    entered uuid[];
    fresh uuid[];
    holders uuid[]; -- whose reservation holds what they want
    placed uuid[];
    orders customer_order[];
    failed uuid[] := '{}';
    remaining jsonb;
    one record;
    lacking jsonb;
BEGIN
    WITH known AS (
        INSERT INTO idempotency (scope, key, input_hash, result, created_at)
        SELECT 'placeOrder', k.key, decode(k.hash, 'hex'), k.order_id, at
          FROM jsonb_to_recordset(batch -> 'keys') AS k(key text, hash text, order_id text)
         ORDER BY k.key COLLATE "C"
        ON CONFLICT (scope, key) DO UPDATE
           SET input_hash = excluded.input_hash, result = excluded.result, created_at = excluded.created_at
         WHERE idempotency.created_at < at - remembered
        RETURNING result::uuid
    )
    SELECT coalesce(array_agg(known.result), '{}') INTO entered FROM known;

    -- Without those whose number is taken; who takes it between here and the insert is found there.
    SELECT coalesce(array_agg(o.id), '{}') INTO fresh
      FROM (SELECT (o.one ->> 'id')::uuid AS id, o.one ->> 'number' AS number,
                   row_number() OVER (PARTITION BY o.one ->> 'number' ORDER BY o.n) AS nth
              FROM jsonb_array_elements(batch -> 'orders') WITH ORDINALITY AS o(one, n)
             WHERE (o.one ->> 'id')::uuid = ANY (entered)) o
     WHERE o.number IS NULL
        OR (o.nth = 1 AND NOT EXISTS (SELECT FROM customer_order c WHERE c.number = o.number));

    WITH claimed AS (
        UPDATE reservation r SET status = 'PLACED', order_id = c.order_id
          FROM jsonb_to_recordset(batch -> 'reservations') AS c(order_id uuid, reservation_id uuid)
         WHERE r.id = c.reservation_id AND c.order_id = ANY (fresh) AND r.status = 'OPEN' AND r.expires_at > at
        RETURNING r.order_id
    )
    SELECT coalesce(array_agg(claimed.order_id), '{}') INTO holders FROM claimed;

    FOR one IN
        SELECT c.order_id FROM jsonb_to_recordset(batch -> 'reservations') AS c(order_id uuid)
         WHERE c.order_id = ANY (fresh) AND c.order_id <> ALL (holders)
    LOOP
        failed := failed || one.order_id;
        RETURN QUERY SELECT one.order_id, 'RESERVATION_EXPIRED', NULL::jsonb, NULL::customer_order;
    END LOOP;

    -- Locks the levels; what is left of those on which not everybody can be served, null where everybody can.
    WITH wanted AS (
        SELECT w.sku, w.location_id, sum(w.quantity) + max(held_back(w.channel, w.sku, w.location_id)) AS quantity
          FROM jsonb_to_recordset(batch -> 'assignmentLines')
               AS w(order_id uuid, channel text, sku text, location_id uuid, quantity int)
         WHERE w.order_id = ANY (fresh) AND w.order_id <> ALL (holders) AND w.order_id <> ALL (failed)
         GROUP BY w.sku, w.location_id
    ), locked AS (
        SELECT s.sku, s.location_id, s.on_hand - s.reserved - s.safety_stock AS available
          FROM wanted w JOIN stock s ON s.sku = w.sku AND s.location_id = w.location_id
         ORDER BY s.sku COLLATE "C", s.location_id
           FOR NO KEY UPDATE OF s
    )
    SELECT jsonb_object_agg(level.pair, level.available) INTO remaining
      FROM (SELECT w.sku || ' ' || w.location_id AS pair, w.quantity,
                   greatest(CASE WHEN l.status = 'ACTIVE' THEN s.available END, 0) AS available
              FROM wanted w
              LEFT JOIN locked s ON s.sku = w.sku AND s.location_id = w.location_id
              LEFT JOIN location l ON l.id = w.location_id) level
     WHERE level.quantity > level.available;

    IF remaining IS NOT NULL THEN
        FOR one IN
            SELECT w.order_id, jsonb_agg(jsonb_build_object('pair', w.sku || ' ' || w.location_id, 'sku', w.sku,
                       'location_id', w.location_id, 'quantity', w.quantity,
                       'kept', held_back(w.channel, w.sku, w.location_id))) AS wants
              FROM ROWS FROM (jsonb_to_recordset(batch -> 'assignmentLines')
                   AS (order_id uuid, channel text, sku text, location_id uuid, quantity int)) WITH ORDINALITY
                   AS w(order_id, channel, sku, location_id, quantity, n)
             WHERE w.order_id = ANY (fresh) AND w.order_id <> ALL (holders) AND w.order_id <> ALL (failed)
               AND remaining ? (w.sku || ' ' || w.location_id)
             GROUP BY w.order_id
             ORDER BY min(w.n)
        LOOP
            SELECT jsonb_agg(jsonb_build_array(w.sku, w.location_id)) INTO lacking
              FROM jsonb_to_recordset(one.wants) AS w(pair text, sku text, location_id uuid, quantity int, kept int)
             WHERE w.quantity + w.kept > (remaining ->> w.pair)::int;
            IF lacking IS NULL THEN
                SELECT remaining || jsonb_object_agg(w.pair, (remaining ->> w.pair)::int - w.quantity) INTO remaining
                  FROM jsonb_to_recordset(one.wants) AS w(pair text, quantity int);
            ELSE
                failed := failed || one.order_id;
                RETURN QUERY SELECT one.order_id, 'OUT_OF_STOCK', lacking, NULL::customer_order;
            END IF;
        END LOOP;
    END IF;

    WITH made AS (
        INSERT INTO customer_order (
            id, number, status, channel, method, level, tags, placed_at, updated_at, promised_earliest, promised_latest,
            customer_name, customer_email, customer_phone, ship_to, pickup_location_id, pickup_code, currency,
            shipping_price, total, version, allow_backorder)
        SELECT o.id, coalesce(o.number, 'CD' || nextval('order_number')), o.status, o.channel, o.method, o.level, o.tags,
               o.placed_at, o.updated_at, o.promised_earliest, o.promised_latest, o.customer_name, o.customer_email,
               o.customer_phone, o.ship_to, o.pickup_location_id, o.pickup_code, o.currency, o.shipping_price, o.total,
               o.version, o.allow_backorder
          FROM jsonb_populate_recordset(NULL::customer_order, batch -> 'orders') AS o
         WHERE o.id = ANY (fresh) AND o.id <> ALL (failed)
         ORDER BY o.number COLLATE "C"
        ON CONFLICT (number) DO NOTHING
        RETURNING customer_order
    )
    SELECT coalesce(array_agg((m.customer_order).id), '{}'), array_agg(m.customer_order) INTO placed, orders FROM made m;

    DELETE FROM idempotency
     WHERE scope = 'placeOrder'
       AND key = ANY (ARRAY(SELECT k.key FROM jsonb_to_recordset(batch -> 'keys') AS k(key text, order_id uuid)
                             WHERE k.order_id = ANY (entered) AND k.order_id <> ALL (placed)));

    UPDATE reservation r SET status = 'OPEN', order_id = NULL
     WHERE r.order_id = ANY (holders) AND r.order_id <> ALL (placed);

    INSERT INTO order_line (id, order_id, position, sku, quantity, unit_price, backordered)
    SELECT l.id, l.order_id, l.position, l.sku, l.quantity, l.unit_price, l.backordered
      FROM jsonb_to_recordset(batch -> 'lines')
           AS l(id uuid, order_id uuid, position int, sku text, quantity int, unit_price bigint, backordered int)
     WHERE l.order_id = ANY (placed);

    -- Who waits is tried at once: what one location lacked, two may have together.
    INSERT INTO timer (kind, key, due_at)
    SELECT DISTINCT 'backorders', l.sku || chr(31) || pg_current_xact_id()::text, at
      FROM order_line l WHERE l.order_id = ANY (placed) AND l.backordered > 0
    ON CONFLICT (kind, key) DO NOTHING;

    PERFORM offer_assignments(batch -> 'assignments', batch -> 'assignmentLines', placed);

    INSERT INTO timeline (order_id, at, kind, message, actor, location_id)
    SELECT e.order_id, e.at, e.kind, e.message, e.actor, e.location_id
      FROM ROWS FROM (jsonb_to_recordset(batch -> 'entries')
           AS (order_id uuid, at timestamptz, kind text, message text, actor text, location_id uuid)) WITH ORDINALITY
           AS e(order_id, at, kind, message, actor, location_id, n)
     WHERE e.order_id = ANY (placed)
     ORDER BY e.n;

    INSERT INTO stock_movement (sku, location_id, reason, on_hand_delta, reserved_delta, order_id, occurred_at, note)
    SELECT l.sku, l.location_id, 'RELEASED', 0, -l.quantity, r.order_id, at, 'From the reservation to the order.'
      FROM reservation r JOIN reservation_line l ON l.reservation_id = r.id
     WHERE r.order_id = ANY (holders) AND r.order_id = ANY (placed);

    -- An entry has the id of the line that it reserves for: ids that grow with time fill an index page by page.
    INSERT INTO stock_movement (id, sku, location_id, reason, on_hand_delta, reserved_delta, order_id, occurred_at)
    SELECT w.id, w.sku, w.location_id, 'RESERVED', 0, w.quantity, w.order_id, at
      FROM jsonb_to_recordset(batch -> 'assignmentLines')
           AS w(id uuid, order_id uuid, sku text, location_id uuid, quantity int)
     WHERE w.order_id = ANY (placed);

    INSERT INTO feed (epoch, kind, keys, payload, at)
    SELECT e.epoch, f.kind, f.keys, f.payload, f.at
      FROM ROWS FROM (jsonb_to_recordset(batch -> 'facts')
           AS (kind text, keys jsonb, payload jsonb, at timestamptz)) WITH ORDINALITY
           AS f(kind, keys, payload, at, n), feed_epoch e
     WHERE (f.keys ->> 'order')::uuid = ANY (placed)
     ORDER BY f.n;

    WITH changed AS (
        UPDATE stock s
           SET reserved = s.reserved + w.quantity, version = s.version + 1, updated_at = at
          FROM (SELECT w.sku, w.location_id, sum(w.quantity) AS quantity
                  FROM jsonb_to_recordset(batch -> 'assignmentLines')
                       AS w(order_id uuid, sku text, location_id uuid, quantity int)
                 WHERE w.order_id = ANY (placed) AND w.order_id <> ALL (holders)
                 GROUP BY w.sku, w.location_id) w
         WHERE s.sku = w.sku AND s.location_id = w.location_id
        RETURNING s.sku, s.location_id, s.on_hand, s.reserved, s.safety_stock
    )
    INSERT INTO feed (epoch, kind, keys, payload, at)
    SELECT e.epoch, 'STOCK_CHANGED',
           jsonb_build_object('sku', c.sku, 'locations', jsonb_build_array(c.location_id)),
           jsonb_build_object('quantities', jsonb_build_array(
               c.on_hand, c.reserved, greatest(c.on_hand - c.reserved - c.safety_stock, 0))),
           at
      FROM changed c, feed_epoch e
     ORDER BY c.sku COLLATE "C", c.location_id;

    -- A count may have found less than the reservation held: now that it is work, the latest promise gives way.
    INSERT INTO timer (kind, key, due_at)
    SELECT DISTINCT 'shortage', concat_ws(chr(31), w.sku, w.location_id, pg_current_xact_id()), at
      FROM jsonb_to_recordset(batch -> 'assignmentLines') AS w(order_id uuid, sku text, location_id uuid)
      JOIN stock s ON s.sku = w.sku AND s.location_id = w.location_id AND s.reserved > s.on_hand
     WHERE w.order_id = ANY (placed) AND w.order_id = ANY (holders)
    ON CONFLICT (kind, key) DO NOTHING;

    RETURN QUERY
    SELECT k.order_id,
           CASE WHEN k.order_id = ANY (placed) THEN 'PLACED'
                WHEN k.order_id = ANY (entered) THEN 'NUMBER_TAKEN'
                ELSE 'REPLAYED' END,
           NULL::jsonb,
           o
      FROM jsonb_to_recordset(batch -> 'keys') AS k(order_id uuid) LEFT JOIN unnest(orders) AS o ON o.id = k.order_id
     WHERE k.order_id <> ALL (failed);
END
$$;
