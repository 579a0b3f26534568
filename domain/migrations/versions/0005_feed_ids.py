"""Begin the feed's ids where the first row has room for a whole run: the last of its facts has the row's own id."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER SEQUENCE feed_id START WITH 32")
    op.execute("SELECT setval('feed_id', 32, false) FROM feed_id WHERE last_value < 32")


def downgrade() -> None:
    op.execute("ALTER SEQUENCE feed_id START WITH 1")
