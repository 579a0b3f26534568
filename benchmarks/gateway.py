"""What an answer over HTTP costs one worker, beside a bare Starlette route and stock Strawberry with its own caches.

Each server is a process of its own, started as `crossdock serve` starts one; client and server share the machine, so
CPU is the server's alone, from its own clock: the three take turns, and of the rounds the cheapest counts. In the end
the hostile set of tests/api/hostile.py runs against the gateway, then sockets are opened and left, both by a process
of their own, and a healthy client's p99 is told.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from app import auth, embedded, serving
from app.database import migrate
from app.main import create_app
from app.settings import Settings
from domain.vocabulary import Role
from tests.api.hostile import ATTACKS, JSON
from tests.api.house import BERLIN, OPTIONS, PLACE, SECRET, House, furnish

CONNECTIONS = 4
ROUNDS = 3
FOES_SECONDS = 20
LINES = [{"sku": f"B{number}", "quantity": 1, "unitPrice": "10.00"} for number in range(10)]
FIELDS = "id number status version placedAt method level late total { amount } shippingPrice { amount }"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A request to be repeated; `body` gives the next."""

    name: str
    role: Role
    body: Callable[[], bytes]


def gateway(settings: Settings, dsn: str) -> Starlette:
    return create_app(settings, dsn)


def starlette(_settings: Settings, _dsn: str) -> Starlette:
    async def bare(request: Request) -> Response:
        size = orjson.loads(await request.body()).get("size", 27)
        return Response(b'{"data":' + b" " * (size - 9) + b"}", media_type="application/json")

    return Starlette(routes=[Route("/graphql", bare, methods=["POST"])])


def strawberry(settings: Settings, dsn: str) -> Starlette:
    import strawberry
    from strawberry.asgi import GraphQL
    from strawberry.extensions import ParserCache, ValidationCache

    from resolvers import root
    from schema.scalars import SCALARS

    app = create_app(settings, dsn)
    stock = strawberry.Schema(
        root.Query,
        root.Mutation,
        extensions=[lambda: ParserCache(maxsize=1000), lambda: ValidationCache(maxsize=1000)],
        config=strawberry.schema.config.StrawberryConfig(scalar_map=SCALARS),
    )

    class View(GraphQL[Any, None]):
        async def get_context(self, request: Any, response: Any) -> Any:  # noqa: ANN401, ARG002 - Strawberry's
            token = auth.bearer(request.headers["authorization"])
            viewer = auth.verify(SECRET, token, now=datetime.now(UTC))
            return await app.state.gateway.open_context(viewer, now=lambda: datetime.now(UTC))

    app.router.routes.insert(0, Route("/graphql", View(stock, graphql_ide=None)))
    return app


def serve(kind: str, dsn: str, listener: int) -> None:
    settings = Settings(secret=SECRET, database_url=dsn)  # type: ignore[arg-type]
    with contextlib.redirect_stdout(None), contextlib.suppress(KeyboardInterrupt):
        serving.serve(settings, dsn, socket.socket(fileno=listener), ready=lambda: None, application=f"__main__:{kind}")


@contextlib.asynccontextmanager
async def started(kind: str, dsn: str) -> AsyncIterator[tuple[str, psutil.Process]]:
    """Yield the address and the process of a server."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1024)
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        command = [sys.executable, __file__, "--serve", kind, "--dsn", dsn, "--listener", str(listener.fileno())]
        process = subprocess.Popen(command, pass_fds=[listener.fileno()], stderr=subprocess.DEVNULL)  # noqa: ASYNC220, S603
        try:
            async with httpx.AsyncClient(timeout=60) as http:
                await http.get(f"http://{address}/healthz")
            yield address, psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(15)


class Client:
    """A connection that is kept, and reads as little of HTTP as it may."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, role: Role) -> None:
        self.reader, self.writer = reader, writer
        token = auth.issue(SECRET, role=role, name="bench", ttl=timedelta(hours=1), now=datetime.now(UTC))
        self.head = (
            "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAccept: application/json\r\n"
            f"Authorization: Bearer {token}\r\nContent-Length: "
        ).encode()

    async def ask(self, body: bytes) -> bytes:
        self.writer.write(self.head + str(len(body)).encode() + b"\r\n\r\n" + body)
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        assert head.startswith(b"http/1.1 200"), head
        return await self.reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))


