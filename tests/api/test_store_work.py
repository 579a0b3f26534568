"""What locations do with their work, and where it goes when they cannot."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from domain.vocabulary import Role
from tests.api.house import House


async def placed(house: House, *lines: tuple[str, int], level: str = "SAME_DAY", key: str = "order") -> dict[str, Any]:
    order = await house.place(key, lines, level=level)
    assert order["__typename"] == "Order", order
    return order


async def picking(house: House, assignment: dict[str, Any]) -> None:
    store = assignment["location"]["code"]
    await house.do("acceptAssignment", assignment["id"], store)
    assert (await house.do("startPicking", assignment["id"], store))["status"] == "PICKING"


async def report(house: House, assignment: dict[str, Any], *picked: tuple[int, str | None]) -> dict[str, Any]:
    told = [
        f'{{lineId: "{line["id"]}", picked: {count}{f", reason: {reason}" if reason else ""}}}'
        for line, (count, reason) in zip(assignment["lines"], picked, strict=True)
    ]
    answer: dict[str, Any] = await house.do(
        "reportPicked",
        assignment["id"],
        assignment["location"]["code"],
        arguments=f", lines: [{', '.join(told)}]",
    )
    return answer


async def reject(house: House, assignment: dict[str, Any], reason: str = "TOO_BUSY") -> dict[str, Any]:
    store = assignment["location"]["code"]
    answer: dict[str, Any] = await house.do(
        "rejectAssignment", assignment["id"], store, arguments=f", reason: {reason}"
    )
    return answer


async def test_a_rejected_assignment_is_routed_anew_without_that_location(house: House) -> None:
    order = await placed(house, ("pen", 3))
    (first,) = await house.work(order["id"])
    assert first["location"]["code"] == "SM"
    rejected = await reject(house, first)
    assert (rejected["status"], rejected["rejectReason"]) == ("REJECTED", "TOO_BUSY")
    _, second = await house.work(order["id"])
    assert (second["location"]["code"], second["status"], second["number"]) == ("SN", "OFFERED", f"{order['number']}-2")
    assert await house.levels("pen") == {"SM": (10, 0, 10), "SN": (10, 3, 7)}
    assert (await house.order(order["id"]))["status"] == "ROUTED"


async def test_an_order_that_every_location_rejects_is_unroutable_and_says_so(house: House) -> None:
    order = await placed(house, ("pen", 3))
    for _ in range(2):
        await reject(house, (await house.work(order["id"]))[-1])
    found = await house.order(order["id"], "status timeline { message }")
    assert found["status"] == "UNROUTABLE"
    said = [entry["message"] for entry in found["timeline"]]
    assert "No other location can supply 3 x pen." in said
    assert said[-1] == "No location can fulfil the order now."
    assert await house.levels("pen") == {"SM": (10, 0, 10), "SN": (10, 0, 10)}


async def test_what_a_short_pick_does_not_find_leaves_the_stock_and_is_routed_anew(house: House) -> None:
    order = await placed(house, ("mug", 3))
    (first,) = await house.work(order["id"])
    await picking(house, first)
    after = await report(house, first, (1, "OUT_OF_STOCK"))
    assert after["lines"][0] | {"id": ""} == {"id": "", "sku": "mug", "quantity": 3, "picked": 1, "short": 2}
    levels = await house.levels("mug")
    assert levels["SM"] == (2, 1, 1)
    assert levels["SN"] == (4, 2, 2)
    _, second = await house.work(order["id"])
    assert (second["location"]["code"], second["lines"][0]["quantity"]) == ("SN", 2)
    for assignment, count in ((first, None), (second, 2)):
        if count:
            await picking(house, assignment)
            await report(house, assignment, (count, None))
        await house.do("packAssignment", assignment["id"], assignment["location"]["code"])
        await house.do("handOverAssignment", assignment["id"], assignment["location"]["code"])
    assert (await house.order(order["id"]))["status"] == "FULFILLED"
    assert (await house.levels("mug"))["SM"] == (1, 0, 1)


async def test_a_short_pick_locks_levels_in_the_order_of_everybody(house: House) -> None:
    order = await placed(house, ("mug", 3))
    await reject(house, (await house.work(order["id"]))[0])
    _, work = await house.work(order["id"])
    other = await placed(house, ("mug", 3), key="other")
    assert [work["location"]["code"], (await house.work(other["id"]))[0]["location"]["code"]] == ["SN", "SM"]
    await picking(house, work)
    lock = "SELECT FROM stock s JOIN location l ON l.id = location_id WHERE sku = 'mug' AND code = $1 FOR UPDATE OF s"
    assert house.gateway
    database = house.gateway.database
    async with database.transaction() as connection, asyncio.timeout(30):
        levels = await connection.fetch("SELECT code FROM location ORDER BY id")
        first, *later = [row["code"] for row in levels if row["code"] in {"SN", "WB"}]  # from where, and to where
        await connection.execute(lock, first)
        reporting = asyncio.create_task(report(house, work, (1, "OUT_OF_STOCK")))
        while not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
            await asyncio.sleep(0.01)
        for code in later:
            await connection.execute(f"{lock} NOWAIT", code)  # whoever waits for the first holds none after it
    assert (await reporting)["lines"][0]["short"] == 2


async def test_an_assignment_of_which_nothing_is_found_is_rejected(house: House) -> None:
    order = await placed(house, ("pen", 2))
    (first,) = await house.work(order["id"])
    await picking(house, first)
    after = await report(house, first, (0, "DAMAGED"))
    assert (after["status"], after["rejectReason"]) == ("REJECTED", "DAMAGED")
    assert (await house.levels("pen")) == {"SM": (8, 0, 8), "SN": (10, 2, 8)}


async def test_a_part_that_nobody_else_has_stays_open_while_the_rest_goes_on(house: House) -> None:
    order = await placed(house, ("rug", 3), level="STANDARD")
    (first,) = await house.work(order["id"])
    await picking_as_office(house, first)
    await house.do(
        "reportPicked",
        first["id"],
        arguments=f', lines: [{{lineId: "{first["lines"][0]["id"]}", picked: 2, reason: OUT_OF_STOCK}}]',
        role=Role.OPERATIONS,
    )
    for step in ("packAssignment", "handOverAssignment"):
        await house.do(step, first["id"], role=Role.OPERATIONS)
    assert (await house.order(order["id"]))["status"] == "PARTIALLY_FULFILLED"
    assert await house.levels("rug") == {"WH": (0, 0, 0)}


async def picking_as_office(house: House, assignment: dict[str, Any]) -> None:
    for step in ("acceptAssignment", "startPicking"):
        await house.do(step, assignment["id"], role=Role.OPERATIONS)


async def test_packing_waits_until_every_line_is_picked_or_short(house: House) -> None:
    order = await placed(house, ("mug", 2))
    (work,) = await house.work(order["id"])
    await picking(house, work)
    await report(house, work, (1, None))
    refused = await house.do("packAssignment", work["id"], "SM")
    assert refused["__typename"] == "InvalidInputError"
    assert refused["message"] == "1 x mug are neither picked nor reported short."
    assert (await house.do("handOverAssignment", work["id"], "SM"))["allowed"] == ["REJECT", "REPORT_PICKED"]
    query = "query ($id: ID!) { node(id: $id) { ... on Assignment { allowedActions } } }"
    for more in (False, True):
        done = await report(house, work, (2, None)) if more else await house.ask(Role.STORE, query, "SM", id=work["id"])
        assert done["allowedActions"] == ["REJECT", "REPORT_PICKED"] + ["PACK"] * more


async def thrice(house: House, step: str, work: dict[str, Any], arguments: str = "") -> dict[str, Any]:
    """Take a step at two tablets at once, and once more; return what all of them are answered."""
    store = work["location"]["code"]
    at_once = [house.do(step, work["id"], store, arguments=arguments) for _ in range(2)]
    first, second = await asyncio.gather(*at_once)
    assert first == second == await house.do(step, work["id"], store, arguments=arguments)
    assert first["__typename"] == "Assignment", first
    return dict(first)


async def test_repeating_a_step_answers_the_object_and_has_effect_once(house: House) -> None:
    pickup = {"method": "PICKUP", "pickupLocationId": house.ids["SM"], "shipTo": None}
    sent, fetched = await placed(house, ("pen", 1)), await house.place("fetched", [("pen", 2)], **pickup)
    refused, stopped = [await placed(house, ("pen", 1), key=key) for key in ("refused", "stopped")]
    works = {order["id"]: (await house.work(order["id"]))[0] for order in (sent, fetched, refused, stopped)}
    code = (await house.order(fetched["id"], "pickupCode"))["pickupCode"]
    ends = {
        sent["id"]: [("packAssignment", ""), ("handOverAssignment", "")],
        fetched["id"]: [("packAssignment", ""), ("markReadyForPickup", ""),
                        ("collectAssignment", f', pickupCode: "{code}"')],
        stopped["id"]: [],
    }  # fmt: skip
    for order, steps in ends.items():
        work = works[order]
        picked = f', lines: [{{lineId: "{work["lines"][0]["id"]}", picked: {work["lines"][0]["quantity"]}}}]'
        begin = [("acceptAssignment", ", expectedVersion: 1"), ("startPicking", ""), ("reportPicked", picked)]
        for step, arguments in begin + steps:
            await thrice(house, step, work, arguments)
    await thrice(house, "rejectAssignment", works[refused["id"]], ', reason: OTHER, note: "No hands"')
    cancel = f'mutation {{ cancelOrder(id: "{stopped["id"]}") {{ ... on Order {{ status version }} }} }}'
    answers = [await house.ask(Role.STOREFRONT, cancel) for _ in range(2)]
    assert answers[0] == answers[1]
    await thrice(house, "restockAssignment", works[stopped["id"]])
    assert await house.levels("pen") == {"SM": (7, 0, 7), "SN": (10, 1, 9)}
    for order in works:
        said = [entry["message"] for entry in (await house.order(order, "timeline { message }"))["timeline"]]
        assert len(set(said) - {"Routed to its locations."}) == len(said) - said.count("Routed to its locations.")


async def test_two_tablets_that_reject_and_accept_at_once_leave_one_winner(house: House) -> None:
    order = await placed(house, ("pen", 2))
    (work,) = await house.work(order["id"])
    answers = await asyncio.gather(
        house.do("acceptAssignment", work["id"], "SM", arguments=f", expectedVersion: {1}"), reject(house, work)
    )
    accepted = answers[0]["__typename"] == "Assignment"
    assert answers[1]["__typename"] == "Assignment"  # what was accepted may still be rejected
    assert accepted or answers[0]["__typename"] in {"VersionConflictError", "ActionNotAllowedError"}
    assert (await house.levels("pen"))["SM"] == (10, 0, 10)


async def ready(house: House) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a pickup order that waits at the counter of SM, with its assignment."""
    order = await house.place(
        "pickup", [("pen", 2), ("mug", 1)], method="PICKUP", pickupLocationId=house.ids["SM"], shipTo=None
    )
    assert order["__typename"] == "Order", order
    (work,) = await house.work(order["id"])
    await picking(house, work)
    await report(house, work, (2, None), (1, None))
    await house.do("packAssignment", work["id"], "SM")
    answer = await house.do("markReadyForPickup", work["id"], "SM")
    assert (answer["status"], answer["allowedActions"]) == ("READY_FOR_PICKUP", ["COLLECT"])
    return order, work


