"""Timers whose work is to ask others."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from domain.errands import LEASE, RUN_TOGETHER, Errand, Errands
from domain.timers import FIRST_PAUSE, set_timer
from domain.transaction import Database, open_pool

NOON = datetime(2026, 3, 4, 11, 0, tzinfo=UTC)


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    """An empty database."""
    pool = await open_pool(dsn)
    yield Database(pool)
    await pool.close()


async def due(database: Database, *keys: str) -> None:
    async with database.transaction() as connection:
        for key in keys:
            await set_timer(connection, "ask", key, NOON)


async def left(database: Database) -> dict[str, timedelta]:
    """Return when each timer that is left falls due, seen from noon."""
    async with database.reading() as connection:
        return {row["key"]: row["due_at"] - NOON for row in await connection.fetch("SELECT * FROM timer")}


async def run(database: Database, errand: Errand, now: datetime = NOON) -> int:
    """Run what is due to its end; return how much that was."""
    async with asyncio.TaskGroup() as group:
        return await Errands(database, {"ask": errand}, group).begin(now=now)


async def test_an_errand_is_run_once_however_many_look_for_it(database: Database) -> None:
    await due(database, *map(str, range(10)))
    asked = []

    async def ask(_: Database, key: str, __: datetime) -> None:
        asked.append(key)

    counts = await asyncio.gather(*(run(database, ask) for _ in range(3)))
    assert (sum(counts), sorted(asked)) == (10, sorted(map(str, range(10))))
    assert await left(database) == {}


async def test_a_slow_errand_stops_no_other_and_holds_nothing_meanwhile(database: Database) -> None:
    await due(database, "slow")
    asked, go_on = [], asyncio.Event()

    async def ask(_: Database, key: str, __: datetime) -> None:
        if key == "slow":
            await go_on.wait()
        asked.append(key)

    async with asyncio.TaskGroup() as group:
        errands = Errands(database, {"ask": ask}, group)
        assert await errands.begin(now=NOON) == 1
        await due(database, "quick")
        assert await errands.begin(now=NOON) == 1
        async with asyncio.timeout(30):
            while asked != ["quick"]:
                await asyncio.sleep(0.01)
        async with database.reading() as connection:
            locks = "SELECT count(*) FROM pg_locks WHERE relation = 'timer'::regclass AND mode LIKE '%Exclusive%'"
            assert await connection.fetchval(locks) == 0
        go_on.set()
    assert await left(database) == {}


async def test_no_more_run_together_than_there_is_room_for(database: Database) -> None:
    await due(database, *map(str, range(RUN_TOGETHER + 5)))
    together, most = 0, 0

    async def ask(_: Database, __: str, ___: datetime) -> None:
        nonlocal together, most
        together += 1
        most = max(most, together)
        await asyncio.sleep(0)
        together -= 1

    async with asyncio.TaskGroup() as group:
        errands = Errands(database, {"ask": ask}, group)
        assert await errands.begin(now=NOON) == RUN_TOGETHER
        while await left(database):
            await errands.begin(now=NOON)
    assert most <= RUN_TOGETHER


async def test_an_errand_that_fails_is_put_off_ever_longer(database: Database) -> None:
    await due(database, "a")

    async def fail(_: Database, __: str, ___: datetime) -> None:
        raise ConnectionRefusedError

    assert await run(database, fail) == 1
    assert await left(database) == {"a": FIRST_PAUSE}
    assert await run(database, fail) == 0
    assert await run(database, fail, NOON + FIRST_PAUSE) == 1
    assert await left(database) == {"a": 3 * FIRST_PAUSE}


async def test_an_errand_of_a_process_that_died_is_run_again_when_its_lease_is_over(database: Database) -> None:
    await due(database, "a")
    asked = []

    async def die(*_: object) -> None:
        raise asyncio.CancelledError

    async def ask(_: Database, key: str, __: datetime) -> None:
        asked.append(key)

    await run(database, die)
    assert await left(database) == {"a": LEASE}
    assert await run(database, ask, NOON + LEASE - timedelta(seconds=1)) == 0
    assert await run(database, ask, NOON + LEASE) == 1
    assert (asked, await left(database)) == (["a"], {})


async def test_an_errand_that_sets_its_own_timer_anew_is_run_again_then(database: Database) -> None:
    await due(database, "a")

    async def later(database: Database, key: str, now: datetime) -> None:
        async with database.transaction() as connection:
            await set_timer(connection, "ask", key, now + timedelta(hours=1))

    await run(database, later)
    assert await left(database) == {"a": timedelta(hours=1)}
