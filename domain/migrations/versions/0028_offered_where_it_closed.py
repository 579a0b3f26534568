"""Look after a closed location once more where work is offered to it after all."""

from alembic import op

from domain import migrations

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _offer("offer_assignments_9")


def downgrade() -> None:
    _offer("offer_assignments_8")


def _offer(name: str) -> None:
    op.execute("DROP FUNCTION offer_assignments")
    op.get_bind().exec_driver_sql(migrations.sql(name))