async def connected(address: str, role: Role) -> Client:
    host, _, port = address.partition(":")
    return Client(*await asyncio.open_connection(host, int(port)), role)


async def measure(address: str, process: psutil.Process, case: Case, seconds: float) -> tuple[float, float, int]:
    """Return the answers a second, the server's CPU us of one, and the bytes of the last."""
    first = await connected(address, case.role)
    answer = await first.ask(case.body())
    assert b'"errors"' not in answer, answer[:500]
    clients = [first, *[await connected(address, case.role) for _ in range(CONNECTIONS - 1)]]
    count, until = 0, time.perf_counter() + seconds

    async def repeat(client: Client) -> None:
        nonlocal count
        while time.perf_counter() < until:
            await client.ask(case.body())
            count += 1

    spent, began = sum(process.cpu_times()[:2]), time.perf_counter()
    await asyncio.gather(*map(repeat, clients))
    spent, took = sum(process.cpu_times()[:2]) - spent, time.perf_counter() - began
    for client in clients:
        client.writer.close()
    return count / took, spent / count * 1e6, len(answer)


async def cases(address: str) -> list[Case]:
    """Make the network, orders of 10 lines, and what asks for them."""
    async with httpx.AsyncClient(base_url=f"http://{address}", timeout=60) as http:
        house = House(address=address, http=http, gateway=None, clock=[datetime.now(UTC)])
        await furnish(house)
        items = [{"sku": line["sku"], "name": line["sku"], "weightGrams": 100} for line in LINES]
        stock = [{"sku": line["sku"], "locationCode": "WB", "onHand": 1_000_000} for line in LINES]
        for name, kind, rows in (("importItems", "ItemRowInput", items), ("importStock", "StockRowInput", stock)):
            await house.ask(
                Role.ADMIN, f"mutation ($rows: [{kind}!]!) {{ {name}(rows: $rows) {{ created }} }}", rows=rows
            )
        cart = [(str(line["sku"]), 1) for line in LINES]
        placed = [await house.place(f"bench {number}", cart) for number in range(100)]
        assert all(order["__typename"] == "Order" for order in placed), placed[0]
    numbers = iter(range(10**9))
    wish = {"customer": {"name": "Ada"}, "lines": LINES[:3], "shipTo": BERLIN, "method": "DELIVERY"}
    order = (
        "query ($id: ID!) { order(id: $id) { number status lines { id sku quantity fulfilled unitPrice { amount } } } }"
    )

    def fixed(name: str, role: Role, query: str, **variables: object) -> Case:
        body = json.dumps({"query": query, "variables": variables}).encode()
        return Case(name=name, role=role, body=lambda: body)

    def next_order() -> bytes:
        given = {"input": {**wish, "idempotencyKey": f"load {os.getpid()} {next(numbers)}"}}
        return json.dumps({"query": PLACE, "variables": given}).encode()

    three = {"lines": [{"sku": line["sku"], "quantity": 1} for line in LINES[:3]], "destination": BERLIN}
    return [
        fixed("trivial", Role.ADMIN, "{ __typename }"),
        fixed("viewer", Role.ADMIN, "{ viewer { role name } }"),
        fixed("order + 10 lines", Role.OPERATIONS, order, id=placed[0]["id"]),
        fixed("100 x 10 fields", Role.OPERATIONS, f"{{ orders(first: 100) {{ edges {{ node {{ {FIELDS} }} }} }} }}"),
        fixed("fulfillmentOptions", Role.STOREFRONT, OPTIONS, input=three),
        Case(name="placeOrder", role=Role.STOREFRONT, body=next_order),
    ]


async def foes(address: str, sockets: int) -> None:
    """Send the hostile set for ever, by four at once; or open so many sockets, say nothing on them and stay."""
    host, _, port = address.partition(":")
    token = auth.issue(SECRET, role=Role.ADMIN, name="foe", ttl=timedelta(hours=1), now=datetime.now(UTC))
    tokens = {"Authorization": f"Bearer {token}"}

    async def attack(http: httpx.AsyncClient) -> None:
        for number in itertools.count():
            for each in ATTACKS:
                body = each.body.replace(b'"query": "', b'"query": "#%d\\n' % number)  # none is known already
                with contextlib.suppress(httpx.HTTPError):
                    await http.post("/graphql", content=body, headers={**JSON, **tokens, **each.headers})

    async def leave() -> None:
        head = "GET /graphql HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(f"{head}{key}Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n".encode())
                while await reader.read(1000):
                    pass
                writer.close()

    if sockets:
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
        await asyncio.gather(*(leave() for _ in range(sockets)))
    async with httpx.AsyncClient(base_url=f"http://{address}", timeout=30) as http:
        await asyncio.gather(*(attack(http) for _ in range(4)))


