"""Make the tables of parcels, their labels, and what carriers tell of them."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def _status(*, primary_key: bool = False) -> sa.Column[str]:
    return sa.Column(
        "status",
        sa.Enum(
            "CREATED",
            "HANDED_OVER",
            "IN_TRANSIT",
            "OUT_FOR_DELIVERY",
            "DELIVERED",
            "DELIVERY_FAILED",
            "LOST",
            "RETURNED_TO_SENDER",
            "CANCELLED",
            name="shipmentstatus_known",
            native_enum=False,
            create_constraint=True,
            length=32,
        ),
        primary_key=primary_key,
        nullable=False,
    )


def _shipment_id() -> sa.Column[object]:
    return sa.Column("shipment_id", sa.Uuid(), sa.ForeignKey("shipment.id"), primary_key=True, nullable=False)


def upgrade() -> None:
    op.execute(sa.schema.CreateSequence(sa.Sequence("shipment_number")))
    op.create_table(
        "shipment",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("number", sa.BigInteger(), server_default=sa.text("nextval('shipment_number')"), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("assignment_id", sa.Uuid(), nullable=False),
        sa.Column("location_id", sa.Uuid(), nullable=False),
        sa.Column("carrier", sa.String(), nullable=False),
        sa.Column("carrier_service_code", sa.String(), nullable=False),
        _status(),
        sa.Column("grams", sa.BigInteger(), nullable=False),
        sa.Column("expected_latest", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tracking_number", sa.String(), nullable=True),
        sa.Column("tracking_url", sa.String(), nullable=True),
        sa.Column("label_key", sa.String(), unique=True, nullable=True),
    )
    for column in ("order_id", "assignment_id", "tracking_number"):
        op.create_index(f"shipment_{column.removesuffix('_id')}", "shipment", [column])
    _make_what_belongs_to_it()


def _make_what_belongs_to_it() -> None:
    op.create_table(
        "shipment_line",
        _shipment_id(),
        sa.Column("order_line_id", sa.Uuid(), primary_key=True),
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.CheckConstraint("quantity > 0", name="shipment_line_quantity_positive"),
    )
    op.create_table(
        "shipment_label",
        _shipment_id(),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "tracking_event",
        _shipment_id(),
        sa.Column("at", sa.DateTime(timezone=True), primary_key=True),
        _status(primary_key=True),
        sa.Column("description", sa.String(), nullable=True),
    )


def downgrade() -> None:
    for table in ("tracking_event", "shipment_label", "shipment_line", "shipment"):
        op.drop_table(table)
    op.execute(sa.schema.DropSequence(sa.Sequence("shipment_number")))
