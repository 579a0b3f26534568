"""Stock goes from one location to another: reserved, on its way, and there; also short, over, or called off."""

import asyncio
from typing import Any

import pytest

from domain.vocabulary import Role
from tests.api.house import ERROR, House

TRANSFER = "id number status version expectedAt from { code } to { code } lines { sku quantity received }"
ANSWER = f"""{{ __typename ... on Transfer {{ {TRANSFER} }} {ERROR}
    ... on OutOfStockError {{ missing {{ sku quantity }} }}
    ... on ActionNotAllowedError {{ found: status allowedActions }} }}"""
CREATE = f"""mutation ($from: ID!, $to: ID!, $lines: [TransferLineInput!]!, $key: String!, $at: DateTime) {{
    createTransfer(fromLocationId: $from, toLocationId: $to, lines: $lines, idempotencyKey: $key, expectedAt: $at)
    {ANSWER} }}"""
RECEIVE = f"mutation ($id: ID!, $lines: [TransferLineInput!]!) {{ receiveTransfer(id: $id, lines: $lines) {ANSWER} }}"
LEVEL = """query ($sku: String!, $at: ID!) { stockLevels(skus: [$sku], location: $at) { edges { node {
    onHand reserved available incoming } } } }"""

Lines = list[tuple[str, int]]


def as_input(lines: Lines) -> list[dict[str, Any]]:
    return [{"sku": sku, "quantity": quantity} for sku, quantity in lines]


async def create(house: House, lines: Lines, *ends: str, key: str = "key", by: str = "SM") -> dict[str, Any]:
    """Ask for a transfer from WB to SM, as the store SM would; other ends and another store may be named."""
    source, target = ends or ("WB", "SM")
    answer: dict[str, Any] = await house.ask(
        Role.STORE, CREATE, by, **{"from": house.ids[source]}, to=house.ids[target], lines=as_input(lines), key=key
    )
    return answer


async def step(house: House, name: str, id: str, by: str | None = None) -> dict[str, Any]:  # noqa: A002
    """Dispatch or cancel, as a store, or as the office."""
    query = f"mutation ($id: ID!) {{ {name}(id: $id) {ANSWER} }}"
    answer: dict[str, Any] = await (
        house.ask(Role.STORE, query, by, id=id) if by else house.ask(Role.OPERATIONS, query, id=id)
    )
    return answer


async def receive(house: House, id: str, lines: Lines, by: str = "SM") -> dict[str, Any]:  # noqa: A002
    answer: dict[str, Any] = await house.ask(Role.STORE, RECEIVE, by, id=id, lines=as_input(lines))
    return answer


async def level(house: House, at: str, sku: str = "mug") -> tuple[int, int, int, int]:
    """Return what is on hand, reserved, available and incoming."""
    edges = (await house.ask(Role.ADMIN, LEVEL, sku=sku, at=house.ids[at]))["edges"]
    return tuple(edges[0]["node"].values()) if edges else (0, 0, 0, 0)  # type: ignore[return-value]


async def ledger(house: House, sku: str) -> list[tuple[str, str, int, int]]:
    """Return every entry but those of the first load, by location and reason."""
    query = """query ($sku: String!) { stockMovements(sku: $sku, first: 100) { edges { node {
        location { code } reason onHandDelta reservedDelta note } } } }"""
    nodes = [edge["node"] for edge in (await house.ask(Role.ADMIN, query, sku=sku))["edges"]]
    return sorted(
        (node["location"]["code"], node["reason"], node["onHandDelta"], node["reservedDelta"])
        for node in nodes
        if node["reason"] != "COUNTED"
    )


async def test_a_transfer_is_reserved_then_on_its_way_then_there(house: House) -> None:
    asked = await create(house, [("mug", 10), ("lamp", 2)])
    assert (asked["status"], asked["version"], asked["from"], asked["to"]) == (
        "REQUESTED", 1, {"code": "WB"}, {"code": "SM"},
    )  # fmt: skip
    assert asked["lines"] == [
        {"sku": "mug", "quantity": 10, "received": 0},
        {"sku": "lamp", "quantity": 2, "received": 0},
    ]
    assert (await level(house, "WB"), await level(house, "SM")) == ((50, 10, 40, 0), (4, 0, 4, 0))
    sent = await step(house, "dispatchTransfer", asked["id"])
    assert (sent["status"], sent["version"]) == ("IN_TRANSIT", 2)
    assert (await level(house, "WB"), await level(house, "SM")) == ((40, 0, 40, 0), (4, 0, 4, 10))
    assert await level(house, "SM", "lamp") == (0, 0, 0, 2)
    there = await receive(house, asked["id"], [("lamp", 2), ("mug", 10)])
    assert (there["status"], there["version"]) == ("RECEIVED", 3)
    assert (await level(house, "WB"), await level(house, "SM")) == ((40, 0, 40, 0), (14, 0, 14, 0))
    assert await level(house, "SM", "lamp") == (2, 0, 2, 0)
    assert await ledger(house, "mug") == [
        ("SM", "TRANSFERRED_IN", 10, 0),
        ("WB", "RESERVED", 0, 10),
        ("WB", "TRANSFERRED_OUT", -10, -10),
    ]


