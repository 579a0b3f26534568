"""Make the tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from domain.tables.columns import Xid8

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(sa.schema.CreateSequence(sa.Sequence("feed_id")))
    op.execute(sa.schema.CreateSequence(sa.Sequence("order_number", start=100001)))
    op.create_table(
        "carrier_service",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("carrier", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column(
            "level",
            sa.Enum(
                "STANDARD",
                "EXPRESS",
                "NEXT_DAY",
                "SAME_DAY",
                "INSTANT",
                name="servicelevel_known",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("countries", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("location_kinds", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("location_codes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("cutoff", sa.String(), nullable=True),
        sa.Column("deliver_by", sa.String(), nullable=True),
        sa.Column("collects", postgresql.JSONB(), nullable=False),
        sa.Column("delivers", postgresql.JSONB(), nullable=False),
        sa.Column("max_grams", sa.Integer(), nullable=True),
        sa.Column("zones", postgresql.JSONB(), nullable=False),
        sa.Column("cost", postgresql.JSONB(), nullable=False),
        sa.Column("shopper_price", sa.BigInteger(), nullable=False),
        sa.Column("free_from", sa.BigInteger(), nullable=True),
        sa.Column("co2_grams_per_km", sa.Float(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("code"),
    )
    op.create_table(
        "feed",
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("xid", Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.Column("id", sa.BigInteger(), server_default=sa.text("nextval('feed_id')"), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "ORDER_PLACED",
                "ORDER_ROUTED",
                "ORDER_STATUS_CHANGED",
                "ORDER_CHANGED",
                "ORDER_LATE",
                "ORDER_CANCELLED",
                "ASSIGNMENT_OFFERED",
                "ASSIGNMENT_STATUS_CHANGED",
                "SHIPMENT_STATUS_CHANGED",
                "STOCK_CHANGED",
                "RETURN_STATUS_CHANGED",
                name="updatekind_known",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("keys", postgresql.JSONB(), nullable=False),
        sa.Column("payload", postgresql.JSONB(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("epoch", "xid", "id"),
    )
    op.create_table(
        "feed_epoch",
        sa.Column("only", sa.Boolean(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("system_identifier", sa.BigInteger(), nullable=False),
        sa.CheckConstraint('"only"', name="feed_epoch_is_one_row"),
        sa.PrimaryKeyConstraint("only"),
    )
    op.create_table(
        "idempotency",
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("input_hash", sa.LargeBinary(), nullable=False),
        sa.Column("result", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("scope", "key"),
    )
    op.create_index("ix_idempotency_created_at", "idempotency", ["created_at"], unique=False)
    op.create_table(
        "item",
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("weight_grams", sa.Integer(), nullable=False),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("barcodes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("image_url", sa.String(), nullable=True),
        sa.CheckConstraint("weight_grams >= 0", name="item_weight_not_negative"),
        sa.PrimaryKeyConstraint("sku"),
    )
    op.create_index("item_barcodes", "item", ["barcodes"], unique=False, postgresql_using="gin")
    op.create_table(
        "location",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "WAREHOUSE",
                "STORE",
                "MICRO_HUB",
                "DROP_SHIPPER",
                name="locationkind_known",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column(
            "status",
            sa.Enum(
                "ACTIVE",
                "SUSPENDED",
                "CLOSED",
                name="locationstatus_known",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("address_name", sa.String(), nullable=True),
        sa.Column("address_lines", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("postal_code", sa.String(), nullable=False),
        sa.Column("city", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=True),
        sa.Column("country", sa.String(), nullable=False),
        sa.Column("latitude", sa.Float(), nullable=False),
        sa.Column("longitude", sa.Float(), nullable=False),
        sa.Column("time_zone", sa.String(), nullable=False),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("services", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("opening_hours", postgresql.JSONB(), nullable=False),
        sa.Column("closures", postgresql.JSONB(), nullable=False),
        sa.Column("capacity", postgresql.JSONB(), nullable=False),
        sa.Column("handling_seconds", sa.Integer(), nullable=False),
        sa.Column("carrier_service_codes", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("handling_seconds >= 0", name="location_handling_not_negative"),
        sa.CheckConstraint("latitude BETWEEN -90 AND 90 AND longitude BETWEEN -180 AND 180", name="location_on_earth"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("code"),
    )
    op.create_table(
        "network_revision",
        sa.Column("only", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.CheckConstraint('"only"', name="network_revision_is_one_row"),
        sa.PrimaryKeyConstraint("only"),
    )
    op.create_table(
        "postal_code",
        sa.Column("country", sa.String(), nullable=False),
        sa.Column("postal_code", sa.String(), nullable=False),
        sa.Column("latitude", sa.Float(), nullable=False),
        sa.Column("longitude", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("country", "postal_code"),
    )
    op.create_table(
        "stock_movement",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("location_id", sa.Uuid(), nullable=False),
        sa.Column(
            "reason",
            sa.Enum(
                "RECEIVED",
                "SOLD",
                "RETURNED",
                "ADJUSTED",
                "COUNTED",
                "DAMAGED",
                "TRANSFERRED_OUT",
                "TRANSFERRED_IN",
                "RESERVED",
                "RELEASED",
                name="movementreason_known",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("on_hand_delta", sa.Integer(), nullable=False),
        sa.Column("reserved_delta", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("note", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("stock_movement_level", "stock_movement", ["sku", "location_id", "occurred_at", "id"], unique=False)
    op.create_index("stock_movement_occurred", "stock_movement", ["occurred_at", "id"], unique=False)
    op.create_table(
        "timeline",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=True),
        sa.Column("location_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("timeline_order", "timeline", ["order_id", "at", "id"], unique=False)
    op.create_table(
        "customer_order",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "RECEIVED",
                "ON_HOLD",
                "BACKORDERED",
                "UNROUTABLE",
                "ROUTED",
                "IN_FULFILLMENT",
                "PARTIALLY_FULFILLED",
                "FULFILLED",
                "COMPLETED",
                "CANCELLED",
                name="orderstatus_known",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column(
            "method",
            sa.Enum(
                "DELIVERY",
                "PICKUP",
                name="fulfillmentmethod_known",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column(
            "level",
            sa.Enum(
                "STANDARD",
                "EXPRESS",
                "NEXT_DAY",
                "SAME_DAY",
                "INSTANT",
                name="servicelevel_known",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=True,
        ),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("promised_earliest", sa.DateTime(timezone=True), nullable=True),
        sa.Column("promised_latest", sa.DateTime(timezone=True), nullable=True),
        sa.Column("customer_name", sa.String(), nullable=False),
        sa.Column("customer_email", sa.String(), nullable=True),
        sa.Column("customer_phone", sa.String(), nullable=True),
        sa.Column("ship_to", postgresql.JSONB(), nullable=True),
        sa.Column("pickup_location_id", sa.Uuid(), nullable=True),
        sa.Column("pickup_code", sa.String(), nullable=True),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("shipping_price", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("allow_backorder", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(
            ["pickup_location_id"],
            ["location.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("number"),
    )
    op.create_index(
        "customer_order_email", "customer_order", [sa.literal_column("lower(customer_email)")], unique=False
    )
    op.create_index("customer_order_placed", "customer_order", ["placed_at", "id"], unique=False)
    op.create_index("customer_order_promised", "customer_order", ["promised_latest", "id"], unique=False)
    op.create_table(
        "stock",
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("location_id", sa.Uuid(), nullable=False),
        sa.Column("on_hand", sa.Integer(), nullable=False),
        sa.Column("reserved", sa.Integer(), server_default="0", nullable=False),
        sa.Column("safety_stock", sa.Integer(), server_default="0", nullable=False),
        sa.Column("incoming", sa.Integer(), server_default="0", nullable=False),
        sa.Column("damaged", sa.Integer(), server_default="0", nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("on_hand >= 0", name="stock_on_hand_not_negative"),
        sa.CheckConstraint("reserved >= 0", name="stock_reserved_not_negative"),
        sa.CheckConstraint("safety_stock >= 0", name="stock_safety_not_negative"),
        sa.PrimaryKeyConstraint("sku", "location_id"),
        postgresql_with={"fillfactor": "80"},
    )
    op.create_index("stock_location", "stock", ["location_id", "sku"], unique=False)
    op.create_index("stock_incoming", "stock", ["sku", "location_id"], postgresql_where=sa.text("incoming > 0"))
    op.create_table(
        "assignment",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("location_id", sa.Uuid(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "OFFERED",
                "ACCEPTED",
                "PICKING",
                "PACKED",
                "READY_FOR_PICKUP",
                "HANDED_OVER",
                "COLLECTED",
                "NOT_COLLECTED",
                "REJECTED",
                "EXPIRED",
                "CANCELLED",
                name="assignmentstatus_known",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column(
            "method",
            sa.Enum(
                "DELIVERY",
                "PICKUP",
                name="fulfillmentmethod_known",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("carrier_service_code", sa.String(), nullable=True),
        sa.Column("offered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("arrives_latest", sa.DateTime(timezone=True), nullable=False),
        sa.Column("assignee", sa.String(), nullable=True),
        sa.Column(
            "reject_reason",
            sa.Enum(
                "OUT_OF_STOCK",
                "DAMAGED",
                "TOO_BUSY",
                "CLOSED",
                "OTHER",
                name="rejectreason_known",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=True,
        ),
        sa.Column("pickup_attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("pickup_locked_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["location_id"],
            ["location.id"],
        ),
        sa.ForeignKeyConstraint(
            ["order_id"],
            ["customer_order.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("number"),
    )
    op.create_index("assignment_due", "assignment", ["location_id", "due_at", "id"], unique=False)
    op.create_index("assignment_order", "assignment", ["order_id"], unique=False)
    op.create_table(
        "order_line",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("unit_price", sa.BigInteger(), nullable=False),
        sa.Column("fulfilled", sa.Integer(), server_default="0", nullable=False),
        sa.Column("cancelled", sa.Integer(), server_default="0", nullable=False),
        sa.Column("backordered", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint(
            "fulfilled >= 0 AND cancelled >= 0 AND fulfilled + cancelled <= quantity", name="order_line_sums"
        ),
        sa.CheckConstraint("quantity > 0", name="order_line_quantity_positive"),
        sa.ForeignKeyConstraint(
            ["order_id"],
            ["customer_order.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("order_line_order", "order_line", ["order_id", "position"], unique=False)
    op.create_index("order_line_sku", "order_line", ["sku"], unique=False)
    op.create_index(
        "order_line_waiting", "order_line", ["sku", "order_id"], postgresql_where=sa.text("backordered > 0")
    )
    op.create_table(
        "assignment_line",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("assignment_id", sa.Uuid(), nullable=False),
        sa.Column("order_line_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("picked", sa.Integer(), server_default="0", nullable=False),
        sa.Column("short", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "short_reason",
            sa.Enum(
                "OUT_OF_STOCK",
                "DAMAGED",
                "TOO_BUSY",
                "CLOSED",
                "OTHER",
                name="rejectreason_known",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=True,
        ),
        sa.CheckConstraint("picked >= 0 AND short >= 0 AND picked + short <= quantity", name="assignment_line_sums"),
        sa.CheckConstraint("quantity > 0", name="assignment_line_quantity_positive"),
        sa.ForeignKeyConstraint(
            ["assignment_id"],
            ["assignment.id"],
        ),
        sa.ForeignKeyConstraint(
            ["order_line_id"],
            ["order_line.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("assignment_line_assignment", "assignment_line", ["assignment_id", "position"], unique=False)


def downgrade() -> None:
    op.drop_index("assignment_line_assignment", table_name="assignment_line")
    op.drop_table("assignment_line")
    op.drop_index("order_line_waiting", table_name="order_line")
    op.drop_index("order_line_sku", table_name="order_line")
    op.drop_index("order_line_order", table_name="order_line")
    op.drop_table("order_line")
    op.drop_index("assignment_order", table_name="assignment")
    op.drop_index("assignment_due", table_name="assignment")
    op.drop_table("assignment")
    op.drop_index("stock_incoming", table_name="stock")
    op.drop_index("stock_location", table_name="stock")
    op.drop_table("stock")
    op.drop_index("customer_order_promised", table_name="customer_order")
    op.drop_index("customer_order_placed", table_name="customer_order")
    op.drop_index("customer_order_email", table_name="customer_order")
    op.drop_table("customer_order")
    op.drop_index("timeline_order", table_name="timeline")
    op.drop_table("timeline")
    op.drop_index("stock_movement_occurred", table_name="stock_movement")
    op.drop_index("stock_movement_level", table_name="stock_movement")
    op.drop_table("stock_movement")
    op.drop_table("postal_code")
    op.drop_table("network_revision")
    op.drop_table("location")
    op.drop_index("item_barcodes", table_name="item", postgresql_using="gin")
    op.drop_table("item")
    op.drop_index("ix_idempotency_created_at", table_name="idempotency")
    op.drop_table("idempotency")
    op.drop_table("feed_epoch")
    op.drop_table("feed")
    op.drop_table("carrier_service")
    op.execute(sa.schema.DropSequence(sa.Sequence("order_number")))
    op.execute(sa.schema.DropSequence(sa.Sequence("feed_id")))
