"""Find the transfers that are open, however many have ended."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "transfer_open", "transfer", ["id"], postgresql_where=sa.text("status IN ('REQUESTED', 'IN_TRANSIT')")
    )


def downgrade() -> None:
    op.drop_index("transfer_open", "transfer")
