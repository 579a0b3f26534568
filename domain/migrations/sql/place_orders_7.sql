-- Places a batch of planned orders: each whole, with its reservation, ledger, decision and feed rows, or not at all.
--
-- Locks are taken in one order by everybody: idempotency keys, stock rows, days of committed work and order numbers,
-- each sorted. Nearly always all can have what they want, and their stock is taken in one step; where not everybody can
-- have of a level what they want, first come is first served, in the order of the batch. The verdict of each order is
-- PLACED; REPLAYED (its key was used before: read `idempotency`); OUT_OF_STOCK, with the pairs that ran out; NO_CAPACITY
-- (a location has its hands full on that day); NUMBER_TAKEN; or RESERVATION_EXPIRED. An order from a reservation takes
-- over what that holds, and exactly once.
-- A level at a location that takes no work counts as empty, and a channel does not get what is held back from it.
CREATE FUNCTION place_orders(
    orders new_order[],
    lines new_order_line[],
    assignments new_assignment[],
    shares new_assignment_line[],
    entries new_timeline[],
    facts new_feed[],
    decisions new_routing_decision[],
    at timestamptz,
    remembered interval
) RETURNS TABLE (order_id uuid, verdict text, short jsonb, made customer_order) LANGUAGE plpgsql
-- A connection keeps its plans, also those that it made when tables were small: none may be to read a whole table.
SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    entered uuid[];
    fresh uuid[];
    holders uuid[] := '{}'; -- whose reservation holds what they want
    placed uuid[];
    written customer_order[];
    failed uuid[] := '{}';
    takers uuid[]; -- who takes from what is available
    changed stock[]; -- levels as they are now; null until stock was taken
    remaining jsonb;
    one record;
    lacking jsonb;
    counted boolean := EXISTS (SELECT FROM unnest(assignments) a WHERE a.work_day IS NOT NULL);
    days jsonb; -- how much each has been given so far
