"""Give each offer the deadlines of the policy that made it."""

import sqlalchemy as sa
from alembic import op

from domain import migrations

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("assignment", sa.Column("respond_by", sa.DateTime(timezone=True), nullable=True))
    op.add_column("assignment", sa.Column("respond_seconds", sa.Integer(), nullable=True))
    op.add_column("assignment", sa.Column("start_seconds", sa.Integer(), nullable=True))
    op.add_column("assignment", sa.Column("deadline", sa.DateTime(timezone=True), nullable=True))
    op.create_index("assignment_deadline", "assignment", ["deadline"], postgresql_where=sa.text("deadline IS NOT NULL"))
    op.execute(
        "ALTER TYPE new_assignment ADD ATTRIBUTE respond_by timestamptz, ADD ATTRIBUTE respond_seconds int, "
        "ADD ATTRIBUTE start_seconds int"
    )
    _offer("offer_assignments_5")


def downgrade() -> None:
    op.execute(
        "ALTER TYPE new_assignment DROP ATTRIBUTE respond_by, DROP ATTRIBUTE respond_seconds, "
        "DROP ATTRIBUTE start_seconds"
    )
    _offer("offer_assignments_4")
    op.drop_index("assignment_deadline", "assignment")
    op.drop_column("assignment", "deadline")
    op.drop_column("assignment", "start_seconds")
    op.drop_column("assignment", "respond_seconds")
    op.drop_column("assignment", "respond_by")


def _offer(name: str) -> None:
    op.execute("DROP FUNCTION offer_assignments")
    op.get_bind().exec_driver_sql(migrations.sql(name))
