-- Offers work to locations. `assignments` are rows of assignment without a number: `suffix` follows the order's number.
CREATE FUNCTION offer_assignments(assignments jsonb, lines jsonb, orders uuid[]) RETURNS void LANGUAGE sql AS $$
    INSERT INTO assignment (id, number, order_id, location_id, status, method, carrier_service_code, offered_at, due_at,
                            arrives_latest, version)
    SELECT a.id, o.number || '-' || a.suffix, a.order_id, a.location_id, a.status, a.method, a.carrier_service_code,
           a.offered_at, a.due_at, a.arrives_latest, 1
      FROM jsonb_to_recordset(assignments) AS a(id uuid, suffix int, order_id uuid, location_id uuid, status text,
               method text, carrier_service_code text, offered_at timestamptz, due_at timestamptz,
               arrives_latest timestamptz)
      JOIN customer_order o ON o.id = a.order_id
     WHERE a.order_id = ANY (orders);

    INSERT INTO assignment_line (id, assignment_id, order_line_id, position, sku, quantity)
    SELECT l.id, l.assignment_id, l.order_line_id, l.position, l.sku, l.quantity
      FROM jsonb_to_recordset(lines) AS l(id uuid, assignment_id uuid, order_line_id uuid, position int, sku text,
               quantity int, order_id uuid)
     WHERE l.order_id = ANY (orders);
$$;
