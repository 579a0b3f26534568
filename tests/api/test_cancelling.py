"""How orders are called off, wherever they stand, and what becomes of their stock."""

import asyncio
from typing import Any

import pytest

from domain.vocabulary import Role
from tests.api.house import ERROR, House
from tests.api.test_store_work import picking, placed, report
from tests.api.test_walk import ORDERS, following, take

FIELDS = "status version allowedActions lines { quantity fulfilled cancelled backordered }"


async def change(house: House, name: str, arguments: str, role: Role = Role.OPERATIONS) -> dict[str, Any]:
    query = f"""mutation {{ {name}({arguments}) {{ __typename ... on Order {{ id {FIELDS} }} {ERROR}
        ... on ActionNotAllowedError {{ found: status allowed: allowedActions }}
        ... on VersionConflictError {{ currentVersion }} }} }}"""
    answer: dict[str, Any] = await house.ask(role, query)
    return answer


async def cancel(house: House, order: dict[str, Any], more: str = "", role: Role = Role.STOREFRONT) -> dict[str, Any]:
    return await change(house, "cancelOrder", f'id: "{order["id"]}" {more}', role)


async def cancel_lines(house: House, order: dict[str, Any], *quantities: int) -> dict[str, Any]:
    lines = ", ".join(
        f'{{lineId: "{line["id"]}", quantity: {units}}}'
        for line, units in zip(order["lines"], quantities, strict=True)
        if units
    )
    return await change(house, "cancelOrderLines", f'id: "{order["id"]}", lines: [{lines}], reason: "Too many"')


async def test_a_cancelled_order_gives_its_stock_back_and_calls_its_work_off(house: House) -> None:
    order = await placed(house, ("pen", 3))
    cancelled = await cancel(house, order, ', reason: "Changed her mind"')
    assert (cancelled["status"], cancelled["allowedActions"]) == ("CANCELLED", [])
    assert cancelled["lines"] == [{"quantity": 3, "fulfilled": 0, "cancelled": 3, "backordered": 0}]
    assert [work["status"] for work in await house.work(order["id"])] == ["CANCELLED"]
    assert (await house.levels("pen"))["SM"] == (10, 0, 10)
    said = [entry["message"] for entry in (await house.order(order["id"], "timeline { message }"))["timeline"]]
    assert said[-3:] == [
        f"{order['number']}-1 at Berlin Mitte was called off.",
        "Cancelled by storefront: Changed her mind.",
        "Nothing is left to fulfil.",
    ]


async def test_a_store_hears_of_what_is_cancelled_of_its_order_elsewhere(house: House) -> None:
    order = await house.place("order", [("pen", 1), ("rug", 9)], level="STANDARD", allowBackorder=True)
    code = next(work["location"]["code"] for work in await house.work(order["id"]) if work["lines"][0]["sku"] == "pen")
    async with following(house, ORDERS, Role.STORE, code) as store:
        await cancel_lines(house, order, 0, 1)
        assert [update["kind"] for update in await take(store, 1)] == ["ORDER_CHANGED"]


async def test_cancelling_again_answers_the_order_and_has_no_effect(house: House) -> None:
    order = await placed(house, ("pen", 3))
    assert await cancel(house, order) == await cancel(house, order)


async def test_an_order_is_cancelled_while_it_is_picked_and_sold_again_only_once_it_is_back_on_its_shelf(
    house: House,
) -> None:
    order = await placed(house, ("pen", 3))
    (work,) = await house.work(order["id"])
    await picking(house, work)
    await report(house, work, (2, None))
    cancelled = await cancel(house, order)
    assert (cancelled["status"], cancelled["lines"]) == (
        "CANCELLED", [{"quantity": 3, "fulfilled": 0, "cancelled": 3, "backordered": 0}],
    )  # fmt: skip
    told = ", ".join(f'{{lineId: "{line["id"]}", picked: 3}}' for line in work["lines"])
    for step, arguments in (("reportPicked", f", lines: [{told}]"), ("packAssignment", ""), ("startPicking", "")):
        refused = await house.do(step, work["id"], "SM", arguments=arguments)
        assert (refused["__typename"], refused["found"], refused["allowed"]) == (
            "ActionNotAllowedError", "CANCELLED", ["RESTOCK"],
        )  # fmt: skip
    assert (await house.levels("pen"))["SM"] == (10, 2, 8)
    for _ in range(2):
        restocked = await house.do("restockAssignment", work["id"], "SM")
        assert (restocked["__typename"], restocked["allowedActions"]) == ("Assignment", [])
        assert (await house.levels("pen"))["SM"] == (10, 0, 10)
    found = await house.order(order["id"], "status shipments { id } timeline { message }")
    assert (found["status"], found["shipments"]) == ("CANCELLED", [])
    assert [entry["message"] for entry in found["timeline"]][-4:] == [
        f"{order['number']}-1 at Berlin Mitte was called off.",
        "Cancelled by storefront.",
        "Nothing is left to fulfil.",
        f"Berlin Mitte restocked {order['number']}-1.",
    ]


