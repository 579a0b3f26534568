"""The clients of `examples/`, each run against a gateway that it loses: it shows every update once, in order."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from domain.feed import Cursor, Fact, read, record
from domain.vocabulary import Role, UpdateKind
from resolvers.updates import ORDERS
from schema.paging import uuid_of
from tests.api.house import House, know, opened
from tests.node import installed

EXAMPLES = Path(__file__).parents[1] / "examples"
JAVASCRIPT = ("plain.js", "apollo.js", "urql.js")
SECONDS = 30


@dataclass(slots=True)
class Wire:
    """What lies between the clients and the gateway, and can be cut."""

    target: str
    port: int = 0
    pings: Counter[asyncio.StreamWriter] = field(default_factory=Counter)
    """Those that each client was sent."""
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    async def join(self) -> None:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        assert self._server
        self._server.close()
        for writer in self._open:
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self.target.partition(":")
        there, back = await asyncio.open_connection(host, int(port))
        self._open |= {writer, back}
        await asyncio.gather(_pour(reader, back), _pour(there, writer, self.pings))
        self._open -= {writer, back}


async def _pour(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pings: Counter[asyncio.StreamWriter] | None = None
) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            if pings is not None:
                pings[writer] += data.count(b'"type":"ping"')
    writer.close()


@dataclass(slots=True)
class Shown:
    """What an example has printed."""

    name: str
    process: Process
    screens: list[dict[str, Any]] = field(default_factory=list)
    updates: list[str] = field(default_factory=list)

    async def read(self) -> None:
        assert self.process.stdout
        async for line in self.process.stdout:
            told = json.loads(line)
            if "screen" in told:
                self.screens.append(told)
            else:
                self.updates.append(told["cursor"])


@asynccontextmanager
async def running(names: list[str], wire: Wire, token: str) -> AsyncIterator[list[Shown]]:
    environment = {**os.environ, "CROSSDOCK_URL": f"http://127.0.0.1:{wire.port}/graphql", "CROSSDOCK_TOKEN": token}
    async with AsyncExitStack() as stack:
        shown = []
        for name in names:
            program = ["node", name] if name.endswith(".js") else [sys.executable, name]
            folder = EXAMPLES / ("javascript" if name.endswith(".js") else "python")
            process = await asyncio.create_subprocess_exec(*program, cwd=folder, env=environment, stdout=PIPE)
            stack.push_async_callback(process.wait)
            stack.callback(process.kill)
            shown.append(Shown(name, process))
            reading = asyncio.create_task(shown[-1].read())
            stack.callback(reading.cancel)
        yield shown


async def told(house: House, after: str) -> list[str]:
    """Return the cursors of what an order's subscriber is told."""
    assert house.gateway
    async with house.gateway.database.reading() as connection:
        updates = await read(connection, Cursor.parse(after))
    return [str(each.cursor) for each in updates if each.kind in ORDERS]


async def until_all(shown: list[Shown], *, screens: int, updates: int) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(SECONDS):
            while any(len(each.screens) < screens or len(each.updates) < updates for each in shown):
                await asyncio.sleep(0.05)
    for each in shown:
        assert (len(each.screens), len(each.updates)) == (screens, updates), each.name


@pytest.mark.parametrize("names", [["follow.py"], [*JAVASCRIPT]], ids=["python", "javascript"])
async def test_an_example_that_loses_its_gateway_shows_each_update_once(furnished_dsn: str, names: list[str]) -> None:
    if names != ["follow.py"]:
        installed(EXAMPLES / "javascript")
    async with opened(furnished_dsn, now=datetime.now(UTC), ws_ping_seconds=1) as house:
        await know(house)
        wire = Wire(house.address)
        await wire.join()
        first = await house.place("first", [("mug", 1)])
        async with running(names, wire, house.token(Role.OPERATIONS)) as shown:
            await until_all(shown, screens=1, updates=0)
            start = shown[0].screens[0]["cursor"]
            assert all(each.screens == [{"screen": [first["number"]], "cursor": start}] for each in shown)
            await house.place("live", [("mug", 1)])
            await until_all(shown, screens=1, updates=len(await told(house, start)))
            wire.cut()
            await house.place("missed", [("mug", 1)])
            await wire.join()
            await until_all(shown, screens=1, updates=len(await told(house, start)))
            await house.place("live again", [("mug", 1)])
            wanted = await told(house, start)
            await until_all(shown, screens=1, updates=len(wanted))
            assert all(each.updates == wanted for each in shown)
            await pass_by(house, wire, clients=len(names))
            wire.cut()
            quiet = await forget(house)
            await wire.join()
            await house.place("after a quiet time", [("mug", 1)])
            wanted += await told(house, quiet)
            await until_all(shown, screens=1, updates=len(wanted))
            assert all(each.updates == wanted for each in shown), "pings moved the cursors on"
            wire.cut()
            await house.place("gone", [("mug", 1)])
            await forget(house)
            await wire.join()
            await until_all(shown, screens=2, updates=len(wanted))
            assert all(len(each.screens[1]["screen"]) == 6 for each in shown), "what is gone is on the new screen"
        wire.cut()


async def pass_by(house: House, wire: Wire, *, clients: int) -> None:
    """Let something happen that is no order's, and its cursor reach every client: the third ping from now has it."""
    assert house.gateway
    place = [uuid_of(house.ids["WB"], "Location")]
    fact = Fact(UpdateKind.STOCK_CHANGED, house.now, location_ids=place, sku="mug", quantities=(100, 0, 100))
    async with house.gateway.database.transaction() as connection:
        await record(connection, [fact])
    before = wire.pings.copy()
    async with asyncio.timeout(SECONDS):
        while sum(count - before[client] >= 3 for client, count in wire.pings.items()) < clients:
            await asyncio.sleep(0.05)


async def forget(house: House) -> str:
    """Trim the feed up to its end, as time would; return that cursor."""
    assert house.gateway
    feed = house.gateway.feed
    feed.nudge()
    assert await feed.caught_up(SECONDS)
    async with house.gateway.database.transaction() as connection:
        await connection.execute("UPDATE feed_epoch SET trimmed = $1", str(feed.position))
        await connection.execute("DELETE FROM feed")
    feed.oldest = feed.position
    feed._recent.clear()
    return str(feed.position)
