"""Bad input to queries and subscriptions: null or empty for what is not there, else one error with its code."""

import asyncio
import base64
import json
from typing import Any

import pytest
from gql import gql
from gql.transport.exceptions import TransportQueryError

from domain.vocabulary import Role
from tests.api.faults import (
    AMOUNT,
    CODE,
    CONTROL,
    LATITUDE,
    LONG,
    LONGITUDE,
    OPTIONAL,
    ORDER,
    TEXT,
    each,
    named,
    put,
    told,
)
from tests.api.house import BERLIN, OPTIONS, PLACE, House

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOTHING = "00000000-0000-0000-0000-000000000000"


def opaque(*key: str) -> str:
    """Return an id, as a caller might make one up."""
    return base64.urlsafe_b64encode("\x1f".join(key).encode()).decode().rstrip("=")


def cursor(*values: object) -> str:
    """Return a cursor, as a caller might make one up."""
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


IDS = [
    "", "x", "é", "!!!!", CONTROL, "A" * 5000, "__4",
    opaque("Order"), opaque("Order", "x"), opaque("Order", "9" * 400), opaque("Order", NOTHING), opaque("Order", "a\0"),
    opaque("Location", NOTHING), opaque("Location", NOTHING, "x"), opaque("Item", "a\0b"), opaque("Item", "a", "b"),
    opaque("Item", "unknown"), opaque("StockLevel", "mug"), opaque("StockLevel", "mug", "x"), opaque("Nothing", "x"),
    opaque("StockLevel", "mug\0", NOTHING), opaque("CarrierService", "\0"), opaque("Assignment", NOTHING),
]  # fmt: skip
CURSORS = [
    "", "x", "é", "!!!!", "A" * 5000, cursor(), cursor("a"), cursor("a", NOTHING, "b"), cursor(5, 5), cursor("mug", 5),
    cursor(None, None), cursor([], []), cursor({"a": 1}, {"b": 2}), cursor("a\0b", NOTHING), cursor("mug", "x"),
    cursor("x", "20260304"), opaque("cursor", "a\0"), opaque("cursor", "SM", "x"), opaque("cursor", "unknown"),
]  # fmt: skip
LISTS = ("locations(", "stockLevels(", "orders(", "assignments(", "orders(orderBy: { field: NUMBER }, ")
NO_TIMES = [
    cursor(time, NOTHING)
    for time in ("x", "20260304", "2026-03-04T12:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00")
]

