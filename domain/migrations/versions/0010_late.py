"""Know which orders are late."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("customer_order", sa.Column("late", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_index("customer_order_late", "customer_order", ["placed_at", "id"], postgresql_where=sa.text("late"))


def downgrade() -> None:
    op.drop_index("customer_order_late", "customer_order")
    op.drop_column("customer_order", "late")
