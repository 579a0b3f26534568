"""Let returns expire of which nothing comes; those that wait already do in 30 days."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("customer_return", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(
        """
        UPDATE customer_return SET expires_at = now() + interval '30 days'
         WHERE status IN ('REQUESTED', 'APPROVED') AND shipment_id IS NULL
        """
    )
    op.create_index(
        "customer_return_expires_at",
        "customer_return",
        ["expires_at"],
        postgresql_where=sa.text("expires_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.execute("DELETE FROM timer WHERE kind IN ('returns', 'expire_return')")
    op.drop_index("customer_return_expires_at", "customer_return")
    op.drop_column("customer_return", "expires_at")
