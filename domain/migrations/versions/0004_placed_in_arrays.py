"""Write an order with fewer rows, fewer index entries and no foreign keys, from arrays of rows (docs/adr/0008)."""

from importlib.resources import files

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

FOREIGN_KEYS = (
    ("customer_order", "pickup_location_id", "location"),
    ("order_line", "order_id", "customer_order"),
    ("assignment", "order_id", "customer_order"),
    ("assignment", "location_id", "location"),
    ("assignment_line", "assignment_id", "assignment"),
    ("assignment_line", "order_line_id", "order_line"),
)
TYPES = {
    "new_order": """
        id uuid, number text, status text, channel text, method text, level text, tags text[], placed_at timestamptz,
        promised_earliest timestamptz, promised_latest timestamptz, customer_name text, customer_email text,
        customer_phone text, ship_to jsonb, pickup_location_id uuid, pickup_code text, currency text,
        shipping_price bigint, total bigint, allow_backorder boolean, key text, input_hash bytea, reservation_id uuid
    """,
    "new_order_line": """
        id uuid, order_id uuid, position int, sku text, quantity int, unit_price bigint, backordered int
    """,
    "new_assignment": """
        id uuid, suffix int, order_id uuid, location_id uuid, method text, carrier_service_code text,
        offered_at timestamptz, due_at timestamptz, arrives_latest timestamptz
    """,
    "new_assignment_line": """
        id uuid, order_id uuid, assignment_id uuid, order_line_id uuid, position int, sku text, quantity int,
        location_id uuid, channel text
    """,
    "new_timeline": "order_id uuid, at timestamptz, kind text, message text, actor text, location_id uuid",
    "new_feed": "order_id uuid, kind text, payload jsonb, at timestamptz",
}
"""The rows that placing and offering write, as they are passed to Postgres."""
IDS_A_ROW = 32
AS_RUNS = """
UPDATE feed SET keys = '{}',
       payload = jsonb_build_object('facts', jsonb_build_array(jsonb_build_object('kind', kind) || keys || payload))
 WHERE NOT payload ? 'levels'
"""


def upgrade() -> None:
    for table, column, _ in FOREIGN_KEYS:
        op.drop_constraint(f"{table}_{column}_fkey", table)
    op.drop_index("stock_movement_level", "stock_movement")
    op.drop_index("stock_movement_occurred", "stock_movement")
    op.create_index("stock_movement_level", "stock_movement", ["sku", "location_id", "id"])
    op.drop_index("timeline_order", "timeline")
    op.drop_constraint("timeline_pkey", "timeline")
    op.create_primary_key("timeline_pkey", "timeline", ["order_id", "id"])
    op.execute(f"ALTER SEQUENCE feed_id INCREMENT BY {IDS_A_ROW}")
    op.execute(AS_RUNS)
    _drop_functions()
    for name, columns in TYPES.items():
        op.execute(f"CREATE TYPE {name} AS ({columns})")
    _make("offer_assignments_2", "place_orders_2")


def downgrade() -> None:
    _drop_functions()
    for name in TYPES:
        op.execute(f"DROP TYPE {name}")
    _make("offer_assignments_1", "place_orders_1")
    op.execute("DELETE FROM feed")
    op.execute("UPDATE feed_epoch SET epoch = epoch + 1")
    op.execute("ALTER SEQUENCE feed_id INCREMENT BY 1")
    op.drop_constraint("timeline_pkey", "timeline")
    op.create_primary_key("timeline_pkey", "timeline", ["id"])
    op.create_index("timeline_order", "timeline", ["order_id", "at", "id"])
    op.drop_index("stock_movement_level", "stock_movement")
    op.create_index("stock_movement_level", "stock_movement", ["sku", "location_id", "occurred_at", "id"])
    op.create_index("stock_movement_occurred", "stock_movement", ["occurred_at", "id"])
    for table, column, parent in FOREIGN_KEYS:
        op.create_foreign_key(f"{table}_{column}_fkey", table, parent, [column], ["id"])


def _drop_functions() -> None:
    op.execute("DROP FUNCTION place_orders")
    op.execute("DROP FUNCTION offer_assignments")


def _make(*names: str) -> None:
    for name in names:
        op.get_bind().exec_driver_sql(files("domain.migrations").joinpath(f"sql/{name}.sql").read_text())
