"""Count how often a wrong postal code is said for an order's number."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "postal_code_guess",
        sa.Column("order_number", sa.String(), primary_key=True),
        sa.Column("guesses", sa.Integer(), nullable=False),
        sa.Column("forgotten_at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("postal_code_guess")
