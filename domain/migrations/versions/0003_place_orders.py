"""Begin the feed and place orders in one call."""

from importlib.resources import files

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("INSERT INTO feed_epoch SELECT true, 1, system_identifier FROM pg_control_system()")
    op.execute("INSERT INTO network_revision VALUES (true, 1)")
    for name in ("held_back_1", "offer_assignments_1", "place_orders_1"):
        op.get_bind().exec_driver_sql(files("domain.migrations").joinpath(f"sql/{name}.sql").read_text())


def downgrade() -> None:
    op.execute("DROP FUNCTION place_orders")
    op.execute("DROP FUNCTION offer_assignments")
    op.execute("DROP FUNCTION held_back")
    op.execute("DELETE FROM network_revision")
    op.execute("DELETE FROM feed_epoch")
