"""Begin the feed and place orders in one call."""

from importlib.resources import files

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("INSERT INTO feed_epoch SELECT true, 1, system_identifier FROM pg_control_system()")
    op.execute("INSERT INTO network_revision VALUES (true, 1)")
    # The driver's prepared statements take one command each; a DO block takes none of a function's dollar quotes.
    for command in files("domain.migrations").joinpath("sql/place_orders_1.sql").read_text().split("\n\n-- Places"):
        op.get_bind().exec_driver_sql(command if command.startswith("-- ") else f"-- Places{command}")


def downgrade() -> None:
    op.execute("DROP FUNCTION place_orders")
    op.execute("DROP FUNCTION offer_assignments")
    op.execute("DELETE FROM network_revision")
    op.execute("DELETE FROM feed_epoch")