BEGIN
    WITH known AS (
        INSERT INTO idempotency (scope, key, input_hash, result, created_at)
        SELECT 'placeOrder', o.key, o.input_hash, o.id::text, at FROM unnest(orders) o ORDER BY o.key COLLATE "C"
        ON CONFLICT (scope, key) DO UPDATE
           SET input_hash = excluded.input_hash, result = excluded.result, created_at = excluded.created_at
         WHERE idempotency.created_at < at - remembered
        RETURNING result::uuid
    )
    SELECT coalesce(array_agg(known.result), '{}') INTO entered FROM known;

    -- Without those whose number is taken; who takes it between here and the insert is found there.
    SELECT coalesce(array_agg(o.id), '{}') INTO fresh
      FROM (SELECT o.id, o.number, row_number() OVER (PARTITION BY o.number ORDER BY o.ordinality) AS nth
              FROM unnest(orders) WITH ORDINALITY o WHERE o.id = ANY (entered)) o
     WHERE o.number IS NULL
        OR (o.nth = 1 AND NOT EXISTS (SELECT FROM customer_order c WHERE c.number = o.number));

    IF EXISTS (SELECT FROM unnest(orders) o WHERE o.reservation_id IS NOT NULL) THEN
        WITH claimed AS (
            UPDATE reservation r SET status = 'PLACED', order_id = o.id
              FROM unnest(orders) o
             WHERE r.id = o.reservation_id AND o.id = ANY (fresh) AND r.status = 'OPEN' AND r.expires_at > at
            RETURNING r.order_id
        )
        SELECT coalesce(array_agg(claimed.order_id), '{}') INTO holders FROM claimed;

        FOR one IN
            SELECT o.id FROM unnest(orders) o
             WHERE o.reservation_id IS NOT NULL AND o.id = ANY (fresh) AND o.id <> ALL (holders)
        LOOP
            failed := failed || one.id;
            RETURN QUERY SELECT one.id, 'RESERVATION_EXPIRED', NULL::jsonb, NULL::customer_order;
        END LOOP;
    END IF;

    takers := ARRAY(SELECT f FROM unnest(fresh) f WHERE f <> ALL (holders) AND f <> ALL (failed));
    BEGIN
        changed := take_stock(shares, takers, at);
    EXCEPTION WHEN SQLSTATE 'CD001' THEN
        -- Locks the levels; what is left of those on which not everybody can be served, null where by now everybody can.
        WITH wanted AS (
            SELECT w.sku, w.location_id, sum(w.quantity) + max(held_back(w.channel, w.sku, w.location_id)) AS quantity
              FROM unnest(shares) w WHERE w.order_id = ANY (takers) GROUP BY w.sku, w.location_id
        ), locked AS (
            SELECT s.sku, s.location_id, w.quantity, s.on_hand - s.reserved - s.safety_stock AS available
              FROM wanted w JOIN stock s ON s.sku = w.sku AND s.location_id = w.location_id
             ORDER BY s.sku COLLATE "C", s.location_id
               FOR NO KEY UPDATE OF s
        ), level AS (
            SELECT s.sku || ' ' || s.location_id AS pair, s.quantity,
                   CASE WHEN l.status = 'ACTIVE' THEN greatest(s.available, 0) ELSE 0 END AS available
              FROM locked s JOIN location l ON l.id = s.location_id
        )
        SELECT CASE WHEN count(*) = (SELECT count(*) FROM wanted)
                    THEN jsonb_object_agg(pair, available) FILTER (WHERE quantity > available)
                    ELSE (SELECT jsonb_object_agg(w.sku || ' ' || w.location_id, 0) FROM wanted w) -- some do not exist
                         || coalesce(jsonb_object_agg(pair, available), '{}') END
          INTO remaining FROM level;
    END;

    -- Locks the days. What a reservation holds is placed even where its day has filled up since.
    IF counted THEN
        WITH day AS (
            INSERT INTO committed_work AS c (day, location_id, orders, units)
            SELECT DISTINCT a.work_day, a.location_id, 0, 0
              FROM unnest(assignments) a
             WHERE a.work_day IS NOT NULL AND a.order_id = ANY (fresh) AND a.order_id <> ALL (failed)
             ORDER BY 1, 2
            ON CONFLICT (day, location_id) DO UPDATE SET orders = c.orders
            RETURNING c.*
        )
        SELECT jsonb_object_agg(d.location_id || ' ' || d.day, jsonb_build_object(
                   'orders', d.orders, 'units', d.units, 'most_orders', most.orders, 'most_units', most.units))
          INTO days FROM day d LEFT JOIN LATERAL day_limit(d.location_id, d.day) most ON true;

        FOR one IN
            SELECT w.order_id, jsonb_agg(jsonb_build_object('day', w.day, 'orders', w.orders, 'units', w.units)) AS wants
              FROM (SELECT a.order_id, a.location_id || ' ' || a.work_day AS day, min(a.ordinality) AS place,
                           count(DISTINCT a.id) AS orders, sum(l.quantity) AS units
                      FROM unnest(assignments) WITH ORDINALITY a JOIN unnest(shares) l ON l.assignment_id = a.id
                     WHERE a.work_day IS NOT NULL AND a.order_id = ANY (fresh) AND a.order_id <> ALL (failed)
                     GROUP BY a.order_id, a.location_id, a.work_day) w
             GROUP BY w.order_id
             ORDER BY min(w.place)
        LOOP
            IF one.order_id <> ALL (holders) AND EXISTS (
                SELECT FROM jsonb_to_recordset(one.wants) AS w(day text, orders int, units int),
                            jsonb_to_record(days -> w.day)
                                AS d(orders int, units int, most_orders int, most_units int)
                 WHERE passes_limit(d.orders, d.units, w.orders, w.units, d.most_orders, d.most_units)
            ) THEN
                failed := failed || one.order_id;
                RETURN QUERY SELECT one.order_id, 'NO_CAPACITY', NULL::jsonb, NULL::customer_order;
            ELSE
                SELECT days || jsonb_object_agg(w.day, days -> w.day || jsonb_build_object(
                           'orders', (days -> w.day ->> 'orders')::int + w.orders,
                           'units', (days -> w.day ->> 'units')::int + w.units)) INTO days
                  FROM jsonb_to_recordset(one.wants) AS w(day text, orders int, units int);
            END IF;
        END LOOP;
    END IF;

    IF remaining IS NOT NULL THEN
        FOR one IN
            SELECT w.order_id, jsonb_agg(jsonb_build_object('pair', w.sku || ' ' || w.location_id, 'sku', w.sku,
                       'location_id', w.location_id, 'quantity', w.quantity,
                       'kept', held_back(w.channel, w.sku, w.location_id))) AS wants
              FROM (SELECT w.order_id, w.channel, w.sku, w.location_id, sum(w.quantity) AS quantity,
                           min(w.ordinality) AS place -- what is too heavy for one parcel is wanted for several
                      FROM unnest(shares) WITH ORDINALITY w
                     WHERE w.order_id = ANY (takers) AND w.order_id <> ALL (failed)
                       AND remaining ? (w.sku || ' ' || w.location_id)
                     GROUP BY w.order_id, w.channel, w.sku, w.location_id) w
             GROUP BY w.order_id
             ORDER BY min(w.place)
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
            shipping_price, total, version, allow_backorder, payment)
        SELECT o.id, coalesce(o.number, 'CD' || nextval('order_number')), o.status, o.channel, o.method, o.level, o.tags,
               o.placed_at, o.placed_at, o.promised_earliest, o.promised_latest, o.customer_name, o.customer_email,
               o.customer_phone, o.ship_to, o.pickup_location_id, o.pickup_code, o.currency, o.shipping_price, o.total,
               1, o.allow_backorder, o.payment
          FROM unnest(orders) o
         WHERE o.id = ANY (fresh) AND o.id <> ALL (failed)
         ORDER BY o.number COLLATE "C"
        ON CONFLICT (number) DO NOTHING
        RETURNING customer_order
    )
    SELECT coalesce(array_agg((m.customer_order).id), '{}'), array_agg(m.customer_order) INTO placed, written FROM made m;

    IF cardinality(placed) < cardinality(entered) THEN
        DELETE FROM idempotency
         WHERE scope = 'placeOrder'
           AND key = ANY (ARRAY(SELECT o.key FROM unnest(orders) o WHERE o.id = ANY (entered) AND o.id <> ALL (placed)));
        UPDATE reservation r SET status = 'OPEN', order_id = NULL
         WHERE r.order_id = ANY (holders) AND r.order_id <> ALL (placed);
    END IF;

    INSERT INTO order_line (id, order_id, position, sku, quantity, unit_price, backordered)
    SELECT l.id, l.order_id, l.position, l.sku, l.quantity, l.unit_price, l.backordered
      FROM unnest(lines) l WHERE l.order_id = ANY (placed);

    PERFORM offer_assignments(assignments, shares, placed);
    IF counted THEN
        PERFORM commit_work(placed);
    END IF;

    INSERT INTO timeline (order_id, at, kind, message, actor, location_id)
    SELECT e.order_id, e.at, e.kind, e.message, e.actor, e.location_id
      FROM unnest(entries) WITH ORDINALITY e WHERE e.order_id = ANY (placed) ORDER BY e.ordinality;

    -- An entry has the id of the line that it reserves for: ids that grow with time fill an index page by page.
    INSERT INTO stock_movement (id, sku, location_id, reason, on_hand_delta, reserved_delta, order_id, occurred_at)
    SELECT w.id, w.sku, w.location_id, 'RESERVED', 0, w.quantity, w.order_id, at
      FROM unnest(shares) w WHERE w.order_id = ANY (placed);

    INSERT INTO routing_decision (
        order_id, id, decided_at, trigger, policy_name, policy_version, cost, gap, solve_microseconds, told)
    SELECT d.order_id, d.id, d.decided_at, d.trigger, d.policy_name, d.policy_version, d.cost, d.gap,
           d.solve_microseconds, d.told
      FROM unnest(decisions) d WHERE d.order_id = ANY (placed);

    INSERT INTO feed (epoch, kind, keys, payload, at)
    SELECT e.epoch, f.kind, '{}', f.payload, f.at
      FROM unnest(facts) WITH ORDINALITY f, feed_epoch e WHERE f.order_id = ANY (placed) ORDER BY f.ordinality;

    -- Takes the stock where that is still to be done; else gives back what was taken for who then was not placed.
    WITH due AS (
        SELECT w.sku, w.location_id, sum(CASE WHEN w.order_id = ANY (placed) THEN w.quantity ELSE -w.quantity END) AS units
          FROM unnest(shares) w
         WHERE w.order_id = ANY (takers) AND (w.order_id = ANY (placed)) = (changed IS NULL)
         GROUP BY w.sku, w.location_id
    ), moved AS (
        UPDATE stock s
           SET reserved = s.reserved + d.units, version = s.version + 1, updated_at = at
          FROM due d WHERE s.sku = d.sku AND s.location_id = d.location_id
        RETURNING s AS level
    )
    SELECT coalesce(changed, '{}') || coalesce(array_agg(m.level), '{}') INTO changed FROM moved m;

    -- What was given back stands there twice: the later word counts.
    INSERT INTO feed (epoch, kind, keys, payload, at)
    SELECT e.epoch, 'STOCK_CHANGED', '{}',
           jsonb_build_object('levels', jsonb_build_object(
               'sku', array_agg(c.sku ORDER BY c.ordinality),
               'location', array_agg(c.location_id::text ORDER BY c.ordinality),
               'on_hand', array_agg(c.on_hand ORDER BY c.ordinality),
               'reserved', array_agg(c.reserved ORDER BY c.ordinality),
               'available', array_agg(greatest(c.on_hand - c.reserved - c.safety_stock, 0) ORDER BY c.ordinality))),
           at
      FROM unnest(changed) WITH ORDINALITY c, feed_epoch e
     GROUP BY e.epoch, (c.ordinality - 1) / 20
     ORDER BY min(c.ordinality);

    -- Who waits is tried at once: what one location lacked, two may have together.
    INSERT INTO timer (kind, key, due_at)
    SELECT DISTINCT 'backorders', l.sku || chr(31) || pg_current_xact_id()::text, at
      FROM unnest(lines) l WHERE l.backordered > 0 AND l.order_id = ANY (placed)
    ON CONFLICT (kind, key) DO NOTHING;

    IF cardinality(holders) > 0 THEN
        INSERT INTO stock_movement (sku, location_id, reason, on_hand_delta, reserved_delta, order_id, occurred_at, note)
        SELECT l.sku, l.location_id, 'RELEASED', 0, -l.quantity, r.order_id, at, 'From the reservation to the order.'
          FROM reservation r JOIN reservation_line l ON l.reservation_id = r.id
         WHERE r.order_id = ANY (holders) AND r.order_id = ANY (placed);

        -- A count may have found less than the reservation held: now that it is work, the latest promise gives way.
        INSERT INTO timer (kind, key, due_at)
        SELECT DISTINCT 'shortage', concat_ws(chr(31), w.sku, w.location_id, pg_current_xact_id()), at
          FROM unnest(shares) w
          JOIN stock s ON s.sku = w.sku AND s.location_id = w.location_id AND s.reserved > s.on_hand
         WHERE w.order_id = ANY (placed) AND w.order_id = ANY (holders)
        ON CONFLICT (kind, key) DO NOTHING;
    END IF;

    RETURN QUERY
    SELECT o.id,
           CASE WHEN o.id = ANY (placed) THEN 'PLACED'
                WHEN o.id = ANY (entered) THEN 'NUMBER_TAKEN'
                ELSE 'REPLAYED' END,
           NULL::jsonb,
           m
      FROM unnest(orders) o LEFT JOIN unnest(written) AS m ON m.id = o.id
     WHERE o.id <> ALL (failed);
END
$$;
