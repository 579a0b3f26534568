"""What no location has alone is promised and placed in lots of several."""

from collections import Counter
from typing import Any

from domain.vocabulary import Role
from tests.api.house import House

WORK = "status assignments { location { code } lines { sku quantity } }"


def shared(order: dict[str, Any]) -> dict[str, dict[str, int]]:
    """How much of each item each location sends."""
    found: dict[str, Counter[str]] = {}
    for assignment in order["assignments"]:
        for line in assignment["lines"]:
            found.setdefault(assignment["location"]["code"], Counter())[line["sku"]] += line["quantity"]
    return {code: dict(lines) for code, lines in found.items()}


async def test_a_quantity_of_several_locations_is_offered_whole_and_placed_as_it_was_offered(house: House) -> None:
    cart = [("pen", 15), ("mug", 1)]
    found = await house.options(*cart, methods=["DELIVERY"], levels=["STANDARD"])
    (option,) = found["options"]
    assert (option["complete"], found["unavailable"]) == (True, [])
    order = await house.place("lots", cart, optionToken=option["token"])
    told = await house.order(order["id"], WORK)
    assert told["status"] == "ROUTED"
    offered = {
        parcel["location"]["code"]: {line["sku"]: line["quantity"] for line in parcel["lines"]}
        for parcel in option["parcels"]
    }
    assert shared(told) == offered
    assert sorted(lines["pen"] for lines in offered.values()) == [5, 10]
    again = await house.place("more lots", [("pen", 5)], level="STANDARD")
    assert shared(await house.order(again["id"], WORK)).keys() <= {"SM", "SN"}, "five were left"


async def test_what_several_parcels_want_of_a_level_is_never_more_than_there_is(house: House) -> None:
    query = "mutation ($rows: [StockRowInput!]!) { importStock(rows: $rows) { updated } }"
    await house.ask(Role.OPERATIONS, query, rows=[{"sku": "rug", "locationCode": "WH", "onHand": 4}])
    house.gateway.feed.nudge()
    assert await house.gateway.feed.caught_up(10)
    (option,) = (await house.options(("rug", 4), methods=["DELIVERY"], levels=["STANDARD"]))["options"]
    assert [parcel["lines"][0]["quantity"] for parcel in option["parcels"]] == [3, 1]
    assert (await house.place("faster", [("rug", 1)], level="STANDARD"))["__typename"] == "Order"
    late = await house.place("late", [("rug", 4)], optionToken=option["token"])
    assert (late["__typename"], late["missing"]) == ("OutOfStockError", [{"sku": "rug", "quantity": 4}])
    assert await house.levels("rug") == {"WH": (4, 1, 3)}
