"""Orders on hold: planned, their stock reserved, and offered to nobody before they are released."""

import asyncio

from domain.vocabulary import Role
from tests.api.house import House
from tests.api.test_cancelling import cancel, cancel_lines, change
from tests.api.test_shipments import said
from tests.api.test_store_work import placed

MINE = """{ assignments { totalCount } orders { totalCount } location(code: "SM") { assignments { totalCount } } }"""
NOTHING = {
    "assignments": {"totalCount": 0},
    "orders": {"totalCount": 0},
    "location": {"assignments": {"totalCount": 0}},
}


async def ledger(house: House, sku: str) -> list[tuple[str, int]]:
    query = "query ($sku: String) { stockMovements(sku: $sku) { edges { node { reason reservedDelta } } } }"
    edges = (await house.ask(Role.OPERATIONS, query, sku=sku))["edges"]
    moved = [(edge["node"]["reason"], edge["node"]["reservedDelta"]) for edge in reversed(edges)]
    return [each for each in moved if each[1]]


async def test_an_order_placed_on_hold_is_planned_and_reserved_and_no_store_knows_of_it(house: House) -> None:
    order = await house.place("held", [("pen", 3)], level="SAME_DAY", hold=True)
    assert order["status"] == "ON_HOLD"
    (work,) = await house.work(order["id"])
    assert (work["status"], work["location"]["code"]) == ("HELD", "SM")
    assert (await house.levels("pen"))["SM"] == (10, 3, 7)
    assert (await house.post(Role.STORE, MINE, "SM"))["data"] == NOTHING
    for query in (f'{{ order(id: "{order["id"]}") {{ id }} }}', f'{{ node(id: "{work["id"]}") {{ id }} }}'):
        assert await house.ask(Role.STORE, query, "SM") is None
    assert (await house.do("acceptAssignment", work["id"], "SM"))["__typename"] == "NotFoundError"
    refused = await house.do("acceptAssignment", work["id"], role=Role.OPERATIONS)
    assert (refused["__typename"], refused["found"], refused["allowed"]) == ("ActionNotAllowedError", "HELD", [])


async def test_only_what_is_picked_up_can_be_paid_at_the_counter(house: House) -> None:
    pickup = {"method": "PICKUP", "pickupLocationId": house.ids["SM"], "payment": "ON_COLLECTION"}
    order = await house.place("reserve", [("pen", 1)], **pickup)
    assert await house.order(order["id"], "payment method") == {"payment": "ON_COLLECTION", "method": "PICKUP"}
    token = (await house.options(("pen", 1), methods=["DELIVERY"]))["options"][0]["token"]
    for key, wish in (("wish", {"level": "SAME_DAY"}), ("token", {"optionToken": token})):
        refused = await house.place(key, [("pen", 1)], payment="ON_COLLECTION", **wish)
        assert (refused["__typename"], refused["path"]) == ("InvalidInputError", ["payment"])


async def test_work_is_taken_back_while_its_stock_stays_reserved_and_offered_again_on_release(house: House) -> None:
    order = await placed(house, ("pen", 3))
    (offered,) = await house.work(order["id"])
    await house.do("acceptAssignment", offered["id"], "SM")
    held = await change(house, "holdOrder", f'id: "{order["id"]}", reason: "Card declined"')
    assert (held["status"], "RELEASE" in held["allowedActions"], "HOLD" in held["allowedActions"]) == (
        "ON_HOLD", True, False,
    )  # fmt: skip
    assert await change(house, "holdOrder", f'id: "{order["id"]}", reason: "Card declined"') == held
    assert [work["status"] for work in await house.work(order["id"])] == ["CANCELLED", "HELD"]
    assert (await house.levels("pen"))["SM"] == (10, 3, 7)
    assert (await house.do("startPicking", offered["id"], "SM"))["found"] == "CANCELLED"
    assert (await house.order(order["id"], "holdReason"))["holdReason"] == "Card declined"
    released = await change(house, "releaseOrder", f'id: "{order["id"]}"', Role.STOREFRONT)
    assert released["status"] == "ROUTED"
    assert await change(house, "releaseOrder", f'id: "{order["id"]}"', Role.STOREFRONT) == released
    work = await house.work(order["id"])
    assert [each["status"] for each in work] == ["CANCELLED", "CANCELLED", "OFFERED"]
    assert (await house.levels("pen"))["SM"] == (10, 3, 7)
    assert await ledger(house, "pen") == [("RESERVED", 3)]
    mine = (await house.ask(Role.STORE, "{ assignments { edges { node { status } } } }", "SM"))["edges"]
    assert sorted(edge["node"]["status"] for edge in mine) == ["CANCELLED", "OFFERED"]
    assert (await said(house, order))[-5:] == [
        "Held by operations: Card declined.",
        f"{order['number']}-1 at Berlin Mitte was called off.",
        "Released by storefront.",
        "Routed to its locations.",
        "Offered to Berlin Mitte.",
    ]
    assert (await house.order(order["id"], "holdReason routing { trigger }")) == {
        "holdReason": None, "routing": [{"trigger": "PLACED"}],
    }  # fmt: skip


