"""Who reads what: every field of every type, from every place that leads to it, as every caller."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import jwt
import pytest
import pytest_asyncio
from websockets import ConnectionClosed
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from domain.vocabulary import Role
from tests.api.house import SECRET, House
from tests.api.viewers import (
    CALLERS,
    OPERATIONS,
    OTHER,
    OWN,
    STOREFRONT,
    Caller,
    Town,
    objects,
    reached,
    selections,
    verdict,
    visited,
)

FIELDS = {
    # type: {who reads it: which fields}. "own place" is the staff, of which a store reads its own locations' only.
    "Order": {
        "everybody": "id number status channel method level tags placedAt updatedAt promisedEarliest promisedLatest "
        "late payment holdReason shippingPrice total version customer shipTo pickupLocation lines shipments returns",
        "not stores": "pickupCode allowedActions",
        "staff": "assignments timeline",
        "office": "routing",
    },
    "OrderLine": {"everybody": "id sku item quantity unitPrice fulfilled cancelled backordered returned"},
    "Return": {
        "everybody": "id number status order method lines announcedLocation receivedLocation receivedAt requestedAt "
        "expiresAt price refund labelUrl trackingNumber allowedActions version",
        "staff": "timeline",
    },
    "ReturnLine": {
        "everybody": "id sku quantity reason condition refund",
        "staff": "disposition explanation transferTo",
    },
    "ReturnOptions": {"everybody": "options lines"},
    "ReturnOption": {"everybody": "method location distanceKm carrierService price latestBy"},
    "ReturnableLine": {"everybody": "orderLine returnable latestBy code message"},
    "ReturnConnection": {"staff": "edges pageInfo totalCount"},
    "ReturnEdge": {"staff": "node cursor"},
    "ReturnPolicy": {
        "office": "id name channels itemTags days autoApprove carrierPrice inStorePrice deductions priority version"
    },
    "Deduction": {"office": "condition share"},
    "Customer": {"everybody": "name email phone"},
    "TimelineEntry": {"staff": "at kind message actor"},
    "Assignment": {
        "staff": "id number status method offeredAt respondBy startBy dueAt collectBy assignee rejectReason version "
        "allowedActions location order lines carrierService shipments",
    },
    "Shipment": {
        "everybody": "id status trackingNumber trackingUrl carrierService location lines expectedLatest events "
        "givenUpAt",
        "staff": "labelUrl",
    },
    "TrackingEvent": {"everybody": "at status description"},
    "AssignmentLine": {"staff": "id sku item quantity picked short"},
    "Location": {
        "everybody": "id code name kind status address position timeZone tags services openingHours closures "
        "publicHolidays handlingTime version carrierServices",
        "own place": "capacity stockLevels assignments",
    },
    "OpeningHours": {"everybody": "weekday opens closes"},
    "Closure": {"everybody": "date reason"},
    "Capacity": {
        "staff": "weekdays ordersCommittedToday unitsCommittedToday ordersLeftToday unitsLeftToday",
    },
    "WeekdayCapacity": {"staff": "weekday orders units"},
    "CarrierService": {
        "everybody": "id code carrier name level countries active cutoff collects delivers maxGrams version"
    },
    "StockLevel": {
        "staff": "id sku item location onHand reserved safetyStock available incoming damaged version updatedAt"
    },
    "StockMovement": {
        "staff": "id sku location reason onHandDelta reservedDelta order occurredAt note",
    },
    "Transfer": {"staff": "id number status from to lines order carrierService expectedAt dueAt version"},
    "TransferLine": {"staff": "sku quantity received"},
    "Receipt": {"staff": "id reference location sku quantity received expectedAt"},
    "Item": {"everybody": "id sku name weightGrams tags barcodes imageUrl availability"},
    "Availability": {"everybody": "sku available incoming locationCount nearest"},
    "LocationAvailability": {"everybody": "location available distanceKm"},
    "FulfillmentOptions": {"not stores": "options unavailable computedAt"},
    "FulfillmentOption": {
        "not stores": "token method level price complete missing earliest latest orderBefore expiresAt pickupLocation "
        "distanceKm parcels"
    },
    "Reservation": {"not stores": "id option lines expiresAt"},
    "ReservedLine": {"not stores": "sku quantity location"},
    "PlannedParcel": {
        "not stores": "location destination carrierService lines readyAt arrivesEarliest arrivesLatest co2Grams"
    },
    "PlannedLine": {"everybody": "sku quantity"},
    "MissingLine": {"not stores": "sku quantity nextAvailable"},
    "Unavailability": {"not stores": "method level sku code message"},
    "RoutingPolicy": {
        "office": "id name version active priority condition fences ratings respondWithin startWithin collectWithin"
    },
    "RoutingDecision": {
        "office": "id order decidedAt trigger policyName policyVersion policy cost ratings considered excluded "
        "provenGap solveMicroseconds parcels alternatives candidates"
    },
    "RoutingSimulation": {
        "office": "policy cost ratings considered excluded provenGap solveMicroseconds parcels alternatives candidates"
    },
    "RoutingCandidate": {"office": "location chosen excludedBy ratings total rank"},
    "RoutingAlternative": {"office": "parcelCount cost locations"},
    "RatingResult": {"office": "rating cost"},
    "FenceResult": {"office": "fence message actual limit"},
    "FenceCount": {"office": "fence locations"},
    "Fence": {"office": "kind limit tags forbid locations"},
    "Rating": {"office": "kind weight tags locationKinds"},
    "Viewer": {"everybody": "role name", "nobody": "scopes", "stores": "locations"},
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
    "StockMovementConnection": {"staff": "edges pageInfo totalCount"},
    "StockMovementEdge": {"staff": "node cursor"},
    "TransferConnection": {"staff": "edges pageInfo totalCount"},
    "TransferEdge": {"staff": "node cursor"},
    "ReceiptConnection": {"staff": "edges pageInfo totalCount"},
    "ReceiptEdge": {"staff": "node cursor"},
    "ItemConnection": {"everybody": "edges pageInfo totalCount"},
    "ItemEdge": {"everybody": "node cursor"},
    "Webhook": {
        "office": "id url kinds active failing deliveredThrough missedThrough version deadLetters", "nobody": "secret"
    },
    "ApiKey": {
        "owner": "id name role locations scopes createdBy createdAt expiresAt revokedAt lastUsedAt", "nobody": "secret",
    },
    "ApiKeyConnection": {"owner": "edges pageInfo totalCount"},
    "ApiKeyEdge": {"owner": "node cursor"},
    "DeadLetter": {"office": "cursor at kind attempts error"},
}  # fmt: skip
READERS = {"everybody": set(Role), "stores": {Role.STORE}, "not stores": set(Role) - {Role.STORE}}
READERS["office"] = {Role.OPERATIONS, Role.ADMIN}
READERS["owner"] = {Role.ADMIN}
READERS["nobody"] = set()
READERS["staff"] = READERS["own place"] = set(Role) - {Role.STOREFRONT}
RULE = {(kind, name): who for kind, parts in FIELDS.items() for who, names in parts.items() for name in names.split()}

CART = (
    '{near: {latitude: 52.5, longitude: 13.4}, destination: {postalCode: "10115", city: "Berlin", country: "DE"}, '
    'lines: [{sku: "quill", quantity: 1}, {sku: "rug", quantity: 9}]}'
)
SIMULATED = CART.replace("quantity: 9", "quantity: 1")
LISTS = {
    "orders": ("OrderConnection", ""),
    "assignments": ("AssignmentConnection", ""),
    "stockLevels": ("StockLevelConnection", ""),
    "transfers": ("TransferConnection", ""),
    "returns": ("ReturnConnection", ""),
    "returnPolicies": ("ReturnPolicy", ""),
    "receipts": ("ReceiptConnection", ""),
    "stockMovements": ("StockMovementConnection", "(last: 20)"),
    "items": ("ItemConnection", ""),
    "locations": ("LocationConnection", "(near: {latitude: 52.5, longitude: 13.4}, withinKm: 30)"),
    "viewer": ("Viewer", ""),
    "availability": ("Availability", '(skus: ["quill", "quiz"], near: {latitude: 52.5, longitude: 13.4})'),
    "carrierServices": ("CarrierService", ""),
    "routingPolicies": ("RoutingPolicy", ""),
    "simulateRouting": ("RoutingSimulation", f"(input: {SIMULATED})"),
    "webhooks": ("Webhook", ""),
    "apiKeys": ("ApiKeyConnection", ""),
    "fulfillmentOptions": ("FulfillmentOptions", f"(input: {CART})"),
}  # fmt: skip
ORDERS_OWN = {"Order", "OrderLine", "Shipment", "Return", "ReturnLine"}
NEVER_FILLED = {"Address.region", "Assignment.startBy", "Order.holdReason", "Shipment.givenUpAt",
                "Shipment.trackingUrl"}  # fmt: skip


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def town(module_settled_dsn: str, settled: tuple[str, Town]) -> AsyncIterator[Town]:
    """One town for all: what is asked here changes nothing that another test looks at."""
    async with visited(module_settled_dsn, settled[1]) as town:
        yield town


def asked(town: Town, caller: Caller) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield everything that can be asked with what the caller may have heard of: a store, of all ids there are.

    From the office nothing is kept back along any way: it goes one edge far, the others two.
    """
    steps = 1 if caller.role in READERS["office"] else 2
    for name, (kind, arguments) in LISTS.items():
        for part in selections(kind, steps):
            yield f"{{ {name}{arguments} {{ ... on {kind} {{ {part} }} }} }}", {}
    ids = {kind: [town.house.ids["WB"]] if kind == "Location" else [] for kind in town.shares["SM"].ids}
    for code, share in town.shares.items():
        for kind, own in share.ids.items():
            known = caller is not STOREFRONT or code == "SM" or kind not in ORDERS_OWN
            ids[kind] += own if known else []
    ids["Order"].append(town.shared)
    ids["Reservation"] = [town.reservation]
    ids["RoutingPolicy"] = [town.policy]
    ids["ReturnPolicy"] = [town.terms]
    ids["RoutingDecision"] = [town.decision]
    ids["Webhook"] = [town.webhook]
    ids["ApiKey"] = [town.key]
    for kind, some in ids.items():
        for part in selections(kind, steps):
            yield f"query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on {kind} {{ {part} }} }} }}", {"ids": some}
    for part in selections("Order", steps):
        for number in [share.number for share in town.shares.values()]:
            yield f"query ($number: String) {{ order(number: $number) {{ {part} }} }}", {"number": number}
    yield from _ways_back(town, caller, steps)
    for part in selections("Item", steps):
        yield f'{{ item(sku: "quiz") {{ {part} }} }}', {}