async def test_a_shopper_collects_with_the_code_and_the_order_is_completed(house: House) -> None:
    order, work = await ready(house)
    code = (await house.order(order["id"], "pickupCode", Role.STOREFRONT))["pickupCode"]
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    refused = await house.do("collectAssignment", work["id"], "SM", arguments=f', pickupCode: "{wrong}"')
    assert (refused["__typename"], refused["attemptsLeft"]) == ("InvalidPickupCodeError", 4)
    collected = await house.do("collectAssignment", work["id"], "SM", arguments=f', pickupCode: "{code}"')
    assert collected["status"] == "COLLECTED"
    assert (await house.order(order["id"]))["status"] == "COMPLETED"
    assert (await house.levels("pen"))["SM"] == (8, 0, 8)


async def test_what_a_shopper_leaves_at_the_counter_is_put_back_and_cancelled(house: House) -> None:
    order, work = await ready(house)
    code = (await house.order(order["id"], "pickupCode", Role.STOREFRONT))["pickupCode"]
    line = work["lines"][0]["id"]
    for units, path in ((3, ["lines", "0", "quantity"]), (0, ["lines"])):
        told = f', pickupCode: "{code}", lines: [{{lineId: "{line}", quantity: {units}}}]'
        assert (await house.do("collectAssignment", work["id"], "SM", arguments=told))["path"] == path
    told = f', pickupCode: "{code}", lines: [{{lineId: "{line}", quantity: 1}}]'
    for _ in range(2):
        collected = await house.do("collectAssignment", work["id"], "SM", arguments=told)
        assert collected["status"] == "COLLECTED"
    found = await house.order(order["id"], "status lines { sku fulfilled cancelled }")
    pen, mug = {"sku": "pen", "fulfilled": 1, "cancelled": 1}, {"sku": "mug", "fulfilled": 0, "cancelled": 1}
    assert found == {"status": "COMPLETED", "lines": [pen, mug]}
    assert (await house.levels("pen"))["SM"] == (9, 0, 9)


