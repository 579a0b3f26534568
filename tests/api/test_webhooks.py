"""Webhooks: what happens is told to real receivers, which fail, hang, redirect, and come back."""

import asyncio
import base64
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from domain import webhooks
from domain.feed import Cursor, standing
from domain.vocabulary import Role
from tests.api.house import NOON, House, know, opened
from tests.api.serve import serving
from tests.races.forked import forked

SETTINGS = {"webhook_private": True, "webhook_timeout_seconds": 1}
HOOK = (
    "__typename id url kinds active secret failing deliveredThrough missedThrough version "
    "deadLetters { cursor kind attempts error }"
)
SAVE = f"mutation ($input: WebhookInput!) {{ saveWebhook(input: $input) {{ ...on Webhook {{ {HOOK} }} ...E }} }}"
ERROR = " fragment E on UserError { __typename message code path }"
A_DAY = timedelta(hours=25)


@dataclass(slots=True)
class Message:
    """A request that came. `order` is the order it tells of, if it does."""

    id: str
    body: dict[str, Any]
    text: str
    headers: dict[str, str]
    request: Request

    @property
    def order(self) -> str | None:
        found: str | None = self.body["data"].get("orderId")
        return found

    @property
    def told(self) -> tuple[str, str | None]:
        return self.body["type"], self.body["data"].get("status")


async def well(_: Message) -> Response:
    return Response(status_code=204)


async def broken(_: Message) -> Response:
    return Response("no", status_code=500)


async def hanging(message: Message) -> Response:
    while not await message.request.is_disconnected():
        await asyncio.sleep(0.02)
    return Response(status_code=503)


@dataclass(slots=True)
class Receiver:
    """Somebody else's server: what came, what was taken of it, and how it answers now."""

    url: str = ""
    answer: Callable[[Message], Any] = well
    came: list[Message] = field(default_factory=list)
    taken: list[Message] = field(default_factory=list)

    async def receive(self, request: Request) -> Response:
        text = (await request.body()).decode()
        message = Message(request.headers["webhook-id"], json.loads(text), text, dict(request.headers), request)
        self.came.append(message)
        answer: Response = await self.answer(message)
        if answer.status_code < 300:
            self.taken.append(message)
        return answer

    def of(self, order: dict[str, Any]) -> list[tuple[str, str | None]]:
        return [message.told for message in self.taken if message.order == order["id"]]


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    async with serving(Starlette(routes=[Route("/hook", receiver.receive, methods=["POST"])])) as address:
        receiver.url = f"http://{address}/hook"
        yield receiver


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def house(furnished_dsn: str) -> AsyncIterator[House]:
    """A gateway that may reach the tests' own servers."""
    async with opened(furnished_dsn, **SETTINGS) as house:
        await know(house)
        yield house


async def save(house: House, url: str, *kinds: str, **more: Any) -> dict[str, Any]:
    given = {"url": url, "kinds": list(kinds), **more}
    saved: dict[str, Any] = await house.ask(Role.ADMIN, SAVE + ERROR, input=given)
    return saved


async def hook(house: House) -> dict[str, Any]:
    (found,) = await house.ask(Role.OPERATIONS, f"{{ webhooks {{ {HOOK} }} }}")
    return dict(found)


async def replay(house: House, id: str, after: str) -> dict[str, Any]:  # noqa: A002
    query = f"""mutation ($id: ID!, $after: Cursor!) {{ replayWebhook(id: $id, after: $after) {{
        ...on Webhook {{ {HOOK} }} ...E }} }}"""
    answer: dict[str, Any] = await house.ask(Role.OPERATIONS, query + ERROR, id=id, after=after)
    return answer


