"""Keep why orders were routed as they were, in the call that places them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from domain import migrations

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

NEW = """
    order_id uuid, id uuid, decided_at timestamptz, trigger text, policy_name text, policy_version int, cost bigint,
    gap float8, solve_microseconds int, told jsonb
"""
TRIGGERS = (
    "PLACED",
    "RELEASED",
    "REJECTED",
    "EXPIRED",
    "SHORT_PICK",
    "NOT_FOUND_IN_COUNT",
    "LOCATION_CLOSED",
    "ORDER_CHANGED",
    "STOCK_ARRIVED",
    "MANUAL",
)


def upgrade() -> None:
    trigger = sa.Enum(*TRIGGERS, name="routingtrigger_known", native_enum=False, create_constraint=True, length=32)
    op.create_table(
        "routing_decision",
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("trigger", trigger, nullable=False),
        sa.Column("policy_name", sa.String(), nullable=False),
        sa.Column("policy_version", sa.Integer(), nullable=False),
        sa.Column("cost", sa.BigInteger(), nullable=False),
        sa.Column("gap", sa.Float(), nullable=False),
        sa.Column("solve_microseconds", sa.Integer(), nullable=False),
        sa.Column("told", postgresql.JSONB(none_as_null=True), nullable=False),
        sa.PrimaryKeyConstraint("order_id", "id"),
    )
    op.execute(f"CREATE TYPE new_routing_decision AS ({NEW})")
    op.execute("DROP FUNCTION place_orders")
    op.get_bind().exec_driver_sql(migrations.sql("place_orders_3"))


def downgrade() -> None:
    op.execute("DROP FUNCTION place_orders")
    op.get_bind().exec_driver_sql(migrations.sql("place_orders_2"))
    op.execute("DROP TYPE new_routing_decision")
    op.drop_table("routing_decision")
