"""Updates a second from commit to socket, and their latency, beside what LISTEN and NOTIFY alone bring.

A `crossdock serve` of its own process on a Postgres of its own, fsync on; writers and one subscriber in this process.
Each transaction writes one update and wakes the gateway as another gateway would; each begins at its time, whatever the
others wait for. Rates double until one is not held: it was not written, or its last update came more than a second
after the last commit. The floor: a row in each transaction and a NOTIFY with its number, heard on one connection.
Latency runs from the commit's answer to the arrival; CPU is the gateway's, an update. In the end a transaction is left
open for 5 s while others write, and one socket comes back 100,000 updates behind.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import quantiles

import asyncpg
import httpx
import psutil
import uvloop
from realtime.stage import SECRET, database, token
from websockets.asyncio.client import connect as connect_socket
from websockets.typing import Subprotocol

from app.wakeups import wakeups
from domain.feed import Fact, record
from domain.transaction import Connection, Wake, open_pool
from domain.vocabulary import UpdateKind
from schema.paging import global_id

RATES = (100, 1_000, 2_000, 4_000, 8_000, 16_000)
WRITERS = 16
SETTLE_SECONDS = 120.0
OPEN_SECONDS = 5.0
SUBSCRIPTION = """subscription ($where: ID, $after: Cursor) {
    stockUpdates(locationId: $where, after: $after, conflate: false) { cursor onHand } }"""
MISSED = 100_000
CHANNEL = "floor"


@dataclass(slots=True)
class Run:
    """When each update was committed, and when it arrived, on the monotonic clock."""

    committed: dict[int, float] = field(default_factory=dict)
    arrived: dict[int, float] = field(default_factory=dict)

    async def settled(self) -> None:
        """Wait until everything has arrived. A rate that was not held has its time too: nothing may be lost."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while len(self.arrived) < len(self.committed) and time.monotonic() < deadline:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)
        missing = len(self.committed.keys() - self.arrived.keys())
        assert not missing, f"{missing} updates have not arrived after {SETTLE_SECONDS:g} s"

    @property
    def rate(self) -> float:
        return len(self.committed) / (max(self.committed.values()) - min(self.committed.values()))

    @property
    def behind(self) -> float:
        """Return the seconds from the last commit to the last arrival."""
        return max(0.0, max(self.arrived.values()) - max(self.committed.values()))

    def latencies(self) -> tuple[float, float]:
        """Return p50 and p99, in ms."""
        cuts = quantiles((max(0.0, self.arrived[n] - at) * 1000 for n, at in self.committed.items()), n=100)
        return cuts[49], cuts[98]


Write = Callable[[Connection, range], Awaitable[None]]


async def at_rate(pool: asyncpg.Pool, write: Write, run: Run, *, rate: int, seconds: float) -> None:
    """Write one update a transaction, each begun at its time."""

    async def one(n: int) -> None:
        async with pool.acquire() as connection:
            await write(connection, range(n, n + 1))
        run.committed[n] = time.monotonic()

    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for n in range(round(rate * seconds)):
            await asyncio.sleep(began + n / rate - time.monotonic())
            group.create_task(one(n))


@contextmanager
def gateway(dsn: str) -> Iterator[tuple[str, psutil.Process]]:
    environment = os.environ | {"DATABASE_URL": dsn, "CROSSDOCK_SECRET": SECRET, "CROSSDOCK_LOG_LEVEL": "warning"}
    environment |= {"CROSSDOCK_UPDATES_KEPT": "1000000", "CROSSDOCK_UPDATES_KEPT_BYTES": "67108864"}
    command = [sys.executable, "-m", "app", "serve", "--port", "0"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split("//")[1].split("/")[0].strip(), psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(20)


@asynccontextmanager
async def subscribed(address: str, run: Run, *, where: object = None, after: str | None = None) -> AsyncIterator[None]:
    """Note what arrives at a socket."""
    variables = {"where": where and global_id("Location", str(where)), "after": after}
    payload = {"query": SUBSCRIPTION, "variables": variables}
    protocol = Subprotocol("graphql-transport-ws")
    async with connect_socket(
        f"ws://{address}/graphql", subprotocols=[protocol], compression=None, ping_interval=None
    ) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": {"token": token()}}))
        await socket.recv()
        await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
        await asyncio.sleep(0.5)

        async def hear() -> None:
            async for text in socket:
                message = json.loads(text)
                if message["type"] == "next":
                    run.arrived[message["payload"]["data"]["stockUpdates"]["onHand"]] = time.monotonic()

        task = asyncio.create_task(hear())
        yield
        task.cancel()


@asynccontextmanager
async def listening(dsn: str, run: Run) -> AsyncIterator[None]:
    """Note what LISTEN brings."""
    connection = await asyncpg.connect(dsn)

    def hear(*told: object) -> None:
        run.arrived[int(str(told[-1]))] = time.monotonic()

    await connection.add_listener(CHANNEL, hear)
    yield
    await connection.close()


def through_the_feed(place: object, wake: Wake) -> Write:
    async def write(connection: Connection, numbers: range) -> None:
        now = datetime.now(UTC)
        facts = [
            Fact(kind=UpdateKind.STOCK_CHANGED, at=now, sku="sku-0", location_ids=[place], quantities=(n, 0, n))
            for n in numbers
        ]
        await record(connection, facts)
        await wake()

    return write


async def alone(connection: Connection, numbers: range) -> None:
    async with connection.transaction():
        await connection.executemany("INSERT INTO floor (n) VALUES ($1)", [(n,) for n in numbers])
        for n in numbers:
            await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, str(n))


