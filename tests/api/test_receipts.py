"""What suppliers are to bring is incoming until it is received: in parts, short, or over."""

import asyncio
from typing import Any

import pytest

from domain.vocabulary import Role
from tests.api.house import ERROR, House

EXPECT = """mutation ($rows: [ReceiptInput!]!, $onError: OnRowError! = SKIP_ROW) {
    expectReceipts(rows: $rows, onError: $onError) { created updated unchanged failed { row code path } } }"""
RECEIPT = "id reference location { code } sku quantity received expectedAt"
RECEIVE = f"""mutation ($id: ID!, $quantity: Int!, $key: String!) {{
    receiveReceipt(id: $id, quantity: $quantity, idempotencyKey: $key) {{
        __typename ... on Receipt {{ {RECEIPT} }} {ERROR} }} }}"""
LIST = f"""query ($skus: [String!], $at: ID, $reference: String) {{
    receipts(skus: $skus, location: $at, reference: $reference) {{ totalCount edges {{ node {{ {RECEIPT} }} }} }} }}"""
ROW = {
    "reference": "PO-1", "locationCode": "SM", "sku": "rug", "quantity": 10, "expectedAt": "2026-03-10T08:00:00+01:00",
}  # fmt: skip


async def expect(house: House, *rows: dict[str, Any], **more: Any) -> tuple[int, int, int]:
    """Return how many were created, updated and unchanged; none may fail."""
    answer = await house.ask(Role.OPERATIONS, EXPECT, rows=[{**ROW, **row} for row in rows], **more)
    assert answer["failed"] == []
    return answer["created"], answer["updated"], answer["unchanged"]


async def receipt(house: House, **which: Any) -> dict[str, Any]:
    (edge,) = (await house.ask(Role.OPERATIONS, LIST, **which))["edges"]
    found: dict[str, Any] = edge["node"]
    return found


async def receive(house: House, quantity: int, key: str, by: str = "SM") -> dict[str, Any]:
    """Receive of the only receipt of PO-1, as a store."""
    one = await receipt(house, reference="PO-1")
    answer: dict[str, Any] = await house.ask(Role.STORE, RECEIVE, by, id=one["id"], quantity=quantity, key=key)
    return answer


async def level(house: House, at: str = "SM", sku: str = "rug") -> tuple[int, int, int]:
    """Return what is on hand, available and incoming."""
    query = """query ($sku: String!, $at: ID!) { stockLevels(skus: [$sku], location: $at) { edges { node {
        onHand available incoming } } } }"""
    (edge,) = (await house.ask(Role.ADMIN, query, sku=sku, at=house.ids[at]))["edges"]
    onhand, available, incoming = edge["node"].values()
    return onhand, available, incoming


async def test_what_is_expected_is_incoming_and_what_is_said_again_changes_it(house: House) -> None:
    assert await expect(house, {}) == (1, 0, 0)
    assert await level(house) == (0, 0, 10)
    assert await expect(house, {}) == (0, 0, 1)
    assert await expect(house, {"quantity": 4}, {"reference": "PO-2", "quantity": 3}) == (1, 1, 0)
    assert await level(house) == (0, 0, 7)
    assert await expect(house, {"quantity": 4, "expectedAt": "2026-03-12T08:00:00+01:00"}) == (0, 1, 0)
    assert await level(house) == (0, 0, 7)
    found = await receipt(house, reference="PO-1")
    assert (found["location"], found["quantity"], found["expectedAt"]) == (
        {"code": "SM"}, 4, "2026-03-12T07:00:00+00:00",
    )  # fmt: skip


async def test_what_is_received_in_parts_is_on_hand_and_expected_no_more(house: House) -> None:
    await expect(house, {})
    first = await receive(house, 4, "first")
    assert (first["__typename"], first["received"]) == ("Receipt", 4)
    assert await receive(house, 4, "first") == first
    assert await level(house) == (4, 4, 6)
    over = await receive(house, 9, "second")
    assert (over["quantity"], over["received"]) == (10, 13)
    assert await level(house) == (13, 13, 0)
    assert await expect(house, {"quantity": 12}) == (0, 1, 0)
    assert await level(house) == (13, 13, 0)
    assert await expect(house, {"quantity": 20}) == (0, 1, 0)
    assert await level(house) == (13, 13, 7)
    query = '{ stockMovements(sku: "rug", location: "%s") { edges { node { reason onHandDelta note } } } }'
    nodes = [edge["node"] for edge in (await house.ask(Role.ADMIN, query % house.ids["SM"]))["edges"]]
    assert sorted(node["onHandDelta"] for node in nodes) == [4, 9]
    assert {(node["reason"], node["note"]) for node in nodes} == {("RECEIVED", "Receipt PO-1.")}


async def test_a_key_is_used_for_one_receiving_only(house: House) -> None:
    await expect(house, {})
    await receive(house, 4, "key")
    other = await receive(house, 5, "key")
    assert (other["__typename"], other["path"]) == ("IdempotencyConflictError", ["idempotencyKey"])
    assert await level(house) == (4, 4, 6)


