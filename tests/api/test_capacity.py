"""What locations take a day: promised within it, placed within it under any race, and given back."""

import asyncio
from collections import Counter
from typing import Any

import numpy as np
import pytest

from domain import capacity, inventory
from domain.planning.problem import Committed
from domain.vocabulary import Role
from tests.api.house import ERROR, House, opened
from tests.api.test_closing import ends, set_status

SAVE = f"""mutation ($input: LocationInput!) {{ saveLocation(input: $input) {{
    __typename ... on Location {{ version }} {ERROR} }} }}"""
TODAY = """query ($code: String!) { location(code: $code) { capacity {
    ordersCommittedToday unitsCommittedToday ordersLeftToday unitsLeftToday } } }"""
WORK = "status promisedLatest assignments { status dueAt location { code } }"


async def limit(house: House, *codes: str, **most: int) -> None:
    """Let locations take at most so many orders and units, every day."""
    for code in codes:
        capacity = [{"weekday": weekday, **most} for weekday in range(1, 8)]
        answer = await house.ask(Role.ADMIN, SAVE, input={"code": code, "capacity": capacity})
        assert answer["__typename"] == "Location", answer
    await remembers(house)


def days(work: Committed | None) -> dict[tuple[int, int], tuple[int, int]]:
    """Return the orders and units by site and day, where there are any."""
    if work is None:
        return {}
    return {
        (site, day): (int(work.orders[site, day]), int(work.units[site, day]))
        for site, day in np.argwhere(work.orders | work.units).tolist()
    }


async def remembers(house: House) -> None:
    """Fail unless the gateway plans from what Postgres holds, though it reads only of where something happened."""
    assert house.gateway
    async with asyncio.timeout(30):
        while (stock := await house.gateway.stock.current(now=house.now)) is None:
            await asyncio.sleep(0.01)
    snapshot = await house.gateway.networks.current()
    async with house.gateway.database.reading() as connection:
        remembered = await stock.work.committed_from(connection, snapshot, house.now)
        held = await capacity.committed_from(connection, snapshot, house.now)
    assert days(remembered) == days(held)


async def today(house: House, code: str) -> tuple[int, int, int | None, int | None]:
    """Orders and units committed at a location today, and how many are left."""
    await remembers(house)
    return tuple((await house.ask(Role.OPERATIONS, TODAY, code=code))["capacity"].values())  # type: ignore[return-value]


async def agree(house: House) -> None:
    await remembers(house)
    assert house.gateway
    async with house.gateway.database.reading() as connection:
        assert await inventory.check(connection) == []


async def collect(house: House, key: str, quantity: int = 1, code: str = "SM") -> dict[str, Any]:
    """Place a pickup of pens."""
    return await house.place(key, [("pen", quantity)], method="PICKUP", pickupLocationId=house.ids[code], shipTo=None)


async def same_day(house: House, key: str) -> str:
    """Place a delivery of a pen for this evening, and say who sends it, or why nobody does."""
    order = await house.place(key, [("pen", 1)], level="SAME_DAY")
    if order["__typename"] != "Order":
        return str(order["__typename"])
    (work,) = (await house.order(order["id"], WORK))["assignments"]
    return str(work["location"]["code"])


async def test_a_location_takes_what_it_can_a_day_then_another_does_then_nobody(house: House) -> None:
    await limit(house, "SM", orders=2)
    await limit(house, "SN", units=1)
    assert [await same_day(house, f"order {n}") for n in range(4)] == ["SM", "SM", "SN", "NoFulfillmentOptionError"]
    assert await today(house, "SM") == (2, 2, 0, None)
    assert await today(house, "SN") == (1, 1, None, 0)
    found = await house.options(("pen", 1), methods=["DELIVERY"], levels=["SAME_DAY"])
    assert (found["options"], [reason["code"] for reason in found["unavailable"]]) == ([], ["NO_CAPACITY"])


async def test_an_order_too_heavy_for_one_parcel_needs_room_for_one(house: House) -> None:
    await limit(house, "WH", orders=1)
    rows = [{"sku": "rug", "locationCode": "WH", "onHand": 8}]
    query = "mutation ($rows: [StockRowInput!]!) { importStock(rows: $rows) { updated } }"
    await house.ask(Role.OPERATIONS, query, rows=rows)
    order = await house.place("order", [("rug", 4)], level="STANDARD")
    assert order["__typename"] == "Order", order
    assert len(await house.work(order["id"])) == 2
    assert await today(house, "WH") == (2, 4, 0, None)


async def test_work_goes_to_the_next_day_where_the_day_is_full(house: House) -> None:
    await limit(house, "SM", orders=1)
    dues = []
    for n in range(3):
        order = await collect(house, f"order {n}")
        (work,) = (await house.order(order["id"], WORK))["assignments"]
        dues.append(work["dueAt"][:10])
    assert dues == ["2026-03-04", "2026-03-05", "2026-03-06"]
    found = await house.options(("pen", 1), methods=["PICKUP"])
    ready = {option["pickupLocation"]["code"]: option["earliest"][:10] for option in found["options"]}
    assert ready == {"SM": "2026-03-07", "SN": "2026-03-04"}


async def test_a_location_without_a_capacity_is_not_counted(house: House) -> None:
    await collect(house, "pickup")
    assert await today(house, "SM") == (0, 0, None, None)


