"""Orders that many people change at once, through two gateways: one wins, the other is told, and the books agree."""

import asyncio
from random import Random
from typing import Any

from domain import inventory
from domain.vocabulary import Role
from tests.api.house import BERLIN, House, know, opened

ROUNDS = 5
TOLD = {
    "Order", "Assignment", "ActionNotAllowedError", "VersionConflictError", "NoFulfillmentOptionError",
    "InvalidInputError", "NotFoundError",
}  # fmt: skip
STREETS = ["Torstr. 1", "Torstr. 2"]


async def acts(house: House, order: dict[str, Any], random: Random) -> str:
    """Do anything to an order that somebody might; return what was answered."""
    work = random.choice(await house.work(order["id"]))
    told = ", ".join(f'{{lineId: "{line["id"]}", picked: {line["quantity"]}}}' for line in work["lines"])
    line, wanted = order["lines"][0]["id"], random.randint(1, 2)
    block = random.choice(
        ["", ", blockLocations: []", f', blockLocations: ["{house.ids[random.choice(["SM", "SN"])]}"]']
    )
    street = f'lines: ["{random.choice(STREETS)}"], postalCode: "10115", city: "Berlin", country: "DE"'
    change = random.choice(
        [
            f'holdOrder(id: "{order["id"]}")',
            f'releaseOrder(id: "{order["id"]}")',
            f'rerouteOrder(id: "{order["id"]}"{block})',
            f'changeOrderAddress(id: "{order["id"]}", shipTo: {{{street}}})',
            f'cancelOrderLines(id: "{order["id"]}", lines: [{{lineId: "{line}", quantity: {wanted}}}])',
            f'cancelOrderLines(id: "{order["id"]}", lines: [{{lineId: "{line}", quantity: 1}}], expectedVersion: 2)',
            f'acceptAssignment(id: "{work["id"]}")',
            f'rejectAssignment(id: "{work["id"]}", reason: TOO_BUSY)',
            f'startPicking(id: "{work["id"]}")',
            f'reportPicked(id: "{work["id"]}", lines: [{told}])',
            f'packAssignment(id: "{work["id"]}")',
            f'handOverAssignment(id: "{work["id"]}")',
            f'restockAssignment(id: "{work["id"]}")',
        ]
    )
    answer = await house.ask(Role.OPERATIONS, f"mutation {{ {change} {{ __typename }} }}")
    return str(answer["__typename"])


async def test_whatever_two_do_to_an_order_at_once_the_books_agree(furnished_dsn: str) -> None:
    random = Random(5)  # noqa: S311 - what people do, not what they keep secret
    async with opened(furnished_dsn) as here, opened(furnished_dsn) as there:
        for house in (here, there):
            await know(house)
        placed = [await here.place(f"order {n}", [("pen", 3)], level="SAME_DAY", shipTo=BERLIN) for n in range(2)]
        placed += [await here.place(f"more {n}", [("mug", 4), ("lamp", 2)], level="STANDARD") for n in range(2)]
        answers = []
        for _ in range(ROUNDS):
            asked = [acts(house, order, random) for order in placed for house in (here, there, here)]
            answers += await asyncio.gather(*asked)
        assert {"Order", "Assignment", "ActionNotAllowedError", "VersionConflictError"} <= set(answers) <= TOLD
        async with here.gateway.database.reading() as connection:
            assert await inventory.check(connection) == []
