CREATE FUNCTION counted_movement() RETURNS TABLE (
    of_skus text[], of_locations uuid[], run_id uuid, id uuid, sku text, location_id uuid, reason text,
    on_hand_delta int, reserved_delta int, order_id uuid, occurred_at timestamptz, note text)
LANGUAGE sql STABLE AS $$
    SELECT r.skus, r.location_ids, r.id,
           encode(set_byte(uuid_send(r.id), 15, m.n::int), 'hex')::uuid, m.sku, m.location_id, 'COUNTED', m.delta,
           0, NULL::uuid, r.occurred_at, NULL::text
      FROM counted_run r
     CROSS JOIN LATERAL unnest(r.skus, r.location_ids, r.on_hand_deltas) WITH ORDINALITY m (sku, location_id, delta, n)
     WHERE m.delta <> 0
$$;
