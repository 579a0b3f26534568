"""What there is, and why: counts, adjustments, damage, safety stock, holdbacks, and the ledger that explains it all."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from domain import inventory
from domain.vocabulary import Role
from tests.api.house import ERROR, House

LEVEL = "onHand reserved safetyStock available incoming damaged version"
ANSWER = f"{{ __typename ... on StockLevel {{ {LEVEL} }} {ERROR} ... on VersionConflictError {{ currentVersion }} }}"
COUNT = f"""mutation ($sku: String!, $at: ID!, $onHand: Int!, $version: Int) {{
    countStock(sku: $sku, locationId: $at, onHand: $onHand, expectedVersion: $version) {ANSWER} }}"""
ADJUST = f"""mutation ($sku: String!, $at: ID!, $delta: Int!, $reason: MovementReason!, $key: String!) {{
    adjustStock(sku: $sku, locationId: $at, delta: $delta, reason: $reason, idempotencyKey: $key) {ANSWER} }}"""
LEDGER = """query ($sku: String, $at: ID, $first: Int, $after: String) {
    stockMovements(sku: $sku, location: $at, first: $first, after: $after) { totalCount pageInfo { endCursor }
        edges { node { id sku location { code } reason onHandDelta reservedDelta note occurredAt order { number } } } }
}"""


async def count(house: House, at: str, sku: str, on_hand: int, **more: Any) -> dict[str, Any]:
    """Count as the store itself does, a minute after what was before."""
    house.clock[0] += timedelta(minutes=1)
    answer: dict[str, Any] = await house.ask(Role.STORE, COUNT, at, sku=sku, at=house.ids[at], onHand=on_hand, **more)
    return answer


async def adjust(house: House, at: str, sku: str, delta: int, reason: str = "ADJUSTED") -> dict[str, Any]:
    house.clock[0] += timedelta(minutes=1)
    answer: dict[str, Any] = await house.ask(
        Role.STORE, ADJUST, at, sku=sku, at=house.ids[at], delta=delta, reason=reason, key=f"{sku} {delta} {reason}"
    )
    return answer


async def ledger(house: House, role: Role, *locations: str, **variables: Any) -> list[tuple[str, str, int, int]]:
    """Return code, reason and both deltas of each entry, newest first."""
    found = await house.ask(role, LEDGER, *locations, **variables)
    nodes = [edge["node"] for edge in found["edges"]]
    assert found["totalCount"] >= len(nodes)
    return [(node["location"]["code"], node["reason"], node["onHandDelta"], node["reservedDelta"]) for node in nodes]


async def test_a_count_is_entered_as_the_difference(house: House) -> None:
    answer = await count(house, "SM", "pen", 7)
    assert (answer["onHand"], answer["available"], answer["version"]) == (7, 7, 2)
    assert await ledger(house, Role.STORE, "SM", sku="pen") == [("SM", "COUNTED", -3, 0), ("SM", "COUNTED", 10, 0)]


async def test_a_count_that_agrees_writes_nothing(house: House) -> None:
    cursor = await house.ask(Role.ADMIN, "{ updatesCursor }")
    answer = await count(house, "SM", "pen", 10, version=1)
    assert (answer["onHand"], answer["version"]) == (10, 1)
    assert await house.ask(Role.ADMIN, "{ updatesCursor }") == cursor
    assert len(await ledger(house, Role.ADMIN, sku="pen", at=house.ids["SM"])) == 1


async def test_a_count_of_another_version_is_told_the_present_one_and_may_be_sent_again(house: House) -> None:
    first = await count(house, "SM", "pen", 8, version=1)
    assert first["version"] == 2
    assert await count(house, "SM", "pen", 8, version=1) == first
    late = await count(house, "SM", "pen", 5, version=1)
    assert (late["__typename"], late["path"], late["currentVersion"]) == (
        "VersionConflictError", ["expectedVersion"], 2,
    )  # fmt: skip
    assert (await house.levels("pen"))["SM"] == (8, 0, 8)


async def test_a_count_of_what_was_never_here_makes_the_level(house: House) -> None:
    answer = await count(house, "SM", "rug", 0, version=0)
    assert (answer["onHand"], answer["version"]) == (0, 1)
    assert await count(house, "SM", "rug", 0) == answer
    assert await ledger(house, Role.STORE, "SM", sku="rug") == []


@pytest.mark.parametrize(
    ("change", "error", "path"),
    [
        ({"on_hand": -1}, "InvalidInputError", "onHand"),
        ({"on_hand": 1_000_000_001}, "InvalidInputError", "onHand"),
        ({"sku": "hat"}, "NotFoundError", "sku"),
        ({"sku": " "}, "InvalidInputError", "sku"),
    ],
)
async def test_a_count_that_cannot_be_is_told_why(house: House, change: dict[str, Any], error: str, path: str) -> None:
    answer = await count(house, "SM", **{"sku": "pen", "on_hand": 1, **change})
    assert (answer["__typename"], answer["path"]) == (error, [path])


async def test_a_store_counts_and_adjusts_at_its_own_location_only(house: House) -> None:
    for query, more in ((COUNT, {"onHand": 1}), (ADJUST, {"delta": 1, "reason": "ADJUSTED", "key": "k"})):
        answer = await house.ask(Role.STORE, query, "SN", sku="pen", at=house.ids["SM"], **more)
        assert (answer["__typename"], answer["path"]) == ("NotFoundError", ["locationId"])
        refused = await house.post(Role.STOREFRONT, query, sku="pen", at=house.ids["SM"], **more)
        assert refused["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_what_breaks_is_damaged_and_what_was_not_broken_comes_back(house: House) -> None:
    broken = await adjust(house, "SM", "pen", -4, "DAMAGED")
    assert (broken["onHand"], broken["damaged"], broken["available"]) == (6, 4, 6)
    mended = await adjust(house, "SM", "pen", 3, "DAMAGED")
    assert (mended["onHand"], mended["damaged"]) == (9, 1)
    too_much = await adjust(house, "SM", "pen", 2, "DAMAGED")
    assert (too_much["__typename"], too_much["path"]) == ("InvalidInputError", ["delta"])
    assert too_much["message"] == "There are 1 fewer than that damaged."
    assert [entry[1:3] for entry in await ledger(house, Role.STORE, "SM", sku="pen", first=2)] == [
        ("DAMAGED", 3), ("DAMAGED", -4),
    ]  # fmt: skip


async def test_the_ledger_names_the_order_and_a_store_reads_its_own_locations_only(house: House) -> None:
    house.clock[0] += timedelta(minutes=1)
    order = await house.place("order", [("rug", 2)])
    assert order["__typename"] == "Order", order
    newest = (await house.ask(Role.OPERATIONS, LEDGER, first=1))["edges"][0]["node"]
    assert (newest["reason"], newest["reservedDelta"], newest["order"]) == (
        "RESERVED", 2, {"number": order["number"]},
    )  # fmt: skip
    assert await ledger(house, Role.STORE, "SM", sku="rug") == []
    assert await ledger(house, Role.STORE, "SM", at=house.ids["WH"]) == []
    node = "query ($id: ID!) { node(id: $id) { id } }"
    assert await house.ask(Role.STORE, node, "SM", id=newest["id"]) is None
    assert await house.ask(Role.OPERATIONS, node, id=newest["id"]) == {"id": newest["id"]}


async def test_the_ledger_is_paged_newest_first(house: House) -> None:
    for on_hand in (9, 8, 7):
        await count(house, "SM", "pen", on_hand)
    whole = await house.ask(Role.ADMIN, LEDGER, sku="pen", at=house.ids["SM"])
    pages, after = [], None
    for _ in range(4):
        page = await house.ask(Role.ADMIN, LEDGER, sku="pen", at=house.ids["SM"], first=1, after=after)
        pages += page["edges"]
        after = page["pageInfo"]["endCursor"]
    assert pages == whole["edges"]
    assert whole["totalCount"] == 4
    assert sum(edge["node"]["onHandDelta"] for edge in pages) == 7


async def test_items_are_listed_and_found_by_barcode_and_by_all_of_their_tags(house: House) -> None:
    rows = [
        {"sku": "mug", "name": "Mug", "barcodes": ["4006381333931", "40"], "tags": ["kitchen", "gift"]},
        {"sku": "pen", "name": "Pen", "tags": ["gift"]},
    ]
    load = "mutation ($rows: [ItemRowInput!]!) { importItems(rows: $rows) { updated } }"
    assert await house.ask(Role.ADMIN, load, rows=rows) == {"updated": 2}

    async def found(arguments: str) -> list[str]:
        query = f"{{ items{arguments} {{ totalCount edges {{ node {{ sku }} }} }} }}"
        answer = await house.ask(Role.STOREFRONT, query)
        assert answer["totalCount"] == len(answer["edges"])
        return [edge["node"]["sku"] for edge in answer["edges"]]

    assert await found("") == ["lamp", "mug", "pen", "rug"]
    assert await found('(skus: ["rug", "hat", "lamp"])') == ["lamp", "rug"]
    assert await found('(barcode: "4006381333931")') == ["mug"]
    assert await found('(tags: ["gift"])') == ["mug", "pen"]
    assert await found('(tags: ["gift", "kitchen"])') == ["mug"]


SAFETY = """mutation ($rows: [SafetyStockInput!]!) { setSafetyStock(rows: $rows) {
    created updated unchanged failed { row code path } } }"""
HOLDBACK = """mutation ($rows: [HoldbackInput!]!) { setHoldback(rows: $rows) {
    created updated unchanged failed { row code path } } }"""
AVAILABLE = """query ($sku: String!, $channel: String!) { availability(skus: [$sku], channel: $channel) {
    available locationCount nearest { location { code } available } } }"""


async def sold_through(house: House, channel: str, sku: str) -> dict[str, int]:
    """Return what each location can sell of an item through a channel."""
    (found,) = await house.ask(Role.STOREFRONT, AVAILABLE, sku=sku, channel=channel)
    here = {each["location"]["code"]: each["available"] for each in found["nearest"]}
    assert (found["available"], found["locationCount"]) == (sum(here.values()), len(here))
    return here


async def test_safety_stock_is_sold_to_nobody_and_set_again_changes_nothing(house: House) -> None:
    rows = [
        {"sku": "pen", "locationCode": "SM", "safetyStock": 4},
        {"sku": "rug", "locationCode": "SM", "safetyStock": 2},
        {"sku": "pen", "locationCode": "XX", "safetyStock": 4},
        {"sku": "hat", "locationCode": "SM", "safetyStock": 4},
        {"sku": "mug", "locationCode": "SM", "safetyStock": -1},
        {"sku": "pen", "locationCode": "SM", "safetyStock": 5},
    ]
    first = await house.ask(Role.OPERATIONS, SAFETY, rows=rows)
    assert (first["created"], first["updated"], first["unchanged"]) == (1, 1, 0)
    assert [(each["row"], each["code"], each["path"]) for each in first["failed"]] == [
        (2, "NOT_FOUND", ["locationCode"]),
        (3, "NOT_FOUND", ["sku"]),
        (4, "INVALID_INPUT", ["safetyStock"]),
        (5, "INVALID_INPUT", None),
    ]
    assert (await house.levels("pen"))["SM"] == (10, 0, 6)
    cursor = await house.ask(Role.ADMIN, "{ updatesCursor }")
    again = await house.ask(Role.OPERATIONS, SAFETY, rows=rows[:2])
    assert again == {"created": 0, "updated": 0, "unchanged": 2, "failed": []}
    assert await house.ask(Role.ADMIN, "{ updatesCursor }") == cursor


async def test_a_channel_does_not_get_the_last_units_and_another_does(house: House) -> None:
    assert await sold_through(house, "web", "lamp") == {"WB": 5, "WH": 20, "SN": 1}
    rows = [
        {"channel": "web", "sku": "lamp", "units": 2},
        {"channel": "web", "sku": "lamp", "locationCode": "WH", "units": 15},
    ]
    first = await house.ask(Role.OPERATIONS, HOLDBACK, rows=rows)
    assert first == {"created": 2, "updated": 0, "unchanged": 0, "failed": []}
    assert await sold_through(house, "web", "lamp") == {"WB": 3, "WH": 5}
    assert await sold_through(house, "app", "lamp") == {"WB": 5, "WH": 20, "SN": 1}
    wish = {"method": "DELIVERY", "level": "STANDARD"}
    denied = await house.place("web", [("lamp", 9)], channel="web", **wish)
    assert (denied["__typename"], denied["missing"]) == ("OutOfStockError", [{"sku": "lamp", "quantity": 1}])
    assert (await house.place("app", [("lamp", 9)], channel="app", **wish))["__typename"] == "Order"


async def test_a_holdback_is_changed_and_taken_away(house: House) -> None:
    async def hold(units: int) -> dict[str, Any]:
        rows = [{"channel": "web", "sku": "rug", "locationCode": "WH", "units": units}]
        answer: dict[str, Any] = await house.ask(Role.ADMIN, HOLDBACK, rows=rows)
        return answer

    nothing = {"created": 0, "updated": 0, "unchanged": 0, "failed": []}
    assert await hold(0) == {**nothing, "unchanged": 1}
    assert await hold(2) == {**nothing, "created": 1}
    assert await hold(2) == {**nothing, "unchanged": 1}
    assert await sold_through(house, "web", "rug") == {"WH": 1}
    assert await hold(1) == {**nothing, "updated": 1}
    assert await hold(0) == {**nothing, "updated": 1}
    assert await sold_through(house, "web", "rug") == {"WH": 3}


@pytest.mark.parametrize(
    ("change", "code", "path"),
    [
        ({"channel": " "}, "INVALID_INPUT", ["channel"]),
        ({"sku": "hat"}, "NOT_FOUND", ["sku"]),
        ({"locationCode": "XX"}, "NOT_FOUND", ["locationCode"]),
        ({"locationCode": ""}, "INVALID_INPUT", ["locationCode"]),
        ({"units": -1}, "INVALID_INPUT", ["units"]),
    ],
)
async def test_a_bad_holdback_is_named_and_spoils_nothing(
    house: House, change: dict[str, Any], code: str, path: list[str]
) -> None:
    good = {"channel": "web", "sku": "rug", "units": 1}
    answer = await house.ask(Role.ADMIN, HOLDBACK, rows=[{**good, "sku": "mug", **change}, good])
    assert answer["failed"] == [{"row": 0, "code": code, "path": path}]
    assert answer["created"] == 1


@pytest.mark.parametrize(("role", "locations"), [(Role.STOREFRONT, ()), (Role.STORE, ("SM",))])
async def test_what_is_kept_back_is_set_by_the_office(house: House, role: Role, locations: tuple[str, ...]) -> None:
    for query in (SAFETY, HOLDBACK):
        answer = await house.post(role, query, *locations, rows=[])
        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_a_count_below_what_is_reserved_routes_the_latest_promised_work_anew(house: House) -> None:
    first = await house.place("first", [("mug", 2)], level="SAME_DAY")
    house.clock[0] += timedelta(minutes=1)
    second = await house.place("second", [("mug", 2)], level="SAME_DAY")
    (work,) = await house.work(first["id"])
    at = work["location"]["code"]
    assert [each["location"]["code"] for each in await house.work(second["id"])] == [at]
    answer = await count(house, at, "mug", 3)
    assert (answer["onHand"], answer["reserved"], answer["available"]) == (3, 3, 0)
    lines = {
        name: [
            (each["location"]["code"] == at, each["lines"][0]["quantity"], each["lines"][0]["short"])
            for each in await house.work(order["id"])
        ]
        for name, order in (("first", first), ("second", second))
    }
    assert lines["first"] == [(True, 2, 0)]
    assert lines["second"] == [(True, 2, 1), (False, 1, 0)]


@pytest.mark.parametrize("reason", ["SOLD", "DAMAGED"])
async def test_what_the_till_sells_and_what_breaks_may_be_reserved(house: House, reason: str) -> None:
    order = await house.place("order", [("mug", 3)], level="SAME_DAY")
    (work,) = await house.work(order["id"])
    at = work["location"]["code"]
    answer = await adjust(house, at, "mug", -4, reason)
    assert (answer["onHand"], answer["reserved"], answer["available"]) == (0, 0, 0)
    assert answer["damaged"] == (4 if reason == "DAMAGED" else 0)
    old, new = await house.work(order["id"])
    assert (old["status"], new["status"], new["lines"][0]["quantity"]) == ("REJECTED", "OFFERED", 3)


@pytest.mark.parametrize("held", ["the order", "another level"])
async def test_a_count_that_reroutes_and_whoever_works_meanwhile_never_lock_each_other_out(
    house: House, held: str
) -> None:
    database = house.gateway.database
    async with database.reading() as connection:
        found = await connection.fetch("SELECT code, id FROM location WHERE code IN ('SM', 'SN') ORDER BY id")
    (other, other_id), (at, at_id) = found
    await count(house, other, "mug", 0)
    order = await house.place("order", [("mug", 2)], level="SAME_DAY")
    assert [work["location"]["code"] for work in await house.work(order["id"])] == [at]
    await count(house, other, "mug", 4)
    async with database.transaction() as connection:  # in the order of everybody: the order, then levels by location
        if held == "the order":
            await connection.execute("SELECT FROM customer_order FOR NO KEY UPDATE")
        else:
            await inventory.lock(connection, [("mug", other_id)])
        counting = asyncio.create_task(count(house, at, "mug", 0))
        while not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
            await asyncio.sleep(0.01)
        await connection.execute("SELECT FROM stock WHERE location_id = $1 FOR UPDATE NOWAIT", at_id)
    answer = await counting
    assert (answer["__typename"], answer["onHand"], answer["reserved"]) == ("StockLevel", 0, 0)
    assert [work["location"]["code"] for work in await house.work(order["id"])] == [at, other]