async def test_what_can_no_longer_be_kept_is_planned_again_on_release(house: House) -> None:
    order = await house.place("held", [("mug", 2)], level="STANDARD", hold=True)
    (work,) = await house.work(order["id"])
    place = work["location"]["code"]
    suspend = f'mutation {{ setLocationStatus(id: "{house.ids[place]}", status: SUSPENDED) {{ __typename }} }}'
    await house.ask(Role.OPERATIONS, suspend)
    assert (await change(house, "releaseOrder", f'id: "{order["id"]}"'))["status"] == "ROUTED"
    _, again = await house.work(order["id"])
    assert again["status"] == "OFFERED"
    assert again["location"]["code"] != place
    assert (await house.levels("mug"))[place][1] == 0
    assert {"trigger": "RELEASED"} in (await house.order(order["id"], "routing { trigger }"))["routing"]


async def test_an_order_on_hold_is_cancelled_without_any_store_ever_knowing(house: House) -> None:
    order = await house.place("held", [("pen", 3), ("mug", 1)], level="SAME_DAY", hold=True)
    assert (await cancel_lines(house, order, 2, 1))["status"] == "ON_HOLD"
    assert (await cancel(house, order))["status"] == "CANCELLED"
    assert (await house.levels("pen"))["SM"] == (10, 0, 10)
    assert (await house.post(Role.STORE, MINE, "SM"))["data"] == NOTHING
    reason = f'id: "{(again := await placed(house, ("pen", 1), key="again"))["id"]}", reason: "Card declined"'
    await change(house, "holdOrder", reason)
    await cancel(house, again)
    assert (await house.order(again["id"], "holdReason"))["holdReason"] is None


async def test_a_count_that_finds_too_little_takes_from_what_is_held_and_plans_it_elsewhere(house: House) -> None:
    order = await house.place("held", [("pen", 3)], level="SAME_DAY", hold=True)
    count = f'mutation {{ countStock(sku: "pen", locationId: "{house.ids["SM"]}", onHand: 1) {{ __typename }} }}'
    assert (await house.ask(Role.STORE, count, "SM"))["__typename"] == "StockLevel"
    held = [work for work in await house.work(order["id"]) if work["status"] == "HELD"]
    assert [(work["location"]["code"], work["lines"][0]["quantity"]) for work in held] == [("SM", 3), ("SN", 2)]
    assert (await house.order(order["id"]))["status"] == "ON_HOLD"
    assert (await change(house, "releaseOrder", f'id: "{order["id"]}"'))["status"] == "ROUTED"
    offered = [work for work in await house.work(order["id"]) if work["status"] == "OFFERED"]
    assert [(work["location"]["code"], work["lines"][0]["quantity"]) for work in offered] == [("SM", 1), ("SN", 2)]


async def test_a_hold_and_the_picking_it_comes_too_late_for_never_both_succeed(house: House) -> None:
    for n in range(4):
        order = await placed(house, ("pen", 1), key=f"order {n}")
        (work,) = await house.work(order["id"])
        await house.do("acceptAssignment", work["id"], "SM")
        held, started = await asyncio.gather(
            change(house, "holdOrder", f'id: "{order["id"]}"'), house.do("startPicking", work["id"], "SM")
        )
        assert sorted([held["__typename"], started["__typename"]]) in (
            ["ActionNotAllowedError", "Assignment"],
            ["ActionNotAllowedError", "Order"],
        )
