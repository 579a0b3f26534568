"""API keys: how machines say who they are."""

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from app import streaming
from domain import api_keys
from domain.api_keys import ApiKeyRow, ApiKeys
from domain.transaction import Connection
from domain.vocabulary import Role
from tests.api.house import ERROR, House, opened

FIELDS = "id name role scopes secret createdBy expiresAt revokedAt lastUsedAt locations { code }"
ISSUE = f"""mutation ($input: ApiKeyInput!) {{ issueApiKey(input: $input) {{ __typename ... on ApiKey {{ {FIELDS} }}
    {ERROR} }} }}"""
REVOKE = f"mutation ($id: ID!) {{ revokeApiKey(id: $id) {{ __typename ... on ApiKey {{ {FIELDS} }} {ERROR} }} }}"
WHO = "{ viewer { name role scopes locations { code } } }"


async def issued(house: House, **wish: object) -> dict[str, Any]:
    key: dict[str, Any] = await house.ask(Role.ADMIN, ISSUE, input={"name": "till", "role": "OPERATIONS", **wish})
    return key


async def asked(house: House, key: str, query: str = WHO) -> tuple[int, dict[str, Any]]:
    answer = await house.http.post("/graphql", json={"query": query}, headers={"Authorization": f"Bearer {key}"})
    return answer.status_code, answer.json()


def codes(answer: dict[str, Any]) -> list[str]:
    return [error["extensions"]["code"] for error in answer["errors"]]


async def test_a_key_says_who_bears_it_until_it_is_revoked(house: House) -> None:
    key = await issued(house, role="STORE", locationCodes=["SM"])
    assert (key["createdBy"], key["locations"], key["lastUsedAt"]) == ("admin", [{"code": "SM"}], None)
    viewer = {"name": "till", "role": "STORE", "scopes": None, "locations": [{"code": "SM"}]}
    assert await asked(house, key["secret"]) == (200, {"data": {"viewer": viewer}})
    page = await house.ask(Role.ADMIN, f"{{ apiKeys(first: 2) {{ edges {{ node {{ __typename {FIELDS} }} }} }} }}")
    (listed,) = [edge["node"] for edge in page["edges"]]
    assert listed["lastUsedAt"]
    assert {**listed, "lastUsedAt": None} == {**key, "secret": None}

    revoked = await house.ask(Role.ADMIN, REVOKE, id=key["id"])
    assert revoked["revokedAt"]
    house.clock[0] += timedelta(seconds=6)
    assert (await asked(house, key["secret"]))[0] == 401
    assert (await house.ask(Role.ADMIN, REVOKE, id=key["id"]))["revokedAt"] == revoked["revokedAt"]
    assert (await house.ask(Role.ADMIN, REVOKE, id=house.ids["SM"]))["__typename"] == "NotFoundError"


async def test_who_knows_only_the_id_of_a_key_does_not_move_when_it_was_last_used(house: House) -> None:
    async def used(wrong: str = "") -> object:
        assert (await asked(house, secret + wrong))[0] == (401 if wrong else 200)
        page = await house.ask(Role.ADMIN, "{ apiKeys { edges { node { lastUsedAt } } } }")
        return page["edges"][0]["node"]["lastUsedAt"]

    secret = (await issued(house))["secret"]
    assert await used("x") is None
    first = await used()
    assert first
    for minutes, wrong, moved in ((0.5, "", False), (1, "x", False), (0, "", True), (1, "", False), (1, "", True)):
        house.clock[0] += timedelta(minutes=minutes)
        assert (await used(wrong) != first) is moved
        first = await used("x")


async def test_a_key_expires(house: House) -> None:
    key = await issued(house, expiresAt=(house.now + timedelta(hours=1)).isoformat())
    assert (await asked(house, key["secret"]))[0] == 200
    house.clock[0] += timedelta(hours=1)
    assert (await asked(house, key["secret"]))[0] == 401