async def test_what_is_on_its_way_counts_where_it_is_in_reach(house: House) -> None:
    await expect(house, {}, {"reference": "PO-2", "locationCode": "WH", "quantity": 3})

    async def incoming(**reach: Any) -> int:
        query = """query ($near: GeoPointInput, $withinKm: Float) {
            availability(skus: ["rug"], near: $near, withinKm: $withinKm) { incoming } }"""
        (found,) = await house.ask(Role.STOREFRONT, query, **reach)
        number: int = found["incoming"]
        return number

    berlin = {"latitude": 52.5, "longitude": 13.4}
    assert await incoming() == 13
    assert await incoming(near=berlin, withinKm=50) == 10
    await receive(house, 4, "some")
    assert await incoming() == 9
    suspend = "mutation ($id: ID!) { setLocationStatus(id: $id, status: SUSPENDED) { __typename } }"
    await house.ask(Role.ADMIN, suspend, id=house.ids["SM"])
    assert await incoming() == 3


async def test_receivings_at_once_are_all_counted(house: House) -> None:
    await expect(house, {})
    await asyncio.gather(*(receive(house, 2, f"key {n}") for n in range(6)), expect(house, {"quantity": 20}))
    assert await level(house) == (12, 12, 8)


async def test_a_store_receives_its_own_and_only_the_office_expects(house: House) -> None:
    await expect(house, {})
    answer = await receive(house, 1, "foreign", by="SN")
    assert (answer["__typename"], answer["path"]) == ("NotFoundError", ["id"])
    for role, locations in ((Role.STOREFRONT, ()), (Role.STORE, ("SM",))):
        refused = await house.post(role, EXPECT, *locations, rows=[ROW])
        assert refused["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    refused = await house.post(Role.STOREFRONT, LIST)
    assert refused["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert (await house.ask(Role.STORE, LIST, "SN"))["totalCount"] == 0
    assert (await house.ask(Role.STORE, LIST, "SM"))["totalCount"] == 1
    one = await receipt(house, skus=["rug"], at=house.ids["SM"])
    node = "query ($id: ID!) { node(id: $id) { ... on Receipt { reference } } }"
    assert await house.ask(Role.STORE, node, "SN", id=one["id"]) is None
    assert await house.ask(Role.STORE, node, "SM", id=one["id"]) == {"reference": "PO-1"}


BAD = [
    ({"reference": " "}, "INVALID_INPUT", ["reference"]),
    ({"locationCode": "XX"}, "NOT_FOUND", ["locationCode"]),
    ({"sku": "hat"}, "NOT_FOUND", ["sku"]),
    ({"quantity": 0}, "INVALID_INPUT", ["quantity"]),
    ({"quantity": 1_000_000_001}, "INVALID_INPUT", ["quantity"]),
    ({}, "INVALID_INPUT", None),
]


@pytest.mark.parametrize(("change", "code", "path"), BAD)
async def test_a_bad_row_is_named_and_spoils_no_other_unless_asked_to(
    house: House, change: dict[str, Any], code: str, path: list[str] | None
) -> None:
    rows = [{**ROW, "sku": "pen"}, {**ROW, **({"sku": "pen"} if not change else {}), **change}]
    rejected = await house.ask(Role.ADMIN, EXPECT, rows=rows, onError="REJECT_ALL")
    assert (rejected["created"], rejected["failed"]) == (0, [{"row": 1, "code": code, "path": path}])
    assert await level(house, sku="pen") == (10, 10, 0)
    skipped = await house.ask(Role.ADMIN, EXPECT, rows=rows)
    assert (skipped["created"], skipped["failed"]) == (1, rejected["failed"])
    assert await level(house, sku="pen") == (10, 10, 10)


async def test_more_than_a_level_holds_is_not_expected(house: House) -> None:
    rows = [{**ROW, "reference": f"PO-{n}", "quantity": 900_000_000} for n in range(2)]
    answer = await house.ask(Role.ADMIN, EXPECT, rows=rows)
    assert answer["created"] == 0
    assert [(each["row"], each["path"]) for each in answer["failed"]] == [(0, ["quantity"]), (1, ["quantity"])]
    assert (await house.ask(Role.ADMIN, LIST))["totalCount"] == 0


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"quantity": 0}, "quantity"),
        ({"quantity": -1}, "quantity"),
        ({"quantity": 1_000_000_001}, "quantity"),
        ({"key": ""}, "idempotencyKey"),
    ],
)
async def test_what_cannot_have_come_is_told_why(house: House, change: dict[str, Any], path: str) -> None:
    await expect(house, {})
    answer = await receive(house, **{"quantity": 1, "key": "key", **change})
    assert (answer["__typename"], answer["path"]) == ("InvalidInputError", [path])
    assert await level(house) == (0, 0, 10)
