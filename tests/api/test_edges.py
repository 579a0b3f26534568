"""Who reads what: every field of every type, from every place that leads to it, as every caller."""

from collections.abc import Iterator
from typing import Any

import pytest

from domain.vocabulary import Role
from tests.api.house import House
from tests.api.viewers import CALLERS, OTHER, OWN, STOREFRONT, Caller, Town, objects, reached, selections, settled

FIELDS = {
    # type: {who reads it: which fields}. "own place" is the staff, of which a store reads its own locations' only.
    "Order": {
        "everybody": "id number status channel method level tags placedAt updatedAt promisedEarliest promisedLatest "
        "shippingPrice total version customer shipTo pickupLocation lines",
        "not stores": "pickupCode",
        "staff": "assignments timeline",
    },
    "OrderLine": {"everybody": "id sku item quantity unitPrice fulfilled cancelled"},
    "Customer": {"everybody": "name email phone"},
    "TimelineEntry": {"staff": "at kind message actor"},
    "Assignment": {
        "staff": "id number status method offeredAt dueAt assignee rejectReason version allowedActions location order "
        "lines carrierService",
    },
    "AssignmentLine": {"staff": "id sku item quantity picked short"},
    "Location": {
        "everybody": "id code name kind status address position timeZone tags services openingHours closures "
        "handlingTime version carrierServices",
        "own place": "capacity stockLevels assignments",
    },
    "OpeningHours": {"everybody": "weekday opens closes"},
    "Closure": {"everybody": "date reason"},
    "Capacity": {"staff": "weekdays"},
    "WeekdayCapacity": {"staff": "weekday orders units"},
    "CarrierService": {
        "everybody": "id code carrier name level countries active cutoff collects delivers maxGrams version"
    },
    "StockLevel": {
        "staff": "id sku item location onHand reserved safetyStock available incoming damaged version updatedAt"
    },
    "Item": {"everybody": "id sku name weightGrams tags barcodes imageUrl availability"},
    "Availability": {"everybody": "sku available locationCount nearest"},
    "LocationAvailability": {"everybody": "location available distanceKm"},
    "FulfillmentOptions": {"not stores": "options unavailable computedAt"},
    "FulfillmentOption": {
        "not stores": "token method level price complete missing earliest latest orderBefore expiresAt pickupLocation "
        "distanceKm parcels"
    },
    "PlannedParcel": {
        "not stores": "location carrierService lines readyAt arrivesEarliest arrivesLatest co2Grams"
    },
    "PlannedLine": {"not stores": "sku quantity"},
    "MissingLine": {"not stores": "sku quantity"},
    "Unavailability": {"not stores": "method level sku code message"},
    "Viewer": {"everybody": "role name", "stores": "locations"},
    "Address": {"everybody": "name lines postalCode city region country position"},
    "GeoPoint": {"everybody": "latitude longitude"},
    "Money": {"everybody": "amount currency"},
    "PageInfo": {"everybody": "hasNextPage hasPreviousPage startCursor endCursor"},
    "LocationConnection": {"everybody": "edges pageInfo totalCount"},
    "LocationEdge": {"everybody": "node cursor"},
    "OrderConnection": {"staff": "edges pageInfo totalCount"},
    "OrderEdge": {"staff": "node cursor"},
    "AssignmentConnection": {"staff": "edges pageInfo totalCount"},
    "AssignmentEdge": {"staff": "node cursor"},
    "StockLevelConnection": {"staff": "edges pageInfo totalCount"},
    "StockLevelEdge": {"staff": "node cursor"},
}  # fmt: skip
READERS = {"everybody": set(Role), "stores": {Role.STORE}, "not stores": set(Role) - {Role.STORE}}
READERS["staff"] = READERS["own place"] = set(Role) - {Role.STOREFRONT}
RULE = {(kind, name): who for kind, parts in FIELDS.items() for who, names in parts.items() for name in names.split()}