async def test_what_has_left_stays_fulfilled_when_the_rest_is_cancelled(house: House) -> None:
    order = await placed(house, ("rug", 1), ("pen", 3), level="STANDARD")
    first, *_ = works = await house.work(order["id"])
    assert len(works) == 2
    for step in ("acceptAssignment", "startPicking"):
        await house.do(step, first["id"], role=Role.OPERATIONS)
    told = ", ".join(f'{{lineId: "{line["id"]}", picked: {line["quantity"]}}}' for line in first["lines"])
    await house.do("reportPicked", first["id"], arguments=f", lines: [{told}]", role=Role.OPERATIONS)
    for step in ("packAssignment", "handOverAssignment"):
        await house.do(step, first["id"], role=Role.OPERATIONS)
    assert (await cancel(house, order))["status"] == "FULFILLED"
    refused = await cancel(house, order)
    assert (refused["__typename"], refused["found"], refused["allowed"]) == (
        "ActionNotAllowedError",
        "FULFILLED",
        ["REQUEST_RETURN"],
    )


async def test_some_units_are_cancelled_and_the_rest_goes_on(house: House) -> None:
    order = await placed(house, ("pen", 3), ("mug", 1))
    changed = await cancel_lines(house, order, 2, 1)
    assert changed["status"] == "ROUTED"
    assert [line["cancelled"] for line in changed["lines"]] == [2, 1]
    (work,) = await house.work(order["id"])
    assert [(line["sku"], line["quantity"]) for line in work["lines"]] == [("pen", 1)]
    assert (await house.levels("pen"))["SM"] == (10, 1, 9)
    assert (await cancel_lines(house, order, 1, 0))["status"] == "CANCELLED"
    (work,) = await house.work(order["id"])
    assert (work["status"], work["lines"][0]["quantity"]) == ("CANCELLED", 1)  # what it was about is known still


async def test_what_waits_for_stock_is_cancelled_before_what_is_being_done(house: House) -> None:
    order = await house.place("waits", [("pen", 25)], level="SAME_DAY", allowBackorder=True)
    before = await house.order(order["id"], FIELDS)
    waiting = before["lines"][0]["backordered"]
    assert waiting > 0
    changed = await cancel_lines(house, order, waiting)
    assert changed["lines"][0] == {"quantity": 25, "fulfilled": 0, "cancelled": waiting, "backordered": 0}
    assert sum(reserved for _, reserved, _ in (await house.levels("pen")).values()) == 25 - waiting


async def test_units_that_are_picked_are_not_cancelled_line_by_line(house: House) -> None:
    order = await placed(house, ("pen", 3))
    (work,) = await house.work(order["id"])
    await picking(house, work)
    await report(house, work, (2, None))
    refused = await cancel_lines(house, order, 2)
    assert refused["message"] == "1 x pen are picked, or part of a parcel that is cancelled as a whole."
    assert refused["path"] == ["lines", "0", "quantity"]
    assert (await cancel_lines(house, order, 1))["lines"][0]["cancelled"] == 1


async def test_work_of_which_nothing_is_left_to_find_is_called_off(house: House) -> None:
    order = await placed(house, ("pen", 3), ("mug", 1))
    (work,) = await house.work(order["id"])
    await picking(house, work)
    pens = f'{{lineId: "{work["lines"][0]["id"]}", picked: 0, reason: OTHER}}'
    await house.do("reportPicked", work["id"], "SM", arguments=f", lines: [{pens}]")
    assert (await cancel_lines(house, order, 0, 1))["status"] == "ROUTED"
    assert [each["status"] for each in await house.work(order["id"])] == ["CANCELLED", "OFFERED"]


@pytest.mark.parametrize(
    ("lines", "path"),
    [
        ("[]", ["lines"]),
        ('[{lineId: "<line>", quantity: 0}]', ["lines", "0", "quantity"]),
        ('[{lineId: "<line>", quantity: 4}]', ["lines", "0", "quantity"]),
        ('[{lineId: "<line>", quantity: 1}, {lineId: "<line>", quantity: 1}]', ["lines", "1", "lineId"]),
        ('[{lineId: "<other>", quantity: 1}]', ["lines", "0", "lineId"]),
    ],
)
async def test_lines_that_cannot_be_cancelled_are_named(house: House, lines: str, path: list[str]) -> None:
    order, other = await placed(house, ("pen", 3)), await placed(house, ("pen", 1), key="other")
    told = lines.replace("<line>", order["lines"][0]["id"]).replace("<other>", other["lines"][0]["id"])
    refused = await change(house, "cancelOrderLines", f'id: "{order["id"]}", lines: {told}')
    assert (refused["__typename"], refused["path"]) == ("InvalidInputError", path)


async def test_of_two_who_change_one_version_the_second_is_told_the_present_one(house: House) -> None:
    order = await placed(house, ("pen", 3))
    line = order["lines"][0]["id"]
    one = f'id: "{order["id"]}", lines: [{{lineId: "{line}", quantity: 1}}], expectedVersion: 1'
    answers = await asyncio.gather(*(change(house, "cancelOrderLines", one) for _ in range(2)))
    assert sorted(answer["__typename"] for answer in answers) == ["Order", "VersionConflictError"]
    assert [answer["currentVersion"] for answer in answers if "currentVersion" in answer] == [2]


async def test_stock_that_is_cancelled_goes_to_whoever_orders_it_meanwhile_and_is_never_sold_twice(
    house: House,
) -> None:
    orders = [await placed(house, ("pen", 5), key=f"first {n}") for n in range(4)]
    asked = [
        *(cancel(house, order) for order in orders),
        *(house.place(f"second {n}", [("pen", 5)], level="SAME_DAY") for n in range(8)),
    ]
    answers = await asyncio.gather(*asked)
    again = [answer for answer in answers[4:] if answer["__typename"] == "Order"]
    assert [answer["status"] for answer in answers[:4]] == ["CANCELLED"] * 4
    assert sum(reserved for _, reserved, _ in (await house.levels("pen")).values()) == 5 * len(again) <= 20
