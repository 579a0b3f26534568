"""Let transfers be made for an order, which waits for them at its store."""

import sqlalchemy as sa
from alembic import op

from domain import migrations

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("transfer", sa.Column("order_id", sa.Uuid(), nullable=True))
    op.add_column("transfer", sa.Column("due_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("transfer", sa.Column("carrier_service_code", sa.String(), nullable=True))
    op.create_index("transfer_order", "transfer", ["order_id"], postgresql_where=sa.text("order_id IS NOT NULL"))
    op.add_column("transfer_line", sa.Column("bound", sa.Integer(), server_default="0", nullable=False))
    op.create_check_constraint("transfer_line_bound", "transfer_line", "bound BETWEEN 0 AND quantity")
    op.execute("ALTER TYPE new_assignment ADD ATTRIBUTE destination_id uuid")
    _make("offer_assignments_6")


def downgrade() -> None:
    op.execute("ALTER TYPE new_assignment DROP ATTRIBUTE destination_id")
    op.drop_constraint("transfer_line_bound", "transfer_line")
    op.drop_column("transfer_line", "bound")
    op.drop_index("transfer_order", "transfer")
    for column in ("carrier_service_code", "due_at", "order_id"):
        op.drop_column("transfer", column)
    _make("offer_assignments_5")


def _make(name: str) -> None:
    op.execute("DROP FUNCTION offer_assignments")
    op.get_bind().exec_driver_sql(migrations.sql(name))