async def test_what_came_short_or_over_is_the_truth_and_what_is_left_out_did_not_come(house: House) -> None:
    asked = await create(house, [("mug", 10), ("lamp", 2)])
    await step(house, "dispatchTransfer", asked["id"])
    there = await receive(house, asked["id"], [("mug", 12)])
    assert [line["received"] for line in there["lines"]] == [12, 0]
    assert await level(house, "SM") == (16, 0, 16, 0)
    assert await level(house, "SM", "lamp") == (0, 0, 0, 0)


async def test_each_step_may_be_sent_again(house: House) -> None:
    asked = await create(house, [("mug", 10)])
    assert await create(house, [("mug", 10)]) == asked
    assert (await level(house, "WB"))[1] == 10
    sent = await step(house, "dispatchTransfer", asked["id"])
    assert await step(house, "dispatchTransfer", asked["id"]) == sent
    there = await receive(house, asked["id"], [("mug", 9)])
    assert await receive(house, asked["id"], [("mug", 9)]) == there
    assert await create(house, [("mug", 10)]) == there
    assert await level(house, "SM") == (13, 0, 13, 0)
    other = await receive(house, asked["id"], [("mug", 8)])
    assert (other["__typename"], other["found"], other["allowedActions"]) == ("ActionNotAllowedError", "RECEIVED", [])
    conflict = await create(house, [("mug", 11)])
    assert (conflict["__typename"], conflict["path"]) == ("IdempotencyConflictError", ["idempotencyKey"])


async def test_transfers_with_one_key_at_once_are_made_once(house: House) -> None:
    made = await asyncio.gather(*(create(house, [("mug", 10)]) for _ in range(5)))
    assert {each["id"] for each in made} == {made[0]["id"]}
    assert await level(house, "WB") == (50, 10, 40, 0)


async def test_a_transfer_that_is_called_off_gives_back_what_it_holds(house: House) -> None:
    asked = await create(house, [("mug", 10)])
    gone = await step(house, "cancelTransfer", asked["id"], by="SM")
    assert (gone["status"], gone["version"]) == ("CANCELLED", 2)
    assert await step(house, "cancelTransfer", asked["id"], by="SM") == gone
    assert await level(house, "WB") == (50, 0, 50, 0)


async def test_a_transfer_that_turns_back_is_on_hand_at_its_source_again(house: House) -> None:
    asked = await create(house, [("mug", 10)])
    await step(house, "dispatchTransfer", asked["id"])
    assert (await step(house, "cancelTransfer", asked["id"]))["status"] == "CANCELLED"
    assert (await level(house, "WB"), await level(house, "SM")) == ((50, 0, 50, 0), (4, 0, 4, 0))
    assert ("WB", "TRANSFERRED_IN", 10, 0) in await ledger(house, "mug")


async def test_no_more_is_transferred_than_is_available(house: House) -> None:
    safety = "mutation ($rows: [SafetyStockInput!]!) { setSafetyStock(rows: $rows) { updated } }"
    rows = [{"sku": "mug", "locationCode": "WB", "safetyStock": 5}]
    await house.ask(Role.ADMIN, safety, rows=rows)
    answer = await create(house, [("mug", 48), ("rug", 1)])
    assert (answer["__typename"], answer["missing"]) == (
        "OutOfStockError", [{"sku": "mug", "quantity": 3}, {"sku": "rug", "quantity": 1}],
    )  # fmt: skip
    assert (await create(house, [("mug", 45)]))["status"] == "REQUESTED"  # the key is free, since nothing was made
    assert await level(house, "WB") == (50, 45, 0, 0)


async def test_what_is_not_on_hand_after_all_is_not_dispatched(house: House) -> None:
    asked = await create(house, [("mug", 10)])
    count = """mutation ($at: ID!) { countStock(sku: "mug", locationId: $at, onHand: 4) { __typename } }"""
    await house.ask(Role.ADMIN, count, at=house.ids["WB"])
    answer = await step(house, "dispatchTransfer", asked["id"])
    assert (answer["__typename"], answer["missing"]) == ("OutOfStockError", [{"sku": "mug", "quantity": 6}])
    assert await level(house, "WB") == (4, 10, 0, 0)
    await step(house, "cancelTransfer", asked["id"])
    assert await level(house, "WB") == (4, 0, 4, 0)


async def test_the_source_dispatches_and_the_target_receives(house: House) -> None:
    asked = await create(house, [("mug", 2)], "SN", "SM")
    early = await step(house, "dispatchTransfer", asked["id"], by="SM")
    assert (early["__typename"], early["found"], early["allowedActions"]) == (
        "ActionNotAllowedError", "REQUESTED", ["CANCEL"],
    )  # fmt: skip
    assert (await receive(house, asked["id"], [("mug", 2)]))["__typename"] == "ActionNotAllowedError"
    assert (await step(house, "dispatchTransfer", asked["id"], by="SN"))["status"] == "IN_TRANSIT"
    assert (await receive(house, asked["id"], [("mug", 2)], by="SN"))["__typename"] == "ActionNotAllowedError"
    assert (await receive(house, asked["id"], [("mug", 2)]))["status"] == "RECEIVED"
    late = await step(house, "cancelTransfer", asked["id"])
    assert (late["__typename"], late["allowedActions"]) == ("ActionNotAllowedError", [])


