"""Orders that wait for stock are routed when it comes, first come first served."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from domain import inventory, routing
from domain.inventory import Movement, waiting
from domain.inventory.merge import merge
from domain.vocabulary import MovementReason, Role
from schema.paging import uuid_of
from tests.api.house import BERLIN, House

RECEIVE = """mutation ($sku: String!, $location: ID!, $delta: Int!, $key: String!) {
    adjustStock(sku: $sku, locationId: $location, delta: $delta, reason: RECEIVED, idempotencyKey: $key) {
        __typename ... on UserError { message } } }"""
WAITING = "status lines { quantity backordered } timeline { message }"


@pytest.fixture(autouse=True)
async def light_rugs(house: House) -> None:
    """Any number of rugs fits into a parcel."""
    query = "mutation ($rows: [ItemRowInput!]!) { importItems(rows: $rows) { updated } }"
    await house.ask(Role.ADMIN, query, rows=[{"sku": "rug", "name": "Rug", "weightGrams": 100}])


async def receive(house: House, sku: str, code: str, delta: int) -> None:
    answer = await house.ask(
        Role.OPERATIONS, RECEIVE, sku=sku, location=house.ids[code], delta=delta, key=f"{sku} {code} {delta}"
    )
    assert answer == {"__typename": "StockLevel"}


async def becomes(house: House, order: dict[str, Any], status: str) -> None:
    """Wait until an order has a status."""
    async with asyncio.timeout(30):
        while (await house.order(order["id"]))["status"] != status:
            await asyncio.sleep(0.05)


async def test_an_order_that_nobody_has_stock_for_waits_and_is_routed_when_it_comes(house: House) -> None:
    order = await house.place("order", [("rug", 5)], level="STANDARD", allowBackorder=True)
    assert order["status"] == "ROUTED"  # three are there
    found = await house.order(order["id"], WAITING)
    assert found["lines"] == [{"quantity": 5, "backordered": 2}]
    house.clock[0] += timedelta(seconds=1)  # of two that came at once, either may be served first
    other = await house.place("other", [("rug", 1)], level="STANDARD", allowBackorder=True)
    assert other["status"] == "BACKORDERED"
    assert (await house.order(other["id"], WAITING))["timeline"][-1]["message"] == "Waiting for 1 x rug."
    await receive(house, "rug", "WB", 3)
    await becomes(house, other, "ROUTED")
    assert [work["location"]["code"] for work in await house.work(order["id"])] == ["WH", "WB"]
    assert (await house.order(order["id"], WAITING))["lines"] == [{"quantity": 5, "backordered": 0}]
    promised = await house.order(other["id"], "promisedEarliest promisedLatest late")
    assert promised == {
        "promisedEarliest": "2026-03-05T07:00:00+00:00", "promisedLatest": "2026-03-05T17:00:00+00:00", "late": False,
    }  # fmt: skip
    assert await house.levels("rug") == {"WH": (3, 3, 0), "WB": (3, 3, 0)}


async def test_who_came_first_is_served_first(house: House) -> None:
    await house.place("takes all", [("rug", 3)], level="STANDARD")
    waiting = []
    for n in range(4):
        waiting.append(await house.place(f"waits {n}", [("rug", 1)], level="STANDARD", allowBackorder=True))
        house.clock[0] = house.now.replace(second=n + 1)
    await receive(house, "rug", "WB", 2)
    await becomes(house, waiting[1], "ROUTED")
    await asyncio.sleep(0.5)
    statuses = [(await house.order(order["id"]))["status"] for order in waiting]
    assert statuses == ["ROUTED", "ROUTED", "BACKORDERED", "BACKORDERED"]


@pytest.mark.parametrize("status", ["UNROUTABLE", "BACKORDERED"])
async def test_an_order_that_its_last_location_rejects_is_tried_again_when_stock_comes(
    house: House, status: str
) -> None:
    may_wait = status == "BACKORDERED"
    order = await house.place("order", [("rug", 3)], level="STANDARD", allowBackorder=may_wait)
    (work,) = await house.work(order["id"])
    await house.do("rejectAssignment", work["id"], role=Role.OPERATIONS, arguments=", reason: DAMAGED")
    assert (await house.order(order["id"]))["status"] == status
    await receive(house, "rug", "WB", 3)
    await becomes(house, order, "ROUTED")
    assert [work["location"]["code"] for work in await house.work(order["id"])] == ["WH", "WB"]


async def test_stock_that_is_released_wakes_those_who_wait(house: House) -> None:
    first = await house.place("first", [("rug", 3)], level="STANDARD")
    second = await house.place("second", [("rug", 3)], level="STANDARD", allowBackorder=True)
    assert second["status"] == "BACKORDERED"
    (work,) = await house.work(first["id"])
    await house.do("rejectAssignment", work["id"], role=Role.OPERATIONS, arguments=", reason: TOO_BUSY")
    await becomes(house, second, "ROUTED")
    assert (await house.order(first["id"]))["status"] == "UNROUTABLE"


async def test_what_could_never_be_delivered_does_not_wait(house: House) -> None:
    address = {"postalCode": "75001", "city": "Paris", "country": "FR"}
    refused = await house.place("order", [("rug", 9)], level="STANDARD", allowBackorder=True, shipTo=address)
    assert refused["__typename"] == "NoFulfillmentOptionError"
    assert {reason["code"] for reason in refused["unavailable"]} == {"NOT_SERVED"}


async def test_an_option_that_leaves_a_line_out_places_what_it_covers_or_all(house: House) -> None:
    found = await house.options(("mug", 1), ("rug", 4), methods=["DELIVERY"], levels=["STANDARD"])
    option = found["options"][0]
    assert (option["complete"], option["missing"]) == (False, [{"sku": "rug", "quantity": 1}])
    lines = [("mug", 1), ("rug", 4)]
    covered = await house.place("covered", lines, optionToken=option["token"])
    assert [line["quantity"] for line in covered["lines"]] == [1, 3]
    whole = await house.place("whole", lines, optionToken=option["token"], allowBackorder=True)
    assert [line["quantity"] for line in whole["lines"]] == [1, 4]
    assert [line["backordered"] for line in (await house.order(whole["id"], WAITING))["lines"]] == [0, 4]


async def test_what_is_out_is_offered_for_when_it_comes(house: House) -> None:
    await house.place("takes all", [("rug", 3)], level="STANDARD")
    cart = {"lines": [{"sku": "rug", "quantity": 2}], "destination": BERLIN, "levels": ["STANDARD"]}
    query = """query ($input: FulfillmentOptionsInput!) { fulfillmentOptions(input: $input) { options {
        token complete latest parcels { readyAt } missing { sku quantity nextAvailable } } } }"""
    nothing = await house.ask(Role.STOREFRONT, query, input=cart)
    assert nothing["options"] == []
    receipt = {"reference": "PO 1", "locationCode": "WB", "sku": "rug", "quantity": 5}
    expect = "mutation ($rows: [ReceiptInput!]!) { expectReceipts(rows: $rows) { failed { message } } }"
    moment = "2026-03-10T09:00:00+00:00"
    assert (await house.ask(Role.OPERATIONS, expect, rows=[receipt | {"expectedAt": moment}]))["failed"] == []
    (option,) = (await house.ask(Role.STOREFRONT, query, input=cart))["options"]
    assert option["missing"] == [{"sku": "rug", "quantity": 2, "nextAvailable": moment}]
    assert (option["complete"], option["parcels"]) == (False, [])
    assert option["latest"] == "2026-03-11T17:00:00+00:00"  # it is there on Tuesday, and delivered on Wednesday
    refused = await house.place("now", [("rug", 2)], optionToken=option["token"])
    assert refused["__typename"] == "OutOfStockError"
    order = await house.place("then", [("rug", 2)], optionToken=option["token"], allowBackorder=True)
    assert (order["status"], order["shippingPrice"]) == ("BACKORDERED", {"amount": "4.95"})
    assert (await house.order(order["id"], "promisedLatest"))["promisedLatest"] == option["latest"]
    (ahead,) = (await house.ask(Role.STOREFRONT, query, input=cart | {"at": "2026-03-05T09:00:00Z"}))["options"]
    refused = await house.place("ahead", [("rug", 2)], optionToken=ahead["token"], allowBackorder=True)
    assert refused["__typename"] == "OptionExpiredError"


async def test_what_is_promised_for_no_moment_stands_last_in_the_list_by_promise(house: House) -> None:
    for n, (sku, wish) in enumerate((("rug", 4), ("mug", 1), ("rug", 9), ("pen", 1), ("rug", 8))):
        await house.place(f"order {n}", [(sku, wish)], level="STANDARD", allowBackorder=True, number=f"W{n}")
    query = """query ($after: String, $before: String, $first: Int, $last: Int, $by: Direction!) {
        orders(first: $first, after: $after, last: $last, before: $before,
               orderBy: { field: PROMISED_LATEST, direction: $by }) {
            totalCount edges { node { number promisedLatest } } pageInfo { endCursor startCursor } } }"""
    found = {}
    for by in ("ASC", "DESC"):
        numbers: list[str] = []
        cursor = None
        while len(numbers) < 5:
            page = await house.ask(Role.OPERATIONS, query, first=2, after=cursor, by=by)
            assert (page["totalCount"], bool(page["edges"])) == (5, True)
            numbers += [edge["node"]["number"] for edge in page["edges"]]
            cursor = page["pageInfo"]["endCursor"]
        found[by] = numbers
        before = await house.ask(Role.OPERATIONS, query, last=2, before=cursor, by=by)
        assert [edge["node"]["number"] for edge in before["edges"]] == numbers[2:4]
    assert found["DESC"] == found["ASC"][::-1]
    assert (sorted(found["ASC"][:3]), sorted(found["ASC"][3:])) == (["W0", "W1", "W3"], ["W2", "W4"])


@pytest.mark.parametrize("way", ["said", "counted"])
async def test_stock_that_comes_while_its_last_location_rejects_an_order_is_not_passed_by(
    house: House, way: str
) -> None:
    order = await house.place("order", [("rug", 3)], level="STANDARD")
    (work,) = await house.work(order["id"])
    place = uuid_of(house.ids["WB"], "Location")
    async with house.gateway.database.transaction() as connection:
        if way == "counted":
            await merge(connection, [("rug", place, 3, None)], now=house.now)
        else:
            movement = Movement(sku="rug", location_id=place, reason=MovementReason.RECEIVED, on_hand_delta=3)
            await inventory.create(connection, [("rug", place)], now=house.now)
            await inventory.move(connection, [movement], now=house.now)
        await house.do("rejectAssignment", work["id"], role=Role.OPERATIONS, arguments=", reason: DAMAGED")
    assert (await house.order(order["id"]))["status"] == "UNROUTABLE"  # neither saw the other
    house.clock[0] += waiting.LOOK_AGAIN
    await becomes(house, order, "ROUTED")


async def test_what_others_were_faster_to_get_each_time_is_sought_anew(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = await house.place("order", [("pen", 3)], level="STANDARD")
    (work,) = await house.work(order["id"])
    with monkeypatch.context() as others:
        others.setattr(routing, "MOST_TRIES", 0)
        await house.do("rejectAssignment", work["id"], role=Role.OPERATIONS, arguments=", reason: TOO_BUSY")
    assert (await house.order(order["id"]))["status"] == "UNROUTABLE"
    house.clock[0] += 2 * waiting.LOOK_AGAIN
    await becomes(house, order, "ROUTED")
