"""What is in stock by memory is what is in stock by Postgres, at every moment that somebody asks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import product
from random import Random
from uuid import uuid4

import numpy as np
import pytest

from domain.availability import Columns, InStock, Stock, availability, sellable
from domain.availability.columns import load
from domain.feed import Feed
from domain.imports import OnRowError
from domain.inventory import (
    Holdback,
    ItemRecord,
    Movement,
    StockRecord,
    available,
    import_items,
    import_stock,
    move,
    set_holdback,
)
from domain.network import LocationRecord, Networks, Snapshot, import_locations
from domain.transaction import Database, open_pool
from domain.vocabulary import LocationKind, MovementReason

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CODES = ["A", "B", "C"]
SKUS = ["cap", "mug", "pen"]


async def add_places(database: Database, *codes: str) -> None:
    rows = [
        LocationRecord(
            code=code,
            name=f"Store {code}",
            kind=LocationKind.STORE,
            latitude=52.5,
            longitude=13.4,
            country="DE",
            postal_code="10115",
            city="Berlin",
            time_zone="Europe/Berlin",
        )
        for code in codes
    ]
    await import_locations(database, rows, on_error=OnRowError.REJECT_ALL, now=NOW)


async def count(database: Database, *levels: tuple[str, str, int]) -> None:
    rows = [StockRecord(sku=sku, location_code=code, on_hand=on_hand) for sku, code, on_hand in levels]
    outcome = await import_stock(database, rows, on_error=OnRowError.REJECT_ALL, now=NOW)
    assert outcome.failed == []


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    """Three stores, three items, and nothing in stock."""
    pool = await open_pool(dsn)
    database = Database(pool)
    await add_places(database, *CODES)
    rows = [ItemRecord(sku=sku, name=sku.title()) for sku in SKUS]
    await import_items(database, rows, on_error=OnRowError.REJECT_ALL, now=NOW)
    yield database
    await pool.close()


@asynccontextmanager
async def keeping(database: Database) -> AsyncIterator[Stock]:
    """Keep stock in memory, as a process does, once it is loaded."""
    feed = Feed(database)
    await feed.start()

    async def wake() -> None:
        feed.nudge()

    database.wake = wake
    stock = Stock(database, feed)
    tasks = [asyncio.create_task(feed.tail()), asyncio.create_task(stock.keep())]
    try:
        await known(stock)
        yield stock
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(found: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(30):
        while not await found():
            await asyncio.sleep(0.005)


async def known(stock: Stock) -> InStock:
    await until(lambda: stock.current(now=NOW))
    found = await stock.current(now=NOW)
    assert found is not None
    return found


async def both(database: Database, stock: Stock, snapshot: Snapshot) -> tuple[list[list[int]], list[list[int]]]:
    """Return what memory and what Postgres says."""
    found = await known(stock)
    async with database.reading() as connection:
        postgres = await available(connection, SKUS, snapshot, "web")
        memory = await sellable(connection, found, SKUS, snapshot, "web")
    return memory.tolist(), postgres.tolist()


async def test_memory_says_what_postgres_says_after_every_change(database: Database) -> None:
    await count(database, ("mug", "A", 5), ("cap", "C", 40_000))
    snapshot, random = await Networks(database).current(), Random(7)  # noqa: S311 - a choice of tests, not of secrets
    async with keeping(database) as stock:
        for _ in range(40):
            await count(database, (random.choice(SKUS), random.choice(CODES), random.randrange(70_000)))
            memory, postgres = await both(database, stock, snapshot)
            assert memory == postgres


async def test_what_changes_while_it_is_loaded_is_not_lost(database: Database) -> None:
    await count(database, *((sku, code, 1) for sku, code in product(SKUS, CODES)))
    snapshot = await Networks(database).current()
    stop = asyncio.Event()

    async def write() -> None:
        random = Random(1)  # noqa: S311 - as above
        while not stop.is_set():
            await count(database, (random.choice(SKUS), random.choice(CODES), random.randrange(100)))

    writing = asyncio.create_task(write())
    async with keeping(database) as stock:
        for _ in range(5):
            stock._hear(None)
            await known(stock)
        stop.set()
        await writing
        memory, postgres = await both(database, stock, snapshot)
    assert memory == postgres


async def test_what_the_feed_tells_late_of_a_level_does_not_displace_what_is_newer(database: Database) -> None:
    await count(database, ("mug", "A", 5))
    snapshot = await Networks(database).current()
    async with keeping(database) as stock:
        async with database.transaction() as connection:
            await connection.fetchval("SELECT pg_current_xact_id()")
            await count(database, ("mug", "A", 7))
            place = snapshot.id_by_code["A"]
            sold = Movement(sku="mug", location_id=place, reason=MovementReason.SOLD, on_hand_delta=-1)
            await move(connection, [sold], now=NOW)
        await database.wake()
        memory, postgres = await both(database, stock, snapshot)
    assert memory == postgres
    assert max(map(max, memory)) == 6


async def test_stock_is_read_without_reading_stock_rows(database: Database) -> None:
    await count(database, ("mug", "A", 5))
    snapshot = await Networks(database).current()
    async with keeping(database) as stock:
        found = await known(stock)
        async with database.reading() as connection, connection.transaction():
            await connection.execute("ALTER TABLE stock RENAME TO elsewhere")
            (mug,) = await availability(connection, snapshot, ["mug"], stock=found, channel="web")
            await connection.execute("ALTER TABLE elsewhere RENAME TO stock")
    assert (mug.available, mug.location_count) == (5, 1)


async def test_a_channel_is_not_shown_what_is_held_back_from_it(database: Database) -> None:
    await count(database, ("mug", "A", 5), ("mug", "B", 2))
    rows = [
        Holdback(channel="web", sku="mug", location_code=None, units=1),
        Holdback(channel="web", sku="mug", location_code="B", units=3),
    ]
    await set_holdback(database, rows, now=NOW)
    snapshot = await Networks(database).current()
    async with keeping(database) as stock:
        memory, postgres = await both(database, stock, snapshot)
    assert memory == postgres == [[0, 4, 0], [0, 0, 0], [0, 0, 0]]


async def test_a_new_location_and_a_new_item_are_known_at_once(database: Database) -> None:
    async with keeping(database) as stock:
        codes = [f"N{number}" for number in range(70)]
        await add_places(database, *codes)
        await import_items(database, [ItemRecord(sku="hat", name="Hat")], on_error=OnRowError.REJECT_ALL, now=NOW)
        await count(database, ("hat", "N69", 4), ("mug", "N0", 1))
        snapshot, found = await Networks(database).current(), await known(stock)
        units = found.columns.units(["hat", "mug", "nothing"], snapshot)
    assert {site: units[n].tolist() for site, n in sites(snapshot).items() if units[n].any()} == {
        "N0": [0, 1, 0],
        "N69": [4, 0, 0],
    }


def sites(snapshot: Snapshot) -> dict[str, int]:
    return {site.code: number for number, site in enumerate(snapshot.planner.sites)}


async def test_postgres_is_asked_where_the_feed_is_not_read(database: Database) -> None:
    feed = Feed(database)
    await feed.start()
    stock = Stock(database, feed)
    keep = asyncio.create_task(stock.keep())
    await until(lambda: asyncio.sleep(0, stock.size))
    assert await stock.current(now=NOW) is None
    keep.cancel()
    await asyncio.gather(keep, return_exceptions=True)


async def test_a_new_epoch_of_the_feed_loads_it_anew(database: Database) -> None:
    await count(database, ("mug", "A", 5))
    snapshot = await Networks(database).current()
    async with keeping(database) as stock:
        before = (await known(stock)).columns
        async with database.transaction() as connection:
            await connection.execute("UPDATE feed_epoch SET epoch = epoch + 1")
            await connection.execute("UPDATE stock SET on_hand = 9")
        await count(database, ("cap", "A", 1))
        await until(lambda: asyncio.sleep(0, stock._epoch == 2))
        assert (await known(stock)).columns is not before
        memory, postgres = await both(database, stock, snapshot)
    assert memory == postgres
    assert memory[0][:2] == [1, 9]


async def test_an_interrupted_feed_loads_it_anew(database: Database) -> None:
    await count(database, ("mug", "A", 5))
    snapshot = await Networks(database).current()
    async with keeping(database) as stock:
        before = (await known(stock)).columns
        async with database.reading() as connection:
            await connection.execute("ALTER TABLE feed RENAME TO elsewhere")
            await until(lambda: asyncio.sleep(0, stock.feed._interrupted))
            await connection.execute("UPDATE stock SET on_hand = 6")
            await connection.execute("ALTER TABLE elsewhere RENAME TO feed")
        await until(lambda: asyncio.sleep(0, stock._columns is not before))
        memory, postgres = await both(database, stock, snapshot)
    assert memory == postgres
    assert memory[0][1] == 6


async def test_what_it_says_is_true_of_a_moment_just_past(database: Database) -> None:
    async with keeping(database) as stock:
        await asyncio.sleep(0.2)
        found = await known(stock)
        assert timedelta(0) <= NOW - found.as_of < timedelta(seconds=0.5)


async def test_what_is_reserved_and_kept_is_not_loaded(database: Database) -> None:
    await count(database, ("mug", "A", 5), ("mug", "B", 1))
    snapshot = await Networks(database).current()
    reserve = Movement(
        sku="mug", location_id=snapshot.id_by_code["A"], reason=MovementReason.RESERVED, reserved_delta=3
    )
    async with database.transaction() as connection:
        await move(connection, [reserve], now=NOW)
        await connection.execute("UPDATE stock SET safety_stock = 3 WHERE location_id = $1", snapshot.id_by_code["B"])
    columns = await load(database)
    assert columns.units(["mug"], snapshot).tolist() == [[2], [0], [0]]


def test_many_quantities_are_set_at_once_and_large_ones_too() -> None:
    places = [uuid4() for _ in range(3)]
    columns = Columns(["a", "b"], places)
    before = columns.size
    numbers = [np.array(values, np.int32) for values in ([0, 0, 1], [2, 0, 1], [7, 100_000, 32_767])]
    columns.fill(*numbers)
    assert columns._rows["a"].tolist()[:3] == [100_000, 0, 7]
    assert columns._rows["b"].tolist()[:3] == [0, 32_767, 0]
    assert columns.size > before
