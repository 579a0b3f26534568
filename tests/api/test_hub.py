"""Many who ask the same: one execution, each from its own cursor, and none of them waits for another."""

import asyncio
import gc
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from typing import Any

import pytest
from graphql.execution.collect_fields import CollectedFields

from app import streaming
from domain.feed import Fact, record
from domain.transaction import Database, connect
from domain.vocabulary import Role, UpdateKind
from schema.paging import uuid_of
from tests.api.house import STOCK, House, know, opened
from tests.api.listeners import Listener, listening
from tests.api.serve import LITTLE_BYTES

LONG = " ".join(f"{letter}: cursor" for letter in "abcdefghijklmnopqrstuvwxyz")
EXACT = f"subscription ($after: Cursor) {{ stockUpdates(after: $after, conflate: false) {{ cursor {LONG} }} }}"
NEWEST = (
    f"subscription ($after: Cursor) {{ stockUpdates(after: $after) {{ cursor onHand location {{ code }} {LONG} }} }}"
)
OWN = "subscription { stockUpdates { cursor location { code } } }"
WORK = "subscription ($at: ID!) { assignmentUpdates(locationId: $at) { assignment { id } } }"


@asynccontextmanager
async def gateway(dsn: str, **settings: Any) -> AsyncIterator[House]:
    """Run a gateway on the small network, with these settings."""
    async with opened(dsn, **settings) as house:
        await know(house)
        yield house


def facts(house: House, *levels: tuple[str, str, int]) -> list[Fact]:
    """Return that there are so many of an item at a location."""
    return [
        Fact(
            UpdateKind.STOCK_CHANGED,
            house.now,
            location_ids=[uuid_of(house.ids[code], "Location")],
            sku=sku,
            quantities=(units, 0, units),
        )
        for code, sku, units in levels
    ]


async def tell(house: House, *levels: tuple[str, str, int]) -> list[str]:
    """Tell that stock changed, without changing any; return the cursors."""
    assert house.gateway is not None
    feed = house.gateway.feed
    heard: list[str] = []
    listen = lambda updates: heard.extend(str(update.cursor) for update in updates or ())  # noqa: E731
    feed.listeners.append(listen)
    async with house.gateway.database.transaction() as connection:
        await record(connection, facts(house, *levels))
    async with asyncio.timeout(30):
        while len(heard) < len(levels):
            await asyncio.sleep(0.01)
    feed.listeners.remove(listen)
    return heard


async def executions(house: House) -> int:
    figures = (await house.http.get("/metrics")).text
    return int(float(figures.partition("\ncrossdock_subscription_executions ")[2].split()[0]))


async def begun(house: House, count: int) -> None:
    """Wait until there are so many executions."""
    async with asyncio.timeout(30):
        while await executions(house) != count:
            await asyncio.sleep(0.01)


async def test_who_may_see_the_same_shares_and_no_store_hears_of_anothers_work(furnished_dsn: str) -> None:
    async with gateway(furnished_dsn) as house, AsyncExitStack() as stack:
        places = [("SM",), ("SM",), ("SN",), ("SM", "SN"), ("SN", "SM")]
        stores = [await stack.enter_async_context(listening(house, Role.STORE, *codes)) for codes in places]
        office = await stack.enter_async_context(listening(house, Role.OPERATIONS))
        for listener in (*stores, office):
            await listener.subscribe(OWN)
        await begun(house, 4)  # SM, SN, both, all
        told = await tell(house, ("SM", "pen", 1), ("SN", "pen", 2), ("WB", "mug", 3))
        for listener, seen in zip((*stores, office), ("M", "M", "N", "MN", "MN", "MNB"), strict=True):
            heard = await listener.updates(len(seen))
            assert [update["location"]["code"][1] for update in heard] == list(seen)
            assert {update["cursor"] for update in heard} <= set(told)
        mine = await stack.enter_async_context(listening(house, Role.STORE, "SM"))
        others = await stack.enter_async_context(listening(house, Role.STORE, "SN"))
        for listener in (mine, others):
            await listener.subscribe(WORK, at=house.ids["SM"])
        answer = await others.receive()
        assert (answer["type"], answer["payload"][0]["extensions"]["code"]) == ("error", "NOT_FOUND")
        await house.place("walk", [("pen", 2)], level="SAME_DAY")
        assert len(await mine.updates(1)) == 1
        await others.send(type="ping")
        assert (await others.receive())["type"] == "pong"  # and nothing before it


