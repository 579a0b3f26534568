"""Orders that many people change at once, through two gateways: one wins, the other is told, and the books agree."""

import asyncio
from collections.abc import Sequence
from itertools import combinations_with_replacement, product
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


CHANGES = {
    "hold": "holdOrder(id: $order)",
    "cancel": "cancelOrder(id: $order)",
    "cancel lines": "cancelOrderLines(id: $order, lines: [{lineId: $line, quantity: 1}], expectedVersion: $version)",
    "block": "rerouteOrder(id: $order, blockLocations: [$place])",
    "move": 'changeOrderAddress(id: $order, shipTo: {postalCode: "10115", city: "Berlin", country: "DE"})',
}
STEPS = {
    "reject": "rejectAssignment(id: $work, reason: TOO_BUSY)",
    "start": "startPicking(id: $work)",
    "hand over": "handOverAssignment(id: $work)",
}
TYPES = {"order": "ID!", "line": "ID!", "version": "Int!", "place": "ID!", "work": "ID!"}
BEFORE = {
    "start": ["acceptAssignment(id: $work)"],
    "hand over": [
        "acceptAssignment(id: $work)", "startPicking(id: $work)",
        "reportPicked(id: $work, lines: [{lineId: $picked, picked: 2}])", "packAssignment(id: $work)",
    ],
}  # fmt: skip
SEEN = "status lines { fulfilled cancelled backordered } assignments { status lines { quantity picked } }"


async def change(house: House, what: str, known: dict[str, Any]) -> str:
    """Do something to an order; return the type of the answer."""
    used = {name: kind for name, kind in {**TYPES, "picked": "ID!"}.items() if f"${name}" in what}
    head = ", ".join(f"${name}: {kind}" for name, kind in used.items())
    answer = await house.ask(
        Role.OPERATIONS, f"mutation ({head}) {{ {what} {{ __typename }} }}", **{name: known[name] for name in used}
    )
    return str(answer["__typename"])


async def outcome(houses: Sequence[House], pair: tuple[str, str], turn: Sequence[int], *, at_once: bool) -> Any:
    """Let two people act on a new order, in turn or at once; return what each is answered, and what became of it."""
    here, _ = houses
    order = await here.place(f"{pair} {turn} {at_once}", [("pen", 2)], level="SAME_DAY")
    (work,) = await here.work(order["id"])
    known = {"order": order["id"], "line": order["lines"][0]["id"], "place": work["location"]["id"]}
    known |= {"work": work["id"], "picked": work["lines"][0]["id"]}
    for step in BEFORE.get(pair[1], ()):
        await change(here, step, known)
    known["version"] = (await here.order(order["id"]))["version"]
    acts = [change(houses[n], {**CHANGES, **STEPS}[pair[n]], known) for n in turn]
    told = await asyncio.gather(*acts) if at_once else [await act for act in acts]
    answers = sorted(zip((pair[n] for n in turn), told, strict=True))
    return answers, await here.order(order["id"], SEEN)


async def test_two_who_act_at_once_end_as_if_one_had_come_after_the_other(furnished_dsn: str) -> None:
    pairs = [*combinations_with_replacement(CHANGES, 2), *product(CHANGES, STEPS)]
    stock = "mutation ($rows: [StockRowInput!]!) { importStock(rows: $rows) { updated } }"
    plenty = [{"sku": "pen", "locationCode": code, "onHand": 1000} for code in ("SM", "SN")]
    async with opened(furnished_dsn) as here, opened(furnished_dsn) as there:
        for house in (here, there):
            await know(house)
        await here.ask(Role.ADMIN, stock, rows=plenty)
        for pair in pairs:
            in_turn = [await outcome((here, there), pair, turn, at_once=False) for turn in ((0, 1), (1, 0))]
            assert await outcome((here, there), pair, (0, 1), at_once=True) in in_turn, pair
        async with here.gateway.database.reading() as connection:
            assert await inventory.check(connection) == []
