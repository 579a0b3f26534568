"""The feed: what is kept, what has expired, and what it costs to come from far behind."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from domain import feed as feeds
from domain import webhooks
from domain.feed import Cursor, CursorExpired, Fact, Feed, retention, standing
from domain.timers import run_due, set_timer
from domain.transaction import Connection, Database, open_pool
from domain.vocabulary import UpdateKind
from domain.webhooks import WebhookChange

NOW = datetime(2026, 3, 4, 11, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEPT, LONGEST = 3 * HOUR, 24 * HOUR
HANDLERS = {feeds.TIMER: feeds.forgetting(KEPT, unread=webhooks.told_through, longest=LONGEST)}


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    pool = await open_pool(dsn)
    yield Database(pool)
    await pool.close()


@asynccontextmanager
async def tailing(database: Database) -> AsyncIterator[Feed]:
    """A process's reader, which is woken by what is written here."""
    feed = Feed(database)
    await feed.start()

    async def wake() -> None:
        feed.nudge()

    database.wake = wake
    task = asyncio.create_task(feed.tail())
    yield feed
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def tell(connection: Connection, *orders: UUID, at: datetime = NOW) -> None:
    facts = [Fact(kind=UpdateKind.ORDER_CHANGED, at=at, order_id=order) for order in orders]
    for fact in facts:
        await feeds.record(connection, [fact])


async def write(database: Database, *orders: UUID, at: datetime = NOW) -> None:
    async with database.transaction() as connection:
        await tell(connection, *orders, at=at)


async def told(database: Database) -> list[UUID | None]:
    async with database.reading() as connection:
        trimmed = Cursor.parse(await connection.fetchval("SELECT trimmed FROM feed_epoch"))
        return [update.order_id for update in await feeds.read(connection, trimmed)]


async def oldest(database: Database) -> Cursor:
    async with database.reading() as connection:
        return (await standing(connection)).oldest


async def forget(database: Database, now: datetime) -> None:
    async with database.transaction() as connection:
        await set_timer(connection, feeds.TIMER, "", now)
    while await run_due(database, HANDLERS, now=now):
        pass


async def heard(feed: Feed, after: Cursor, count: int) -> list[UUID | None]:
    """What a follower hears, which is as much as that and no more for a moment."""
    found: list[UUID | None] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(5) as limit:
            async for updates in feed.follow(after):
                found.extend(update.order_id for update in updates)
                if len(found) >= count:
                    limit.reschedule(asyncio.get_running_loop().time() + 0.1)
    return found


async def test_the_feed_goes_by_age_from_its_oldest_row_on_and_its_cursors_expire(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "FORGET_AT_ONCE", 3)
    old, young, behind, newest = ([uuid4() for _ in range(n)] for n in (7, 1, 3, 2))
    async with tailing(database) as feed:
        start = feed.position
        for orders, at in ((old, NOW), (young, NOW + 2 * HOUR), (behind, NOW), (newest, NOW + 4 * HOUR)):
            await write(database, *orders, at=at)
        assert await heard(feed, start, 13) == [*old, *young, *behind, *newest]
        await forget(database, NOW + KEPT)
        assert await told(database) == [*old, *young, *behind, *newest]
        await forget(database, NOW + KEPT + timedelta(seconds=1))
        assert await told(database) == [*young, *behind, *newest], "what follows a row that is kept is kept"
        assert await heard(feed, start, 13) == [*old, *young, *behind, *newest], "memory still has it"
        feed._recent, feed.oldest = [], feed.position
        for late in (start, Cursor(start.epoch, 0, 0)):
            with pytest.raises(CursorExpired) as expired:
                await feed.resume(late)
            assert expired.value.oldest == await oldest(database)
            with pytest.raises(CursorExpired):
                await anext(feed.follow(late))
        assert await heard(feed, await feed.resume(expired.value.oldest), 6) == [*young, *behind, *newest]
        await forget(database, NOW + 100 * HOUR)
        assert await told(database) == []
        with pytest.raises(CursorExpired):
            await feed.resume(expired.value.oldest)
        assert await feed.resume(feed.position) == feed.position