async def test_what_nobody_collects_in_time_is_cancelled_and_sold_again_once_it_is_back(house: House) -> None:
    order, work = await ready(house)
    query = "query ($id: ID!) { node(id: $id) { ... on Assignment { status collectBy allowedActions } } }"
    found = await house.ask(Role.STORE, query, "SM", id=work["id"])
    assert found["collectBy"] == (house.now + timedelta(days=7)).isoformat()
    house.clock[0] += timedelta(days=7)
    async with asyncio.timeout(30):
        while (await house.ask(Role.STORE, query, "SM", id=work["id"]))["status"] != "NOT_COLLECTED":
            await asyncio.sleep(0.05)
    assert (await house.order(order["id"]))["status"] == "CANCELLED"
    assert (await house.levels("pen"))["SM"] == (10, 2, 8)
    assert (await house.do("restockAssignment", work["id"], "SM"))["allowedActions"] == []
    assert (await house.levels("pen"))["SM"] == (10, 0, 10)


async def test_five_wrong_codes_lock_the_parcel_for_a_while_even_for_the_right_one(house: House) -> None:
    order, work = await ready(house)
    code = (await house.order(order["id"], "pickupCode"))["pickupCode"]
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    left = []
    for _ in range(5):
        refused = await house.do("collectAssignment", work["id"], "SM", arguments=f', pickupCode: "{wrong}"')
        left.append(refused["attemptsLeft"])
    assert left == [4, 3, 2, 1, 0]
    said = [entry["message"] for entry in (await house.order(order["id"], "timeline { message }"))["timeline"]]
    assert said[-1] == f"Berlin Mitte was shown 5 wrong pickup codes for {order['number']}-1, and takes none now."
    locked = await house.do("collectAssignment", work["id"], "SM", arguments=f', pickupCode: "{code}"')
    assert locked["__typename"] == "InvalidPickupCodeError"
    assert locked["lockedUntil"] == "2026-03-04T11:15:00+00:00"
    house.clock[0] = house.now.replace(minute=16)
    collected = await house.do("collectAssignment", work["id"], "SM", arguments=f', pickupCode: "{code}"')
    assert collected["status"] == "COLLECTED"


