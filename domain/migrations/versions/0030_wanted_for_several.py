"""Add up what an order wants of a level for several parcels, where not everybody can be served."""

from alembic import op

from domain import migrations

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _place("place_orders_7")


def downgrade() -> None:
    _place("place_orders_6")


def _place(name: str) -> None:
    op.execute("DROP FUNCTION place_orders")
    op.get_bind().exec_driver_sql(migrations.sql(name))
