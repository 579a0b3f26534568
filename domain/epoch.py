"""The feed's epoch: cursors of another one mean nothing here.

A database that was restored, or a replica that took over, counts transactions again that its predecessor had counted
already: what it tells would hide behind cursors that were handed out before.
"""

import asyncpg

HERE = """
SELECT format('%s.%s.%s', c.system_identifier, left(pg_walfile_name(pg_current_wal_lsn()), 8), d.oid)
  FROM pg_control_system() c, pg_database d WHERE d.datname = current_database()
"""
"""The cluster, its timeline, which a replica that takes over and a recovery to a moment change, and the database."""


async def begin(connection: asyncpg.Connection) -> None:
    """Begin a new epoch where this is not the database that the last one began in.

    Every new connection does so before it writes, so nothing of the new database is told in the old one's epoch.
    """
    await connection.execute(
        f"""
        UPDATE feed_epoch SET epoch = epoch + 1, database = here.named
          FROM ({HERE}) AS here (named)
         WHERE feed_epoch.database <> here.named
            OR (SELECT max(xid) FROM feed WHERE feed.epoch = feed_epoch.epoch)
               >= pg_snapshot_xmax(pg_current_snapshot())
        """  # noqa: S608 - no input
    )
