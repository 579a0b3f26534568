"""GraphQL over WebSocket: graphql-transport-ws, its close codes, and what is left when a socket goes."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from gql import Client, gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.websockets import WebsocketsTransport
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from websockets import ConnectionClosed, InvalidStatus
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from app.graphql import GraphQLView
from app.sockets import SocketLimits
from app.subscriptions import SocketHandler
from app.wire import EXTENSION, Wire
from tests.api.serve import serving
from tests.api.tiny import WATCH, no_generator_left, tiny_server, token

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMITS = SocketLimits(init_seconds=1.0)
PROTOCOL = Subprotocol("graphql-transport-ws")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def served() -> AsyncIterator[tuple[str, GraphQLView]]:
    async with tiny_server(limits=LIMITS) as served:
        yield served


@pytest.fixture
def url(served: tuple[str, GraphQLView]) -> str:
    return f"ws://{served[0]}/graphql"


@asynccontextmanager
async def opened(url: str, *, ttl: timedelta = timedelta(hours=1)) -> AsyncIterator[ClientConnection]:
    """A socket that has shown its token."""
    async with connect(url, subprotocols=[PROTOCOL]) as socket:
        await send(socket, type="connection_init", payload={"Authorization": f"Bearer {token(ttl=ttl)}"})
        assert await receive(socket) == {"type": "connection_ack"}
        yield socket


async def send(socket: ClientConnection, **message: object) -> None:
    await socket.send(json.dumps(message))


async def receive(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(30):
        text = await socket.recv()
    assert isinstance(text, str), "JSON travels as text frames"
    message: dict[str, Any] = json.loads(text)
    return message


async def subscribe(socket: ClientConnection, query: str, *, key: str = "1", **more: object) -> None:
    await send(socket, type="subscribe", id=key, payload={"query": query, **more})


async def closed(socket: ClientConnection) -> tuple[int, str]:
    """The code and the reason with which the server closes."""
    async with asyncio.timeout(30):
        with suppress(ConnectionClosed):
            async for _ in socket:
                pass
    assert socket.close_code is not None
    return socket.close_code, socket.close_reason or ""


async def test_gql_asks_changes_and_subscribes_over_one_socket(url: str) -> None:
    transport = WebsocketsTransport(
        url,
        init_payload={"authorization": f"Bearer {token(name='Grace')}"},
        subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
    )
    async with Client(transport=transport) as session:
        assert await session.execute(gql("{ who }")) == {"who": "ADMIN Grace"}
        assert await session.execute(gql("mutation { change }")) == {"change": "changed"}
        ticks = [update["ticks"] async for update in session.subscribe(gql("subscription { ticks(limit: 3) }"))]
        assert ticks == [0, 1, 2]
        with pytest.raises(TransportQueryError, match="Cannot query field"):
            await session.execute(gql("{ nothing }"))


async def test_each_operation_has_a_context_of_its_own(url: str) -> None:
    async with opened(url) as socket:
        numbers = []
        for key in ("1", "2"):
            await subscribe(socket, "{ context }", key=key)
            numbers.append((await receive(socket))["payload"]["data"]["context"])
            assert await receive(socket) == {"id": key, "type": "complete"}
        assert numbers[1] == numbers[0] + 1


@pytest.mark.parametrize(
    "payload",
    [
        None,
        {},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": ""},
        {"Authorization": None},
        {"Authorization": 1},
        {"Authorization": ["Bearer x"]},
        {"token": {"a": 1}},
        {"Authorization": f"Bearer {token(ttl=timedelta(seconds=-5))}"},
    ],
)
async def test_a_socket_without_a_valid_token_is_closed_4403(url: str, payload: object) -> None:
    async with connect(url, subprotocols=[PROTOCOL]) as socket:
        await send(socket, type="connection_init", payload=payload)
        assert await closed(socket) == (4403, "Forbidden")


@pytest.mark.parametrize("key", ["Authorization", "authorization", "token"])
async def test_the_token_comes_under_each_name(url: str, key: str) -> None:
    async with connect(url, subprotocols=[PROTOCOL]) as socket:
        value = token() if key == "token" else f"Bearer {token()}"
        await send(socket, type="connection_init", payload={key: value})
        assert await receive(socket) == {"type": "connection_ack"}


async def test_a_socket_that_stays_silent_is_closed_4408(url: str) -> None:
    async with connect(url, subprotocols=[PROTOCOL]) as socket:
        assert (await closed(socket))[0] == 4408


async def test_an_operation_before_the_token_is_closed_4401(url: str) -> None:
    async with connect(url, subprotocols=[PROTOCOL]) as socket:
        await subscribe(socket, "{ echo }")
        assert (await closed(socket))[0] == 4401


async def test_a_second_connection_init_is_closed_4429(url: str) -> None:
    async with opened(url) as socket:
        await send(socket, type="connection_init", payload={"Authorization": f"Bearer {token()}"})
        assert (await closed(socket))[0] == 4429


async def test_a_second_operation_of_the_same_id_is_closed_4409(url: str) -> None:
    async with opened(url) as socket:
        await subscribe(socket, "subscription { ticks(every: 10) }")
        await subscribe(socket, "subscription { ticks(every: 10) }")
        assert (await closed(socket))[0] == 4409
    await no_generator_left()


@pytest.mark.parametrize("protocols", [[], ["graphql-ws"], ["graphql-sse"]])
async def test_no_other_protocol_is_spoken(url: str, protocols: list[str]) -> None:
    async with connect(url, subprotocols=[Subprotocol(name) for name in protocols] or None) as socket:
        assert (await closed(socket))[0] == 4406


async def test_a_page_of_another_site_opens_no_socket(url: str) -> None:
    with pytest.raises(InvalidStatus) as caught:
        await connect(url, subprotocols=[PROTOCOL], origin="https://elsewhere.example")  # type: ignore[arg-type]
    assert caught.value.response.status_code == 403


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        "1",
        "null",
        '"ping"',
        "{}",
        '{"type": 1}',
        '{"type": "unknown"}',
        '{"type": "start", "id": "1", "payload": {"query": "{ echo }"}}',
        '{"type": "subscribe"}',
        '{"type": "subscribe", "id": "1"}',
        '{"type": "subscribe", "id": "1", "payload": null}',
        '{"type": "subscribe", "id": "1", "payload": []}',
        '{"type": "subscribe", "id": ["1"], "payload": {"query": "{ echo }"}}',
        '{"type": "subscribe", "id": "", "payload": {"query": "{ echo }"}}',
        '{"type": "subscribe", "id": 1, "payload": {"query": "{ echo }"}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": null}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "{ echo }", "variables": []}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "{ echo }", "operationName": 1}}',
        '{"type": "complete"}',
        '{"type": "complete", "id": {}}',
        '{"type": "ping", "payload": 1}',
        b'{"type": "ping"}',
        "[" * 10_000,
    ],
)
async def test_what_is_none_of_the_protocols_messages_is_closed_4400(url: str, text: str | bytes) -> None:
    async with opened(url) as socket:
        await socket.send(text)
        assert (await closed(socket))[0] == 4400


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("subscription {", "GRAPHQL_PARSE_FAILED"),
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { ticks(limit: 1.5) }", "GRAPHQL_VALIDATION_FAILED"),
        ("query ($n: Int!) { echo(number: $n) }", "INVALID_INPUT"),
        ("subscription ($n: Int!) { ticks(limit: $n) }", "INVALID_INPUT"),
        ("fragment F on Query { echo }", "INVALID_INPUT"),
        ("query A { echo } query B { echo }", "INVALID_INPUT"),
        ("", "INVALID_INPUT"),
        ("subscription { expired }", "CURSOR_EXPIRED"),
    ],
)
async def test_an_operation_that_cannot_run_is_answered_with_error_and_the_socket_lives(
    url: str, query: str, code: str
) -> None:
    async with opened(url) as socket:
        for _ in range(2):  # the second time from the documents kept
            await subscribe(socket, query)
            answer = await receive(socket)
            if answer["type"] == "next":  # the source failed only once it was asked for its first update
                (error,) = answer["payload"]["errors"]
                assert await receive(socket) == {"id": "1", "type": "complete"}
            else:
                assert (answer["type"], answer["id"]) == ("error", "1")
                (error, *_) = answer["payload"]
            assert error["extensions"]["code"] == code
        await send(socket, type="ping")
        assert await receive(socket) == {"type": "pong"}


async def test_a_nul_in_the_variables_is_answered_with_error(url: str) -> None:
    async with opened(url) as socket:
        await subscribe(socket, "query ($t: String!) { echo(text: $t) }", variables={"t": "a\0b"})
        answer = await receive(socket)
        assert (answer["type"], answer["payload"][0]["extensions"]["code"]) == ("error", "INVALID_INPUT")


async def test_a_fault_within_a_subscription_is_masked(url: str) -> None:
    async with opened(url) as socket:
        await subscribe(socket, "subscription { breaks }")
        assert (await receive(socket))["payload"] == {"data": {"breaks": 1}}
        fault = await receive(socket)
        assert "swordfish" not in str(fault)
        assert fault["payload"]["errors"][0]["extensions"]["code"] == "INTERNAL"
        assert (await receive(socket))["type"] == "complete"


async def test_a_socket_runs_no_more_than_its_share_of_operations(url: str) -> None:
    async with opened(url) as socket:
        for number in range(LIMITS.operations):
            await subscribe(socket, "subscription { ticks(every: 60) }", key=str(number))
        for _ in range(LIMITS.operations):
            assert (await receive(socket))["type"] == "next"
        await send(socket, type="complete", id="0")
        await subscribe(socket, "{ echo }", key="again")
        assert (await receive(socket))["payload"] == {"data": {"echo": "nothing"}}
        assert (await receive(socket))["type"] == "complete"
        await subscribe(socket, "subscription { ticks(every: 60) }", key="0")
        assert (await receive(socket))["type"] == "next"
        await subscribe(socket, "{ echo }", key="one more")
        assert await closed(socket) == (4429, "Too many operations on this socket")
    await no_generator_left()


async def test_a_completed_subscription_sends_nothing_more_and_is_cleaned_up(url: str) -> None:
    async with opened(url) as socket:
        await subscribe(socket, "subscription { ticks }")
        await receive(socket)
        await send(socket, type="complete", id="1")
        await no_generator_left()
        await send(socket, type="ping")
        async with asyncio.timeout(30):
            while (await receive(socket))["type"] == "next":
                pass  # was on its way
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await socket.recv()


@pytest.mark.parametrize("abort", [False, True])
async def test_a_socket_that_goes_leaves_no_task_and_no_generator(
    served: tuple[str, GraphQLView], url: str, *, abort: bool
) -> None:
    await no_generator_left()
    before = asyncio.all_tasks()
    sockets = []
    for _ in range(5):
        socket = await connect(url, subprotocols=[PROTOCOL])
        await send(socket, type="connection_init", payload={"token": token()})
        for key in ("1", "2"):
            await subscribe(socket, "subscription { ticks }", key=key)
        sockets.append(socket)
    async with asyncio.timeout(30):
        while WATCH.open_generators < 10:
            await asyncio.sleep(0.01)
    assert len(served[1].sockets) == 5
    for socket in sockets:
        if abort:
            socket.transport.abort()
        else:
            await socket.close()
    await no_generator_left()
    async with asyncio.timeout(30):
        while served[1].sockets or asyncio.all_tasks() - before:
            await asyncio.sleep(0.01)


async def test_a_handshake_without_a_key_leaves_no_connection(served: tuple[str, GraphQLView]) -> None:
    host, _, port = served[0].partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    async with asyncio.timeout(30):
        assert (await reader.read()).startswith(b"HTTP/1.1 400")
    writer.close()
    async with asyncio.timeout(30):
        while any(type(each) is Wire and not hasattr(each, "scope") for each in gc.get_objects()):
            await asyncio.sleep(0.05)
            gc.collect()


async def test_an_operation_that_is_over_before_it_begins_is_forgotten(url: str) -> None:
    async with opened(url) as socket:
        for number in range(20):
            for message in ({"type": "subscribe", "payload": {"query": "{ echo }"}}, {"type": "complete"}):
                socket.protocol.send_text(json.dumps({"id": f"brief-{number}", **message}).encode())
        socket.transport.write(b"".join(socket.protocol.data_to_send()))
        await send(socket, type="ping")
        while await receive(socket) != {"type": "pong"}:
            pass
        told = [each._told for each in gc.get_objects() if type(each) is SocketHandler]
        assert told
        assert not [key for each in told for key in each if key.startswith("brief")]


async def test_a_text_that_waited_to_be_sent_comes_before_the_close() -> None:
    async def say_and_close(socket: WebSocket) -> None:
        await socket.accept()
        wire = socket.scope["extensions"][EXTENSION]
        wire.pause_writing()
        said = asyncio.gather(socket.send_text("said"), socket.close())
        await asyncio.sleep(0.01)
        wire.resume_writing()
        await said

    async with (
        serving(Starlette(routes=[WebSocketRoute("/", say_and_close)])) as address,
        connect(f"ws://{address}/") as socket,
    ):
        assert [text async for text in socket] == ["said"]
        assert socket.close_code == 1000


async def test_a_socket_closes_4403_when_its_token_expires(url: str) -> None:
    async with opened(url, ttl=timedelta(seconds=2)) as socket:
        await subscribe(socket, "subscription { ticks(every: 0.1) }")
        assert (await receive(socket))["type"] == "next"
        assert await closed(socket) == (4403, "Forbidden")
    await no_generator_left()


async def test_sockets_close_1012_when_the_server_stops() -> None:
    async with tiny_server() as (address, _):
        socket = await connect(f"ws://{address}/graphql", subprotocols=[PROTOCOL])
        await send(socket, type="connection_init", payload={"token": token()})
        await subscribe(socket, "subscription { ticks }")
        for _ in range(3):
            await receive(socket)
    assert (await closed(socket))[0] == 1012
    assert WATCH.open_generators == 0


async def test_what_is_under_way_when_the_server_stops_is_finished() -> None:
    async with tiny_server() as (address, _):
        socket = await connect(f"ws://{address}/graphql", subprotocols=[PROTOCOL])
        await send(socket, type="connection_init", payload={"token": token()})
        await subscribe(socket, "mutation { changeSlowly }")
        await subscribe(socket, "subscription { ticks(every: 60) }", key="2")
        while (await receive(socket)).get("id") != "2":
            pass
    assert await receive(socket) == {"id": "1", "type": "next", "payload": {"data": {"changeSlowly": "changed"}}}
    assert await closed(socket) == (1012, "")


async def test_no_caller_has_more_sockets_than_its_share() -> None:
    mine, others = token(), token(name="Grace")
    async with AsyncExitStack() as stack:
        address, view = await stack.enter_async_context(tiny_server(limits=SocketLimits(of_a_token=2, of_an_address=3)))

        async def open_one(text: str) -> ClientConnection:
            url = f"ws://{address}/graphql"
            socket = await stack.enter_async_context(connect(url, subprotocols=[PROTOCOL]))
            with suppress(ConnectionClosed):
                await send(socket, type="connection_init", payload={"token": text})
            return socket

        async def only(count: int) -> None:
            async with asyncio.timeout(30):
                while len(view.sockets) > count:
                    await asyncio.sleep(0.01)

        first, second = await open_one(mine), await open_one(mine)
        assert await receive(first) == await receive(second) == {"type": "connection_ack"}
        assert await closed(await open_one(mine)) == (4429, "Too many sockets with this token")
        await only(2)
        assert await receive(await open_one(others)) == {"type": "connection_ack"}
        assert await closed(await open_one(others)) == (4429, "Too many sockets from this address")
        await first.close()
        await only(2)
        assert await receive(await open_one(mine)) == {"type": "connection_ack"}


async def test_a_message_past_the_limit_is_closed_1009(url: str) -> None:
    async with opened(url) as socket:
        await socket.send(" " * 200_000)
        assert (await closed(socket))[0] == 1009
