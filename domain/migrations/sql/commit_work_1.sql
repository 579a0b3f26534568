-- Brings what is committed to what these orders' work is: more for what was offered, less for what was called off. What
-- was done stays, for the day was used. Returns the days that got more than they have room for. Stock is locked before.
CREATE FUNCTION commit_work(orders uuid[]) RETURNS TABLE (location_id uuid, day date) LANGUAGE sql AS $$
    WITH work AS (
        SELECT a.id, a.location_id, a.work_day, a.units_committed,
               CASE WHEN a.status IN ('REJECTED', 'EXPIRED', 'CANCELLED') THEN 0
                    ELSE (SELECT sum(l.quantity) FROM assignment_line l WHERE l.assignment_id = a.id) END AS units
          FROM assignment a WHERE a.order_id = ANY (orders) AND a.work_day IS NOT NULL
    ), changed AS (
        UPDATE assignment a SET units_committed = w.units
          FROM work w WHERE a.id = w.id AND w.units <> w.units_committed
        RETURNING w.location_id, w.work_day, w.units - w.units_committed AS units,
                  (w.units > 0)::int - (w.units_committed > 0)::int AS orders
    ), more AS (
        SELECT c.location_id, c.work_day AS day, sum(c.orders)::int AS orders, sum(c.units)::int AS units
          FROM changed c GROUP BY c.location_id, c.work_day
    ), after AS (
        INSERT INTO committed_work AS c (day, location_id, orders, units)
        SELECT m.day, m.location_id, m.orders, m.units FROM more m ORDER BY m.day, m.location_id
        ON CONFLICT (day, location_id)
        DO UPDATE SET orders = c.orders + excluded.orders, units = c.units + excluded.units
        RETURNING c.*
    )
    SELECT m.location_id, m.day
      FROM after JOIN more m USING (day, location_id) CROSS JOIN LATERAL day_limit(m.location_id, m.day) most
     WHERE passes_limit(after.orders - m.orders, after.units - m.units, m.orders, m.units, most.orders, most.units)
$$;