async def test_scopes_open_the_root_fields_they_name_and_no_other(house: House) -> None:
    key = await issued(house, role="ADMIN", scopes=["viewer", "issueApiKey"])
    assert (await asked(house, key["secret"]))[1]["data"]["viewer"]["scopes"] == ["issueApiKey", "viewer"]
    for query in ("{ orders { totalCount } }", '{ node(id: "") { id } }', "{ apiKeys { totalCount } }"):
        assert codes((await asked(house, key["secret"], query))[1]) == ["FORBIDDEN"]
    more = 'mutation { issueApiKey(input: {name: "more", role: ADMIN %s}) { ... on UserError { message path } } }'
    for scopes in ("", ", scopes: null", ', scopes: ["viewer", "apiKeys"]'):
        refused = (await asked(house, key["secret"], more % scopes))[1]["data"]["issueApiKey"]
        assert refused["path"] == ["input", "scopes"], "a key makes no key that opens more than it does"


@pytest.mark.parametrize(
    ("wish", "path"),
    [
        ({"name": " "}, "name"),
        ({"name": "n" * 101}, "name"),
        ({"name": "a\u0007b"}, "name"),
        ({"role": "STORE"}, "locationCodes"),
        ({"locationCodes": ["SM"]}, "locationCodes"),
        ({"role": "STORE", "locationCodes": ["SM", "nowhere"]}, "locationCodes"),
        ({"scopes": ["viewers"]}, "scopes"),
        ({"expiresAt": "2026-03-04T11:00:00Z"}, "expiresAt"),
    ],
)
async def test_a_key_that_cannot_be_is_refused(house: House, wish: dict[str, object], path: str) -> None:
    refused = await issued(house, **wish)
    assert (refused["__typename"], refused["path"]) == ("InvalidInputError", ["input", path])


async def test_what_is_no_key_opens_nothing_and_displaces_none(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_keys, "MOST_KEPT", 2)
    secret = (await issued(house))["secret"]
    assert (await asked(house, secret))[0] == 200
    wrong = ["cdk_", "cdk__", "cdk_x_y", secret[:-1], secret + "x", secret.replace("cdk_0", "cdk_1"), "cdk_" + "0" * 32]
    wrong += [f"cdk_{n:032x}_x" for n in range(3)]
    assert [(await asked(house, key))[0] for key in wrong] == [401] * len(wrong)
    assert house.gateway is not None
    async with house.gateway.database.transaction() as connection:
        await connection.execute("DELETE FROM api_key")
    assert (await asked(house, secret))[0] == 200, "it was read less than five seconds ago, and is still kept"


async def test_keys_that_are_made_up_are_asked_for_together_and_not_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = (await issued(house))["secret"]
    assert house.gateway is not None
    keys = ApiKeys(house.gateway.database)
    asked_for: list[Sequence[UUID]] = []

    async def counted(connection: Connection, ids: Sequence[UUID]) -> list[ApiKeyRow]:
        asked_for.append(ids)
        return await read(connection, ids)

    read = api_keys.api_keys
    monkeypatch.setattr(api_keys, "api_keys", counted)
    made_up = [f"cdk_{number:032x}_x" for number in range(200)]
    for _ in range(2):
        found = await asyncio.gather(*(keys.viewer(key, now=house.now) for key in (*made_up, secret, *made_up)))
        assert [viewer.name for viewer in found if viewer] == ["till"]
    assert len(asked_for) == 2, "for the first, and for all who came meanwhile; the second time for nobody"