CART = {
    "lines": ORDER["lines"],
    "destination": {**BERLIN, "position": {"latitude": 52.5, "longitude": 13.4}},
    "near": {"latitude": 52.5, "longitude": 13.4},
    "tags": [],
}
CARTS = {
    "lines": ([], [{"sku": f"item {n}", "quantity": 1} for n in range(101)]),
    "lines > lines.1.quantity": ([{"sku": "mug", "quantity": 1_000_000}] * 3000,),
    "lines > lines.1.unitPrice": ([{"sku": "mug", "quantity": 1}, {"sku": "mug", "quantity": 1, "unitPrice": "1"}],),
    "lines.0.quantity": (0, -1, 1_000_001, 2**31 - 1),
    "lines.0.unitPrice": AMOUNT,
    "lines.0 > lines": ({"sku": "mug", "quantity": 1_000_000, "unitPrice": "90071992547409.92"},),
    "currency": ("", "eur", "XXX", CONTROL),
    "channel": CODE,
    "tags.0": CODE,
    "tags": ([f"tag {n}" for n in range(1001)],),
    "destination.name": OPTIONAL,
    "destination.lines.0": OPTIONAL,
    "destination.postalCode": ("", " ", CONTROL, "1" * 17),
    "destination.city": TEXT,
    "destination.country": ("", "XX", "Germany"),
    "destination.position.latitude": LATITUDE,
    "destination.position.longitude": LONGITUDE,
    "near.latitude": LATITUDE,
    "near.longitude": LONGITUDE,
    "withinKm": (0, -1, -1e308),
    "pickupLocations": (0, -1, 51, 2**31 - 1),
    "at": ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2020-01-01T00:00:00Z", "2027-03-06T00:00:00Z"),
}
NEAR = "$near: GeoPointInput, $withinKm: Float"
SEARCHES = {
    "availability": f'query ({NEAR}) {{ availability(skus: ["mug"], near: $near, withinKm: $withinKm) {{ sku }} }}',
    "item": f'query ({NEAR}) {{ item(sku: "mug") {{ availability(near: $near, withinKm: $withinKm) {{ sku }} }} }}',
    "locations": f"query ({NEAR}) {{ locations(near: $near, withinKm: $withinKm) {{ totalCount }} }}",
}
SEARCHING = {
    "near.latitude": LATITUDE,
    "near.longitude": LONGITUDE,
    "withinKm": (0, -1),
    "near > withinKm": (None,),
}
IMPOSSIBLE = [
    ("query ($x: DateTime) { orders(where: { placedFrom: $x }) { totalCount } }",
     ("", "today", "2026-03-04", "2026-03-04T12:00:00", "2026-02-30T12:00:00Z", "0001-01-01T00:00:00+14:00", 5, True)),
    ("query ($x: Int) { orders(first: $x) { totalCount } }", (2**31, -(2**31) - 1, 1.5, "1", True)),
    ("query ($x: [OrderStatus!]) { orders(where: { status: $x }) { totalCount } }", ("X", "routed", [None], 1)),
    ("query ($x: ID!) { order(id: $x) { id } }", (None, 1.5, True, [], {})),
    ("query ($x: Float!) { locations(near: { latitude: 0, longitude: 0 }, withinKm: $x) { totalCount } }",
     ("1", True, None)),
    (PLACE.replace("$input: PlaceOrderInput!", "$x: Decimal!").replace(
        "input: $input",
        'input: { idempotencyKey: "x", customer: { name: "x" }, lines: [{ sku: "mug", quantity: 1, unitPrice: $x }] }'),
     ("", " 1", "1,5", "1e3", "1_0", "0x1", "NaN", "Infinity", "-", ".5", "\N{FULLWIDTH DIGIT ONE}", 1, 1.5, None)),
    ('mutation ($x: Duration) { saveLocation(input: { code: "SM", handlingTime: $x }) { __typename } }',
     ("", "P", "PT", "-PT5M", "P1M", "P1Y", "PT1.5S", "PT9999999999S", "45", 45)),
    ('mutation ($x: Date!) { saveLocation(input: { code: "SM", closures: [{ date: $x }] }) { __typename } }',
     ("", "2026-02-30", "24.12.2026", "10000-01-01", 20261224)),
    ("subscription ($x: Cursor) { orderUpdates(after: $x) { cursor } }", ("9" * 101, 1)),
]  # fmt: skip


