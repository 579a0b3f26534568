"""Where Postgres comes from, and what brings it to this version's tables."""

import asyncio
import contextlib
import re
import sys
from collections.abc import Iterator

import asyncpg
from asyncpg import exceptions

from app.settings import Settings, SetupError
from domain import migrations
from domain.transaction import OUTAGES, Connection

MIGRATION_LOCK = 0x43524F5353  # any number that nobody else locks
CONNECT_SECONDS = 10


class DatabaseUnreachableError(SetupError):
    """The database does not answer, or does not let us in."""


class DatabaseTooNewError(SetupError):
    """The database was migrated by a later Crossdock."""


class DatabaseUnfitError(SetupError):
    """The database is no place for Crossdock's tables, or no longer does what it is asked; the text says why."""


FITTING = "Crossdock needs a database of its own that its user owns, in UTF-8, of Postgres 15 or newer"
OLDEST_SERVER = 15
WITHDRAWN = (
    *OUTAGES,
    exceptions.InsufficientPrivilegeError,
    exceptions.InsufficientResourcesError,
    exceptions.QueryCanceledError,
    exceptions.ReadOnlySQLTransactionError,
)
"""What is no fault of ours where a statement fails: whoever runs Postgres can put it right."""


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
    a running event loop. Raises DatabaseUnreachableError, DatabaseTooNewError and DatabaseUnfitError.
    """
    newest = migrations.newest()
    found = asyncio.run(_revision(dsn))
    if found is not None and not re.fullmatch(r"\d{4}", found):
        raise DatabaseUnfitError(f"the database at {_place(dsn)} holds other tables, at revision {found}: {FITTING}")
    if found is not None and found > newest:
        raise DatabaseTooNewError(
            f"the database is at revision {found}, this Crossdock knows {newest}: run a newer Crossdock"
        )
    if found != newest:
        _run(dsn, "upgrade", "head")


def downgrade(dsn: str, revision: str) -> None:
    """Take the database back to a revision, `base` for an empty one. What only later tables held is lost."""
    _run(dsn, "downgrade", revision)


async def connect(dsn: str) -> Connection:
    """Return a connection of one's own. Raises DatabaseUnreachableError with the reason, without the password."""
    try:
        connection: Connection = await asyncpg.connect(dsn, timeout=CONNECT_SECONDS)
    except (OSError, ValueError, OverflowError, exceptions.PostgresError, exceptions.InterfaceError) as error:
        reason = str(error) or f"no answer within {CONNECT_SECONDS} s"
        raise DatabaseUnreachableError(f"cannot use the database at {_place(dsn)}: {reason}") from None
    else:
        return connection


@contextlib.contextmanager
def answering(dsn: str) -> Iterator[None]:
    """Raise DatabaseUnfitError where the database does not do what is asked of it, and that is no fault of ours."""
    try:
        yield
    except BrokenPipeError:  # whoever reads what we print has left
        raise
    except WITHDRAWN as error:
        raise DatabaseUnfitError(f"the database at {_place(dsn)}: {str(error) or type(error).__name__}") from None


def _place(dsn: str) -> str:
    return dsn.partition("?")[0].rpartition("@")[2].removeprefix("postgresql://")


async def _revision(dsn: str) -> str | None:
    connection = await connect(dsn)
    revision: str | None = None
    try:
        table, encoding = await connection.fetchrow(
            "SELECT to_regclass('alembic_version'), current_setting('server_encoding')"
        )
        version = connection.get_server_version().major
        if encoding != "UTF8" or version < OLDEST_SERVER:
            raise DatabaseUnfitError(
                f"the database at {_place(dsn)} is of Postgres {version}, in {encoding}: {FITTING}"
            )
        if table is not None:
            revision = await connection.fetchval("SELECT version_num FROM alembic_version")
    except exceptions.PostgresError as error:
        raise DatabaseUnfitError(f"the database at {_place(dsn)}: {error}; {FITTING}") from None
    else:
        return revision
    finally:
        await connection.close()


def _run(dsn: str, direction: str, revision: str) -> None:
    from alembic import command  # these take longer to import than a migrated database to be found so
    from alembic.config import Config
    from alembic.util import CommandError
    from sqlalchemy import Connection, text
    from sqlalchemy.exc import DBAPIError
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

    try:
        asyncio.run(run())
    except (CommandError, DBAPIError) as error:
        reason = f"{getattr(error, 'orig', error)}; it is as it was, and {FITTING}"
        raise DatabaseUnfitError(f"the database at {_place(dsn)} could not be migrated: {reason}") from error
