"""Bad input to mutations: each fault is answered with its typed error, at its path, and leaves no trace."""

from datetime import timedelta
from typing import Any

import pytest

from domain.vocabulary import Role
from tests.api.faults import (
    AMOUNT,
    CODE,
    CONTROL,
    LATITUDE,
    LONGITUDE,
    OPTIONAL,
    ORDER,
    STEPS,
    TEXT,
    each,
    named,
    put,
    refused,
    unchanged,
    verdict,
)
from tests.api.house import BERLIN, House

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOO_MANY = [{"sku": f"item {n}", "quantity": 1, "unitPrice": "1"} for n in range(101)]
DEAR = [{"sku": "mug", "quantity": 1_000_000, "unitPrice": "90071992547409.92"}]
MANY = [{"sku": "mug", "quantity": 1_000_000, "unitPrice": "1"}] * 3000
TWO_PRICES = [{"sku": "mug", "quantity": 1, "unitPrice": price} for price in ("1", "2")]

PLACING = {
    "idempotencyKey": ("", " ", CONTROL, "x" * 256),
    "number": CODE,
    "channel": CODE,
    "currency": ("", "eur", "XXX", "EURO", CONTROL),
    "customer.name": TEXT,
    "customer.email": OPTIONAL,
    "customer.phone": OPTIONAL,
    "tags.0": CODE,
    "tags": ([f"tag {n}" for n in range(1001)],),
    "lines": ([], TOO_MANY, DEAR),
    "lines > lines.1.quantity": (MANY,),
    "lines > lines.1.unitPrice": (TWO_PRICES,),
    "lines.0.sku": ("unknown", *TEXT),
    "lines.0.quantity": (0, -1, 1_000_001, 2**31 - 1),
    "lines.0.unitPrice": AMOUNT,
    "optionToken": ("not a token", "a.b.c", "é.é.é", "eyJhbGciOiJub25lIn0.e30.", "x" * 100_000),
    "method": (None,),
    "shipTo": (None,),
    "shipTo.name": OPTIONAL,
    "shipTo.lines": ([""] * 11,),
    "shipTo.lines.0": OPTIONAL,
    "shipTo.postalCode": ("", " ", CONTROL, "1" * 17),
    "shipTo.city": TEXT,
    "shipTo.region": OPTIONAL,
    "shipTo.country": ("", "XX", "Germany", CONTROL),
    "shipTo.position.latitude": LATITUDE,
    "shipTo.position.longitude": LONGITUDE,
    "pickupLocationId": ("@SM", "", "unknown"),
}
PICKUP = {
    "pickupLocationId": (None, "", "unknown", "SXRlbR9tdWc"),
    "level": ("STANDARD",),
}
TOKEN = {
    "lines": ([{"sku": "mug", "quantity": 1, "unitPrice": "10.00"}], TOO_MANY[:1]),
    "lines.0.unitPrice > lines": ("9.99",),
    "currency": ("USD",),
    "channel": ("app",),
    "tags": (["gift"],),
    "method": ("PICKUP",),
    "level": ("EXPRESS",),
    "pickupLocationId": ("@SM", "unknown"),
    "shipTo": (None,),
    "shipTo.postalCode > shipTo": ("10117",),
    "shipTo.country > shipTo": ("AT",),
}
NO_OPTION = [
    ({"method": "PICKUP", "pickupLocationId": "@WB"}, {"NOT_SERVED"}),
    ({"currency": "USD"}, {"NOT_SERVED"}),
    ({"level": "INSTANT"}, {"NOT_SERVED"}),
    ({"level": "SAME_DAY", "shipTo": {**BERLIN, "city": "Munich"}}, {"TOO_FAR"}),
    ({"shipTo": {**BERLIN, "city": "Nowhere at all"}}, {"DESTINATION_UNKNOWN"}),
]

ADJUSTMENT = {
    "sku": "mug",
    "locationId": "@SM",
    "delta": 1,
    "reason": "ADJUSTED",
    "note": None,
    "idempotencyKey": "refused",
}
ADJUST = (
    "adjustStock",
    "$sku: String!, $locationId: ID!, $delta: Int!, $reason: MovementReason!, $note: String, $idempotencyKey: String!",
    ", ".join(f"{name}: ${name}" for name in ADJUSTMENT),
)
ADJUSTING = {
    "sku": TEXT,
    "delta": (0, -5, 1_000_000_000, 1_000_000_001, 2**31 - 1, -(2**31)),
    "reason": ("RESERVED", "RELEASED"),
    "note": OPTIONAL,
    "idempotencyKey": ("", " ", CONTROL, "x" * 256),
}


async def placing(house: House, order: Any) -> dict[str, Any]:
    return await refused(house, "placeOrder", "$input: PlaceOrderInput!", "input: $input", input=order)


@pytest.mark.parametrize(("place", "value", "told"), each(PLACING), ids=named)
async def test_an_order_with_one_thing_wrong_is_refused(
    shared_house: House, place: str, value: object, told: str
) -> None:
    error = await placing(shared_house, put(ORDER, place, value))
    assert verdict(error) == ("InvalidInputError", "INVALID_INPUT", told)