async def test_another_store_knows_nothing_of_it(house: House) -> None:
    asked = await create(house, [("mug", 2)])
    for answer in (
        await step(house, "dispatchTransfer", asked["id"], by="SN"),
        await step(house, "cancelTransfer", asked["id"], by="SN"),
        await receive(house, asked["id"], [("mug", 2)], by="SN"),
        await step(house, "dispatchTransfer", house.ids["SM"]),
    ):
        assert (answer["__typename"], answer["path"]) == ("NotFoundError", ["id"])
    foreign = await create(house, [("mug", 2)], by="SN", key="foreign")
    assert (foreign["__typename"], foreign["path"]) == ("NotFoundError", ["fromLocationId"])
    node = "query ($id: ID!) { node(id: $id) { id } }"
    assert await house.ask(Role.STORE, node, "SN", id=asked["id"]) is None
    assert await house.ask(Role.STORE, node, "SM", id=asked["id"]) == {"id": asked["id"]}
    assert (await house.ask(Role.STORE, "{ transfers { totalCount } }", "SN"))["totalCount"] == 0
    refused = await house.post(Role.STOREFRONT, "{ transfers { totalCount } }")
    assert refused["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_transfers_are_listed_by_location_and_status(house: House) -> None:
    first = await create(house, [("mug", 1)], key="1")
    house.clock[0] = house.now.replace(minute=5)
    second = await create(house, [("mug", 1)], "SM", "SN", key="2")
    await step(house, "dispatchTransfer", second["id"])

    async def found(arguments: str) -> list[str]:
        query = f"{{ transfers{arguments} {{ totalCount edges {{ node {{ id }} }} }} }}"
        answer = await house.ask(Role.OPERATIONS, query)
        assert answer["totalCount"] == len(answer["edges"])
        return [edge["node"]["id"] for edge in answer["edges"]]

    assert await found("") == [second["id"], first["id"]]
    assert await found(f'(location: "{house.ids["WB"]}")') == [first["id"]]
    assert await found(f'(location: "{house.ids["SM"]}")') == [second["id"], first["id"]]
    assert await found("(status: [IN_TRANSIT, RECEIVED])") == [second["id"]]


GOOD: dict[str, Any] = {
    "from": "@WB", "to": "@SM", "lines": [{"sku": "mug", "quantity": 1}], "key": "key", "at": "2026-03-05T09:00:00Z",
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "error", "path"),
    [
        ({"lines": []}, "InvalidInputError", ["lines"]),
        ({"lines": as_input([("mug", 0)])}, "InvalidInputError", ["lines", "0", "quantity"]),
        ({"lines": as_input([("mug", 2_000_000_000)])}, "InvalidInputError", ["lines", "0", "quantity"]),
        ({"lines": as_input([("hat", 1)])}, "InvalidInputError", ["lines", "0", "sku"]),
        ({"lines": as_input([(" ", 1)])}, "InvalidInputError", ["lines", "0", "sku"]),
        ({"lines": as_input([("mug", 1), ("mug", 1)])}, "InvalidInputError", ["lines", "1", "sku"]),
        ({"to": "@WB"}, "InvalidInputError", ["toLocationId"]),
        ({"key": " "}, "InvalidInputError", ["idempotencyKey"]),
        ({"from": "unknown"}, "NotFoundError", ["fromLocationId"]),
        ({"to": "unknown"}, "NotFoundError", ["toLocationId"]),
    ],
)
async def test_a_transfer_that_cannot_be_is_told_why(
    house: House, change: dict[str, Any], error: str, path: list[str]
) -> None:
    wanted = {**GOOD, **change}
    wanted |= {end: house.ids.get(wanted[end][1:], wanted[end]) for end in ("from", "to")}
    answer = await house.ask(Role.OPERATIONS, CREATE, **wanted)
    assert (answer["__typename"], answer["path"]) == (error, path)
    assert await level(house, "WB") == (50, 0, 50, 0)


@pytest.mark.parametrize(
    ("lines", "path"),
    [
        ([], ["lines"]),
        ([("mug", -1)], ["lines", "0", "quantity"]),
        ([("mug", 1), ("pen", 1)], ["lines", "1", "sku"]),
        ([("mug", 1), ("mug", 1)], ["lines", "1", "sku"]),
    ],
)
async def test_what_cannot_have_come_is_told_why(house: House, lines: Lines, path: list[str]) -> None:
    asked = await create(house, [("mug", 2)])
    await step(house, "dispatchTransfer", asked["id"])
    answer = await receive(house, asked["id"], lines)
    assert (answer["__typename"], answer["path"]) == ("InvalidInputError", path)
    assert (await level(house, "SM"))[3] == 2
