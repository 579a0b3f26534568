"""Whoever wants to hurt is refused, each with its status, and whoever does not is served meanwhile."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
import websockets

from app.main import create_app
from app.settings import Settings
from domain.vocabulary import Role
from tests.api.hostile import ATTACKS, JSON, Attack
from tests.api.house import SECRET, House
from tests.api.serve import calling, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

HEAD_SECONDS = 2
INIT_SECONDS = 1


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def house(module_dsn: str) -> AsyncIterator[House]:
    settings = Settings(secret=SECRET, database_url=module_dsn, ws_init_seconds=INIT_SECONDS, body_seconds=1)  # type: ignore[arg-type]
    app = create_app(settings, module_dsn)
    async with (
        serving(app, head_seconds=HEAD_SECONDS) as address,
        calling(address, timeout=30) as http,
    ):
        yield House(address=address, http=http, gateway=app.state.gateway, clock=[datetime.now(UTC)])


async def raw(house: House, head: str, body: bytes = b"") -> tuple[int, bytes]:
    """Send bytes as they are; return the status and the rest of the answer, 0 where the connection just closes."""
    host, _, port = house.address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        async with asyncio.timeout(30):
            with contextlib.suppress(ConnectionError):
                writer.write(head.encode() + body)
                await writer.drain()
            answer = await reader.read()
    finally:
        writer.close()
    return (int(answer.split()[1]), answer) if answer else (0, b"")


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
async def test_what_is_meant_to_hurt_is_refused_with_its_status(house: House, attack: Attack) -> None:
    headers = {"Authorization": f"Bearer {house.token(Role.ADMIN)}", **JSON, **attack.headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(attack.body)}\r\n{lines}\r\n"
    )
    began = time.process_time()
    status, answer = await raw(house, head, attack.body)
    assert status == attack.status, answer[:500]
    assert attack.code is None or f'"{attack.code}"'.encode() in answer, answer[:1000]
    assert time.process_time() - began < 1.5


async def test_what_does_not_come_is_given_up_and_a_shopper_is_served_meanwhile(house: House) -> None:
    url = f"ws://{house.address}/graphql"
    slow = f"POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {house.token(Role.ADMIN)}\r\n"

    async def leave() -> int:
        async with websockets.connect(url, subprotocols=[websockets.Subprotocol("graphql-transport-ws")]) as socket:
            with contextlib.suppress(websockets.ConnectionClosed):
                await socket.recv()
            return socket.close_code or 0

    async def send(text: str, body: bytes = b"") -> int:
        status, answer = await raw(house, text, body)
        assert not body or b"REQUEST_TIMEOUT" in answer
        return status

    began = time.monotonic()
    left = asyncio.gather(
        send(f"{slow}Content-Type: application/json\r\nContent-Length: 10\r\n\r\n", b"{"),
        send(slow),
        send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /heal"),
        *(leave() for _ in range(100)),
        *(send("") for _ in range(100)),
    )
    served = 0
    while not left.done():
        assert (await house.ask(Role.STOREFRONT, "{ viewer { role } }"))["role"] == "STOREFRONT"
        served += 1
    assert await left == [408, 408, 200, *[4408] * 100, *[408] * 100]
    assert time.monotonic() - began < 30
    assert served > 10


async def test_an_attack_over_a_socket_is_refused_and_the_socket_lives(house: House) -> None:
    url = f"ws://{house.address}/graphql"
    async with websockets.connect(url, subprotocols=[websockets.Subprotocol("graphql-transport-ws")]) as socket:

        async def say(**message: Any) -> dict[str, Any]:
            await socket.send(json.dumps(message))
            answer: dict[str, Any] = json.loads(await socket.recv())
            return answer

        await say(type="connection_init", payload={"token": house.token(Role.ADMIN)})
        small = [each for each in ATTACKS if len(each.body) < 100_000 and each.code not in {None, "BAD_REQUEST"}]
        for attack in small[:-1]:
            with contextlib.suppress(ValueError):  # what is no JSON is another test's
                answer = await say(id="1", type="subscribe", payload=json.loads(attack.body))
                payload = answer["payload"]
                (error, *_) = payload["errors"] if answer["type"] == "next" else payload
                assert error["extensions"]["code"] == attack.code, attack.name
                if answer["type"] == "next":
                    assert json.loads(await socket.recv())["type"] == "complete"
        answer = await say(id="1", type="subscribe", payload={"query": "{ viewer { role } }"})
        assert answer["payload"]["data"] == {"viewer": {"role": "ADMIN"}}
