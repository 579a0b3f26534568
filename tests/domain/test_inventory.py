"""The ledger agrees, nothing falls below zero, imports say what they did, and nobody locks crosswise."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from domain.errors import IdempotencyConflict, InvalidInput, NotFound, OutOfStock
from domain.feed import Cursor, read, standing
from domain.imports import OnRowError
from domain.inventory import (
    ItemRecord,
    Movement,
    StockRecord,
    StockRow,
    adjust_stock,
    available,
    check,
    import_items,
    import_stock,
    items,
    move,
    movement_listing,
    stock_levels,
    stock_listing,
)
from domain.network import LocationRecord, Networks, import_locations
from domain.paging import Page
from domain.planning.problem import Missing
from domain.transaction import Database, open_pool
from domain.vocabulary import ErrorCode, LocationKind, MovementReason

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def place(code: str) -> LocationRecord:
    return LocationRecord(
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


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    """A database with two stores and three items."""
    pool = await open_pool(dsn)
    database = Database(pool)
    await import_locations(database, [place("A"), place("B")], on_error=OnRowError.REJECT_ALL, now=NOW)
    rows = [ItemRecord(sku=sku, name=sku.title()) for sku in ("cap", "mug", "pen")]
    await import_items(database, rows, on_error=OnRowError.REJECT_ALL, now=NOW)
    yield database
    await pool.close()


@pytest.fixture
async def places(database: Database) -> dict[str, UUID]:
    snapshot = await Networks(database).current()
    return dict(snapshot.id_by_code)


async def stock(database: Database, *rows: StockRecord) -> None:
    outcome = await import_stock(database, rows, on_error=OnRowError.REJECT_ALL, now=NOW)
    assert outcome.failed == []


async def level(database: Database, sku: str, location_id: UUID) -> StockRow:
    async with database.reading() as connection:
        return (await stock_levels(connection, [(sku, location_id)]))[0]


async def findings(database: Database) -> list[str]:
    async with database.reading() as connection:
        return await check(connection)


async def here(database: Database) -> Cursor:
    async with database.reading() as connection:
        return (await standing(connection)).newest


async def told(database: Database, after: Cursor) -> list[tuple[str | None, tuple[int, int, int] | None]]:
    async with database.reading() as connection:
        return [(update.sku, update.quantities) for update in await read(connection, after)]


def received(sku: str, location_id: UUID, delta: int) -> Movement:
    return Movement(sku=sku, location_id=location_id, reason=MovementReason.RECEIVED, on_hand_delta=delta)


def reserved(sku: str, location_id: UUID, delta: int) -> Movement:
    return Movement(sku=sku, location_id=location_id, reason=MovementReason.RESERVED, reserved_delta=delta)


async def test_movements_of_one_level_change_it_once_and_are_told_once(
    database: Database, places: dict[str, UUID]
) -> None:
    await stock(database, StockRecord(sku="mug", location_code="A", on_hand=5, safety_stock=1))
    before = await here(database)
    async with database.transaction() as connection:
        (row,) = await move(
            connection,
            [received("mug", places["A"], 4), received("mug", places["A"], -2), reserved("mug", places["A"], 3)],
            now=NOW,
        )
    assert (row.on_hand, row.reserved, row.available, row.version) == (7, 3, 3, 2)
    assert await told(database, before) == [("mug", (7, 3, 3))]
    async with database.reading() as connection:
        assert await movement_listing(sku="mug").count(connection) == 4


@pytest.mark.parametrize(
    ("movements", "within_available", "missing"),
    [
        ([("mug", 0, -6)], False, [Missing(sku="mug", quantity=1)]),
        ([("mug", -1, 0)], False, [Missing(sku="mug", quantity=1)]),
        ([("pen", 2, 0)], False, [Missing(sku="pen", quantity=2)]),
        ([("mug", 5, 0)], True, [Missing(sku="mug", quantity=1)]),
        ([("mug", 9, 0), ("pen", 0, 1)], True, [Missing(sku="mug", quantity=5), Missing(sku="pen", quantity=1)]),
    ],
)
async def test_what_is_not_there_is_missing_and_nothing_moves(
    database: Database,
    places: dict[str, UUID],
    movements: list[tuple[str, int, int]],
    within_available: bool,  # noqa: FBT001 - pytest's parameter
    missing: list[Missing],
) -> None:
    await stock(
        database,
        StockRecord(sku="mug", location_code="A", on_hand=5, safety_stock=1),
        StockRecord(sku="cap", location_code="A", on_hand=5),
    )
    wanted = [
        Movement(
            sku=sku,
            location_id=places["A"],
            reason=MovementReason.ADJUSTED,
            reserved_delta=held,
            on_hand_delta=delta,
        )
        for sku, held, delta in movements
    ]
    with pytest.raises(OutOfStock) as fact:
        async with database.transaction() as connection:
            await move(
                connection, [received("cap", places["A"], 1), *wanted], now=NOW, within_available=within_available
            )
    assert list(fact.value.missing) == missing
    assert (await level(database, "cap", places["A"])).on_hand == 5


async def test_reserving_all_that_is_available_is_within_it(database: Database, places: dict[str, UUID]) -> None:
    await stock(database, StockRecord(sku="mug", location_code="A", on_hand=5, safety_stock=1))
    async with database.transaction() as connection:
        (row,) = await move(connection, [reserved("mug", places["A"], 4)], now=NOW, within_available=True)
    assert (row.reserved, row.available) == (4, 0)


async def test_movers_in_opposite_orders_never_lock_each_other_out(database: Database, places: dict[str, UUID]) -> None:
    keys = [(sku, places[code]) for sku in ("cap", "mug", "pen") for code in ("A", "B")]
    await stock(database, *(StockRecord(sku=sku, location_code=code, on_hand=50) for sku, code in all_levels()))

    async def sell(order: list[tuple[str, UUID]]) -> None:
        async with database.transaction() as connection:
            await move(connection, [received(sku, location_id, -1) for sku, location_id in order], now=NOW)

    async def count(on_hand: int) -> None:
        rows = [StockRecord(sku=sku, location_code=code, on_hand=on_hand) for sku, code in reversed(all_levels())]
        await stock(database, *rows)

    await asyncio.gather(*(sell(keys if n % 2 else keys[::-1]) for n in range(24)), *(count(60 + n) for n in range(4)))
    assert [line for line in await findings(database) if "ledger" in line] == []


def all_levels() -> list[tuple[str, str]]:
    return [(sku, code) for sku in ("cap", "mug", "pen") for code in ("A", "B")]


async def test_a_count_that_waits_for_a_sale_enters_the_difference_to_what_the_sale_left(
    database: Database, places: dict[str, UUID]
) -> None:
    await stock(database, StockRecord(sku="mug", location_code="A", on_hand=10))
    async with database.transaction() as connection:
        await move(connection, [received("mug", places["A"], -4)], now=NOW)
        counting = asyncio.create_task(stock(database, StockRecord(sku="mug", location_code="A", on_hand=9)))
        await waiting_for_a_lock(database)
    await counting
    assert (await level(database, "mug", places["A"])).on_hand == 9
    assert await findings(database) == []
    async with database.reading() as connection:
        entries = (await movement_listing(sku="mug").slice(connection, Page())).rows
    assert sorted(entry.on_hand_delta for entry in entries) == [-4, 3, 10]


async def waiting_for_a_lock(database: Database) -> None:
    async with database.reading() as connection:
        while not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
            await asyncio.sleep(0.01)


async def adjust(database: Database, location_id: UUID, delta: int, **other: object) -> StockRow:
    said = {"sku": "mug", "reason": MovementReason.RECEIVED, "note": None, "idempotency_key": "k1", **other}
    async with database.transaction() as connection:
        return await adjust_stock(connection, location_id=location_id, delta=delta, now=NOW, **said)  # type: ignore[arg-type]


async def test_an_adjustment_makes_the_level_and_happens_once_a_key(
    database: Database, places: dict[str, UUID]
) -> None:
    before = await here(database)
    first = await adjust(database, places["A"], 7)
    again = await adjust(database, places["A"], 7)
    assert (first.on_hand, first.version) == (again.on_hand, again.version) == (7, 1)
    assert await told(database, before) == [("mug", (7, 0, 7))]
    with pytest.raises(IdempotencyConflict):
        await adjust(database, places["A"], 8)
    assert await findings(database) == []


async def test_adjustments_at_once_with_one_key_happen_once(database: Database, places: dict[str, UUID]) -> None:
    await asyncio.gather(*(adjust(database, places["A"], 7) for _ in range(5)))
    assert (await level(database, "mug", places["A"])).on_hand == 7


@pytest.mark.parametrize(
    ("said", "fact", "path"),
    [
        ({"delta": 0}, InvalidInput, "delta"),
        ({"delta": -3}, InvalidInput, "delta"),
        ({"delta": 1_000_000_001}, InvalidInput, "delta"),
        ({"delta": 999_999_999}, InvalidInput, "delta"),
        ({"reason": MovementReason.RESERVED}, InvalidInput, "reason"),
        ({"reason": MovementReason.RELEASED}, InvalidInput, "reason"),
        ({"note": "a\0b"}, InvalidInput, "note"),
        ({"idempotency_key": " "}, InvalidInput, "idempotencyKey"),
        ({"sku": "hat"}, NotFound, "sku"),
        ({"sku": "h\0t"}, InvalidInput, "sku"),
        ({"location_id": uuid4()}, NotFound, "locationId"),
    ],
)
async def test_an_adjustment_that_cannot_be_is_told_why_and_leaves_no_trace(
    database: Database,
    places: dict[str, UUID],
    said: dict[str, object],
    fact: type[InvalidInput] | type[NotFound],
    path: str,
) -> None:
    await stock(database, StockRecord(sku="mug", location_code="A", on_hand=2))
    wanted = {"location_id": places["A"], "delta": 1, **said}
    with pytest.raises(fact) as raised:
        await adjust(database, **wanted)  # type: ignore[arg-type]
    assert tuple(raised.value.path) == (path,)
    assert (await level(database, "mug", places["A"])).on_hand == 2
    assert await findings(database) == []


async def test_the_till_may_sell_what_is_reserved(database: Database, places: dict[str, UUID]) -> None:
    await stock(database, StockRecord(sku="mug", location_code="A", on_hand=3))
    async with database.transaction() as connection:
        await move(connection, [reserved("mug", places["A"], 3)], now=NOW)
    row = await adjust(database, places["A"], -2, reason=MovementReason.SOLD)
    assert (row.on_hand, row.reserved, row.available) == (1, 3, 0)


async def test_a_count_below_what_is_reserved_is_the_truth(database: Database, places: dict[str, UUID]) -> None:
    await stock(database, StockRecord(sku="mug", location_code="A", on_hand=3))
    async with database.transaction() as connection:
        await move(connection, [reserved("mug", places["A"], 3)], now=NOW)
    await stock(database, StockRecord(sku="mug", location_code="A", on_hand=1))
    row = await level(database, "mug", places["A"])
    assert (row.on_hand, row.reserved, row.available) == (1, 3, 0)


async def test_stock_imported_twice_changes_nothing(database: Database, places: dict[str, UUID]) -> None:
    rows = [StockRecord(sku=sku, location_code=code, on_hand=4, safety_stock=1) for sku, code in all_levels()]
    first = await import_stock(database, rows, on_error=OnRowError.SKIP_ROW, now=NOW)
    standing_before = await here(database)
    again = await import_stock(database, rows, on_error=OnRowError.SKIP_ROW, now=NOW)
    assert (first.created, first.updated, first.unchanged) == (6, 0, 0)
    assert (again.created, again.updated, again.unchanged) == (0, 0, 6)
    assert await told(database, standing_before) == []
    assert (await level(database, "mug", places["A"])).version == 1
    assert await findings(database) == []


async def test_an_absent_quantity_stays_and_another_counts(database: Database, places: dict[str, UUID]) -> None:
    await stock(database, StockRecord(sku="mug", location_code="A", on_hand=4, safety_stock=1))
    await stock(database, StockRecord(sku="mug", location_code="A", safety_stock=2))
    kept = await level(database, "mug", places["A"])
    await stock(database, StockRecord(sku="mug", location_code="A", on_hand=9))
    counted = await level(database, "mug", places["A"])
    assert (kept.on_hand, kept.safety_stock) == (4, 2)
    assert (counted.on_hand, counted.safety_stock, counted.version) == (9, 2, 3)
    assert await findings(database) == []


BAD_LEVELS = [
    (StockRecord(sku="hat", location_code="A", on_hand=1), ErrorCode.NOT_FOUND, ("sku",)),
    (StockRecord(sku="mug", location_code="Z", on_hand=1), ErrorCode.NOT_FOUND, ("locationCode",)),
    (StockRecord(sku="mug", location_code="B"), ErrorCode.INVALID_INPUT, ("onHand",)),
    (StockRecord(sku="mug", location_code="B", on_hand=-1), ErrorCode.INVALID_INPUT, ("onHand",)),
    (StockRecord(sku="mug", location_code="B", on_hand=2**40), ErrorCode.INVALID_INPUT, ("onHand",)),
    (StockRecord(sku="mug", location_code="B", on_hand=1, safety_stock=-1), ErrorCode.INVALID_INPUT, ("safetyStock",)),
    (StockRecord(sku="\ud800", location_code="B", on_hand=1), ErrorCode.INVALID_INPUT, ("sku",)),
    (StockRecord(sku="cap", location_code="A", on_hand=2), ErrorCode.INVALID_INPUT, ()),
]


@pytest.mark.parametrize(("bad", "code", "path"), BAD_LEVELS)
async def test_a_bad_row_of_stock_is_named_and_spoils_nothing(
    database: Database, bad: StockRecord, code: ErrorCode, path: tuple[str, ...]
) -> None:
    good = StockRecord(sku="cap", location_code="A", on_hand=1)
    rejected = await import_stock(database, [good, bad], on_error=OnRowError.REJECT_ALL, now=NOW)
    assert (rejected.created, len(rejected.failed)) == (0, 1)
    skipped = await import_stock(database, [good, bad], on_error=OnRowError.SKIP_ROW, now=NOW)
    (failure,) = skipped.failed
    assert (skipped.created, failure.row, failure.code, failure.path) == (1, 1, code, path)


async def test_items_keep_what_a_row_leaves_out(database: Database) -> None:
    told_all = ItemRecord(
        sku="mug", name="Mug", weight_grams=300, tags=["kitchen"], barcodes=["4006381333931"], image_url="https://x/y"
    )
    first = await import_items(database, [told_all], on_error=OnRowError.SKIP_ROW, now=NOW)
    again = await import_items(
        database, [ItemRecord(sku="mug", name=""), told_all], on_error=OnRowError.SKIP_ROW, now=NOW
    )
    assert (first.updated, again.unchanged, len(again.failed)) == (1, 1, 1)
    async with database.reading() as connection:
        (mug,) = await items(connection, ["mug", "hat"])
    assert (mug.name, mug.weight_grams, mug.tags, mug.barcodes) == ("Mug", 300, ["kitchen"], ["4006381333931"])
    none = ItemRecord(sku="mug", tags=[], barcodes=[])
    assert (await import_items(database, [none], on_error=OnRowError.SKIP_ROW, now=NOW)).updated == 1
    async with database.reading() as connection:
        (mug,) = await items(connection, ["mug"])
    assert (mug.name, mug.tags, mug.barcodes) == ("Mug", [], [])


@pytest.mark.parametrize(
    ("bad", "path"),
    [
        (ItemRecord(sku=" ", name="Hat"), ("sku",)),
        (ItemRecord(sku="h" * 65, name="Hat"), ("sku",)),
        (ItemRecord(sku="hat"), ("name",)),
        (ItemRecord(sku="hat", name="H\0t"), ("name",)),
        (ItemRecord(sku="hat", name="Hat", weight_grams=-1), ("weightGrams",)),
        (ItemRecord(sku="hat", name="Hat", weight_grams=2**33), ("weightGrams",)),
        (ItemRecord(sku="hat", name="Hat", tags=["a", " "]), ("tags", "1")),
        (ItemRecord(sku="hat", name="Hat", barcodes=["a\n"]), ("barcodes", "0")),
    ],
)
async def test_a_bad_item_is_named_and_spoils_nothing(
    database: Database, bad: ItemRecord, path: tuple[str, ...]
) -> None:
    good = ItemRecord(sku="bag", name="Bag")
    rejected = await import_items(database, [bad, good], on_error=OnRowError.REJECT_ALL, now=NOW)
    assert (rejected.created, len(rejected.failed)) == (0, 1)
    skipped = await import_items(database, [bad, good], on_error=OnRowError.SKIP_ROW, now=NOW)
    assert (skipped.created, [(failure.row, failure.path) for failure in skipped.failed]) == (1, [(0, path)])


async def test_available_stands_in_the_planners_order(database: Database) -> None:
    await stock(
        database,
        StockRecord(sku="mug", location_code="B", on_hand=5, safety_stock=2),
        StockRecord(sku="cap", location_code="A", on_hand=1, safety_stock=3),
        StockRecord(sku="cap", location_code="B", on_hand=8),
    )
    snapshot = await Networks(database).current()
    async with database.reading() as connection:
        quantities = await available(connection, ["mug", "cap", "hat"], snapshot, "web")
    assert [site.code for site in snapshot.planner.sites] == ["A", "B"]
    assert quantities.tolist() == [[0, 0, 0], [3, 8, 0]]


async def test_levels_are_paged_by_sku_and_location(database: Database, places: dict[str, UUID]) -> None:
    await stock(database, *(StockRecord(sku=sku, location_code=code, on_hand=1) for sku, code in all_levels()))
    listing = stock_listing(skus=["cap", "pen"], location_ids=[places["A"]])
    async with database.reading() as connection:
        first = await listing.slice(connection, Page(first=1))
        second = await listing.slice(connection, Page(first=1, after=first.cursors[0]))
        assert await listing.count(connection) == 2
    assert [row.sku for row in (*first.rows, *second.rows)] == ["cap", "pen"]
    assert second.rows[0].available == 1


async def test_the_checker_finds_what_the_ledger_does_not_know(database: Database, places: dict[str, UUID]) -> None:
    await stock(database, StockRecord(sku="mug", location_code="A", on_hand=1))
    async with database.transaction() as connection:
        await connection.execute("UPDATE stock SET on_hand = 2, reserved = 1")
        await connection.execute(
            "INSERT INTO stock_movement (sku, location_id, reason, on_hand_delta, reserved_delta, occurred_at)"
            " VALUES ('pen', $1, 'COUNTED', 3, 0, $2)",
            places["B"],
            NOW,
        )
    assert await findings(database) == [
        "mug at A: 1 reserved, open work, reservations and transfers hold 0.",
        "mug at A: 1 reserved, the ledger says 0.",
        "mug at A: 2 on hand, the ledger says 1.",
        "pen at B: 0 on hand, the ledger says 3.",
    ]


async def test_nobody_reserves_for_a_channel_what_is_held_back_from_it(
    database: Database, places: dict[str, UUID]
) -> None:
    await stock(database, StockRecord(sku="mug", location_code="A", on_hand=5))
    async with database.transaction() as connection:
        await connection.execute("INSERT INTO holdback VALUES ('market', 'mug', $1, 4)", places["A"])
        wanted = [reserved("mug", places["A"], 2)]
        with pytest.raises(OutOfStock) as told:
            await move(connection, wanted, now=NOW, within_available=True, channel="market")
        assert told.value.missing == [Missing(sku="mug", quantity=1)]
        (level,) = await move(connection, wanted, now=NOW, within_available=True, channel="web")
    assert level.reserved == 2


async def test_the_checker_finds_work_without_its_order(database: Database, places: dict[str, UUID]) -> None:
    async with database.transaction() as connection:
        await connection.execute(
            """
            INSERT INTO assignment (id, number, order_id, location_id, status, method, offered_at, due_at,
                                    arrives_latest, version)
            VALUES ($1, 'CD1-1', $1, $2, 'REJECTED', 'DELIVERY', $3, $3, $3, 1)
            """,
            UUID(int=1),
            places["A"],
            NOW,
        )
        await connection.execute(
            "INSERT INTO assignment_line (id, assignment_id, order_line_id, position, sku, quantity)"
            " VALUES ($1, $1, $1, 0, 'mug', 1)",
            UUID(int=1),
        )
    assert await findings(database) == [
        "A line of mug to pick belongs to no line of an order.",
        "Assignment CD1-1 belongs to no order.",
    ]


TRANSFER = """WITH t AS (
    INSERT INTO transfer (id, number, from_location_id, to_location_id, status, created_at, version)
    VALUES (gen_random_uuid(), 'T1', $1, $2, '{}', now(), 1) RETURNING id
) INSERT INTO transfer_line (transfer_id, sku, position, quantity) SELECT id, 'mug', 0, 2 FROM t"""
RECEIPT = """INSERT INTO receipt (id, reference, location_id, sku, quantity, received, expected_at)
    SELECT gen_random_uuid(), n::text, $1, 'mug', 5, n, now() FROM unnest(ARRAY[3, 7]) AS n"""
ORDER = """WITH o AS (
    INSERT INTO customer_order (id, number, status, channel, method, tags, placed_at, updated_at, customer_name,
                                currency, shipping_price, total, version)
    VALUES (gen_random_uuid(), 'CD1', 'ROUTED', 'web', 'DELIVERY', '{}', now(), now(), 'Ada', 'EUR', 0, 0, 1)
    RETURNING id
) INSERT INTO order_line (id, order_id, position, sku, quantity, unit_price, fulfilled, backordered)
  SELECT gen_random_uuid(), id, 0, 'mug', 5, 100, 1, 2 FROM o"""
LEVEL = "INSERT INTO stock (sku, location_id, on_hand, updated_at) VALUES ('{}', {}, 0, now())"


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE stock SET damaged = 2", "mug at A: 2 damaged, the ledger says 0."),
        ("UPDATE stock SET incoming = 2", "mug at A: 2 incoming, receipts and transfers expect 0."),
        (
            TRANSFER.replace("'{}'", "'REQUESTED'"),
            "mug at A: 0 reserved, open work, reservations and transfers hold 2.",
        ),
        (TRANSFER.replace("'{}'", "'IN_TRANSIT'"), "mug at B: 0 incoming, receipts and transfers expect 2."),
        (RECEIPT, "mug at A: 0 incoming, receipts and transfers expect 2."),
        (LEVEL.format("hat", "$1"), "hat at A: there is no such item."),
        (
            LEVEL.format("mug", "'00000000-0000-0000-0000-000000000000'"),
            "mug at 00000000-0000-0000-0000-000000000000: there is no such location.",
        ),
        (
            ORDER,
            "mug of order CD1: 5 ordered, but 1 fulfilled, 0 cancelled, 2 backordered, 0 in open work, 0 to come.",
        ),
        (
            TRANSFER.replace("'{}'", "'CANCELLED'").replace("quantity)", "quantity, bound)").replace("0, 2", "0, 2, 1"),
            "mug of transfer T1: bound to an order that does not have it at that store.",
        ),
    ],
)
async def test_the_checker_names_each_thing_that_does_not_agree(
    database: Database, places: dict[str, UUID], statement: str, found: str
) -> None:
    await stock(database, StockRecord(sku="mug", location_code="A", on_hand=1))
    assert await findings(database) == []
    ends = [places[code] for mark, code in (("$1", "A"), ("$2", "B")) if mark in statement]
    async with database.transaction() as connection:
        await connection.execute(statement, *ends)
    assert await findings(database) == [found]