async def test_a_rejected_pickup_stays_at_its_store_what_another_has_is_sent_there(house: House) -> None:
    order = await house.place("pickup", [("pen", 2)], method="PICKUP", pickupLocationId=house.ids["SM"], shipTo=None)
    (work,) = await house.work(order["id"])
    await reject(house, work, "DAMAGED")
    assert len(await house.work(order["id"])) == 1
    assert (await house.order(order["id"]))["status"] == "ROUTED"
    edges = (await house.ask(Role.OPERATIONS, "{ transfers { edges { node { from { code } to { code } } } } }"))[
        "edges"
    ]
    assert edges == [{"node": {"from": {"code": "SN"}, "to": {"code": "SM"}}}]


@pytest.mark.parametrize(
    ("step", "arguments", "allowed"),
    [
        ("startPicking", "", ["ACCEPT", "REJECT"]),
        ("packAssignment", "", ["ACCEPT", "REJECT"]),
        ("handOverAssignment", "", ["ACCEPT", "REJECT"]),
        ("markReadyForPickup", "", ["ACCEPT", "REJECT"]),
        ("collectAssignment", ', pickupCode: "1"', ["ACCEPT", "REJECT"]),
    ],
)
async def test_a_step_that_is_not_due_answers_what_is(
    house: House, step: str, arguments: str, allowed: list[str]
) -> None:
    order = await placed(house, ("pen", 1))
    (work,) = await house.work(order["id"])
    refused = await house.do(step, work["id"], "SM", arguments=arguments)
    assert refused["__typename"] == "ActionNotAllowedError"
    assert (refused["found"], refused["allowed"]) == ("OFFERED", allowed)