async def test_a_day_gets_back_what_is_cancelled_line_by_line_and_whole(house: House) -> None:
    await limit(house, "SM", orders=5, units=9)
    order = await collect(house, "pickup", 6)
    assert await today(house, "SM") == (1, 6, 4, 3)
    (line,) = (await house.order(order["id"]))["lines"]
    query = (
        "mutation ($id: ID!, $lines: [CancelLineInput!]!) { cancelOrderLines(id: $id, lines: $lines) { __typename } }"
    )
    await house.ask(Role.OPERATIONS, query, id=order["id"], lines=[{"lineId": line["id"], "quantity": 2}])
    assert await today(house, "SM") == (1, 4, 4, 5)
    await agree(house)
    await house.ask(Role.OPERATIONS, "mutation ($id: ID!) { cancelOrder(id: $id) { __typename } }", id=order["id"])
    assert await today(house, "SM") == (0, 0, 5, 9)


async def test_a_day_gets_back_what_is_rejected_and_another_location_takes_it_on(house: House) -> None:
    await limit(house, "SM", "SN", orders=5)
    order = await house.place("order", [("pen", 2)], level="SAME_DAY")
    (work,) = await house.work(order["id"])
    await house.do("rejectAssignment", work["id"], "SM", arguments=", reason: TOO_BUSY")
    assert await today(house, "SM") == (0, 0, 5, None)
    assert await today(house, "SN") == (1, 2, 4, None)


async def test_the_days_of_a_location_that_closes_are_freed(house: House) -> None:
    await limit(house, "SM", "SN", orders=5)
    order = await house.place("order", [("pen", 2)], level="SAME_DAY")
    await set_status(house, "SM", "CLOSED")
    assert await ends(house, order["id"], "REJECTED", "OFFERED") == [("SM", "REJECTED"), ("SN", "OFFERED")]
    assert [await today(house, code) for code in ("SM", "SN")] == [(0, 0, 5, None), (1, 2, 4, None)]


async def test_a_promise_is_kept_elsewhere_or_refused_when_others_have_filled_the_day(house: House) -> None:
    await limit(house, "SM", "SN", orders=1)
    found = await house.options(("pen", 1), methods=["DELIVERY"], levels=["SAME_DAY"])
    (option,) = found["options"]
    assert [parcel["location"]["code"] for parcel in option["parcels"]] == ["SM"]
    orders = [await house.place(f"{n}", [("pen", 1)], optionToken=option["token"]) for n in range(3)]
    assert [order["__typename"] for order in orders] == ["Order", "Order", "NoFulfillmentOptionError"]
    assert orders[2]["unavailable"] == [{"code": "NO_CAPACITY", "level": None, "sku": None}]
    assert [(await house.work(order["id"]))[0]["location"]["code"] for order in orders[:2]] == ["SM", "SN"]


async def test_a_cart_that_is_reserved_is_placed_though_its_day_is_full(house: House) -> None:
    await limit(house, "SM", orders=1)
    found = await house.options(("pen", 1), methods=["DELIVERY"], levels=["SAME_DAY"])
    reserve = """mutation ($token: String!) { reserveCart(optionToken: $token, idempotencyKey: "cart") {
        ... on Reservation { id } } }"""
    cart = await house.ask(Role.STOREFRONT, reserve, token=found["options"][0]["token"])
    assert await same_day(house, "faster") == "SM"
    order = await house.place("cart", [("pen", 1)], reservationId=cart["id"])
    assert order["__typename"] == "Order"
    assert await today(house, "SM") == (2, 2, 0, None)


@pytest.mark.parametrize("most", [{"orders": 3}, {"units": 3}])
async def test_twenty_shoppers_at_two_gateways_never_pass_a_days_capacity(
    house: House, furnished_dsn: str, most: dict[str, int]
) -> None:
    await limit(house, "SM", **most)
    rows = [{"sku": "pen", "locationCode": "SM", "onHand": 100}]
    query = "mutation ($rows: [StockRowInput!]!) { importStock(rows: $rows) { failed { message } } }"
    await house.ask(Role.ADMIN, query, rows=rows)
    async with opened(furnished_dsn) as other:
        other.ids = house.ids
        orders = await asyncio.gather(*(collect((house, other)[n % 2], f"shopper {n}") for n in range(20)))
    assert {order["__typename"] for order in orders} == {"Order"}
    assert house.gateway
    async with house.gateway.database.reading() as connection:
        days = await connection.fetch("SELECT work_day, count(*) AS n FROM assignment GROUP BY work_day ORDER BY 1")
    assert [row["n"] for row in days] == [3, 3, 3, 3, 3, 3, 2]
    assert Counter(row["work_day"].isoweekday() for row in days)[7] == 0, "it is shut on Sundays"


async def test_a_day_that_does_not_equal_its_work_is_found(house: House) -> None:
    await limit(house, "SM", orders=5)
    await collect(house, "pickup", 2)
    assert house.gateway
    async with house.gateway.database.reading() as connection:
        await connection.execute("UPDATE committed_work SET orders = 3")
        found = await inventory.check(connection)
        await connection.execute("UPDATE committed_work SET orders = 1")
    assert found == ["SM on 2026-03-04: 3 orders and 2 units committed, its work comes to 1 and 2."]