async def open_sockets(address: str) -> int:
    async with httpx.AsyncClient(timeout=60) as http:
        figures = (await http.get(f"http://{address}/metrics")).text
    return int(float(figures.partition("\ncrossdock_open_sockets ")[2].partition("\n")[0]))


async def wait_of_a_healthy_client(address: str, seconds: float, label: str) -> None:
    client = await connected(address, Role.STOREFRONT)
    waits, until = [], time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        await client.ask(b'{"query":"{ viewer { role } }"}')
        waits.append(time.perf_counter() - began)
        await asyncio.sleep(0.005)  # it does not keep the server busy itself
    client.writer.close()
    waits.sort()
    middle, late = (waits[len(waits) * share // 100] * 1e3 for share in (50, 99))
    opened = await open_sockets(address)
    print(f"a healthy client {label}: p50 {middle:.2f} ms, p99 {late:.2f} ms; {opened} sockets open", flush=True)


async def hostile(address: str, sockets: int, seconds: float) -> None:
    """Tell how long a healthy client waits, alone, while the hostile set runs, and while sockets are left."""
    await wait_of_a_healthy_client(address, seconds, "alone")
    for count, label in ((0, "while the hostile set runs"), (sockets, f"while {sockets} sockets are opened and left")):
        command = [sys.executable, __file__, "--foes", address, "--sockets", str(count)]
        process = subprocess.Popen(command)  # noqa: ASYNC220, S603
        try:
            until = time.perf_counter() + FOES_SECONDS
            await asyncio.sleep(FOES_SECONDS / 4)
            while await open_sockets(address) < count * 0.8 and time.perf_counter() < until:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
            await wait_of_a_healthy_client(address, seconds, label)
        finally:
            process.kill()
            process.wait()
    await asyncio.sleep(2)
    print(f"after they are gone: {await open_sockets(address)} sockets open")


async def run(dsn: str, seconds: float, sockets: int) -> None:
    async with (
        started("gateway", dsn) as (ours, process),
        started("starlette", dsn) as (bare, bare_process),
        started("strawberry", dsn) as (stock, stock_process),
    ):
        for case in await cases(ours):
            rounds = []
            for _ in range(ROUNDS):
                rate, cpu, size = await measure(ours, process, case, seconds / ROUNDS)
                body = json.dumps({"query": "x" * max(0, len(case.body()) - 30), "size": size}).encode()
                floor = Case(name=case.name, role=case.role, body=lambda body=body: body)
                _, least, _ = await measure(bare, bare_process, floor, seconds / ROUNDS / 2)
                _, other, _ = await measure(stock, stock_process, case, seconds / ROUNDS)
                rounds.append((rate, cpu, least, other))
            rate = max(each[0] for each in rounds)
            cpu, least, other = (min(each[place] for each in rounds) for place in (1, 2, 3))
            beside = f"a route {least:.0f} us ({cpu / least:.2f} x), Strawberry {other:.0f} us ({cpu / other:.2f} x)"
            print(f"{case.name:20} {rate:7.0f} answers/s {cpu:7.0f} us; {beside}; {size} bytes", flush=True)
        await hostile(ours, sockets, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--sockets", type=int, default=10_000, help="how many are opened and left")
    parser.add_argument("--foes", help=argparse.SUPPRESS)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--dsn", help=argparse.SUPPRESS)
    parser.add_argument("--listener", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, given.dsn, given.listener)
        return
    if given.foes:
        asyncio.run(foes(given.foes, given.sockets))
        return
    folder = Path(tempfile.mkdtemp(prefix="crossdock-"))
    folder.chmod(0o711)
    try:
        with embedded.server(folder / "data") as dsn:
            migrate(dsn)
            print(f"load average {os.getloadavg()[0]:.1f}")
            asyncio.run(run(dsn, given.seconds, given.sockets))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
