-- What a location takes on a day of its own; no row or null where there is no limit.
CREATE FUNCTION day_limit(location_id uuid, day date, OUT orders int, OUT units int)
RETURNS SETOF record LANGUAGE sql STABLE AS $$
    SELECT c.orders, c.units
      FROM location l, jsonb_to_recordset(l.capacity) AS c(weekday int, orders int, units int)
     WHERE l.id = $1 AND c.weekday = extract(isodow FROM $2)
$$;
