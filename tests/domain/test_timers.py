"""What is due is seen to once, by one of many processes, and what fails is tried again and stops nothing."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from domain.timers import clear_timer, next_due, run_due, set_timer
from domain.transaction import Connection, Database, open_pool

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    """An empty database."""
    pool = await open_pool(dsn)
    yield Database(pool)
    await pool.close()


async def put(database: Database, kind: str, key: str, due_at: datetime) -> None:
    async with database.transaction() as connection:
        await set_timer(connection, kind, key, due_at)


async def left(database: Database) -> list[tuple[str, datetime]]:
    async with database.reading() as connection:
        return [(row["key"], row["due_at"]) for row in await connection.fetch("SELECT * FROM timer ORDER BY key")]


class Seen:
    """A handler that counts what it saw."""

    def __init__(self) -> None:
        self.keys: Counter[str] = Counter()

    async def __call__(self, connection: Connection, key: str, _: datetime) -> None:
        await connection.execute("SELECT pg_sleep(0.002)")
        self.keys[key] += 1


async def test_what_is_due_is_seen_to_in_order_and_the_rest_waits(database: Database) -> None:
    seen = Seen()
    for key, due_at in (("late", NOW), ("early", NOW - SECOND), ("later", NOW + SECOND)):
        await put(database, "kind", key, due_at)
    assert await run_due(database, {"kind": seen}, now=NOW) == 2
    assert list(seen.keys) == ["early", "late"]
    assert await left(database) == [("later", NOW + SECOND)]
    async with database.reading() as connection:
        assert await next_due(connection, {"kind": seen}) == NOW + SECOND
        assert await next_due(connection, {}) is None


async def test_a_timer_set_again_is_moved_and_one_cleared_is_gone(database: Database) -> None:
    seen = Seen()
    for due_at in (NOW, NOW + SECOND):
        await put(database, "kind", "moved", due_at)
    await put(database, "kind", "cleared", NOW)
    async with database.transaction() as connection:
        await clear_timer(connection, "kind", "cleared")
    assert await run_due(database, {"kind": seen}, now=NOW) == 0
    assert await run_due(database, {"kind": seen}, now=NOW + SECOND) == 1
    assert seen.keys == {"moved": 1}


async def test_a_kind_that_nobody_handles_stays(database: Database) -> None:
    await put(database, "kind", "key", NOW)
    assert await run_due(database, {"other": Seen()}, now=NOW) == 0
    assert await left(database) == [("key", NOW)]


async def test_many_processes_see_to_each_timer_once(dsn: str, database: Database) -> None:
    async with database.transaction() as connection:
        for n in range(60):
            await set_timer(connection, "kind", str(n), NOW)
    pools = [await open_pool(dsn, size=2) for _ in range(4)]
    seen = Seen()
    await asyncio.gather(*(run_due(Database(pool), {"kind": seen}, now=NOW) for pool in pools))
    for pool in pools:
        await pool.close()
    assert seen.keys == {str(n): 1 for n in range(60)}
    assert await left(database) == []


async def test_a_handler_that_fails_is_rolled_back_put_off_ever_longer_and_stops_no_other(database: Database) -> None:
    seen = Seen()

    async def fail(connection: Connection, key: str, now: datetime) -> None:
        await set_timer(connection, "kind", "never", now)
        await connection.execute("SELECT 1 / 0")

    await put(database, "bad", "bad", NOW - SECOND)
    await put(database, "kind", "good", NOW)
    handlers = {"bad": fail, "kind": seen}
    now, pauses = NOW, []
    for _ in range(12):
        await run_due(database, handlers, now=now)
        ((key, due_at),) = await left(database)
        assert key == "bad"
        pauses.append((due_at - now) // SECOND)
        assert await run_due(database, handlers, now=due_at - SECOND / 2) == 0
        now = due_at
    assert seen.keys == {"good": 1}
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    await put(database, "bad", "bad", now)
    assert await run_due(database, {"bad": seen}, now=now) == 1
    assert await left(database) == []


async def test_a_timer_moved_by_its_own_handler_stays_where_it_was_put(database: Database) -> None:
    async def again(connection: Connection, key: str, now: datetime) -> None:
        await set_timer(connection, "kind", key, now + 60 * SECOND)

    await put(database, "kind", "key", NOW)
    assert await run_due(database, {"kind": again}, now=NOW) == 1
    assert await left(database) == [("key", NOW + 60 * SECOND)]
