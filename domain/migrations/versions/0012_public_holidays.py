"""Know on which public holidays a location stays closed."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("location", sa.Column("public_holidays", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("location", "public_holidays")
