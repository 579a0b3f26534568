"""The way to Postgres: one pool, short reads, and writes that are told only once they are committed."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, TypeAlias

import asyncpg
import orjson

from domain import epoch

Pool: TypeAlias = asyncpg.Pool
Connection: TypeAlias = asyncpg.Connection

Deadlock: TypeAlias = asyncpg.exceptions.DeadlockDetectedError
"""Postgres ended this transaction because it and another waited for each other: it may be done again as a whole."""

OUTAGES = (
    OSError,
    asyncpg.exceptions.PostgresConnectionError,
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.exceptions.TooManyConnectionsError,
    asyncpg.exceptions.InterfaceError,
    asyncpg.exceptions.InternalClientError,
)
"""What asyncpg raises while Postgres is away, starting, stopping or full, the last where it is told so between
statements. TimeoutError is an OSError."""

Wake: TypeAlias = Callable[[], Awaitable[None]]


class Row(asyncpg.Record):
    """A row as Postgres gave it, its columns as attributes; a subclass names them and their types."""

    def __init_subclass__(cls) -> None:
        """Let each column that is named be read as quickly as a row can be."""
        for name in cls.__annotations__:
            setattr(cls, name, property(itemgetter(name)))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the subclass's annotations are the types
        """Return the column of that name, though no class names it."""
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


async def _nobody() -> None:
    """Tell nobody."""


@dataclass(slots=True)
class Database:
    """The pool, and whom to wake after a commit."""

    pool: Pool
    wake: Wake = _nobody

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """Yield a connection outside any transaction: each statement sees what is committed when it starts."""
        async with self.pool.acquire() as connection:
            yield connection

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[Connection]:
        """Yield a connection for one statement that writes: it is its own transaction, without two round trips more."""
        async with self.pool.acquire() as connection:
            yield connection
        await self.wake()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Yield a connection inside a transaction; commit, then wake those who read the feed."""
        async with self.pool.acquire() as connection, connection.transaction():
            yield connection
        await self.wake()


async def open_pool(dsn: str, *, size: int = 10, statement_timeout_ms: int = 15_000) -> Pool:
    """Open the pool of at most `size` connections to a migrated database.

    A transaction left open delays every reader of the feed, so the server ends one that idles.
    """
    pool: Pool = await asyncpg.create_pool(
        dsn,
        min_size=1,
        max_size=size,
        init=_begin,
        reset=_keep,
        server_settings={
            "application_name": "crossdock",
            "jit": "off",  # before Postgres 18 it takes a plan without scans for a dear one, and compiles for a second
            "statement_timeout": str(statement_timeout_ms),
            "idle_in_transaction_session_timeout": str(statement_timeout_ms),
        },
    )
    return pool


async def connect(dsn: str) -> Connection:
    """Open one connection that reads and writes JSON as the pool's do; the caller closes it."""
    connection: Connection = await asyncpg.connect(dsn, server_settings={"application_name": "crossdock"})
    await _prepare(connection)
    return connection


async def _begin(connection: Connection) -> None:
    await epoch.begin(connection)
    await _prepare(connection)


async def _prepare(connection: Connection) -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: b"\x01" + orjson.dumps(value, default=str),  # asyncpg has a UUID of its own
        decoder=lambda data: orjson.loads(data[1:]),
    )


async def _keep(_: Connection) -> None:
    """Leave a returned connection as it is: no statement of ours outlives its transaction."""
