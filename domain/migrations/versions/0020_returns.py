"""Make the tables of returns, with the policy that holds until another is saved."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

STATUSES = ("REQUESTED", "APPROVED", "DECLINED", "IN_TRANSIT", "RECEIVED", "INSPECTED", "CLOSED", "CANCELLED")
METHODS = ("IN_STORE", "CARRIER")
REASONS = (
    "TOO_LARGE",
    "TOO_SMALL",
    "NOT_AS_DESCRIBED",
    "DAMAGED",
    "DEFECTIVE",
    "WRONG_ITEM",
    "CHANGED_MIND",
    "OTHER",
)
CONDITIONS = ("NEW", "OPENED", "DAMAGED", "DEFECTIVE")
DISPOSITIONS = ("RESTOCK", "TRANSFER", "REFURBISH", "DISPOSE", "SEND_BACK")
PARCELS = (
    "CREATED",
    "HANDED_OVER",
    "IN_TRANSIT",
    "OUT_FOR_DELIVERY",
    "DELIVERED",
    "DELIVERY_FAILED",
    "LOST",
    "RETURNED_TO_SENDER",
    "CANCELLED",
)


def _known(name: str, kind: str, values: tuple[str, ...], *, nullable: bool = False) -> sa.Column[str]:
    enum = sa.Enum(*values, name=f"{kind}_known", native_enum=False, create_constraint=True, length=32)
    return sa.Column(name, enum, nullable=nullable)


def _text(name: str, *, nullable: bool = False, unique: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=nullable, unique=unique)


def _id(name: str, *, nullable: bool = True, unique: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.Uuid(), nullable=nullable, unique=unique)


def _amount(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _moment(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _return_id(*, primary_key: bool = True) -> sa.Column[object]:
    return sa.Column(
        "return_id", sa.Uuid(), sa.ForeignKey("customer_return.id"), primary_key=primary_key, nullable=False
    )


def upgrade() -> None:
    op.add_column("order_line", sa.Column("returned", sa.Integer(), server_default="0", nullable=False))
    op.add_column("order_line", _moment("fulfilled_at", nullable=True))
    op.create_check_constraint("order_line_returned_not_negative", "order_line", "returned >= 0")
    op.execute(sa.schema.CreateSequence(sa.Sequence("return_number", start=100001)))
    _make_policies()
    _make_returns()
    _make_lines()
    op.create_table(
        "return_timeline",
        _return_id(),
        sa.Column(
            "id",
            sa.BigInteger(),
            primary_key=True,
            server_default=sa.text("nextval('timeline_id_seq')"),
            nullable=False,
        ),
        _moment("at"),
        _text("kind"),
        _text("message"),
        _text("actor", nullable=True),
        _id("location_id"),
    )
    op.create_table(
        "return_label", _return_id(), _text("media_type"), sa.Column("content", sa.LargeBinary(), nullable=False)
    )


def _make_policies() -> None:
    op.create_table(
        "return_policy",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _text("name", unique=True),
        sa.Column("channels", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("item_tags", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("auto_approve", sa.Boolean(), nullable=False),
        _text("currency"),
        _amount("carrier_price"),
        _amount("in_store_price"),
        sa.Column("deductions", postgresql.JSONB(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
    )
    op.execute(
        "INSERT INTO return_policy "
        "VALUES (gen_random_uuid(), 'standard', '{}', '{}', 30, true, 'EUR', 0, 0, '{}', 1, 1)"
    )


def _make_returns() -> None:
    op.create_table(
        "customer_return",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _text("number", unique=True),
        _id("order_id"),
        _id("shipment_id", unique=True),
        _known("status", "returnstatus", STATUSES),
        _known("method", "returnmethod", METHODS),
        _id("announced_location_id"),
        _id("received_location_id"),
        _moment("requested_at"),
        _moment("received_at", nullable=True),
        _text("currency"),
        _amount("price"),
        _text("carrier", nullable=True),
        _text("carrier_service_code", nullable=True),
        sa.Column("parcel_number", sa.BigInteger(), nullable=True),
        _known("parcel_status", "shipmentstatus", PARCELS, nullable=True),
        _text("tracking_number", nullable=True),
        _text("tracking_url", nullable=True),
        _text("label_key", nullable=True, unique=True),
        sa.Column("version", sa.Integer(), nullable=False),
    )
    op.create_index("customer_return_order", "customer_return", ["order_id"])
    op.create_index("customer_return_requested", "customer_return", ["requested_at", "id"])
    op.create_index("customer_return_tracking_number", "customer_return", ["tracking_number"])


def _make_lines() -> None:
    op.create_table(
        "return_line",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _return_id(primary_key=False),
        _id("order_line_id"),
        sa.Column("position", sa.Integer(), nullable=False),
        _text("sku"),
        sa.Column("quantity", sa.Integer(), nullable=False),
        _known("reason", "returnreason", REASONS),
        sa.Column("deductions", postgresql.JSONB(), nullable=False),
        _known("condition", "itemcondition", CONDITIONS, nullable=True),
        _known("disposition", "disposition", DISPOSITIONS, nullable=True),
        _text("explanation", nullable=True),
        _id("transfer_id"),
        sa.Column("refund", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint("quantity > 0", name="return_line_quantity_positive"),
        sa.CheckConstraint("refund >= 0", name="return_line_refund_not_negative"),
    )
    op.create_index("return_line_return", "return_line", ["return_id", "position"])
    op.create_index("return_line_order_line", "return_line", ["order_line_id"])


def downgrade() -> None:
    for table in ("return_label", "return_timeline", "return_line", "customer_return", "return_policy"):
        op.drop_table(table)
    op.execute(sa.schema.DropSequence(sa.Sequence("return_number")))
    for column in ("fulfilled_at", "returned"):
        op.drop_column("order_line", column)