async def until(fact: Callable[[], Any], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not fact():
            await asyncio.sleep(0.02)


async def until_hook(house: House, fact: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while not fact(found := await hook(house)):
            await asyncio.sleep(0.05)
    return found


async def forgotten(house: House, cursor: Cursor) -> None:
    assert house.gateway
    async with asyncio.timeout(30), house.gateway.database.reading() as connection:
        while (await standing(connection)).oldest <= cursor:
            await asyncio.sleep(0.05)


async def do(house: House, name: str, order: dict[str, Any]) -> None:
    (work,) = await house.work(order["id"])
    done = await house.do(name, work["id"], role=Role.OPERATIONS)
    assert done["__typename"] == "Assignment"


PLACED = [("ORDER_PLACED", "RECEIVED"), ("ORDER_ROUTED", "ROUTED"), ("ASSIGNMENT_OFFERED", "OFFERED")]
ACCEPTED = [*PLACED, ("ASSIGNMENT_STATUS_CHANGED", "ACCEPTED")]
BEGUN = [*ACCEPTED, ("ASSIGNMENT_STATUS_CHANGED", "PICKING"), ("ORDER_STATUS_CHANGED", "IN_FULFILLMENT")]


def test_messages_are_signed_as_the_specification_shows() -> None:
    now = datetime(2021, 2, 25, 15, 2, 10, tzinfo=UTC)
    signed = webhooks.sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", '{"test": 2432232314}', now=now
    )
    assert signed == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


async def test_an_orders_life_is_told_in_order_signed_and_without_a_word_of_the_shopper(
    house: House, receiver: Receiver
) -> None:
    made = await save(house, receiver.url)
    order = await house.place("one", [("mug", 2)], customer={"name": "Ada", "email": "ada@a.example"})
    await until(lambda: receiver.of(order) == PLACED)
    await do(house, "acceptAssignment", order)
    await do(house, "startPicking", order)
    await until(lambda: receiver.of(order) == BEGUN)
    key = base64.b64decode(made["secret"].removeprefix("whsec_"))
    for message in receiver.came:
        stamp = message.headers["webhook-timestamp"]
        assert stamp == str(int(house.now.timestamp()))
        digest = hmac.digest(key, f"{message.id}.{stamp}.{message.text}".encode(), "sha256")
        assert message.headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
        assert "Ada" not in message.text
        assert "ada@" not in message.text
    assert len({message.id for message in receiver.came}) == len(receiver.came)
    (offered,) = [message for message in receiver.taken if message.told[0] == "ASSIGNMENT_OFFERED"]
    (work,) = await house.work(order["id"])
    assert offered.body == {
        "type": "ASSIGNMENT_OFFERED",
        "timestamp": house.now.isoformat(),
        "data": {
            "orderId": order["id"],
            "assignmentId": work["id"],
            "locationIds": [work["location"]["id"]],
            "channel": "web",
            "status": "OFFERED",
        },
    }
    (level,) = [message for message in receiver.taken if message.told[0] == "STOCK_CHANGED"]
    assert level.body["data"] == {
        "locationIds": [work["location"]["id"]], "sku": "mug", "onHand": 50, "reserved": 2, "available": 48
    }  # fmt: skip


async def test_a_webhook_hears_of_its_kinds_only_and_shows_its_secret_once(house: House, receiver: Receiver) -> None:
    made = await save(house, receiver.url, "ORDER_CANCELLED", "ORDER_ROUTED", "ORDER_ROUTED")
    assert made["secret"].startswith("whsec_")
    assert (made["kinds"], made["version"], made["failing"]) == (["ORDER_ROUTED", "ORDER_CANCELLED"], 1, False)
    order = await house.place("one", [("mug", 1)])
    await until_hook(house, lambda each: each["deliveredThrough"] != made["deliveredThrough"])
    assert [message.told for message in receiver.came] == [("ORDER_ROUTED", "ROUTED")]
    assert receiver.came[0].order == order["id"]
    again = await save(house, receiver.url, "ORDER_ROUTED", id=made["id"])
    assert (again["secret"], again["version"], again["kinds"]) == (None, 2, ["ORDER_ROUTED"])
    assert (await save(house, receiver.url, "ORDER_ROUTED", id=made["id"]))["version"] == 2
    assert (await hook(house))["secret"] is None
    node = await house.ask(Role.ADMIN, f'{{ node(id: "{made["id"]}") {{ ... on Webhook {{ secret url }} }} }}')
    assert node == {"secret": None, "url": receiver.url}


@pytest.mark.parametrize(
    ("refusal", "why"), [(broken, "HTTP 500"), (hanging, "No answer within 1 seconds.")], ids=["broken", "hanging"]
)
async def test_what_one_order_is_refused_holds_back_that_order_and_no_other(
    house: House,
    receiver: Receiver,
    capsys: pytest.CaptureFixture[str],
    refusal: Callable[[Message], Any],
    why: str,
) -> None:
    made = await save(house, receiver.url)
    poor = await house.place("poor", [("mug", 1)])
    await until(lambda: receiver.of(poor) == PLACED)

    async def partly(message: Message) -> Response:
        return await (refusal if message.order == poor["id"] else well)(message)

    receiver.answer = partly
    await do(house, "acceptAssignment", poor)
    await until_hook(house, lambda each: each["failing"])
    await do(house, "startPicking", poor)
    other = await house.place("other", [("mug", 1)])
    await do(house, "acceptAssignment", other)
    await until(lambda: receiver.of(other) == ACCEPTED)
    assert receiver.of(poor) == PLACED
    assert len({message.id for message in receiver.came if message.order == poor["id"]}) == len(PLACED) + 1
    receiver.answer = well
    house.clock[0] += timedelta(minutes=5)
    await until(lambda: receiver.of(poor) == BEGUN)
    await until_hook(house, lambda each: not each["failing"])
    refused, taken = [
        message for message in receiver.came if message.told[1] == "ACCEPTED" and message.order == poor["id"]
    ]
    assert (refused.id, refused.text) == (taken.id, taken.text)
    assert int(taken.headers["webhook-timestamp"]) - int(refused.headers["webhook-timestamp"]) == 300
    said = capsys.readouterr().out
    assert why in said
    assert made["secret"] not in said


async def test_after_a_day_it_is_a_dead_letter_which_a_replay_sends_again(house: House, receiver: Receiver) -> None:
    made = await save(house, receiver.url, "ORDER_PLACED", "ORDER_ROUTED")
    start = await house.ask(Role.ADMIN, "{ updatesCursor }")
    receiver.answer = broken
    order = await house.place("one", [("mug", 1)])
    await until_hook(house, lambda each: each["failing"])
    tried = len(receiver.came)
    house.clock[0] += timedelta(hours=23)
    await until(lambda: len(receiver.came) > tried)
    assert (await hook(house))["deadLetters"] == []
    house.clock[0] += timedelta(hours=2)
    dead = (await until_hook(house, lambda each: not each["failing"]))["deadLetters"]
    assert [(each["kind"], each["error"]) for each in dead] == [
        ("ORDER_PLACED", "HTTP 500"),
        ("ORDER_ROUTED", "HTTP 500"),
    ]
    assert [each["cursor"] for each in dead] == list(dict.fromkeys(message.id for message in receiver.came))
    receiver.answer = well
    later = await house.place("later", [("mug", 1)])
    await until(lambda: receiver.of(later) == PLACED[:2])
    assert receiver.of(order) == []
    assert (await replay(house, made["id"], start))["deadLetters"] == []
    await until(lambda: receiver.of(order) == PLACED[:2] and receiver.of(later) == PLACED[:2] * 2)


async def test_dead_letters_are_forgotten_after_the_days_set(house: House, receiver: Receiver) -> None:
    await save(house, receiver.url, "ORDER_PLACED")
    receiver.answer = broken
    for number in (1, 2):
        await house.place(f"order {number}", [("mug", 1)])
        await until_hook(house, lambda each: each["failing"])
        house.clock[0] += A_DAY
        letters = (await until_hook(house, lambda each: not each["failing"]))["deadLetters"]
        assert len(letters) == number
        house.clock[0] += timedelta(days=20)
    assert (await until_hook(house, lambda each: len(each["deadLetters"]) < 2))["deadLetters"] == letters[1:]


async def test_a_webhook_that_rested_too_long_says_what_it_missed(furnished_dsn: str, receiver: Receiver) -> None:
    async with opened(furnished_dsn, **SETTINGS) as house:
        made = await save(house, receiver.url, "ORDER_PLACED", active=False)
        lost = await house.place("lost", [("mug", 1)])
    async with opened(furnished_dsn, now=NOON + 31 * timedelta(days=1), **SETTINGS) as house:
        kept = await house.place("kept", [("mug", 1)])
        gone = Cursor.parse(made["deliveredThrough"])
        await forgotten(house, gone)
        await save(house, receiver.url, "ORDER_PLACED", id=made["id"])
        await until(lambda: receiver.of(kept))
        missed = (await hook(house))["missedThrough"]
        assert receiver.of(lost) == []
        assert gone < Cursor.parse(missed) < Cursor.parse(receiver.taken[0].id)
        replayed = await replay(house, made["id"], missed)
        assert (replayed["missedThrough"], replayed["deliveredThrough"]) == (None, missed)


async def test_what_a_killed_process_did_not_get_told_the_next_one_tells(
    furnished_dsn: str, receiver: Receiver
) -> None:
    async with forked(furnished_dsn, CROSSDOCK_WEBHOOK_PRIVATE="true") as (house, killed):
        await save(house, receiver.url)
        first = await house.place("first", [("mug", 1)])
        await until(lambda: receiver.of(first) == PLACED)
        receiver.answer = hanging
        second = await house.place("second", [("mug", 1)])
        await until(lambda: [message for message in receiver.came if message.order == second["id"]])
        killed.kill()
        await asyncio.to_thread(killed.join)
    receiver.answer = well
    async with opened(furnished_dsn, now=datetime.now(UTC), **SETTINGS):
        await until(lambda: receiver.of(second) == PLACED)
    assert receiver.of(first) == PLACED


async def test_of_two_processes_one_tells_and_the_other_takes_over(furnished_dsn: str, receiver: Receiver) -> None:
    async with opened(furnished_dsn, **SETTINGS) as last:
        async with opened(furnished_dsn, **SETTINGS) as house:
            await save(house, receiver.url, "ORDER_PLACED")
            async with asyncio.TaskGroup() as group:
                for n in range(20):
                    group.create_task((house, last)[n % 2].place(f"both {n}", [("mug", 1)]))
            await until(lambda: len(receiver.came) >= 20)
            assert len({message.order for message in receiver.came}) == 20
        order = await last.place("last", [("mug", 1)])
        await until(lambda: receiver.of(order))
    assert len(receiver.came) == 21


async def test_a_receiver_that_is_slow_stalls_no_other(furnished_dsn: str, receiver: Receiver) -> None:
    patience = asyncio.Event()

    async def slowly(_: Message) -> Response:
        await patience.wait()
        return Response()

    async with receiving() as slow, opened(furnished_dsn, webhook_private=True, webhook_timeout_seconds=30) as house:
        slow.answer = slowly
        await save(house, slow.url, "ORDER_PLACED")
        await save(house, receiver.url, "ORDER_PLACED")
        orders = {(await house.place(f"order {n}", [("mug", 1)]))["id"] for n in range(30)}
        await until(lambda: {message.order for message in receiver.taken} == orders)
        assert slow.taken == []
        patience.set()
        await until(lambda: {message.order for message in slow.taken} == orders)
    assert (len(slow.came), len(receiver.came)) == (30, 30)


async def test_a_receiver_that_takes_nothing_is_left_to_rest_and_loses_nothing(
    house: House, receiver: Receiver
) -> None:
    made = await save(house, receiver.url, "ORDER_PLACED", "ORDER_ROUTED", active=False)
    orders = [await house.place(f"order {n}", [("mug", 1)]) for n in range(60)]
    receiver.answer = broken
    await save(house, receiver.url, "ORDER_PLACED", "ORDER_ROUTED", id=made["id"])
    await until_hook(house, lambda each: each["failing"])
    assert len(receiver.came) < 40
    receiver.answer = well
    house.clock[0] += timedelta(minutes=5)
    await until(lambda: all(receiver.of(order) == PLACED[:2] for order in orders))
    await until_hook(house, lambda each: not each["failing"])


async def test_a_webhook_that_rests_hears_afterwards_what_happened_meanwhile(house: House, receiver: Receiver) -> None:
    made = await save(house, receiver.url, active=False)
    order = await house.place("one", [("mug", 1)])
    await save(house, receiver.url, id=made["id"], active=True)
    await until(lambda: receiver.of(order) == PLACED)
    query = "mutation ($id: ID!) { deleteWebhook(id: $id) { ... on Webhook { id url } ...E } }" + ERROR
    assert await house.ask(Role.ADMIN, query, id=made["id"]) == {"id": made["id"], "url": receiver.url}
    assert (await house.ask(Role.ADMIN, query, id=made["id"]))["__typename"] == "NotFoundError"
    assert (await save(house, receiver.url, id=made["id"]))["__typename"] == "NotFoundError"
    assert (await replay(house, made["id"], made["deliveredThrough"]))["__typename"] == "NotFoundError"
    assert await house.ask(Role.ADMIN, "{ webhooks { id } }") == []


async def test_a_replay_begins_at_a_place_that_the_webhook_has_come_to(house: House, receiver: Receiver) -> None:
    made = await save(house, receiver.url, active=False)
    await house.place("one", [("mug", 1)])
    gateway = house.gateway
    assert gateway
    await until(lambda: str(gateway.feed.position) > made["deliveredThrough"])
    ahead = await house.ask(Role.ADMIN, "{ updatesCursor }")
    for after in (ahead, "99.1.1", "nonsense"):
        refused = await replay(house, made["id"], after)
        assert (refused["__typename"], refused["path"]) == ("InvalidInputError", ["after"])


async def test_an_answer_without_end_is_not_read_to_it_and_a_redirect_is_not_followed(
    house: House, receiver: Receiver
) -> None:
    async def endless(_: Message) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            while True:
                yield b"more" * 4096
                await asyncio.sleep(0)

        return StreamingResponse(parts())

    async def elsewhere(_: Message) -> Response:
        return RedirectResponse(receiver.url.replace("/hook", "/other"))

    receiver.answer = endless
    await save(house, receiver.url, "ORDER_PLACED")
    await house.place("one", [("mug", 1)])
    await until(lambda: receiver.came)
    receiver.answer = elsewhere
    await house.place("two", [("mug", 1)])
    await until_hook(house, lambda each: each["failing"])
    assert len(receiver.came) == 2
    house.clock[0] += A_DAY
    (dead,) = (await until_hook(house, lambda each: each["deadLetters"]))["deadLetters"]
    assert (dead["error"], dead["attempts"]) == ("HTTP 307", 2)


HIDDEN = [
    "http://93.184.215.14/hook",
    "https://127.0.0.1/hook",
    "https://localhost:8443/",
    "https://10.1.2.3/",
    "https://169.254.169.254/latest/meta-data",
    "https://100.64.0.1/",
    "https://0/",
    "https://2130706433/",
    "https://[::1]/",
    "https://[::ffff:10.0.0.1]/",
    "https://[64:ff9b::a00:1]/",
    "https://[2002:a00:1::]/",
    "https://[fd00::1]/",
    "https://no-such-host.invalid/",
    "https://user:word@93.184.215.14/",
    "https://93.184.215.14:99999/",
    "https:///hook",
    "ftp://93.184.215.14/",
    "https://93.184.215.14/a b",
    "nonsense",
    "",
]


async def test_a_webhook_reaches_nothing_that_only_the_gateway_can_reach(furnished_dsn: str) -> None:
    async with opened(furnished_dsn) as house:
        for url in HIDDEN:
            refused = await save(house, url)
            assert (refused["__typename"], refused["path"]) == ("InvalidInputError", ["url"]), url


async def test_an_address_that_became_private_is_not_reached_either(furnished_dsn: str, receiver: Receiver) -> None:
    async with opened(furnished_dsn, **SETTINGS) as house:
        await save(house, receiver.url, "ORDER_PLACED", active=False)
        made = await hook(house)
        await save(house, receiver.url, "ORDER_PLACED", id=made["id"])
    async with opened(furnished_dsn) as house:
        await house.place("one", [("mug", 1)])
        await until_hook(house, lambda each: each["failing"])
        house.clock[0] += A_DAY
        (dead,) = (await until_hook(house, lambda each: each["deadLetters"]))["deadLetters"]
    assert dead["error"] == "ConnectError: The host '127.0.0.1' is not a public one."
    assert receiver.came == []
