"""Let orders be held, paid at the counter and kept from locations, and parcels be replaced."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from domain import migrations

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

STATUSES = (
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
)


def upgrade() -> None:
    payment = sa.Enum(
        "PREPAID",
        "ON_COLLECTION",
        name="payment_known",
        native_enum=False,
        create_constraint=True,
        length=32,
    )
    op.add_column("customer_order", sa.Column("payment", payment, server_default="PREPAID", nullable=False))
    op.add_column("customer_order", sa.Column("hold_reason", sa.String(), nullable=True))
    op.add_column("customer_order", sa.Column("released_at", sa.DateTime(timezone=True), nullable=True))
    blocked: sa.Column[object] = sa.Column(
        "blocked_location_ids", postgresql.ARRAY(sa.Uuid()), server_default="{}", nullable=False
    )
    op.add_column("customer_order", blocked)
    op.add_column("assignment", sa.Column("withheld", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("shipment", sa.Column("replaced_at", sa.DateTime(timezone=True), nullable=True))
    _know("HELD", *STATUSES)
    op.execute("ALTER TYPE new_order ADD ATTRIBUTE payment text")
    _make("offer_assignments_4", "place_orders_5")


def downgrade() -> None:
    op.execute("UPDATE assignment SET status = 'OFFERED' WHERE status = 'HELD'")
    op.execute("ALTER TYPE new_order DROP ATTRIBUTE payment")
    _know(*STATUSES)
    op.drop_column("shipment", "replaced_at")
    op.drop_column("assignment", "withheld")
    for column in ("blocked_location_ids", "released_at", "hold_reason", "payment"):
        op.drop_column("customer_order", column)
    _make("offer_assignments_3", "place_orders_4")


def _know(*statuses: str) -> None:
    op.drop_constraint("assignmentstatus_known", "assignment")
    listed = ", ".join(f"'{status}'" for status in statuses)
    op.create_check_constraint("assignmentstatus_known", "assignment", f"status IN ({listed})")


def _make(*names: str) -> None:
    op.execute("DROP FUNCTION offer_assignments, place_orders")
    for name in names:
        op.get_bind().exec_driver_sql(migrations.sql(name))
