"""Find what is promised for no moment, the end of the list by promise, without reading all orders."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

UNPROMISED = sa.text("promised_latest IS NULL")


def upgrade() -> None:
    op.create_index("customer_order_unpromised", "customer_order", ["id"], postgresql_where=UNPROMISED)


def downgrade() -> None:
    op.drop_index("customer_order_unpromised", "customer_order")
