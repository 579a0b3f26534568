"""A count that finds less than orders hold: the latest promise gives way, in the same transaction."""

import asyncio
from typing import Any

import pytest

from domain import inventory, shortage
from domain.cancelling import Cancelling
from domain.inventory.waiting import SEPARATOR
from domain.vocabulary import Role
from schema.paging import uuid_of
from tests.api.house import House

COUNT = """mutation ($sku: String!, $location: ID!, $onHand: Int!) {
    countStock(sku: $sku, locationId: $location, onHand: $onHand) {
        __typename ... on StockLevel { onHand available } } }"""
SELL = """mutation ($sku: String!, $location: ID!, $delta: Int!, $reason: MovementReason!) {
    adjustStock(sku: $sku, locationId: $location, delta: $delta, reason: $reason, idempotencyKey: "till") {
        __typename ... on StockLevel { onHand available } } }"""


async def two_orders(house: House) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return an order for today and one for tomorrow, four pens each, both at SM."""
    today = await house.place("today", [("pen", 4)], level="SAME_DAY")
    tomorrow = await house.place("tomorrow", [("pen", 4)], level="STANDARD")
    for order in (today, tomorrow):
        assert [work["location"]["code"] for work in await house.work(order["id"])] == ["SM"]
    return today, tomorrow


@pytest.mark.parametrize(
    ("query", "variables"),
    [(COUNT, {"onHand": 6}), (SELL, {"delta": -4, "reason": "SOLD"}), (SELL, {"delta": -4, "reason": "DAMAGED"})],
    ids=["a count", "a sale at the till", "damage"],
)
async def test_the_latest_promise_gives_way_and_is_routed_anew(
    house: House, query: str, variables: dict[str, Any]
) -> None:
    today, tomorrow = await two_orders(house)
    answer = await house.ask(Role.STORE, query, "SM", sku="pen", location=house.ids["SM"], **variables)
    assert answer == {"__typename": "StockLevel", "onHand": 6, "available": 0}
    assert await house.levels("pen") == {"SM": (6, 6, 0), "SN": (10, 2, 8)}
    (kept,) = await house.work(today["id"])
    assert (kept["status"], kept["lines"][0]["short"]) == ("OFFERED", 0)
    shortened, anew = await house.work(tomorrow["id"])
    assert (shortened["status"], shortened["lines"][0]["short"]) == ("OFFERED", 2)
    assert (anew["location"]["code"], anew["lines"][0]["quantity"]) == ("SN", 2)


async def test_work_that_loses_everything_is_rejected_and_what_nobody_has_waits(house: House) -> None:
    order = await house.place("order", [("rug", 3)], level="STANDARD")
    answer = await house.ask(Role.OPERATIONS, COUNT, sku="rug", location=house.ids["WH"], onHand=0)
    assert answer == {"__typename": "StockLevel", "onHand": 0, "available": 0}
    (lost,) = await house.work(order["id"])
    assert lost["status"] == "REJECTED"
    found = await house.order(order["id"], "status lines { backordered } timeline { message }")
    assert (found["status"], found["lines"]) == ("UNROUTABLE", [{"backordered": 3}])
    assert "A count at Lager Hamburg lacks 3 x rug." in [entry["message"] for entry in found["timeline"]]


async def test_what_is_picked_stays_with_its_order(house: House) -> None:
    order = await house.place("order", [("pen", 4)], level="SAME_DAY")
    (work,) = await house.work(order["id"])
    for step in ("acceptAssignment", "startPicking"):
        await house.do(step, work["id"], "SM")
    picked = f', lines: [{{lineId: "{work["lines"][0]["id"]}", picked: 3}}]'
    await house.do("reportPicked", work["id"], "SM", arguments=picked)
    await house.ask(Role.STORE, COUNT, "SM", sku="pen", location=house.ids["SM"], onHand=0)
    shortened, anew = await house.work(order["id"])
    assert (shortened["lines"][0]["picked"], shortened["lines"][0]["short"]) == (3, 1)
    assert (anew["location"]["code"], anew["lines"][0]["quantity"]) == ("SN", 1)
    for step in ("packAssignment", "handOverAssignment"):
        await house.do(step, work["id"], "SM")
    assert (await house.levels("pen"))["SM"] == (0, 0, 0)


async def test_an_order_from_a_reservation_of_what_is_gone_is_routed_anew(house: House) -> None:
    option = (await house.options(("pen", 4), methods=["DELIVERY"], levels=["SAME_DAY"]))["options"][0]
    reserve = """mutation ($token: String!) { reserveCart(optionToken: $token, idempotencyKey: "cart") {
        ... on Reservation { id } } }"""
    reservation = await house.ask(Role.STOREFRONT, reserve, token=option["token"])
    await house.ask(Role.STORE, COUNT, "SM", sku="pen", location=house.ids["SM"], onHand=1)
    order = await house.place("order", [("pen", 4)], reservationId=reservation["id"], method="DELIVERY")
    async with asyncio.timeout(30):
        while len(await house.work(order["id"])) < 2:
            await asyncio.sleep(0.05)
    shortened, anew = await house.work(order["id"])
    assert (shortened["location"]["code"], shortened["lines"][0]["short"]) == ("SM", 3)
    assert (anew["location"]["code"], anew["lines"][0]["quantity"]) == ("SN", 3)
    assert (await house.levels("pen"))["SM"] == (1, 1, 0)


async def test_an_import_that_leaves_too_little_waits_for_an_order_without_holding_its_levels(house: House) -> None:
    order = await house.place("order", [("pen", 4)], level="SAME_DAY")
    query = "mutation ($rows: [StockRowInput!]!) { importStock(rows: $rows) { updated failed { message } } }"
    rows = [{"sku": sku, "locationCode": "SM", "onHand": 1} for sku in ("mug", "pen")]
    database = house.gateway.database
    async with database.transaction() as connection:
        await connection.execute("SELECT FROM customer_order WHERE number = $1 FOR UPDATE", order["number"])
        importing = asyncio.create_task(house.ask(Role.OPERATIONS, query, rows=rows))
        async with asyncio.timeout(30), database.reading() as other:
            while not await other.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
                await asyncio.sleep(0.01)
        await connection.execute("SELECT FROM stock WHERE sku IN ('mug', 'pen') FOR UPDATE NOWAIT")
    assert await importing == {"updated": 2, "failed": []}
    assert (await house.levels("pen"))["SM"] == (1, 1, 0)
    assert [work["location"]["code"] for work in await house.work(order["id"])] == ["SM", "SN"]


async def test_an_order_that_is_cancelled_while_what_it_lacks_is_looked_for_gives_back_once(house: House) -> None:
    rows = [{"sku": "rug", "locationCode": "WH", "onHand": 5}, {"sku": "mug", "locationCode": "WB", "onHand": 0}]
    query = "mutation ($rows: [StockRowInput!]!) { importStock(rows: $rows) { updated } }"
    await house.ask(Role.OPERATIONS, query, rows=rows)
    await house.place("first", [("rug", 2)], level="STANDARD")
    order = await house.place("last", [("rug", 2), ("mug", 1)], level="STANDARD")
    assert [work["location"]["code"] for work in await house.work(order["id"])] == ["WH"]
    database, networks = house.gateway.database, house.gateway.networks
    key = "rug", uuid_of(house.ids["WH"], "Location")
    async with database.transaction() as connection:  # and nobody sees to it yet
        await inventory.count_stock(connection, sku="rug", location_id=key[1], on_hand=2, now=house.now)
    async with database.transaction() as connection:
        who = {"connection": connection, "networks": networks, "viewer": shortage.SYSTEM, "now": house.now}
        await Cancelling(**who).cancel(uuid_of(order["id"], "Order"))

        async def look() -> None:
            async with database.transaction() as other:
                await shortage.handler(networks)(other, SEPARATOR.join(map(str, key)), house.now)

        looking = asyncio.create_task(look())
        async with asyncio.timeout(30), database.reading() as other:
            while not await other.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
                await asyncio.sleep(0.01)
    await looking
    assert (await house.levels("rug"))["WH"] == (2, 2, 0)
    assert [work["status"] for work in await house.work(order["id"])] == ["CANCELLED"]