@pytest.mark.parametrize("id", IDS, ids=named)
async def test_what_is_not_there_is_null_and_what_belongs_to_it_is_empty(shared_house: House, id: str) -> None:  # noqa: A002
    query = """query ($id: ID!) {
        node(id: $id) { id } nodes(ids: [$id]) { id } location(id: $id) { id } order(id: $id) { id }
        orders(where: { location: $id }) { totalCount } assignments(where: { location: $id }) { totalCount }
        stockLevels(location: $id) { totalCount } }"""
    answer = await shared_house.post(Role.ADMIN, query, id=id)
    none = {"totalCount": 0}
    assert answer == {
        "data": {
            "node": None, "nodes": [None], "location": None, "order": None,
            "orders": none, "assignments": none, "stockLevels": none,
        }
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", " ", CONTROL, LONG, "'; DROP TABLE item; --", "%", "\U0010ffff"], ids=named)
async def test_a_text_that_nothing_bears_finds_nothing(shared_house: House, text: str) -> None:
    query = """query ($x: String!) {
        item(sku: $x) { id } location(code: $x) { id } order(number: $x) { id }
        availability(skus: [$x], channel: $x) { available } stockLevels(skus: [$x]) { totalCount }
        orders(where: { tags: [$x], channel: [$x], sku: $x, customerEmail: $x }) { totalCount } }"""
    answer = await shared_house.post(Role.ADMIN, query, x=text)
    none = {"totalCount": 0}
    assert answer == {
        "data": {
            "item": None, "location": None, "order": None, "availability": [{"available": 0}],
            "stockLevels": none, "orders": none,
        }
    }  # fmt: skip


async def test_an_empty_list_asks_for_nothing_and_a_long_one_for_too_much(shared_house: House) -> None:
    empty = """{ stockLevels(skus: []) { totalCount } orders(where: { status: [] }) { totalCount }
        assignments(where: { method: [] }) { totalCount } locations(kind: []) { totalCount } nodes(ids: []) { id } }"""
    none = {"totalCount": 0}
    answer = await shared_house.post(Role.ADMIN, empty)
    assert answer == {
        "data": {"stockLevels": none, "orders": none, "assignments": none, "locations": none, "nodes": []}
    }
    found = await shared_house.options(("mug", 1), methods=[], levels=[])
    assert found == {"options": [], "unavailable": []}
    for name, query in (
        ("skus", "query ($x: [String!]!) { availability(skus: $x) { sku } }"),
        ("ids", "query ($x: [ID!]!) { nodes(ids: $x) { id } }"),
    ):
        for x in ([], ["mug"] * 1000) if name == "skus" else (["x"] * 101,):
            assert await told(shared_house, Role.ADMIN, query, x=x) == {"code": "INVALID_INPUT", "path": [name]}


async def test_an_unknown_item_of_a_cart_is_told_and_no_fault(shared_house: House) -> None:
    for sku in ("unknown", "", CONTROL, LONG):
        found = await shared_house.options((sku, 1), ("mug", 1))
        assert {(each["sku"], each["code"]) for each in found["unavailable"] if each["sku"] is not None} == {
            (sku, "UNKNOWN_SKU")
        }
        assert {option["complete"] for option in found["options"]} == {False}


@pytest.mark.parametrize(("place", "value", "path"), each(CARTS), ids=named)
async def test_a_cart_with_one_thing_wrong_has_no_options(
    shared_house: House, place: str, value: object, path: str
) -> None:
    extensions = await told(shared_house, Role.STOREFRONT, OPTIONS, input=put(CART, place, value))
    assert extensions == {"code": "INVALID_INPUT", "path": path.split(".")}


@pytest.mark.parametrize(("place", "value", "path"), each(SEARCHING), ids=named)
@pytest.mark.parametrize("name", SEARCHES)
async def test_what_is_looked_for_lies_on_earth_and_within_a_distance(
    shared_house: House, name: str, place: str, value: object, path: str
) -> None:
    whole = put({"near": {"latitude": 52.5, "longitude": 13.4}, "withinKm": 10}, place, value)
    extensions = await told(shared_house, Role.STOREFRONT, SEARCHES[name], **whole)
    assert extensions == {"code": "INVALID_INPUT", "path": path.split(".")}


@pytest.mark.parametrize("name", LISTS)
async def test_a_page_is_asked_for_from_one_side_and_holds_1_to_100_rows(shared_house: House, name: str) -> None:
    for arguments, path in (
        *((f"{side}: {size}", side) for side in ("first", "last") for size in (0, -1, 101, 2**31 - 1)),
        ("first: 1, last: 1", "last"),
    ):
        extensions = await told(shared_house, Role.ADMIN, f"{{ {name}{arguments}) {{ edges {{ cursor }} }} }}")
        assert extensions == {"code": "INVALID_INPUT", "path": [path]}, arguments


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *((name, text) for name in LISTS for text in CURSORS),
        *((name, text) for name in ("orders(", "assignments(") for text in NO_TIMES),
    ],
    ids=named,
)
async def test_a_cursor_of_no_list_is_refused(shared_house: House, name: str, text: str) -> None:
    for side in ("after", "before"):
        query = f"query ($x: String) {{ {name}{side}: $x) {{ edges {{ cursor }} }} }}"
        extensions = await told(shared_house, Role.ADMIN, query, x=text)
        assert extensions == {"code": "INVALID_INPUT", "path": [side]}