@pytest.mark.parametrize(("place", "value", "told"), each(PICKUP), ids=named)
async def test_a_pickup_names_a_location_and_no_level(
    shared_house: House, place: str, value: object, told: str
) -> None:
    order = {**ORDER, "method": "PICKUP", "pickupLocationId": "@SM"}
    error = await placing(shared_house, put(order, place, value))
    assert verdict(error) == ("InvalidInputError", "INVALID_INPUT", told)


@pytest.mark.parametrize(("place", "value", "told"), each(TOKEN), ids=named)
async def test_an_order_that_contradicts_its_token_is_refused(
    shared_house: House, place: str, value: object, told: str
) -> None:
    cart = [{"sku": "mug", "quantity": 2, "unitPrice": "10.00"}]
    found = await shared_house.options(methods=["DELIVERY"], levels=["STANDARD"], lines=cart)
    order = {**ORDER, "lines": cart, "method": None, "optionToken": found["options"][0]["token"]}
    error = await placing(shared_house, put(order, place, value))
    assert verdict(error) == ("InvalidInputError", "INVALID_INPUT", told)


@pytest.mark.parametrize(("change", "codes"), NO_OPTION, ids=named)
async def test_an_order_that_no_location_can_do_is_told_why(
    shared_house: House, change: dict[str, Any], codes: set[str]
) -> None:
    error = await placing(shared_house, {**ORDER, "shipTo": BERLIN, **change})
    assert verdict(error) == ("NoFulfillmentOptionError", "NO_FULFILLMENT_OPTION", "")
    assert {reason["code"] for reason in error["unavailable"]} == codes


async def test_an_order_of_more_than_there_is_is_told_how_much_is_missing(shared_house: House) -> None:
    error = await placing(shared_house, {**ORDER, "lines": [{"sku": "pen", "quantity": 1000, "unitPrice": "1"}]})
    assert verdict(error) == ("OutOfStockError", "OUT_OF_STOCK", "")
    assert error["missing"] == [{"sku": "pen", "quantity": 980}]


async def test_an_option_is_not_to_be_had_once_it_has_expired(shared_house: House) -> None:
    token = (await shared_house.options(("mug", 1)))["options"][0]["token"]
    shared_house.clock[0] += timedelta(minutes=16)
    try:
        error = await placing(shared_house, {**ORDER, "optionToken": token})
    finally:
        shared_house.clock[0] -= timedelta(minutes=16)
    assert verdict(error) == ("OptionExpiredError", "OPTION_EXPIRED", "optionToken")


async def test_neither_a_key_nor_a_number_is_used_for_two_orders(shared_house: House) -> None:
    order = await shared_house.place("a key", [("mug", 1)], number="A-1")
    async with unchanged(shared_house):
        again = await shared_house.place("a key", [("mug", 1)], number="A-1")
    assert again["id"] == order["id"]
    other = await placing(shared_house, {**ORDER, "idempotencyKey": "a key"})
    assert verdict(other) == ("IdempotencyConflictError", "IDEMPOTENCY_CONFLICT", "idempotencyKey")
    taken = await placing(shared_house, {**ORDER, "number": "A-1"})
    assert verdict(taken) == ("InvalidInputError", "INVALID_INPUT", "number")


@pytest.mark.parametrize(("place", "value", "told"), each(ADJUSTING), ids=named)
async def test_an_adjustment_with_one_thing_wrong_is_refused(
    shared_house: House, place: str, value: object, told: str
) -> None:
    error = await refused(shared_house, *ADJUST, **put(ADJUSTMENT, place, value))
    assert verdict(error) == ("InvalidInputError", "INVALID_INPUT", told)


@pytest.mark.parametrize(
    ("place", "value"),
    [("sku", "unknown"), ("locationId", ""), ("locationId", "unknown"), ("locationId", "SXRlbR9tdWc")],
)
async def test_an_adjustment_of_what_is_not_there_is_refused(shared_house: House, place: str, value: str) -> None:
    error = await refused(shared_house, *ADJUST, **put(ADJUSTMENT, place, value))
    assert verdict(error) == ("NotFoundError", "NOT_FOUND", place)


async def test_the_key_of_an_adjustment_is_not_used_for_another(shared_house: House) -> None:
    query = f"mutation ({ADJUST[1]}) {{ adjustStock({ADJUST[2]}) {{ ... on StockLevel {{ onHand }} }} }}"
    said = {**ADJUSTMENT, "locationId": shared_house.ids["WH"], "idempotencyKey": "counted"}
    first = await shared_house.ask(Role.ADMIN, query, **said)
    async with unchanged(shared_house):
        assert await shared_house.ask(Role.ADMIN, query, **said) == first
    error = await refused(shared_house, *ADJUST, **{**said, "delta": 2})
    assert verdict(error) == ("IdempotencyConflictError", "IDEMPOTENCY_CONFLICT", "idempotencyKey")


@pytest.mark.parametrize("id", ["", "unknown", "é", "SXRlbR9tdWc", "QXNzaWdubWVudB9h", "A" * 5000, "@SM"], ids=named)
@pytest.mark.parametrize("step", STEPS)
async def test_no_step_is_taken_with_an_assignment_that_is_not_there(shared_house: House, step: str, id: str) -> None:  # noqa: A002
    error = await refused(shared_house, step, "$id: ID!", STEPS[step], id=id)
    assert verdict(error) == ("NotFoundError", "NOT_FOUND", "id")
