-- Offers work to locations. The number of an assignment is its order's, and the suffix. Of an order on hold the work is
-- planned, and withheld from everybody until it is released. What goes to another location first is a transfer there.
-- What was promised before a location closed may be offered there long after: then it is looked after once more.
CREATE FUNCTION offer_assignments(
    assignments new_assignment[], lines new_assignment_line[], orders uuid[]
) RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    sent uuid[] := ARRAY(SELECT a.id FROM unnest(assignments) a WHERE a.destination_id IS NOT NULL);
    closed uuid[] := ARRAY(SELECT l.id FROM location l WHERE l.status = 'CLOSED' AND l.id = ANY (ARRAY(
        SELECT unnest(ARRAY[a.location_id, a.destination_id]) FROM unnest(assignments) a)));
BEGIN
    INSERT INTO assignment (id, number, order_id, location_id, status, withheld, method, carrier_service_code,
                            offered_at, due_at, arrives_latest, work_day, respond_by, start_seconds, deadline, version)
    SELECT a.id, o.number || '-' || a.suffix, a.order_id, a.location_id,
           CASE WHEN o.status = 'ON_HOLD' THEN 'HELD' ELSE 'OFFERED' END, o.status = 'ON_HOLD', a.method,
           a.carrier_service_code, a.offered_at, a.due_at, a.arrives_latest, a.work_day,
           a.respond_by, a.start_seconds, a.respond_by, 1
      FROM unnest(assignments) a JOIN customer_order o ON o.id = a.order_id
     WHERE a.order_id = ANY (orders) AND a.destination_id IS NULL;

    INSERT INTO assignment_line (id, assignment_id, order_line_id, position, sku, quantity)
    SELECT l.id, l.assignment_id, l.order_line_id, l.position, l.sku, l.quantity
      FROM unnest(lines) l WHERE l.order_id = ANY (orders) AND l.assignment_id <> ALL (sent);

    IF closed <> '{}' THEN
        INSERT INTO timer (kind, key, due_at)
        SELECT 'closing', concat_ws(' ', c, '2000-01-01T00:00:00+00:00', pg_current_xact_id()), a.offered_at
          FROM unnest(closed) c, (SELECT max(a.offered_at) AS offered_at FROM unnest(assignments) a) a
        ON CONFLICT (kind, key) DO NOTHING;
    END IF;

    IF sent = '{}' THEN
        RETURN;
    END IF;

    INSERT INTO transfer (id, number, order_id, from_location_id, to_location_id, status, carrier_service_code,
                          due_at, expected_at, created_at, version)
    SELECT a.id, 'T' || nextval('transfer_number'), a.order_id, a.location_id, a.destination_id, 'REQUESTED',
           a.carrier_service_code, a.due_at, a.arrives_latest, a.offered_at, 1
      FROM unnest(assignments) a WHERE a.order_id = ANY (orders) AND a.id = ANY (sent);

    INSERT INTO transfer_line (transfer_id, sku, position, quantity, bound)
    SELECT l.assignment_id, l.sku, l.position, l.quantity, l.quantity
      FROM unnest(lines) l WHERE l.order_id = ANY (orders) AND l.assignment_id = ANY (sent);
END
$$;