async def test_a_row_that_may_still_be_preceded_stays_and_nobody_waits_for_what_goes(database: Database) -> None:
    first, hidden, after = uuid4(), uuid4(), uuid4()
    await write(database, first)
    async with database.pool.acquire() as late, late.transaction():
        await tell(late, hidden)
        await write(database, after)
        await forget(database, NOW + LONGEST)
        assert await told(database) == []
    assert await told(database) == [hidden, after]
    async with database.pool.acquire() as trimming, trimming.transaction():
        await HANDLERS[feeds.TIMER](trimming, "", NOW + LONGEST)
        async with database.transaction() as connection:
            await connection.execute("SET LOCAL lock_timeout = '1s'")
            await tell(connection, first)
        async with asyncio.timeout(1):
            assert await told(database) == [hidden, after]
    assert await told(database) == [first]


async def test_what_a_webhook_has_not_taken_stays_longer_and_then_it_is_told_that_it_missed_it(
    database: Database,
) -> None:
    before, after, last = uuid4(), uuid4(), uuid4()
    await write(database, before)
    async with database.transaction() as connection:
        change = WebhookChange(id=None, url="https://example.com/", kinds=[], active=False)
        hook = await webhooks.save_webhook(connection, change, now=NOW)
    await write(database, after)
    await forget(database, NOW + 10 * HOUR)
    assert await told(database) == [after]
    await forget(database, NOW + LONGEST + HOUR)
    assert await told(database) == []
    await write(database, last)
    async with tailing(database) as feed:
        with pytest.raises(CursorExpired) as expired:
            await feed.news(Cursor.parse(hook.delivered_through), 10)
    async with database.transaction() as connection:
        assert await webhooks.skip(connection, hook, expired.value.oldest)
        (hook,) = await webhooks.webhooks(connection, [hook.id])
        assert hook.missed_through == hook.delivered_through == str(expired.value.oldest)
        assert await webhooks.told_through(connection) == expired.value.oldest


async def test_a_database_that_was_restored_begins_an_epoch_and_its_followers_begin_anew(database: Database) -> None:
    lost, kept, new = uuid4(), uuid4(), uuid4()
    async with tailing(database) as feed:
        start = feed.position
        await write(database, kept, lost)
        assert await heard(feed, start, 2) == [kept, lost]
        following = asyncio.create_task(heard(feed, start, 3))
        async with database.transaction() as connection:  # what a backup of another cluster looks like
            await connection.execute("UPDATE feed_epoch SET database = 'another'")
            await connection.execute("UPDATE feed SET xid = (xid::text::bigint + 1000000)::text::xid8")
        await database.pool.expire_connections()
        feed._interrupted = True
        await write(database, new)
        with pytest.raises(CursorExpired) as expired:
            await following
        assert expired.value.oldest == Cursor(start.epoch + 1, 0, 0) == await oldest(database)
        with pytest.raises(CursorExpired):
            await feed.resume(start)
        assert await heard(feed, await feed.resume(expired.value.oldest), 1) == [new]
        assert feed.position.epoch == start.epoch + 1
        assert await told(database) == [kept, lost, new], "a webhook is told what it was not told before"


async def test_a_copy_of_a_database_is_another_and_a_second_connection_is_not(
    dsn: str, database: Database, furnished_dsn: str
) -> None:
    epoch = (await oldest(database)).epoch
    again = await open_pool(dsn)
    assert await oldest(Database(again)) == Cursor(epoch, 0, 0)
    await again.close()
    copy = await open_pool(furnished_dsn)  # a copy of a copy
    assert (await oldest(Database(copy))).epoch > epoch
    await copy.close()


