"""Take the stock of a batch in one step, where there is enough for everybody."""

from alembic import op

from domain import migrations

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DROP FUNCTION offer_assignments, place_orders")
    _make("offer_assignments_8", "take_stock_1", "place_orders_6")


def downgrade() -> None:
    op.execute("DROP FUNCTION offer_assignments, place_orders, take_stock")
    _make("offer_assignments_7", "place_orders_5")


def _make(*names: str) -> None:
    for name in names:
        op.get_bind().exec_driver_sql(migrations.sql(name))