def _ways_back(town: Town, caller: Caller, steps: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield how an order that may come back, and one that may not, can, for the orders that the caller may read."""
    codes = caller.locations or (("SM",) if caller is STOREFRONT else tuple(town.shares))
    for share in [town.shares[code] for code in codes]:
        for part in selections("ReturnOptions", steps):
            query = f"query ($id: ID!) {{ returnOptions(orderId: $id) {{ ... on ReturnOptions {{ {part} }} }} }}"
            for order in (share.returning["order"], share.ids["Order"][1]):
                yield query, {"id": order}


def hidden(value: Any) -> bool:
    """Say whether a value tells nothing: null, no rows, or no weekdays."""
    if isinstance(value, dict):
        return (value.get("totalCount") == 0 and not value.get("edges")) or value.get("weekdays") == []
    return value is None or value == []


@pytest.mark.parametrize("caller", [each for each in CALLERS if each is not OTHER], ids=lambda caller: caller.title)
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
    assert wanted - shown == NEVER_FILLED & wanted


async def test_each_field_of_each_type_has_its_rule() -> None:
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


async def test_a_storefront_knows_no_number_and_follows_only_an_order_it_names(town: Town) -> None:
    number = town.shares["SM"].number
    assert await town.post(STOREFRONT, f'{{ order(number: "{number}") {{ id }} }}') == {"data": {"order": None}}
    seen = await town.first(STOREFRONT, f'subscription {{ orderUpdates(after: "{town.start}") {{ kind }} }}')
    assert verdict(seen) == "FORBIDDEN"
    place = json.dumps(town.house.ids["SM"])
    where = f'orderId: "{town.shared}", locationId: {place}, after: "{town.start}"'
    seen = await town.first(STOREFRONT, f"subscription {{ orderUpdates({where}) {{ kind }} }}")
    assert verdict(seen) == "nothing"


async def test_an_id_and_a_number_that_contradict_each_other_find_nothing(town: Town) -> None:
    share = town.shares["SM"]
    query = "query ($id: ID, $number: String) { order(id: $id, number: $number) { id } }"
    for number, found in ((share.number, {"id": share.ids["Order"][0]}), (town.shares["SN"].number, None)):
        answer = await town.post(OPERATIONS, query, id=share.ids["Order"][0], number=number)
        assert answer == {"data": {"order": found}}


async def test_a_store_of_two_locations_sees_both(town: Town) -> None:
    both = Caller("both", Role.STORE, ("SM", "SN"), "Both")
    query = "{ viewer { locations { code } } assignments { totalCount } order(id: %s) { assignments { id } } }"
    answer = (await town.post(both, query % json.dumps(town.shared)))["data"]
    assert [place["code"] for place in answer["viewer"]["locations"]] == ["SM", "SN"]
    assert answer["assignments"]["totalCount"] == 14
    assert len(answer["order"]["assignments"]) == 2


async def test_a_store_that_is_not_there_sees_nothing_and_nothing_fails(town: Town) -> None:
    nowhere = Caller("nowhere", Role.STORE, ("XX",), "Nowhere")
    answer = await town.post(
        nowhere,
        """{ viewer { locations { code } } orders { totalCount edges { cursor } }
        assignments { totalCount edges { cursor } } stockLevels { totalCount edges { cursor } } }""",
    )
    nothing = {"totalCount": 0, "edges": []}
    lists = {"orders": nothing, "assignments": nothing, "stockLevels": nothing}
    assert answer == {"data": {"viewer": {"locations": []}, **lists}}
    share = town.shares["SM"]
    for query in (
        f'{{ order(id: "{town.shared}") {{ id }} }}',
        f'{{ node(id: "{share.work["id"]}") {{ id }} }}',
        f'mutation {{ acceptAssignment(id: "{share.work["id"]}") {{ __typename }} }}',
    ):
        assert verdict(await town.post(nowhere, query)) == "nothing"
    updates = f"subscription {{ stockUpdates(locationId: {json.dumps(town.house.ids['SM'])}) {{ kind }} }}"
    assert verdict(await town.first(nowhere, updates)) == "nothing"


async def test_an_option_token_opens_no_door_and_an_access_token_is_no_option(town: Town) -> None:
    house = town.house
    found = await house.options(("pen", 1), methods=["DELIVERY"])
    assert await refused(house, found["options"][0]["token"]) == (401, 4403)
    order = await house.place("forged", [("pen", 1)], optionToken=OWN.token(house))
    assert (order["__typename"], order["path"]) == ("InvalidInputError", ["optionToken"])


async def test_whoever_shows_no_valid_token_is_turned_away(town: Town) -> None:
    house, good = town.house, jwt.decode(OWN.token(town.house), options={"verify_signature": False})
    past = {"iat": good["iat"] - 7200, "exp": int(house.now.timestamp())}
    header, claims, signature = OWN.token(house).split(".")
    admin = jwt.encode(
        {**good, "role": "ADMIN", "locations": []}, "another secret, as long as that of the tests"
    ).split(".")
    for token in (
        None,
        "garbage",
        jwt.encode({**good, **past}, SECRET),
        jwt.encode(good, "another secret, as long as that of the tests"),
        jwt.encode(good, None, algorithm="none"),
        f"{header}.{claims}.",
        f"{header}.{admin[1]}.{signature}",
        jwt.encode({**good, "role": "ADMIN"}, SECRET),
        jwt.encode({**good, "locations": []}, SECRET),
    ):
        assert await refused(house, token) == (401, 4403), token
    assert await refused(house, jwt.encode(good, SECRET)) == (200, None)


async def refused(house: House, token: str | None) -> tuple[int, int | None]:
    """Return the HTTP status of a request with the token, and the code that its socket is closed with, if it is."""
    header = {} if token is None else {"Authorization": f"Bearer {token}"}
    answer = await house.http.post("/graphql", json={"query": "{ viewer { name } }"}, headers=header)
    assert (answer.status_code == 200) == ("data" in answer.json())
    async with connect(f"ws://{house.address}/graphql", subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": header}))
        with suppress(ConnectionClosed):
            assert json.loads(await socket.recv()) == {"type": "connection_ack"}
            return answer.status_code, None
        return answer.status_code, socket.close_code