def used(process: psutil.Process) -> float:
    """Return the seconds of the processor that it has used."""
    times = process.cpu_times()
    return float(times.user + times.system)


async def idle(process: psutil.Process, seconds: float) -> None:
    before = used(process)
    await asyncio.sleep(seconds)
    print(f"idle, no subscriber: {(used(process) - before) / seconds:.2%} of a processor", flush=True)


async def left_open(pool: asyncpg.Pool, write: Write, run: Run, *, rate: int, seconds: float) -> None:
    """Keep one transaction open while others write; print what that costs them, and when all of theirs has arrived."""
    slowest = 0.0

    async def timed(connection: Connection, numbers: range) -> None:
        nonlocal slowest
        began = time.monotonic()
        await write(connection, numbers)
        slowest = max(slowest, time.monotonic() - began)

    async with pool.acquire() as connection:
        async with connection.transaction():
            await write(connection, range(-1, 0))
            await at_rate(pool, timed, run, rate=rate, seconds=seconds)
            early = len(run.arrived)
        ended = run.committed[-1] = time.monotonic()
    await run.settled()
    lag = (max(run.arrived.values()) - ended) * 1000
    print(
        f"a transaction left open for {seconds:g} s at {rate}/s: slowest write {slowest * 1000:.1f} ms, {early} told "
        f"before its end, all {len(run.committed)} within {lag:.0f} ms of it",
        flush=True,
    )


async def behind(pool: asyncpg.Pool, address: str, places: list[object], wake: Wake, *, seconds: float) -> None:
    """Let one socket come back 100,000 updates behind; print how long another waits for its own meanwhile."""
    headers = {"Authorization": f"Bearer {token()}"}
    async with httpx.AsyncClient(base_url=f"http://{address}", headers=headers) as http:
        answer = await http.post("/graphql", json={"query": "{ updatesCursor }"})
    start = answer.json()["data"]["updatesCursor"]
    crowded, quiet = places
    async with pool.acquire() as connection:
        await through_the_feed(crowded, wake)(connection, range(MISSED))
    write, alone, beside, replay = through_the_feed(quiet, wake), Run(), Run(), Run()
    async with subscribed(address, alone, where=quiet):
        await at_rate(pool, write, alone, rate=20, seconds=0.1)
        await alone.settled()  # it has passed what was missed
        alone = Run()
    async with subscribed(address, alone, where=quiet):
        await at_rate(pool, write, alone, rate=20, seconds=seconds)
        await alone.settled()
    async with subscribed(address, replay, where=crowded, after=start), subscribed(address, beside, where=quiet):
        before = len(replay.arrived)
        await at_rate(pool, write, beside, rate=20, seconds=seconds)
        await beside.settled()
        came = len(replay.arrived) - before
    for name, run in (("no other", alone), (f"one that reads {came:,} of {MISSED:,} missed updates", beside)):
        p50, p99 = run.latencies()
        print(f"a socket beside {name}: p50 {p50:.1f} ms  p99 {p99:.1f} ms", flush=True)


async def main(dsn: str, address: str, process: psutil.Process, seconds: float) -> None:
    await idle(process, seconds)
    pool = await open_pool(dsn, size=WRITERS)
    await pool.execute("CREATE TABLE floor (n bigint)")
    place, other = [row["id"] for row in await pool.fetch("SELECT id FROM location")]
    async with wakeups(dsn=dsn, broadcast_url=None, on_wake=lambda: None) as wake:
        ways = (
            ("floor", alone, lambda run: listening(dsn, run)),
            ("feed", through_the_feed(place, wake), lambda run: subscribed(address, run)),
        )
        for name, write, hearing in ways:
            for rate in RATES:
                run, before = Run(), used(process)
                async with hearing(run):
                    await at_rate(pool, write, run, rate=rate, seconds=seconds)
                    await run.settled()
                held = run.rate > 0.9 * rate and run.behind < 1
                p50, p99 = run.latencies()
                cpu = (used(process) - before) / len(run.committed) * 1e6
                print(
                    f"{name:6} {rate:6}/s {'held' if held else f'NOT held: {run.rate:.0f}/s':19} p50 {p50:7.1f} ms  "
                    f"p99 {p99:7.1f} ms  last {run.behind * 1000:6.0f} ms  {cpu:5.0f} us CPU",
                    flush=True,
                )
                if not held:
                    break
        run = Run()
        async with subscribed(address, run):
            await left_open(pool, through_the_feed(place, wake), run, rate=RATES[0], seconds=OPEN_SECONDS)
        await behind(pool, address, [place, other], wake, seconds=seconds)
    await pool.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="that each rate is kept up")
    arguments = parser.parse_args()
    with database(2) as dsn, gateway(dsn) as (address, process):
        uvloop.run(main(dsn, address, process, arguments.seconds))