@pytest.mark.parametrize("direct", [False, True])
async def test_each_goes_on_from_its_cursor_without_a_gap_or_a_double(furnished_dsn: str, *, direct: bool) -> None:
    async with gateway(furnished_dsn, direct_write=direct, updates_kept=20) as house, AsyncExitStack() as stack:
        feed = house.gateway.feed  # type: ignore[union-attr]
        start, cursors, listeners = str(feed.position), [], list[tuple[Listener, str]]()
        for round_number in range(8):
            cursors += await tell(house, *[("SM", "pen", units) for units in range(5)])
            if round_number == 3:
                feed._recent.clear()  # what is older has to come from Postgres
                feed.oldest = feed.position
            for after in (start, cursors[0], cursors[-1], cursors[len(cursors) // 2], cursors[-4]):
                listener = await stack.enter_async_context(listening(house, Role.ADMIN))
                await listener.subscribe(EXACT, after=after)
                listeners.append((listener, after))
        cursors += await tell(house, ("SM", "pen", 7))
        for listener, after in listeners:
            expected = cursors[cursors.index(after) + 1 :] if after != start else cursors
            assert await listener.until(cursors[-1]) == expected
        await tell(house, ("SM", "pen", 8))
        await begun(house, 1)  # all have come together


async def test_an_update_that_comes_late_is_for_those_who_want_every_change(
    furnished_dsn: str,
) -> None:
    async with (
        gateway(furnished_dsn) as house,
        listening(house, Role.ADMIN) as newest,
        listening(house, Role.ADMIN) as every,
    ):
        for listener, conflate in ((newest, "true"), (every, "false")):
            await listener.subscribe(f"subscription {{ stockUpdates(conflate: {conflate}) {{ onHand }} }}")
        await begun(house, 2)
        database = house.gateway.database  # type: ignore[union-attr]
        async with database.transaction() as first:
            await first.fetchval("SELECT pg_current_xact_id()")
            async with database.transaction() as second:
                await record(second, facts(house, ("SM", "pen", 1), ("SN", "pen", 1)))
            await record(first, facts(house, ("SM", "pen", 2)))
        await tell(house, ("SM", "pen", 3))
        assert [update["onHand"] for update in await newest.updates(3)] == [2, 1, 3]
        assert [update["onHand"] for update in await every.updates(4)] == [2, 1, 1, 3]


def collected() -> int:
    """Return how many fields that were collected for executions are kept by anything."""
    gc.collect()
    return sum(type(each) is CollectedFields for each in gc.get_objects())


async def test_a_slow_reader_delays_nobody_and_goes_on_with_its_cursor(furnished_dsn: str) -> None:
    async with gateway(furnished_dsn, updates_kept=20) as house, AsyncExitStack() as stack:
        quick, beside, slow, conflated = [
            await stack.enter_async_context(listening(house, Role.ADMIN, lazy=lazy))
            for lazy in (False, False, True, True)
        ]
        for listener, query in ((quick, EXACT), (slow, EXACT), (conflated, NEWEST), (beside, NEWEST)):
            await listener.subscribe(query)
        await begun(house, 2)
        levels = [("SM", "pen"), ("SN", "pen"), ("WB", "mug")]
        cursors, before = [], collected()
        for part in range(4):
            cursors += await tell(house, *[(*levels[n % 3], 1000 * part + n) for n in range(100)])
            assert await quick.until(cursors[-1])
            assert await beside.until(cursors[-1])
        assert collected() - before < 100  # nothing grows with updates
        heard, code, reason = await slow.to_the_end()
        assert (code, reason) == (4429, f"after={heard[-1]['cursor']}")
        assert [update["cursor"] for update in heard] == cursors[: len(heard)]
        again = await stack.enter_async_context(listening(house, Role.ADMIN))
        await again.subscribe(EXACT, after=heard[-1]["cursor"])
        assert await again.until(cursors[-1]) == cursors[len(heard) :]
        newest: dict[str, int] = {}
        seen: list[str] = []
        while cursors[-1] not in seen:
            (update,) = await conflated.updates(1)
            newest[update["location"]["code"]] = update["onHand"]
            seen.append(update["cursor"])
        assert newest == {"SM": 3099, "SN": 3097, "WB": 3098}
        assert len(seen) < len(cursors)
        assert seen == [cursor for cursor in cursors if cursor in set(seen)]


@pytest.mark.parametrize("direct", [False, True])
async def test_who_takes_nothing_is_cut_off_and_who_answers_no_ping_is_closed(
    furnished_dsn: str, *, direct: bool
) -> None:
    limits = {"ws_stall_seconds": 1, "ws_ping_seconds": 1, "direct_write": direct, "updates_kept": 20}
    async with gateway(furnished_dsn, **limits) as house, AsyncExitStack() as stack:
        stuck = await stack.enter_async_context(listening(house, Role.ADMIN, lazy=True))
        quiet, mute = [await stack.enter_async_context(listening(house, Role.STORE, "SN")) for _ in range(2)]
        await stuck.subscribe(EXACT)
        stuck_events = stack.enter_context(unread_events(house, EXACT.replace("{ cursor", "{ sku cursor")))
        await quiet.subscribe(OWN)
        await begun(house, 3)
        listen = asyncio.create_task(quiet.receive())
        cursors = await tell(house, *[("SM", "pen", units) for units in range(300)])
        assert (await mute.to_the_end())[1:] == (4408, "No pong")
        async with asyncio.timeout(30):
            while not any(ping.get("payload") == {"cursor": cursors[-1]} for ping in quiet.pings):
                await asyncio.sleep(0.05)  # what it may not see has passed it all the same
            while "crossdock_open_sockets 1.0" not in (await house.http.get("/metrics")).text:
                await asyncio.sleep(0.05)
        await begun(house, 1)  # of those who take nothing none is left
        assert not listen.done()
        listen.cancel()
        assert (await stuck.to_the_end())[1] == 1006
        assert await is_cut(stuck_events)


@contextmanager
def unread_events(house: House, query: str) -> Iterator[socket.socket]:
    """Yield a connection that asked for a stream of events, and reads nothing of it."""
    body = json.dumps({"query": query})
    head = f"POST /graphql HTTP/1.1\r\nHost: {house.address}\r\nAuthorization: Bearer {house.token(Role.ADMIN)}\r\n"
    head += f"Content-Type: application/json\r\nAccept: text/event-stream\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.socket() as own:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, LITTLE_BYTES)
        host, port = house.address.split(":")
        own.connect((host, int(port)))
        own.sendall((head + body).encode())
        own.settimeout(0)
        yield own


async def is_cut(own: socket.socket) -> bool:
    """Read all that comes; say whether it ends without the last chunk of an answer."""
    heard = b""
    async with asyncio.timeout(30):
        with suppress(ConnectionResetError):
            while part := await asyncio.get_running_loop().sock_recv(own, 65_536):
                heard += part
    assert heard.startswith(b"HTTP/1.1 200")
    return not heard.endswith(b"\r\n0\r\n\r\n")


def updates_of(lines: list[str]) -> list[str]:
    """Return the cursors of the updates, which are the ids of their events."""
    cursors = [json.loads(line[5:])["data"]["stockUpdates"]["cursor"] for line in lines if line.startswith("data: {")]
    assert {f"id: {cursor}" for cursor in cursors} <= set(lines)
    return cursors


async def test_events_come_from_the_same_execution_and_go_on_after_the_last_id(
    furnished_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "HEARTBEAT_SECONDS", 0.1)
    async with gateway(furnished_dsn) as house, listening(house, Role.STORE, "SM") as listener:
        headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {house.token(Role.STORE, 'SM')}"}

        async def events(count: Callable[[list[str]], bool], **more: str) -> list[str]:
            lines: list[str] = []
            request = house.http.stream("POST", "/graphql", json={"query": OWN}, headers=headers | more)
            async with asyncio.timeout(30), request as response:
                assert response.headers["content-type"].startswith("text/event-stream")
                async for line in response.aiter_lines():
                    lines += [line] if line else []
                    if count(lines):
                        break
            return lines

        await listener.subscribe(OWN)
        await begun(house, 1)
        hearing = asyncio.create_task(events(lambda lines: len(updates_of(lines)) == 2))
        await asyncio.sleep(0.2)
        assert await executions(house) == 1
        first, *rest = await tell(house, ("SM", "pen", 1), ("SM", "pen", 2))
        await listener.until(rest[-1])
        assert updates_of(await hearing) == [first, *rest]
        (foreign,) = await tell(house, ("SN", "pen", 1))
        missed = await events(lambda lines: f"id: {foreign}" in lines, **{"Last-Event-ID": first})
        assert updates_of(missed) == rest
        expired = await house.http.post("/graphql", json={"query": OWN}, headers=headers | {"Last-Event-ID": "0.1.1"})
        assert "CURSOR_EXPIRED" in expired.text
        assert expired.text.endswith("event: complete\r\ndata: \r\n\r\n")


async def test_a_database_that_was_away_costs_time_and_no_update(furnished_dsn: str) -> None:
    async with gateway(furnished_dsn) as house, listening(house, Role.ADMIN) as listener:
        await listener.subscribe(NEWEST)
        await begun(house, 1)
        server, _, name = furnished_dsn.rpartition("/")
        other, beside = await connect(furnished_dsn), await connect(f"{server}/postgres")
        try:
            await beside.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            await other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            await record(other, facts(house, ("SM", "pen", 3)))
            await asyncio.sleep(0.2)
        finally:
            await beside.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
            await other.close()
            await beside.close()
        (update,) = await listener.updates(1)
        assert (update["onHand"], update["location"]["code"]) == (3, "SM")


async def test_updates_that_wait_share_their_reads_and_each_tells_its_own(
    furnished_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = EXACT.replace("{ cursor", "{ onHand ...Level location @include(if: true) { id code called: name }")
    query += " fragment Level on StockUpdate { level { onHand where: location { code } } }"
    async with gateway(furnished_dsn) as house, listening(house, Role.ADMIN) as listener:
        assert house.gateway is not None
        start = str(house.gateway.feed.position)
        levels = [(("SM", "SN", "WB")[count % 3], "mug", count) for count in range(60)]
        await tell(house, *levels)
        reads, reading = list[int](), Database.reading
        monkeypatch.setattr(Database, "reading", lambda database: (reads.append(1), reading(database))[1])
        await listener.subscribe(query, after=start)
        for update, (code, _, units) in zip(await listener.updates(len(levels)), levels, strict=True):
            assert update["onHand"] == units
            assert (update["location"]["id"], update["location"]["code"]) == (house.ids[code], code)
            assert update["level"] == {"onHand": STOCK[code]["mug"], "where": {"code": code}}
        assert len(reads) < len(levels) / 2
        async with house.gateway.database.transaction() as connection:
            await connection.execute("UPDATE location SET name = 'Renamed' WHERE code = 'SM'")
            await connection.execute("UPDATE network_revision SET revision = revision + 1")
        await tell(house, ("SN", "mug", 1), ("SM", "mug", 2))
        assert [update["location"]["called"] == "Renamed" for update in await listener.updates(2)] == [False, True]


async def test_a_server_that_stops_says_where_to_go_on(furnished_dsn: str) -> None:
    async with AsyncExitStack() as stack:
        async with gateway(furnished_dsn) as house:
            listener = await stack.enter_async_context(listening(house, Role.STORE, "SM"))
            await listener.subscribe(OWN)
            await begun(house, 1)
            cursors = await tell(house, ("SM", "pen", 1), ("SN", "pen", 1))
            assert await listener.until(cursors[0]) == cursors[:1]
        assert await listener.to_the_end() == ([], 1012, f"after={cursors[-1]}")
