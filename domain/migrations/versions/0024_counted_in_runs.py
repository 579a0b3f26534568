"""Keep what a load counts in runs of levels, which the ledger unfolds and the feed points at."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from domain import migrations

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def _array(name: str, of: sa.types.TypeEngine[Any]) -> sa.Column[object]:
    return sa.Column(name, postgresql.ARRAY(of), nullable=False)


def upgrade() -> None:
    op.create_table(
        "counted_run",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        _array("skus", sa.Text()),
        _array("location_ids", sa.Uuid()),
        *(_array(name, sa.Integer()) for name in ("on_hand_deltas", "on_hand", "reserved", "available")),
    )
    op.create_index("counted_run_skus", "counted_run", ["skus"], postgresql_using="gin")
    op.create_index("counted_run_location_ids", "counted_run", ["location_ids"], postgresql_using="gin")
    op.add_column("feed", sa.Column("run_id", sa.Uuid(), nullable=True))
    op.get_bind().exec_driver_sql(migrations.sql("counted_movement_1"))


def downgrade() -> None:
    op.execute(
        """
        INSERT INTO stock_movement (id, sku, location_id, reason, on_hand_delta, reserved_delta, occurred_at)
        SELECT id, sku, location_id, reason, on_hand_delta, reserved_delta, occurred_at FROM counted_movement()
        """
    )
    op.execute(
        """
        UPDATE feed
           SET payload = jsonb_build_object('levels', jsonb_build_object(
                   'sku', r.skus, 'location', r.location_ids, 'on_hand', r.on_hand, 'reserved', r.reserved,
                   'available', r.available))
          FROM counted_run r WHERE r.id = feed.run_id
        """
    )
    op.execute("DROP FUNCTION counted_movement")
    op.drop_column("feed", "run_id")
    op.drop_table("counted_run")
