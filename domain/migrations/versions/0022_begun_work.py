"""Note since when work is picked, and drop what an offer never needed to know."""

import sqlalchemy as sa
from alembic import op

from domain import migrations

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("assignment", sa.Column("begun_at", sa.DateTime(timezone=True), nullable=True))
    op.drop_column("assignment", "respond_seconds")
    op.execute("ALTER TYPE new_assignment DROP ATTRIBUTE respond_seconds")
    _offer("offer_assignments_7")


def downgrade() -> None:
    # The attribute stood before two others: those go and come back behind it.
    op.execute(
        "ALTER TYPE new_assignment DROP ATTRIBUTE start_seconds, DROP ATTRIBUTE destination_id, "
        "ADD ATTRIBUTE respond_seconds int, ADD ATTRIBUTE start_seconds int, ADD ATTRIBUTE destination_id uuid"
    )
    op.add_column("assignment", sa.Column("respond_seconds", sa.Integer(), nullable=True))
    op.drop_column("assignment", "begun_at")
    _offer("offer_assignments_6")


def _offer(name: str) -> None:
    op.execute("DROP FUNCTION offer_assignments")
    op.get_bind().exec_driver_sql(migrations.sql(name))