CART = (
    '{near: {latitude: 52.5, longitude: 13.4}, destination: {postalCode: "10115", city: "Berlin", country: "DE"}, '
    'lines: [{sku: "quill", quantity: 1}, {sku: "rug", quantity: 9}]}'
)
LISTS = {
    "orders": ("OrderConnection", ""),
    "assignments": ("AssignmentConnection", ""),
    "stockLevels": ("StockLevelConnection", ""),
    "locations": ("LocationConnection", "(near: {latitude: 52.5, longitude: 13.4}, withinKm: 30)"),
    "viewer": ("Viewer", ""),
    "availability": ("Availability", '(skus: ["quill", "quiz"], near: {latitude: 52.5, longitude: 13.4})'),
    "carrierServices": ("CarrierService", ""),
    "fulfillmentOptions": ("FulfillmentOptions", f"(input: {CART})"),
}  # fmt: skip
NEVER_FILLED = {"Address.region"}


@pytest.fixture
async def town(house: House) -> Town:
    return await settled(house)


def asked(town: Town, caller: Caller) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield everything that can be asked with what the caller may have heard of: a store, of all ids there are."""
    for name, (kind, arguments) in LISTS.items():
        for part in selections(kind):
            yield f"{{ {name}{arguments} {{ {part} }} }}", {}
    ids = {kind: [town.house.ids["WB"]] if kind == "Location" else [] for kind in town.shares["SM"].ids}
    for code, share in town.shares.items():
        for kind, own in share.ids.items():
            known = caller is not STOREFRONT or code == "SM" or kind not in {"Order", "OrderLine"}
            ids[kind] += own if known else []
    ids["Order"].append(town.shared)
    for kind, some in ids.items():
        for part in selections(kind):
            yield f"query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on {kind} {{ {part} }} }} }}", {"ids": some}
    for part in selections("Order"):
        for number in [share.number for share in town.shares.values()]:
            yield f"query ($number: String) {{ order(number: $number) {{ {part} }} }}", {"number": number}
    for part in selections("Item"):
        yield f'{{ item(sku: "quiz") {{ {part} }} }}', {}


def hidden(value: Any) -> bool:
    """Say whether a value tells nothing: null, no rows, or no weekdays."""
    if isinstance(value, dict):
        return (value.get("totalCount") == 0 and not value.get("edges")) or value.get("weekdays") == []
    return value is None or value == []


@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.title)
async def test_each_field_shows_what_it_should_and_to_nobody_else(town: Town, caller: Caller) -> None:
    shown = set()
    for query, variables in asked(town, caller):
        answer = await town.post(caller, query, **variables)
        assert {error["extensions"]["code"] for error in answer.get("errors", ())} <= {"FORBIDDEN"}, answer["errors"]
        for each in objects(answer.get("data")):
            kind = each["__typename"]
            for name in each.keys() - {"__typename"}:
                if hidden(each) or hidden(each[name]):
                    continue
                who = RULE[kind, name]
                assert caller.role in READERS[who], f"{caller.title} reads {kind}.{name}: {each[name]}"
                if who == "own place" and caller.locations:
                    assert each["code"] in caller.locations, f"{caller.title} reads {kind}.{name} of {each['code']}"
                shown.add(f"{kind}.{name}")
    wanted = {f"{kind}.{name}" for (kind, name), who in RULE.items() if caller.role in READERS[who]}
    assert wanted - shown == NEVER_FILLED


def test_each_field_of_each_type_has_its_rule() -> None:
    assert {(kind, name) for kind, fields in reached("Query").items() for name in fields} == set(RULE)


async def test_a_store_reads_of_a_shared_order_its_own_work_and_not_who_else_has_some(town: Town) -> None:
    query = "query ($id: ID) { order(id: $id) { timeline { message actor } } }"
    for caller, other, foreign in ((OTHER, OWN, "Mitte"), (OWN, OTHER, "Nord")):
        work = [town.shares[code].work["id"] for code in (*caller.locations, *other.locations)]
        for who, assignment in zip((caller, other), work, strict=True):
            await town.post(who, f'mutation {{ acceptAssignment(id: "{assignment}") {{ __typename }} }}')
            await town.post(who, f'mutation {{ startPicking(id: "{assignment}") {{ __typename }} }}')
        entries = (await town.post(caller, query, id=town.shared))["data"]["order"]["timeline"]
        text = " ".join(entry["message"] for entry in entries)
        assert foreign not in text
        assert "began to pick" in text
        assert caller.name in {entry["actor"] for entry in entries}
