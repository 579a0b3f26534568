"""Keep the feed for a time, and know which database its epoch began in."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("feed_epoch", sa.Column("database", sa.String(), nullable=True))
    op.execute(
        """
        UPDATE feed_epoch SET database = CASE WHEN feed_epoch.system_identifier <> c.system_identifier THEN '' ELSE
               format('%s.%s.%s', c.system_identifier, left(pg_walfile_name(pg_current_wal_lsn()), 8), d.oid) END
          FROM pg_control_system() c, pg_database d WHERE d.datname = current_database()
        """
    )
    op.alter_column("feed_epoch", "database", nullable=False)
    op.drop_column("feed_epoch", "system_identifier")
    op.add_column("feed_epoch", sa.Column("trimmed", sa.String(), server_default="0.0.0", nullable=False))
    op.add_column("webhook", sa.Column("missed_through", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("webhook", "missed_through")
    op.drop_column("feed_epoch", "trimmed")
    op.add_column("feed_epoch", sa.Column("system_identifier", sa.BigInteger(), nullable=True))
    op.execute("UPDATE feed_epoch SET system_identifier = split_part(database, '.', 1)::bigint WHERE database <> ''")
    op.execute("UPDATE feed_epoch SET system_identifier = 0 WHERE system_identifier IS NULL")
    op.alter_column("feed_epoch", "system_identifier", nullable=False)
    op.drop_column("feed_epoch", "database")
