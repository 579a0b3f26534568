"""Orders that will be late are found, told and listed before the shopper asks."""

import asyncio
from datetime import datetime, timedelta

from domain.vocabulary import Role
from tests.api.house import House
from tests.api.test_closing import set_status
from tests.api.test_ship_to_store import transfers
from tests.api.test_shipments import booked, hand_over, packed, record
from tests.api.test_store_work import picking, placed, reject, report
from tests.api.test_transfers import receive
from tests.api.test_transfers import step as send

LATE = "{ orders(where: {late: true}) { edges { node { number } } } }"


async def late(house: House) -> list[str]:
    return [edge["node"]["number"] for edge in (await house.ask(Role.OPERATIONS, LATE))["edges"]]


async def looked(house: House) -> None:
    """Wait until somebody has looked for late orders at the present hour of the house's clock."""
    gateway = house.gateway
    assert gateway is not None
    async with asyncio.timeout(30):
        while True:
            async with gateway.database.reading() as connection:
                key = await connection.fetchval("SELECT max(key) FROM timer WHERE kind = 'late'")
            if key and key >= house.now.isoformat():
                return
            await asyncio.sleep(0.05)


async def test_an_order_whose_work_misses_the_carrier_is_late_and_told_once(house: House) -> None:
    order, other = await placed(house, ("pen", 1)), await placed(house, ("pen", 1), key="other")
    (work,) = await house.work(other["id"])
    await picking(house, work)
    await report(house, work, (1, None))
    for step in ("packAssignment", "handOverAssignment"):
        await house.do(step, work["id"], "SM")
    (parcel,) = await booked(house, other["id"])
    assert (await record(house, parcel["trackingNumber"], "DELIVERED"))["status"] == "DELIVERED"
    for hours in (0, 12, 24):
        house.clock[0] += timedelta(hours=hours)
        await looked(house)
        assert await late(house) == ([order["number"]] if hours else [])
    found = await house.order(order["id"], "late timeline { kind }")
    assert found["late"]
    assert [entry["kind"] for entry in found["timeline"]].count("ORDER_LATE") == 1


async def test_an_order_that_waits_for_stock_is_late_once_its_promise_passes(house: House) -> None:
    order = await placed(house, ("rug", 2), level="STANDARD")
    (work,) = await house.work(order["id"])
    await house.do("rejectAssignment", work["id"], arguments=", reason: TOO_BUSY", role=Role.OPERATIONS)
    house.clock[0] += timedelta(days=1)
    await looked(house)
    assert await late(house) == []
    house.clock[0] += timedelta(days=9)
    await looked(house)
    assert await late(house) == [order["number"]]


async def test_a_parcel_that_is_not_known_to_have_arrived_is_late_once_its_promise_passes(house: House) -> None:
    order, (parcel,) = await packed(house, ("pen", 1))
    await hand_over(house, order)
    promised = datetime.fromisoformat((await house.order(order["id"], "promisedLatest"))["promisedLatest"])
    for minutes in (-1, 0):
        house.clock[0] = promised + timedelta(minutes=minutes)
        await looked(house)
        assert await late(house) == ([] if minutes else [order["number"]])
    await record(house, parcel["trackingNumber"], "DELIVERED")
    found = await house.order(order["id"], "status late timeline { kind }")
    assert (found["status"], found["late"]) == ("COMPLETED", True)
    assert [entry["kind"] for entry in found["timeline"]].count("ORDER_LATE") == 1


async def test_a_parcel_that_is_lost_or_came_after_the_promise_makes_its_order_late_at_once(
    house: House,
) -> None:
    for n, (status, hours, expected) in enumerate(
        (("DELIVERED", 0, False), ("DELIVERED", 12, True), ("DELIVERY_FAILED", 0, False), ("LOST", 0, True))
    ):
        order, (parcel,) = await packed(house, ("pen", 1), key=f"order {n}")
        await hand_over(house, order)
        at = (house.now + timedelta(hours=hours)).isoformat()
        assert (await record(house, parcel["trackingNumber"], status, f', at: "{at}"'))["status"] == status
        assert (await house.order(order["id"], "late"))["late"] is expected, status


async def test_work_that_goes_elsewhere_and_will_arrive_too_late_is_told_at_once(house: House) -> None:
    order = await placed(house, ("lamp", 1))
    (work,) = await house.work(order["id"])
    assert work["location"]["code"] == "SN"
    await reject(house, work)
    found = await house.order(order["id"], "late status timeline { kind }")
    assert (found["late"], found["status"]) == (True, "ROUTED")
    assert [entry["kind"] for entry in found["timeline"]].count("ORDER_LATE") == 1
    anew = f'mutation {{ rerouteOrder(id: "{order["id"]}", blockLocations: []) {{ ... on Order {{ late }} }} }}'
    assert await house.ask(Role.OPERATIONS, anew) == {"late": False}
    assert (await house.work(order["id"]))[-1]["location"]["code"] == "SN"


async def test_a_pickup_that_waits_for_stock_or_comes_too_late_to_its_store_is_late(house: House) -> None:
    wish = {"method": "PICKUP", "pickupLocationId": house.ids["SM"], "allowBackorder": True}
    await set_status(house, "SN", "SUSPENDED")
    waits = await house.place("waits", [("pen", 10)], **wish)
    (work,) = await house.work(waits["id"])
    await reject(house, work)
    comes = await house.place("comes", [("rug", 1)], **wish)
    promised = datetime.fromisoformat((await house.order(comes["id"], "promisedLatest"))["promisedLatest"])
    (sent,) = await transfers(house)
    await send(house, "dispatchTransfer", sent["id"], by="WH")
    assert await late(house) == []
    house.clock[0] += timedelta(hours=2)
    await looked(house)
    assert await late(house) == [waits["number"]]
    house.clock[0] = promised - timedelta(minutes=59)
    await receive(house, sent["id"], [("rug", 1)])  # which it takes an hour to make ready
    assert set(await late(house)) == {waits["number"], comes["number"]}


async def test_what_a_carrier_lost_before_it_was_handed_over_is_late_once_it_is(house: House) -> None:
    order, (parcel,) = await packed(house, ("pen", 1))
    await record(house, parcel["trackingNumber"], "LOST")
    assert await late(house) == []
    await hand_over(house, order)
    assert await late(house) == [order["number"]]


async def test_an_order_by_a_promise_that_had_passed_is_late_from_the_beginning(house: House) -> None:
    query = "mutation ($input: LocationInput!) { saveLocation(input: $input) { __typename } }"
    await house.ask(Role.ADMIN, query, input={"code": "SM", "handlingTime": "PT10M"})
    (option,) = (await house.options(("pen", 1), methods=["PICKUP"], pickupLocations=1))["options"]
    house.clock[0] += timedelta(minutes=14)
    await looked(house)
    order = await house.place("order", [("pen", 1)], optionToken=option["token"])
    house.clock[0] += timedelta(seconds=10)
    await looked(house)
    assert await late(house) == [order["number"]]
