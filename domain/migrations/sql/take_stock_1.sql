-- Takes what these orders want of every level where there is enough for all of them, and returns the levels as they are
-- then: each is locked, checked and changed in one step, in the order in which everybody locks. Raises CD001, having
-- changed nothing, where somebody cannot be served: that is decided order by order, by whoever called.
CREATE FUNCTION take_stock(shares new_assignment_line[], takers uuid[], at timestamptz) RETURNS stock[]
LANGUAGE plpgsql
-- A nested loop is what visits the levels in the order of what is wanted.
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    served boolean;
    levels stock[];
BEGIN
    WITH wanted AS MATERIALIZED (
        SELECT w.sku, w.location_id, sum(w.quantity) AS quantity,
               max(CASE WHEN EXISTS (SELECT FROM holdback) THEN held_back(w.channel, w.sku, w.location_id) ELSE 0 END)
                   AS kept
          FROM unnest(shares) w
         WHERE w.order_id = ANY (takers)
         GROUP BY w.sku, w.location_id
         ORDER BY w.sku COLLATE "C", w.location_id
    ), closed AS (
        SELECT l.id FROM location l WHERE l.id IN (SELECT w.location_id FROM wanted w) AND l.status <> 'ACTIVE'
    ), taken AS (
        UPDATE stock s
           SET reserved = s.reserved + w.quantity, version = s.version + 1, updated_at = at
          FROM wanted w
         WHERE s.sku = w.sku AND s.location_id = w.location_id
           AND s.on_hand - s.reserved - s.safety_stock >= w.quantity + w.kept
           AND w.location_id <> ALL (ARRAY(SELECT c.id FROM closed c))
        RETURNING s AS level
    )
    SELECT count(*) = (SELECT count(*) FROM wanted), coalesce(array_agg(t.level), '{}') INTO served, levels FROM taken t;
    IF NOT served THEN
        RAISE EXCEPTION USING ERRCODE = 'CD001', MESSAGE = 'not everybody can be served';
    END IF;
    RETURN levels;
END
$$;