async def test_who_waits_for_a_statement_that_fails_is_told_so_and_asks_none_of_its_own(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert house.gateway is not None
    keys, asked_for = ApiKeys(house.gateway.database), 0

    async def broken(_: Connection, ids: Sequence[UUID]) -> list[ApiKeyRow]:
        nonlocal asked_for
        asked_for += 1
        await asyncio.sleep(0)
        raise TimeoutError(len(ids))

    made_up = [f"cdk_{number:032x}_x" for number in range(20)]
    with monkeypatch.context() as patched:
        patched.setattr(api_keys, "api_keys", broken)
        failed = await asyncio.gather(*(keys.viewer(key, now=house.now) for key in made_up), return_exceptions=True)
        assert {type(each) for each in failed} == {TimeoutError}
        assert asked_for == 2, "for the first, and for all who came meanwhile"
    assert await keys.viewer((await issued(house))["secret"], now=house.now)


def socket_of(house: House) -> connect:
    return connect(f"ws://{house.address}/graphql", subprotocols=[Subprotocol("graphql-transport-ws")])


async def say(socket: ClientConnection, **message: object) -> dict[str, Any]:
    """Send a message, and return what is said to it."""
    await socket.send(json.dumps(message))
    async with asyncio.timeout(30):
        heard: dict[str, Any] = json.loads(await socket.recv())
    return heard


async def test_scopes_hold_for_what_is_followed_and_a_revoked_key_asks_nothing_more_on_its_socket(house: House) -> None:
    key = await issued(house, scopes=["viewer"])
    follow = {"query": "subscription { stockUpdates { sku } }"}
    headers = {"Authorization": f"Bearer {key['secret']}", "Accept": "text/event-stream"}
    assert "FORBIDDEN" in (await house.http.post("/graphql", json=follow, headers=headers)).text
    async with socket_of(house) as socket:
        await say(socket, type="connection_init", payload={"token": key["secret"]})
        refused = await say(socket, type="subscribe", id="1", payload=follow)
        assert (refused["type"], codes({"errors": refused["payload"]})) == ("error", ["FORBIDDEN"])
        answer = await say(socket, type="subscribe", id="2", payload={"query": WHO})
        assert answer["payload"]["data"]["viewer"]["name"] == "till"
        assert json.loads(await socket.recv())["type"] == "complete"
        await house.ask(Role.ADMIN, REVOKE, id=key["id"])
        house.clock[0] += timedelta(seconds=6)
        with pytest.raises(ConnectionClosed):
            await say(socket, type="subscribe", id="3", payload={"query": WHO})
    assert socket.close_code == 4403


async def test_while_nobody_can_say_whether_a_key_is_good_streams_go_on_and_sockets_come_again(
    furnished_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "ASK_SECONDS", 0.1)
    monkeypatch.setattr(streaming, "HEARTBEAT_SECONDS", 0.3)
    async with opened(furnished_dsn) as house:
        key = (await issued(house))["secret"]
        headers = {"Authorization": f"Bearer {key}", "Accept": "text/event-stream"}
        query = {"query": "subscription { stockUpdates { sku } }"}
        async with (
            house.http.stream("POST", "/graphql", json=query, headers=headers) as events,
            socket_of(house) as two,
        ):
            asked_for: list[str] = []

            async def away(_: ApiKeys, key: str, **__: object) -> None:
                asked_for.append(key)
                raise ConnectionRefusedError

            monkeypatch.setattr(ApiKeys, "viewer", away)
            lines = events.aiter_lines()
            async with asyncio.timeout(30):
                while len(asked_for) < 3:
                    await anext(lines)
            with pytest.raises(ConnectionClosed):
                await say(two, type="connection_init", payload={"token": key})
            assert two.close_code == 1013


async def test_keys_of_one_name_have_their_own_points(furnished_dsn: str) -> None:
    async with opened(furnished_dsn, rate="STOREFRONT=100") as house:
        one, other = [(await issued(house, role="STOREFRONT"))["secret"] for _ in range(2)]
        assert 429 in [(await asked(house, one))[0] for _ in range(20)]
        assert (await asked(house, other))[0] == 200


async def test_what_a_revoked_key_follows_ends(furnished_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "ASK_SECONDS", 0.2)
    async with opened(furnished_dsn, ws_ping_seconds=1) as house:
        key = await issued(house)
        headers = {"Authorization": f"Bearer {key['secret']}", "Accept": "text/event-stream"}
        query = {"query": "subscription { stockUpdates { sku } }"}
        async with (
            socket_of(house) as socket,
            house.http.stream("POST", "/graphql", json=query, headers=headers) as events,
        ):
            await socket.send(json.dumps({"type": "connection_init", "payload": {"token": key["secret"]}}))
            assert json.loads(await socket.recv()) == {"type": "connection_ack"}
            await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": query}))
            await house.ask(Role.ADMIN, REVOKE, id=key["id"])
            house.clock[0] += timedelta(seconds=6)
            async with asyncio.timeout(30):
                assert await anext(events.aiter_lines(), None) is None
                await socket.wait_closed()
        assert socket.close_code == 4403
