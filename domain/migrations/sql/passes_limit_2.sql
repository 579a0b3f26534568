-- Says whether so many orders and units pass a limit, beside those that a day has already. A day that is still empty
-- takes an order of more units than it has room for: no other day would have more. What an order needs several parcels
-- for counts as several, and needs room for one: the plan knows of no more.
CREATE FUNCTION passes_limit(had_orders int, had_units int, orders int, units int, most_orders int, most_units int)
RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(orders > 0 AND had_orders >= most_orders, false)
        OR coalesce(units > 0 AND had_units + units > most_units AND (had_units > 0 OR most_units = 0), false)
$$;
