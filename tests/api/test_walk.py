"""One order, from the cart to the tablet to the dashboard, over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import groupby
from typing import Any

from gql import gql

from domain.vocabulary import Role
from tests.api.house import House

ASSIGNMENTS = """subscription ($location: ID!, $after: Cursor) {
    assignmentUpdates(locationId: $location, after: $after) {
        cursor kind status
        assignment { id number lines { id sku quantity } order { number customer { name } }
                     shipments { labelUrl } } } }"""
ORDERS = "subscription ($after: Cursor) { orderUpdates(after: $after) { cursor kind status order { id status } } }"


@asynccontextmanager
async def following(
    house: House, query: str, role: Role, *locations: str, **variables: Any
) -> AsyncIterator[asyncio.Queue[dict[str, Any]]]:
    """Yield a queue that a subscription's updates arrive in."""
    heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    async with house.socket(role, *locations) as session:
        asked = gql(query)
        asked.variable_values = variables

        async def listen() -> None:
            async for update in session.subscribe(asked):
                heard.put_nowait(next(iter(update.values())))

        task = asyncio.create_task(listen())
        await asyncio.sleep(0.2)
        try:
            yield heard
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def take(heard: asyncio.Queue[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(30):
        return [await heard.get() for _ in range(count)]


async def test_an_order_goes_from_the_cart_to_the_tablet_to_the_dashboard(house: House) -> None:
    pen = house.ids["SM"]
    async with (
        following(house, ORDERS, Role.OPERATIONS) as dashboard,
        following(house, ASSIGNMENTS, Role.STORE, "SM", location=pen) as tablet,
    ):
        found = await house.options(("pen", 2), methods=["DELIVERY"], levels=["SAME_DAY"])
        option = found["options"][0]
        assert [parcel["location"]["code"] for parcel in option["parcels"]] == ["SM"]
        order = await house.place("walk", [("pen", 2)], optionToken=option["token"])
        assert order["__typename"] == "Order", order
        (offered,) = await take(tablet, 1)
        assert (offered["kind"], offered["status"]) == ("ASSIGNMENT_OFFERED", "OFFERED")
        work = offered["assignment"]
        assert work["order"] == {"number": order["number"], "customer": {"name": "Ada"}}

        await house.do("acceptAssignment", work["id"], "SM")
        await house.do("startPicking", work["id"], "SM")
        line = work["lines"][0]["id"]
        await house.do("reportPicked", work["id"], "SM", arguments=f', lines: [{{lineId: "{line}", picked: 2}}]')
        await house.do("packAssignment", work["id"], "SM")
        done = await house.do("handOverAssignment", work["id"], "SM")
        assert (done["status"], done["allowedActions"]) == ("HANDED_OVER", [])

        heard = await take(dashboard, 4)
        while heard[-1]["status"] != "FULFILLED":
            heard += await take(dashboard, 1)
        statuses = [update["status"] for update in heard if update["kind"].startswith("ORDER_")]
        assert statuses == ["RECEIVED", "ROUTED", "IN_FULFILLMENT", "FULFILLED"]
        assert "SHIPMENT_STATUS_CHANGED" in {update["kind"] for update in heard}
        followed = await take(tablet, 6)
        steps = [status for status, _ in groupby(update["status"] for update in followed)]
        assert steps == ["ACCEPTED", "PICKING", "PACKED", "HANDED_OVER"]
        assert followed[-1]["assignment"]["shipments"][0]["labelUrl"]  # it is told of, too, once there is one
    assert (await house.levels("pen"))["SM"] == (8, 0, 8)
    assert (await house.order(order["id"]))["lines"][0]["fulfilled"] == 2


async def test_a_socket_that_comes_back_with_its_cursor_receives_exactly_what_it_missed(house: House) -> None:
    async with following(house, ORDERS, Role.OPERATIONS) as dashboard:
        await house.place("first", [("mug", 1)])
        seen = await take(dashboard, 2)
    missed = [await house.place(f"missed {n}", [("mug", 1)]) for n in range(3)]
    async with following(house, ORDERS, Role.OPERATIONS, after=seen[-1]["cursor"]) as dashboard:
        replayed = await take(dashboard, 6)
        live = await house.place("live", [("mug", 1)])
        replayed += await take(dashboard, 2)
        assert dashboard.empty()
    wanted = [order["id"] for order in (*missed, live) for _ in ("RECEIVED", "ROUTED")]
    assert [update["order"]["id"] for update in replayed] == wanted


async def test_a_first_screen_that_selects_the_cursor_before_its_list_misses_nothing(house: House) -> None:
    answer = await house.post(Role.OPERATIONS, "{ updatesCursor orders { totalCount } }")
    assert answer["data"]["orders"]["totalCount"] == 0
    order = await house.place("between", [("mug", 1)])
    async with following(house, ORDERS, Role.OPERATIONS, after=answer["data"]["updatesCursor"]) as dashboard:
        assert {update["order"]["id"] for update in await take(dashboard, 2)} == {order["id"]}