@pytest.mark.parametrize(
    ("query", "value"), [(query, value) for query, values in IMPOSSIBLE for value in values], ids=named
)
async def test_a_value_that_its_type_cannot_hold_is_refused_before_anything_runs(
    shared_house: House, query: str, value: object
) -> None:
    if query.startswith("subscription"):
        error = await heard(shared_house, query, x=value)
        assert error["extensions"]["code"] == "INVALID_INPUT"
    else:
        assert (await told(shared_house, Role.ADMIN, query, x=value))["code"] == "INVALID_INPUT"


async def heard(house: House, query: str, **variables: Any) -> dict[str, Any]:
    """Subscribe and return the error that is the answer."""
    asked = gql(query)
    asked.variable_values = variables
    async with asyncio.timeout(30), house.socket(Role.ADMIN) as session:
        with pytest.raises(TransportQueryError) as raised:
            await anext(session.subscribe(asked))
    error: dict[str, Any] = (raised.value.errors or [])[0]
    return error


@pytest.mark.parametrize(
    ("after", "code"),
    [
        *((text, "INVALID_INPUT") for text in ("", "x", "é", "1", "1.2", "1.2.3.4", "-1.0.0", "1.x.0", CONTROL)),
        *((text, "INVALID_INPUT") for text in (f"{2**31}.0.0", f"1.{2**63}.0", f"1.1.{2**63}", "9" * 100)),
        *((f"epoch{text}", "CURSOR_EXPIRED") for text in ("-1.1.0", "+1.1.0", f".{2**63 - 1}.0")),
    ],
    ids=named,
)
async def test_updates_are_not_followed_from_a_cursor_that_the_feed_did_not_give(
    shared_house: House, after: str, code: str
) -> None:
    now: str = await shared_house.ask(Role.ADMIN, "{ updatesCursor }")
    epoch = int(now.split(".", maxsplit=1)[0])
    for other in ("epoch-1", "epoch+1", "epoch"):
        after = after.replace(other, str(epoch + int(other.removeprefix("epoch") or 0)))
    oldest = {"oldestCursor": f"{epoch}.0.0"} if code == "CURSOR_EXPIRED" else {"path": ["after"]}
    for field in ("orderUpdates", "stockUpdates", f'assignmentUpdates(locationId: "{shared_house.ids["SM"]}"'):
        arguments = f"{field}, after: $after)" if "(" in field else f"{field}(after: $after)"
        error = await heard(shared_house, f"subscription ($after: Cursor) {{ {arguments} {{ cursor }} }}", after=after)
        assert error["extensions"] == {"code": code, **oldest}


@pytest.mark.parametrize(
    "id", ["", "x", "é", opaque("Item", "mug"), opaque("Location", NOTHING), "A" * 5000], ids=named
)
@pytest.mark.parametrize(
    ("field", "path"),
    [
        ("orderUpdates(orderId: $id)", "orderId"),
        ("orderUpdates(locationId: $id)", "locationId"),
        ("stockUpdates(locationId: $id)", "locationId"),
        ("assignmentUpdates(locationId: $id)", "locationId"),
    ],
)
async def test_what_is_not_there_has_no_updates(shared_house: House, field: str, path: str, id: str) -> None:  # noqa: A002
    error = await heard(shared_house, f"subscription ($id: ID!) {{ {field} {{ cursor }} }}", id=id)
    assert error["extensions"] == {"code": "NOT_FOUND", "path": [path]}
