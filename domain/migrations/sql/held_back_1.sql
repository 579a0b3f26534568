-- The last units of an item at a location that a channel may not sell.
CREATE FUNCTION held_back(channel text, sku text, location_id uuid) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT coalesce(max(h.units), 0) FROM holdback h
     WHERE h.channel = $1 AND h.sku = $2 AND h.location_id IN ($3, '00000000-0000-0000-0000-000000000000')
$$;
