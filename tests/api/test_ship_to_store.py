"""Ship to store: what a pickup store lacks comes from elsewhere, as promised, or the shopper is told."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from domain.vocabulary import Role
from tests.api.house import ERROR, House
from tests.api.test_transfers import level, receive, step
from tests.api.test_walk import ORDERS, following, take

FIND = """query ($input: FulfillmentOptionsInput!) { fulfillmentOptions(input: $input) { options {
    token complete earliest latest orderBefore price { amount } pickupLocation { code } missing { sku quantity }
    parcels { location { code } destination { code } carrierService { code } lines { sku quantity }
              readyAt arrivesLatest } } unavailable { code sku } } }"""
TRANSFER = """id number status expectedAt dueAt from { code } to { code } carrierService { code }
    lines { sku quantity received } order { id number }"""

READY = """subscription ($at: ID!, $after: Cursor) {
    assignmentUpdates(locationId: $at, status: [READY_FOR_PICKUP], after: $after) { assignment { id } } }"""

Lines = list[tuple[str, int]]


async def options(house: House, lines: Lines, **more: Any) -> dict[str, dict[str, Any]]:
    """Return what can be had at each store."""
    cart = [{"sku": sku, "quantity": quantity} for sku, quantity in lines]
    near = {"latitude": 52.53, "longitude": 13.40}
    wish = {"lines": cart, "near": near, "methods": ["PICKUP"], **more}
    found = await house.ask(Role.STOREFRONT, FIND, input=wish)
    return {each["pickupLocation"]["code"]: each for each in found["options"]}


async def placed(house: House, lines: Lines, key: str = "key", **more: Any) -> dict[str, Any]:
    """Place the option of a pickup at SM."""
    token = (await options(house, lines))["SM"]["token"]
    return await house.place(key, lines, optionToken=token, shipTo=None, **more)


async def transfers(house: House, by: str | None = None) -> list[dict[str, Any]]:
    """Return the transfers, the oldest first, as the office or as a location sees them."""
    query = f"{{ transfers {{ edges {{ node {{ {TRANSFER} }} }} }} }}"
    answer = await (house.ask(Role.STORE, query, by) if by else house.ask(Role.OPERATIONS, query))
    return sorted((edge["node"] for edge in answer["edges"]), key=lambda node: int(node["number"][1:]))


async def sources(house: House) -> list[tuple[str, str]]:
    """Return from where each transfer comes, and how far it is."""
    return [(each["from"]["code"], each["status"]) for each in await transfers(house)]


async def told(house: House, order: str) -> list[str]:
    entries = (await house.order(order, "timeline { message }"))["timeline"]
    return [entry["message"] for entry in entries]


async def collect(house: House, order: str) -> None:
    """Work off all that SM has of an order, and give it to the shopper."""
    code = (await house.order(order, "pickupCode", Role.STOREFRONT))["pickupCode"]
    for work in await house.work(order):
        found = ", ".join(f'{{lineId: "{line["id"]}", picked: {line["quantity"]}}}' for line in work["lines"])
        for name, arguments in (
            ("acceptAssignment", ""),
            ("startPicking", ""),
            ("reportPicked", f", lines: [{found}]"),
            ("packAssignment", ""),
            ("markReadyForPickup", ""),
        ):
            answer = await house.do(name, work["id"], "SM", arguments=arguments)
            assert answer["__typename"] == "Assignment", answer
    for work in await house.work(order):
        done = await house.do("collectAssignment", work["id"], "SM", arguments=f', pickupCode: "{code}"')
        assert done["status"] == "COLLECTED"


async def test_what_a_store_lacks_is_sent_to_it_and_collected_as_promised(house: House) -> None:
    found = await options(house, [("pen", 2), ("rug", 1)])
    assert set(found) == {"SM", "SN"}
    option = found["SM"]
    own, leg = option["parcels"]
    assert (option["complete"], option["missing"], option["price"]["amount"]) == (True, [], "0.00")
    assert (own["location"]["code"], own["destination"], own["lines"]) == ("SM", None, [{"sku": "pen", "quantity": 2}])
    assert (leg["location"]["code"], leg["destination"], leg["lines"]) == (
        "WH", {"code": "SM"}, [{"sku": "rug", "quantity": 1}],
    )  # fmt: skip
    # Collected on Wednesday at 16:00, there by Friday at 18:00, and made ready within an hour.
    arrives = datetime.fromisoformat(leg["arrivesLatest"])
    assert arrives == datetime.fromisoformat("2026-03-06T18:00:00+01:00")
    assert datetime.fromisoformat(option["latest"]) == arrives + timedelta(hours=1)
    assert datetime.fromisoformat(option["orderBefore"]) == datetime.fromisoformat("2026-03-04T15:00:00+01:00")

    order = await house.place("key", [("pen", 2), ("rug", 1)], optionToken=option["token"], shipTo=None)
    promised = await house.order(order["id"], "status promisedEarliest promisedLatest shippingPrice { amount }")
    assert (promised["status"], promised["promisedLatest"]) == ("ROUTED", option["latest"])
    assert (promised["promisedEarliest"], promised["shippingPrice"]) == (option["earliest"], option["price"])
    (asked,) = await transfers(house)
    assert (asked["status"], asked["from"], asked["to"], asked["carrierService"]) == (
        "REQUESTED", {"code": "WH"}, {"code": "SM"}, {"code": "parcel"},
    )  # fmt: skip
    assert (asked["expectedAt"], asked["order"]["number"]) == (leg["arrivesLatest"], order["number"])
    assert asked["dueAt"] == "2026-03-04T15:00:00+00:00"
    assert await level(house, "WH", "rug") == (3, 1, 2, 0)
    (pens,) = await house.work(order["id"])
    assert [line["sku"] for line in pens["lines"]] == ["pen"]  # nobody picks what is not there

    await step(house, "dispatchTransfer", asked["id"], by="WH")
    assert (await level(house, "WH", "rug"), await level(house, "SM", "rug")) == ((2, 0, 2, 0), (0, 0, 0, 1))
    house.clock[0] = arrives
    await receive(house, asked["id"], [("rug", 1)])
    again = await receive(house, asked["id"], [("rug", 1)])
    assert again["status"] == "RECEIVED"
    assert await level(house, "SM", "rug") == (1, 1, 0, 0)
    assert [(work["location"]["code"], work["lines"][0]["sku"]) for work in await house.work(order["id"])] == [
        ("SM", "pen"), ("SM", "rug"),
    ]  # fmt: skip
    await collect(house, order["id"])
    done = await house.order(order["id"], "status late lines { fulfilled }")
    assert done == {"status": "COMPLETED", "late": False, "lines": [{"fulfilled": 2}, {"fulfilled": 1}]}


async def test_each_end_sees_and_does_what_is_its_own(house: House) -> None:
    order = await placed(house, [("rug", 1)])
    see = "query ($id: ID!) { order(id: $id) { number } }"
    assert await house.work(order["id"]) == []
    (at_source,), (at_target,) = await transfers(house, "WH"), await transfers(house, "SM")
    assert at_source["order"] is None
    assert at_target["order"] is None  # it has no work of it yet
    assert await transfers(house, "SN") == []
    asked = at_source["id"]
    for name in ("dispatchTransfer", "cancelTransfer"):
        assert (await step(house, name, asked, by="SN"))["__typename"] == "NotFoundError"
    assert (await step(house, "dispatchTransfer", asked, by="SM"))["__typename"] == "ActionNotAllowedError"
    await step(house, "dispatchTransfer", asked, by="WH")
    assert (await receive(house, asked, [("rug", 1)], by="WH"))["__typename"] == "ActionNotAllowedError"
    assert await house.ask(Role.STORE, see, "SM", id=order["id"]) is None
    await receive(house, asked, [("rug", 1)])
    for by, known in (("SM", {"number": order["number"]}), ("WH", None), ("SN", None)):
        assert await house.ask(Role.STORE, see, by, id=order["id"]) == known
    assert (await transfers(house, "SM"))[0]["order"]["id"] == order["id"]


async def test_what_does_not_arrive_comes_from_elsewhere_or_is_cancelled_and_the_shopper_told(house: House) -> None:
    order = await placed(house, [("pen", 1), ("lamp", 2)])
    assert await sources(house) == [("WB", "REQUESTED")]
    (first,) = await transfers(house)
    await step(house, "dispatchTransfer", first["id"])
    await receive(house, first["id"], [("lamp", 1)])  # one is missing
    assert await sources(house) == [("WB", "RECEIVED"), ("WH", "REQUESTED")]
    assert await level(house, "SM", "lamp") == (1, 1, 0, 0)
    assert "1 x lamp did not arrive at the store." in await told(house, order["id"])
    (_, second) = await transfers(house)
    await step(house, "cancelTransfer", second["id"], by="WH")
    assert await level(house, "WH", "lamp") == (20, 0, 20, 0)
    (_, _, third) = await transfers(house)
    assert (third["from"]["code"], third["status"]) == ("SN", "REQUESTED")
    await step(house, "dispatchTransfer", third["id"])
    await receive(house, third["id"], [("lamp", 0)])
    after = await house.order(order["id"], "status version lines { sku cancelled backordered }")
    assert after["status"] == "ROUTED"
    assert after["lines"] == [
        {"sku": "pen", "cancelled": 0, "backordered": 0}, {"sku": "lamp", "cancelled": 1, "backordered": 0},
    ]  # fmt: skip
    assert "No other location can supply 1 x lamp: cancelled." in await told(house, order["id"])
    await collect(house, order["id"])
    assert (await house.order(order["id"]))["status"] == "COMPLETED"


async def test_an_order_of_which_nothing_comes_is_cancelled_unless_it_waits(house: House) -> None:
    for key, more, status in (("ends", {}, "CANCELLED"), ("waits", {"allowBackorder": True}, "BACKORDERED")):
        order = await placed(house, [("rug", 1)], key, **more)
        await step(house, "cancelTransfer", (await transfers(house))[-1]["id"], by="WH")
        assert (await house.order(order["id"]))["status"] == status


@pytest.mark.parametrize("until", ["REQUESTED", "IN_TRANSIT", "RECEIVED"])
async def test_an_order_is_cancelled_and_goods_already_on_their_way_are_anybodys(house: House, until: str) -> None:
    order = await placed(house, [("pen", 2), ("rug", 2)])
    (asked,) = await transfers(house)
    if until != "REQUESTED":
        await step(house, "dispatchTransfer", asked["id"])
    if until == "RECEIVED":
        await receive(house, asked["id"], [("rug", 2)])
    query = f"mutation ($id: ID!) {{ cancelOrder(id: $id) {{ __typename ... on Order {{ status }} {ERROR} }} }}"
    for _ in range(2):
        answer = await house.ask(Role.STOREFRONT, query, id=order["id"])
        assert answer == {"__typename": "Order", "status": "CANCELLED"}
    if until == "IN_TRANSIT":
        await receive(house, asked["id"], [("rug", 1)])  # nobody waits for what did not come
    expected = {
        "REQUESTED": ("CANCELLED", (3, 0, 3, 0), (0, 0, 0, 0)),
        "IN_TRANSIT": ("RECEIVED", (1, 0, 1, 0), (1, 0, 1, 0)),
        "RECEIVED": ("RECEIVED", (1, 0, 1, 0), (2, 0, 2, 0)),
    }[until]
    assert await sources(house) == [("WH", expected[0])]
    assert (await level(house, "WH", "rug"), await level(house, "SM", "rug")) == expected[1:]
    assert (await level(house, "SM", "pen"))[1] == 0


@pytest.mark.parametrize("sent", [False, True])
async def test_lines_that_are_cancelled_need_not_come(house: House, sent: bool) -> None:  # noqa: FBT001
    order = await placed(house, [("rug", 2), ("lamp", 6)])
    rug, lamp = order["lines"]
    if sent:
        for each in await transfers(house):
            await step(house, "dispatchTransfer", each["id"])
    query = f"""mutation ($id: ID!, $lines: [CancelLineInput!]!) {{ cancelOrderLines(id: $id, lines: $lines) {{
        __typename ... on Order {{ status lines {{ sku cancelled backordered }} }} {ERROR} }} }}"""
    some = [{"lineId": rug["id"], "quantity": 2}, {"lineId": lamp["id"], "quantity": 1}]
    answer = await house.ask(Role.STOREFRONT, query, id=order["id"], lines=some)
    assert (answer["status"], [line["cancelled"] for line in answer["lines"]]) == ("ROUTED", [2, 1])
    (only,) = await transfers(house)
    rest = [] if not sent else [{"sku": "rug", "quantity": 2, "received": 0}]
    assert only["lines"] == [*rest, {"sku": "lamp", "quantity": 6 if sent else 5, "received": 0}]
    if not sent:
        await step(house, "dispatchTransfer", only["id"])
    await receive(house, only["id"], [(line["sku"], line["quantity"]) for line in only["lines"]])
    (work,) = await house.work(order["id"])
    assert [(line["sku"], line["quantity"]) for line in work["lines"]] == [("lamp", 5)]


async def test_the_last_units_at_a_source_are_promised_once(house: House) -> None:
    tokens = [(await options(house, [("rug", 2)]))[store]["token"] for store in ("SM", "SN", "SM", "SN")]
    answers = await asyncio.gather(
        *(house.place(str(n), [("rug", 2)], optionToken=token, shipTo=None) for n, token in enumerate(tokens))
    )
    kinds = sorted(answer["__typename"] for answer in answers)
    assert kinds == ["Order", "OutOfStockError", "OutOfStockError", "OutOfStockError"]
    assert await level(house, "WH", "rug") == (3, 2, 1, 0)
    assert len(await transfers(house)) == 1


async def test_a_cart_is_reserved_at_the_source_and_placed_from_there(house: House) -> None:
    token = (await options(house, [("rug", 3)]))["SM"]["token"]
    reserve = """mutation ($token: String!) { reserveCart(optionToken: $token, idempotencyKey: "r") {
        ... on Reservation { id lines { sku quantity location { code } } } } }"""
    held = await house.ask(Role.STOREFRONT, reserve, token=token)
    assert held["lines"] == [{"sku": "rug", "quantity": 3, "location": {"code": "WH"}}]
    assert set(await options(house, [("rug", 1)])) == set()
    order = await house.place("key", [("rug", 3)], reservationId=held["id"], method="PICKUP", shipTo=None)
    assert order["__typename"] == "Order", order
    assert await sources(house) == [("WH", "REQUESTED")]
    assert await level(house, "WH", "rug") == (3, 3, 0, 0)


async def test_an_order_on_hold_moves_nothing(house: House) -> None:
    order = await placed(house, [("rug", 1)], hold=True)
    assert order["status"] == "ON_HOLD"
    (asked,) = await transfers(house)
    refused = await step(house, "dispatchTransfer", asked["id"])
    assert (refused["__typename"], refused["found"]) == ("ActionNotAllowedError", "REQUESTED")
    node = f'{{ node(id: "{asked["id"]}") {{ id }} }}'
    assert (await transfers(house, "WH"), await house.ask(Role.STORE, node, "WH")) == ([], None)
    query = "mutation ($id: ID!) { releaseOrder(id: $id) { ... on Order { status } } }"
    assert await house.ask(Role.STOREFRONT, query, id=order["id"]) == {"status": "ROUTED"}
    assert [each["status"] for each in await transfers(house, "WH")] == ["REQUESTED"]
    assert (await step(house, "dispatchTransfer", asked["id"]))["__typename"] == "Transfer"


async def test_a_source_that_is_blocked_is_asked_no_more_and_another_is(house: House) -> None:
    order = await placed(house, [("lamp", 2), ("pen", 1)])
    assert await sources(house) == [("WB", "REQUESTED")]
    query = """mutation ($id: ID!, $block: [ID!]) { rerouteOrder(id: $id, blockLocations: $block) {
        __typename ... on Order { status lines { backordered } } } }"""
    done = await house.ask(Role.OPERATIONS, query, id=order["id"], block=[house.ids["WB"]])
    assert done == {"__typename": "Order", "status": "ROUTED", "lines": [{"backordered": 0}, {"backordered": 0}]}
    assert await sources(house) == [("WB", "CANCELLED"), ("WH", "REQUESTED")]
    assert (await level(house, "WB", "lamp"), await level(house, "WH", "lamp")) == ((5, 0, 5, 0), (20, 2, 18, 0))
    everybody = [house.ids["WB"], house.ids["WH"], house.ids["SN"]]
    refused = await house.ask(Role.OPERATIONS, query, id=order["id"], block=everybody)
    assert refused == {"__typename": "NoFulfillmentOptionError"}
    assert await sources(house) == [("WB", "CANCELLED"), ("WH", "REQUESTED")]


async def test_goods_of_a_store_that_closes_are_let_go_and_those_of_a_source_that_closes_come_from_elsewhere(
    house: House,
) -> None:
    order = await placed(house, [("lamp", 2), ("pen", 1)])
    query = "mutation ($id: ID!) { setLocationStatus(id: $id, status: CLOSED) { __typename } }"

    async def closed(code: str, expected: list[tuple[str, str]]) -> None:
        await house.ask(Role.ADMIN, query, id=house.ids[code])
        async with asyncio.timeout(30):
            while await sources(house) != expected:
                await asyncio.sleep(0.05)

    await closed("WB", [("WB", "CANCELLED"), ("WH", "REQUESTED")])
    (_, second) = await transfers(house)
    await step(house, "dispatchTransfer", second["id"])
    await house.ask(Role.ADMIN, query, id=house.ids["SM"])
    async with asyncio.timeout(30):
        while (await house.order(order["id"]))["status"] != "CANCELLED":
            await asyncio.sleep(0.05)
    await receive(house, second["id"], [("lamp", 2)])
    assert await level(house, "SM", "lamp") == (2, 0, 2, 0)


async def test_the_shopper_is_waited_for_until_all_is_there(house: House) -> None:
    order = await placed(house, [("pen", 1), ("rug", 1)])
    (pens,) = await house.work(order["id"])
    line = pens["lines"][0]["id"]
    for name, arguments in (
        ("acceptAssignment", ""),
        ("startPicking", ""),
        ("reportPicked", f', lines: [{{lineId: "{line}", picked: 1}}]'),
        ("packAssignment", ""),
        ("markReadyForPickup", ""),
    ):
        await house.do(name, pens["id"], "SM", arguments=arguments)
    cursor = await house.ask(Role.STORE, "{ updatesCursor }", "SM")
    house.clock[0] += timedelta(days=8)
    query = "query ($id: ID!) { node(id: $id) { ... on Assignment { status collectBy } } }"
    async with asyncio.timeout(30):
        while (found := await house.ask(Role.STORE, query, "SM", id=pens["id"]))["collectBy"] < house.now.isoformat():
            await asyncio.sleep(0.05)
    assert found == {"status": "READY_FOR_PICKUP", "collectBy": (house.now + timedelta(days=1)).isoformat()}

    (rug,) = await transfers(house)
    await step(house, "dispatchTransfer", rug["id"])
    async with following(house, ORDERS, Role.STORE, "SM") as store:
        await receive(house, rug["id"], [("rug", 1)])
        assert [update["kind"] for update in await take(store, 1)] == ["ORDER_CHANGED"]
    house.clock[0] += timedelta(days=2)  # it is there, and not ready yet
    async with asyncio.timeout(30):
        while (found := await house.ask(Role.STORE, query, "SM", id=pens["id"]))["collectBy"] < house.now.isoformat():
            await asyncio.sleep(0.05)
    assert found["status"] == "READY_FOR_PICKUP"
    _, other = await house.work(order["id"])
    for name, arguments in (
        ("acceptAssignment", ""),
        ("startPicking", ""),
        ("reportPicked", f', lines: [{{lineId: "{other["lines"][0]["id"]}", picked: 1}}]'),
        ("packAssignment", ""),
        ("markReadyForPickup", ""),
    ):
        await house.do(name, other["id"], "SM", arguments=arguments)
    async with following(house, READY, Role.STORE, "SM", at=house.ids["SM"], after=cursor) as tablet:
        heard = [update["assignment"]["id"] for update in await take(tablet, 4)]
    # That it is looked at again, twice, and that both wait together from now on.
    assert (heard[:2], sorted(heard[2:])) == ([pens["id"]] * 2, sorted([pens["id"], other["id"]]))
