"""Tell the levels of a batch in the order in which they changed."""

from alembic import op

from domain import migrations

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _make("place_orders_7")


def downgrade() -> None:
    _make("place_orders_6")


def _make(name: str) -> None:
    op.execute("DROP FUNCTION place_orders")
    op.get_bind().exec_driver_sql(migrations.sql(name))
