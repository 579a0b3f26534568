"""Orders on hold: planned, their stock reserved, and offered to nobody before they are released."""

from domain.vocabulary import Role
from tests.api.house import House

MINE = """{ assignments { totalCount } orders { totalCount } location(code: "SM") { assignments { totalCount } } }"""
NOTHING = {
    "assignments": {"totalCount": 0},
    "orders": {"totalCount": 0},
    "location": {"assignments": {"totalCount": 0}},
}


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
