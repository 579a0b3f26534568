"""Place an order of several parcels where a location's day has room for one order."""

from alembic import op

from domain import migrations

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _limit("passes_limit_2")


def downgrade() -> None:
    _limit("passes_limit_1")


def _limit(name: str) -> None:
    op.execute("DROP FUNCTION passes_limit")
    op.get_bind().exec_driver_sql(migrations.sql(name))
