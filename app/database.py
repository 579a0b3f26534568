"""Where Postgres comes from, and what brings it to this version's tables."""

import asyncio
import contextlib
import sys
from collections.abc import Iterator

import asyncpg
from asyncpg import exceptions

from app.settings import Settings, SetupError
from domain import migrations
from domain.transaction import Connection

MIGRATION_LOCK = 0x43524F5353  # any number that nobody else locks
CONNECT_SECONDS = 10


class DatabaseUnreachableError(SetupError):
    """The database does not answer, or does not let us in."""


class DatabaseTooNewError(SetupError):
    """The database was migrated by a later Crossdock."""


@contextlib.contextmanager
def postgres(settings: Settings) -> Iterator[str]:
    """Yield the DSN of DATABASE_URL, or of the embedded server, which runs until the end of the block.

    Raises SetupError where there is none to be had.
    """
    if settings.database_url is not None:
        yield settings.database_url
        return
    if sys.platform == "win32":
        raise SetupError("set DATABASE_URL: the embedded Postgres runs on Linux and macOS")
    from app import embedded

    with embedded.server(settings.data_dir) as dsn:
        yield dsn


def migrate(dsn: str) -> None:
    """Bring the database to the newest revision; one that is there already costs one connection and one SELECT.

    Several processes may do so at once: the first migrates, the others wait and find it done. Not to be called from
    a running event loop. Raises DatabaseUnreachableError and DatabaseTooNewError.
    """
    newest = migrations.newest()
    found = asyncio.run(_revision(dsn))
    if found is not None and found > newest:
        raise DatabaseTooNewError(f"the database is at revision {found}, this Crossdock knows {newest}: upgrade it")
    if found != newest:
        _run(dsn, "upgrade", "head")


def downgrade(dsn: str, revision: str) -> None:
    """Take the database back to a revision, `base` for an empty one. What only later tables held is lost."""
    _run(dsn, "downgrade", revision)


async def connect(dsn: str) -> Connection:
    """Return a connection of one's own. Raises DatabaseUnreachableError with the reason, without the password."""
    try:
        connection: Connection = await asyncpg.connect(dsn, timeout=CONNECT_SECONDS)
    except (OSError, ValueError, exceptions.PostgresError, exceptions.InterfaceError) as error:
        reason = str(error) or f"no answer within {CONNECT_SECONDS} s"
        raise DatabaseUnreachableError(f"cannot use the database at {_place(dsn)}: {reason}") from None
    else:
        return connection


def _place(dsn: str) -> str:
    return dsn.rpartition("@")[2].partition("?")[0].removeprefix("postgresql://")


async def _revision(dsn: str) -> str | None:
    connection = await connect(dsn)
    try:
        if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
            return None
        revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
        return revision
    finally:
        await connection.close()


def _run(dsn: str, direction: str, revision: str) -> None:
    from alembic import command  # these take longer to import than a migrated database to be found so
    from alembic.config import Config
    from sqlalchemy import Connection, text
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    def within(connection: Connection) -> None:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(migrations.HERE).replace("%", "%%"))
        getattr(command, direction)(config, revision)

    async def run() -> None:
        engine = create_async_engine("postgresql+asyncpg://", async_creator=lambda: connect(dsn), poolclass=NullPool)
        async with engine.begin() as connection:
            await connection.run_sync(within)

    asyncio.run(run())
