"""What becomes of the work of a location that is suspended, or that closes."""

import asyncio
from datetime import timedelta

from domain import closing
from domain.network import CLOSING
from domain.vocabulary import Role
from tests.api.house import House
from tests.api.test_reservations import reserved
from tests.api.test_store_work import picking, placed, report
from tests.api.test_transfers import create, level, receive, step


async def set_status(house: House, code: str, status: str) -> None:
    query = """mutation ($id: ID!, $status: LocationStatus!) { setLocationStatus(id: $id, status: $status) {
        ... on Location { status } } }"""
    assert await house.ask(Role.OPERATIONS, query, id=house.ids[code], status=status) == {"status": status}


async def ends(house: House, order: str, *statuses: str) -> list[tuple[str, str]]:
    """Wait until the assignments of an order, as they were offered, have these statuses; return where they are."""
    async with asyncio.timeout(30):
        while [work["status"] for work in await house.work(order)] != list(statuses):
            await asyncio.sleep(0.05)
    return [(work["location"]["code"], work["status"]) for work in await house.work(order)]


async def due(house: House) -> bool:
    """Say whether somebody has yet to look whether a closed location has anything left."""
    assert house.gateway is not None
    async with house.gateway.database.reading() as connection:
        query = "SELECT true FROM timer WHERE kind = $1 AND due_at <= $2"
        return bool(await connection.fetchval(query, CLOSING, house.now))


async def test_a_suspended_location_finishes_what_it_has_and_takes_nothing_new(house: House) -> None:
    before = await placed(house, ("pen", 1))
    await set_status(house, "SM", "SUSPENDED")
    (work,) = await house.work(before["id"])
    await picking(house, work)
    after = await placed(house, ("pen", 1), key="after")
    assert [each["location"]["code"] for each in await house.work(after["id"])] == ["SN"]


async def test_the_open_work_of_a_location_that_closes_is_routed_anew(house: House) -> None:
    orders = [await placed(house, ("pen", 2), key=f"order {n}") for n in range(3)]
    await picking(house, (await house.work(orders[0]["id"]))[0])
    await set_status(house, "SM", "CLOSED")
    for order in orders:
        assert await ends(house, order["id"], "REJECTED", "OFFERED") == [("SM", "REJECTED"), ("SN", "OFFERED")]
    assert await house.levels("pen") == {"SM": (10, 0, 10), "SN": (10, 6, 4)}


async def test_what_a_closed_location_has_packed_is_put_back_there_and_sent_from_elsewhere(house: House) -> None:
    order = await placed(house, ("pen", 2), ("mug", 1))
    (work,) = await house.work(order["id"])
    await picking(house, work)
    await report(house, work, (2, None), (0, "OTHER"))
    await house.do("packAssignment", work["id"], "SM")
    await set_status(house, "SM", "CLOSED")
    assert await ends(house, order["id"], "CANCELLED", "OFFERED", "OFFERED") == [
        ("SM", "CANCELLED"), ("SN", "OFFERED"), ("SN", "OFFERED"),
    ]  # fmt: skip
    assert await house.levels("pen") == {"SM": (10, 2, 8), "SN": (10, 2, 8)}
    await house.do("restockAssignment", work["id"], "SM")
    assert (await house.levels("pen"))["SM"] == (10, 0, 10)


async def test_what_nobody_has_dispatched_from_or_to_a_location_that_closes_is_called_off(house: House) -> None:
    ends = {"out": ("SM", "SN"), "in": ("WB", "SM"), "on its way": ("WB", "SM"), "elsewhere": ("WB", "SN")}
    made = {key: (await create(house, [("mug", 1)], *each, key=key, by=each[1]))["id"] for key, each in ends.items()}
    await step(house, "dispatchTransfer", made["on its way"])

    async def statuses() -> list[str]:
        query = "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Transfer { status } } }"
        return [each["status"] for each in await house.ask(Role.OPERATIONS, query, ids=list(made.values()))]

    await set_status(house, "SM", "CLOSED")
    async with asyncio.timeout(30):
        while await statuses() != ["CANCELLED", "CANCELLED", "IN_TRANSIT", "REQUESTED"]:
            await asyncio.sleep(0.05)
    assert (await level(house, "SM"), await level(house, "WB")) == ((4, 0, 4, 1), (49, 1, 48, 0))
    house.clock[0] += timedelta(seconds=1)
    made["left over"] = (await create(house, [("mug", 4)], "SM", "WB", key="left over"))["id"]
    house.clock[0] += timedelta(seconds=1)
    query = "mutation ($input: LocationInput!) { saveLocation(input: $input) { __typename } }"
    await house.ask(Role.ADMIN, query, input={"code": "SM", "name": "Closed for good"})
    house.clock[0] += closing.LOOKS_AGAIN
    async with asyncio.timeout(30):
        while await due(house):
            await asyncio.sleep(0.05)
    assert (await statuses())[-1] == "REQUESTED"
    await receive(house, made["on its way"], [("mug", 1)])
    assert await level(house, "SM") == (5, 4, 1, 0)


async def test_an_order_that_only_the_closed_location_could_do_is_unroutable_until_it_opens(house: House) -> None:
    order = await placed(house, ("rug", 2), level="STANDARD")
    await set_status(house, "WH", "CLOSED")
    await ends(house, order["id"], "REJECTED")
    assert (await house.order(order["id"]))["status"] == "UNROUTABLE"
    await set_status(house, "WH", "ACTIVE")
    assert await ends(house, order["id"], "REJECTED", "OFFERED") == [("WH", "REJECTED"), ("WH", "OFFERED")]


async def test_what_was_promised_before_a_location_closed_is_routed_anew_though_everybody_has_looked(
    house: House,
) -> None:
    cart = await reserved(house, ("rug", 2))
    near = {"latitude": 52.53, "longitude": 13.40}
    found = await house.options(("lamp", 2), methods=["PICKUP"], destination=None, near=near)
    (token,) = [each["token"] for each in found["options"] if each["pickupLocation"]["code"] == "SM"]
    for code in ("WH", "SM"):
        await set_status(house, code, "CLOSED")
    async with asyncio.timeout(30), house.gateway.database.reading() as connection:
        while await connection.fetchval("SELECT EXISTS (SELECT FROM timer WHERE kind = $1)", CLOSING):
            house.clock[0] += closing.LOOKS_AGAIN / 10
            await asyncio.sleep(0.05)
    order = await house.place("order", [("rug", 2)], reservationId=cart["id"])
    assert await ends(house, order["id"], "REJECTED") == [("WH", "REJECTED")]
    pickup = await house.place("pickup", [("lamp", 2)], optionToken=token, shipTo=None)
    async with asyncio.timeout(30):
        while (await house.order(pickup["id"]))["status"] != "CANCELLED":
            await asyncio.sleep(0.05)
