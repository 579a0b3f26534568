"""Bad rows of imports: each is told by its number and its path, and spoils no other unless the caller says so."""

from collections.abc import Sequence
from typing import Any

import pytest

from domain.vocabulary import Role
from tests.api.faults import CODE, CONTROL, LATITUDE, LONG, LONGITUDE, TEXT, each, named, put, told, unchanged
from tests.api.house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")

IMPORTS = [
    ("importStock", "StockRowInput", {"sku": "mug", "locationCode": "SM", "onHand": 9}, {
        "sku": CODE,
        "sku > sku NOT_FOUND": ("unknown",),
        "locationCode": CODE,
        "locationCode > locationCode NOT_FOUND": ("unknown",),
        "onHand": (-1, 1_000_000_001, 2**31 - 1),
        "safetyStock": (-1, 2**31 - 1),
    }),
    ("importItems", "ItemRowInput", {"sku": "mug", "name": "Another mug"}, {
        "sku": CODE,
        "name": (" ", CONTROL, LONG),
        "weightGrams": (-1, 2**31 - 1),
        "tags": ([f"tag {n}" for n in range(1001)],),
        "tags > tags.0": tuple([value] for value in CODE),
        "barcodes > barcodes.0": tuple([value] for value in CODE),
        "imageUrl": (" ", CONTROL, "x" * 2001),
    }),
    ("importLocations", "LocationRowInput", {
        "code": "SM", "name": "Another name", "kind": "STORE", "latitude": 1, "longitude": 1, "country": "DE",
        "postalCode": "1", "city": "Berlin", "timeZone": "Europe/Berlin", "services": ["SHIP"],
    }, {
        "code": CODE,
        "name": (" ", CONTROL, LONG),
        "latitude": LATITUDE,
        "longitude": LONGITUDE,
        "country": ("XX", "Germany", " "),
        "postalCode": (" ", CONTROL, "1" * 17),
        "city": (" ", CONTROL, LONG),
        "timeZone": ("Mars/Base", " "),
        "tags > tags.0": tuple([value] for value in CODE),
        "capacityPerDay": (-1, 2**31 - 1),
        "handlingTime": ("P366D",),
    }),
    ("importCarrierServices", "CarrierServiceInput", {"code": "parcel", "name": "Another name"}, {
        "code": CODE,
        "code > carrier": ("new",),
        "currency > cost": ("USD",),
        "name": (None, *TEXT),
        "zones": ([],),
        "cost > cost.0.zone": ([{"zone": "nowhere", "maxGrams": 1, "amount": "1"}],),
        "locationCodes > locationCodes.0": (["unknown"],),
        "expectedVersion > expectedVersion VERSION_CONFLICT": (7, -1, 2**31 - 1),
    }),
]  # fmt: skip


async def imported(house: House, name: str, kind: str, rows: Sequence[object], on_error: str) -> dict[str, Any]:
    query = f"""mutation ($rows: [{kind}!]!, $onError: OnRowError!) {{ {name}(rows: $rows, onError: $onError) {{
        created updated unchanged failed {{ row code path message }} }} }}"""
    result: dict[str, Any] = await house.ask(Role.ADMIN, query, rows=rows, onError=on_error)
    return result


ROWS = [
    (name, kind, put(good, place, value), *(told.split(" ") if " " in told else (told, "INVALID_INPUT")))
    for name, kind, good, faults in IMPORTS
    for place, value, told in each(faults)
]


@pytest.mark.parametrize(("name", "kind", "row", "told", "code"), ROWS, ids=named)
async def test_a_row_with_one_thing_wrong_fails(
    shared_house: House, name: str, kind: str, row: dict[str, Any], told: str, code: str
) -> None:
    async with unchanged(shared_house):
        result = await imported(shared_house, name, kind, [row], "SKIP_ROW")
    (failure,) = result["failed"]
    assert (failure["row"], ".".join(failure["path"]), failure["code"]) == (0, told, code)
    assert failure["message"]


@pytest.mark.parametrize(("name", "kind", "good", "faults"), IMPORTS, ids=named)
async def test_a_bad_row_spoils_the_good_ones_only_where_the_caller_says_so(
    shared_house: House, name: str, kind: str, good: dict[str, Any], faults: dict[str, Any]
) -> None:
    place, value, _ = each(faults)[0]
    rows = [put(good, place, value), good, good]
    async with unchanged(shared_house):
        rejected = await imported(shared_house, name, kind, rows, "REJECT_ALL")
    assert (rejected["updated"], [failure["row"] for failure in rejected["failed"]]) == (0, [0, 2])
    async with unchanged(shared_house):
        nothing = await imported(shared_house, name, kind, [], "REJECT_ALL")
    assert nothing == {"created": 0, "updated": 0, "unchanged": 0, "failed": []}
    taken = await imported(shared_house, name, kind, rows, "SKIP_ROW")
    assert (taken["updated"], taken["failed"]) == (1, rejected["failed"])


async def test_an_import_of_ten_thousand_rows_and_one_is_taken_whole(shared_house: House) -> None:
    rows = [{"sku": f"item {n}", "name": "An item"} for n in range(10_000)] + [{"sku": "one", "name": " "}]
    result = await imported(shared_house, "importItems", "ItemRowInput", rows, "SKIP_ROW")
    assert (result["created"], [failure["row"] for failure in result["failed"]]) == (10_000, [10_000])


async def test_an_import_of_stock_takes_ten_thousand_rows_and_refuses_one_more_whole(shared_house: House) -> None:
    rows = [{"sku": f"none {n}", "locationCode": "SM", "onHand": 1} for n in range(9_999)]
    rows += [{"sku": "mug", "locationCode": "SM", "onHand": 77}, {"sku": "cap", "locationCode": "SM", "onHand": 77}]
    query = "mutation ($rows: [StockRowInput!]!) { importStock(rows: $rows) { created } }"
    refused = await told(shared_house, Role.OPERATIONS, query, rows=rows)
    assert (refused["code"], refused["path"]) == ("INVALID_INPUT", ["rows"])
    result = await imported(shared_house, "importStock", "StockRowInput", rows[:-1], "SKIP_ROW")
    assert (result["updated"], len(result["failed"])) == (1, 9_999)
    assert (await shared_house.levels("mug"))["SM"][0] == 77
