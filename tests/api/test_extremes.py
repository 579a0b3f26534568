"""The most that is allowed of everything is still answered: no sum runs over."""

from typing import Any

from domain.vocabulary import Role
from tests.api.house import BERLIN, PLACE, SERVICES, House

MOST = 1_000_000_000
LARGEST_INT = 2**31 - 1
LARGEST_AMOUNT = "90071992547409.92"
FAR_AWAY = {**BERLIN, "position": {"latitude": -52.5, "longitude": -166.6}}
"""As far from Berlin as one can get."""


async def save(house: House, name: str, kind: str, value: dict[str, Any]) -> None:
    query = f"mutation ($input: {kind}!) {{ {name}(input: $input) {{ __typename }} }}"
    saved = await house.ask(Role.ADMIN, query, input=value)
    assert not saved["__typename"].endswith("Error"), saved


async def stock(house: House, sku: str, *codes: str) -> None:
    query = "mutation ($rows: [StockRowInput!]!) { importStock(rows: $rows) { failed { message } } }"
    rows = [{"sku": sku, "locationCode": code, "onHand": MOST} for code in codes]
    assert (await house.ask(Role.ADMIN, query, rows=rows))["failed"] == []


async def test_of_more_than_an_int_can_say_there_is_as_much_as_it_can_say(house: House) -> None:
    await stock(house, "pen", "WB", "WH", "SM", "SN")
    query = '{ availability(skus: ["pen"]) { available locationCount nearest { available } } }'
    (found,) = await house.ask(Role.STOREFRONT, query)
    assert (found["available"], found["locationCount"]) == (LARGEST_INT, 4)
    assert {place["available"] for place in found["nearest"]} == {MOST}
    assert (await house.ask(Role.STOREFRONT, '{ item(sku: "pen") { availability { available } } }'))[
        "availability"
    ] == {"available": LARGEST_INT}


async def test_the_dearest_order_by_the_dearest_slowest_and_dirtiest_service_is_placed(house: House) -> None:
    await stock(house, "pen", "WB", "WH", "SM", "SN")
    dearest = {
        **SERVICES[0],
        "maxGrams": MOST,
        "zones": [{"zone": "world", "maxKm": 100_000, "transitDays": [0, 10_000]}],
        "cost": [{"zone": "world", "maxGrams": MOST, "amount": "10000000000.00"}],
        "shopperPrice": LARGEST_AMOUNT,
        "freeFrom": None,
        "co2GramsPerKm": 100_000,
    }
    await save(house, "saveCarrierService", "CarrierServiceInput", dearest)
    cart = [
        {"sku": "pen", "quantity": 1_000_000, "unitPrice": "90071992.54"},
        {"sku": "lamp", "quantity": 1, "unitPrice": "7409.92"},
    ]
    found = await house.options(lines=cart, destination=FAR_AWAY, methods=["DELIVERY"])
    (option,) = found["options"]
    assert (option["price"]["amount"], option["complete"], option["latest"][:4]) == (LARGEST_AMOUNT, True, "2058")
    query = """query ($input: FulfillmentOptionsInput!) { fulfillmentOptions(input: $input) {
        options { parcels { co2Grams } } } }"""
    asked = {"lines": cart, "destination": FAR_AWAY, "methods": ["DELIVERY"]}
    (emitting,) = (await house.ask(Role.STOREFRONT, query, input=asked))["options"]
    assert all(1_900_000_000 < parcel["co2Grams"] <= LARGEST_INT for parcel in emitting["parcels"])
    wish = {"idempotencyKey": "dearest", "customer": {"name": "Ada"}, "lines": cart, "shipTo": FAR_AWAY}
    order = await house.ask(Role.STOREFRONT, PLACE, input={**wish, "optionToken": option["token"]})
    assert (order["__typename"], order["total"]["amount"]) == ("Order", "180143985094819.84")


async def test_a_location_that_needs_a_year_to_pack_promises_nothing(house: House) -> None:
    for code in house.ids:
        await save(house, "saveLocation", "LocationInput", {"code": code, "handlingTime": "P365D"})
    found = await house.options(("mug", 1))
    assert found["options"] == []
    assert {reason["code"] for reason in found["unavailable"]} >= {"CLOSED"}


async def test_a_location_that_never_opens_promises_nothing(house: House) -> None:
    closures = [{"date": "0001-01-01"}, {"date": "9999-12-31"}]
    for code in house.ids:
        await save(house, "saveLocation", "LocationInput", {"code": code, "openingHours": [], "closures": closures})
    found = await house.options(("mug", 1))
    assert found["options"] == []
    assert {reason["code"] for reason in found["unavailable"]} >= {"CLOSED"}


async def test_a_year_ahead_can_be_planned_for(house: House) -> None:
    for at in ("2025-03-04T11:00:00Z", "2027-03-04T11:00:00Z"):
        assert (await house.options(("mug", 1), at=at))["options"]