LEVELS = """
    INSERT INTO feed (epoch, kind, keys, payload, at)
    SELECT e.epoch, 'STOCK_CHANGED', '{}', jsonb_build_object('levels', jsonb_build_object(
               'sku', array_fill('sku'::text, ARRAY[20]), 'location', array_fill(gen_random_uuid(), ARRAY[20]),
               'on_hand', array_fill(n, ARRAY[20]), 'reserved', array_fill(0, ARRAY[20]),
               'available', array_fill(n, ARRAY[20]))), now()
      FROM generate_series(1, 5000) n, feed_epoch e
"""


async def test_a_follower_a_hundred_thousand_updates_behind_delays_nobody(database: Database) -> None:
    async with tailing(database) as feed:
        start = feed.position
        async with database.transaction() as connection:
            await connection.execute(LEVELS)
        await write(database, uuid4())
        async with asyncio.timeout(30):
            while feed.position.xid <= start.xid or not feed._recent[-1].order_id:
                await asyncio.sleep(0.01)
        gc.collect()
        gc.freeze()  # as a gateway does once it serves
        busiest, count, replayed = 0.0, 0, asyncio.Event()

        async def catch_up() -> None:
            nonlocal count
            async for updates in feed.follow(start):
                count += len(updates)
                if any(update.order_id for update in updates):
                    replayed.set()

        replay = asyncio.create_task(catch_up())
        while not replayed.is_set():
            began = time.thread_time()
            await asyncio.sleep(0)
            busiest = max(busiest, time.thread_time() - began)
        replay.cancel()
        gc.unfreeze()
        assert count > 100_000
        assert busiest < 0.1, "seconds of the processor between two turns of somebody else"


async def test_a_transaction_left_open_delays_updates_but_no_writer_and_none_is_lost(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds.tailing, "QUIET_SECONDS", 60.0)  # nobody tells of the end
    expected: list[UUID | None] = []
    arrived: list[UUID | None] = []
    lags: list[float] = []
    async with tailing(database) as feed:

        async def listen(after: Cursor) -> None:
            async for updates in feed.follow(after):
                arrived.extend(update.order_id for update in updates)

        listening = asyncio.create_task(listen(feed.position))
        while len(lags) < 8 and min(lags, default=1) >= 0.1:  # the machine may be busy with other tests
            hidden, *orders = (uuid4() for _ in range(41))
            async with database.pool.acquire() as left_open, left_open.transaction():
                await tell(left_open, hidden)
                began = time.monotonic()
                for order in orders:
                    await write(database, order)
                assert time.monotonic() - began < 2
                await asyncio.sleep(0.2)
                assert arrived == expected
            ended = time.monotonic()
            expected += [hidden, *orders]
            async with asyncio.timeout(5):
                while len(arrived) < len(expected):
                    await asyncio.sleep(0.002)
            lags.append(time.monotonic() - ended)
            assert arrived == expected
        listening.cancel()
    print(f"all told {min(lags) * 1000:.0f} ms after the end of the transaction")  # noqa: T201
    assert min(lags) < 0.1


async def test_what_an_open_transaction_holds_back_costs_a_read_nothing(database: Database) -> None:
    held = [Fact(kind=UpdateKind.ORDER_CHANGED, at=NOW, order_id=uuid4()) for _ in range(2_000)]
    async with database.reading() as reader:

        async def entries() -> int:
            await reader.execute("SELECT pg_stat_force_next_flush()")
            read: int = await reader.fetchval("SELECT idx_tup_read FROM pg_stat_user_indexes WHERE relname = 'feed'")
            return read

        start = (await standing(reader)).newest
        async with database.pool.acquire() as left_open, left_open.transaction():
            await tell(left_open, uuid4())
            async with database.transaction() as connection:
                await feeds.record(connection, held)
            before = await entries()
            assert await feeds.read(reader, start) == []
            assert await entries() - before < 10
        assert len(await feeds.read(reader, start, 1_000)) == 1 + len(held)
