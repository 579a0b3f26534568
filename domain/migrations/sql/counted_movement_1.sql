CREATE FUNCTION counted_movement() RETURNS TABLE (
    among sku_range, run_id uuid, id uuid, sku text, location_id uuid, reason text, on_hand_delta int,
    reserved_delta int, order_id uuid, occurred_at timestamptz, note text)
LANGUAGE sql STABLE AS $$
    SELECT sku_range(r.first_sku, r.last_sku, '[]'), r.id,
           encode(set_byte(uuid_send(r.id), 15, m.n::int), 'hex')::uuid, m.sku, m.location_id, 'COUNTED', m.delta,
           0, NULL::uuid, r.occurred_at, NULL::text
      FROM counted_run r
     CROSS JOIN LATERAL unnest(r.skus, r.location_ids, r.on_hand_deltas) WITH ORDINALITY m (sku, location_id, delta, n)
     WHERE m.delta <> 0
$$;
