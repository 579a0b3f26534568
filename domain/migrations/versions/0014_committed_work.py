"""Count what each location with a capacity has taken on for each of its days, and place no more than it takes."""

import sqlalchemy as sa
from alembic import op

from domain import migrations

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "committed_work",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("location_id", sa.Uuid(), nullable=False),
        sa.Column("orders", sa.Integer(), nullable=False),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", "location_id"),
    )
    op.add_column("assignment", sa.Column("work_day", sa.Date(), nullable=True))
    op.add_column("assignment", sa.Column("units_committed", sa.Integer(), server_default="0", nullable=False))
    op.execute("ALTER TYPE new_assignment ADD ATTRIBUTE work_day date")
    _make("day_limit_1", "passes_limit_1", "commit_work_1", "offer_assignments_3", "place_orders_4")


def downgrade() -> None:
    op.execute("DROP FUNCTION day_limit, passes_limit, commit_work")
    op.execute("ALTER TYPE new_assignment DROP ATTRIBUTE work_day")
    op.drop_column("assignment", "units_committed")
    op.drop_column("assignment", "work_day")
    op.drop_table("committed_work")
    _make("offer_assignments_2", "place_orders_3")


def _make(*names: str) -> None:
    op.execute("DROP FUNCTION IF EXISTS offer_assignments, place_orders")
    for name in names:
        op.get_bind().exec_driver_sql(migrations.sql(name))
