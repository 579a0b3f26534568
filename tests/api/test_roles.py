"""Who may what: every root field as every caller, over real sockets."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from graphql import GraphQLField, GraphQLInterfaceType, GraphQLObjectType, GraphQLUnionType, get_named_type
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.field import StrawberryField

from domain.vocabulary import Role
from schema.permission import Allowed
from tests.api.viewers import CALLERS, NODES, OWN, SCHEMA, Caller, Town, fields_of, selections, verdict, visited

ROOT_TYPES = ("Query", "Mutation", "Subscription")
RULES = {
    # the rule is for   storefront   another store  the store    operations   admin
    "everybody":       ("yes",       "yes",         "yes",       "yes",       "yes"),
    "shops":           ("yes",       "FORBIDDEN",   "FORBIDDEN", "yes",       "yes"),
    "its readers":     ("yes",       "nothing",     "yes",       "yes",       "yes"),
    "its workers":     ("FORBIDDEN", "nothing",     "yes",       "yes",       "yes"),
    "the office":      ("FORBIDDEN", "FORBIDDEN",   "FORBIDDEN", "yes",       "yes"),
    "the owner":       ("FORBIDDEN", "FORBIDDEN",   "FORBIDDEN", "FORBIDDEN", "yes"),
}  # fmt: skip

TO = '{postalCode: "10115", city: "Berlin", country: "DE"}'
ORDER = (
    '{idempotencyKey: "new", customer: {name: "Dora"}, method: DELIVERY, '
    f'shipTo: {TO}, lines: [{{sku: "mug", quantity: 1, unitPrice: "5.00"}}]}}'
)
PLACE = (
    '{code: "NEW", name: "New", kind: STORE, latitude: 52.4, longitude: 13.1, country: "DE", '
    'postalCode: "14467", city: "Potsdam", timeZone: "Europe/Berlin", services: [SHIP]}'
)
PIECE = "{orderLineId: <piece>, quantity: 1, reason: OTHER}"
ROOTS = {
    # root field: (who gets an answer, what is asked of the store's things), in the order asked
    "node": ("everybody", "id: <place>"),
    "nodes": ("everybody", "ids: [<place>]"),
    "viewer": ("everybody", ""),
    "updatesCursor": ("everybody", ""),
    "fulfillmentOptions": ("shops", f'input: {{lines: [{{sku: "pen", quantity: 1}}], destination: {TO}}}'),
    "availability": ("everybody", 'skus: ["quill"]'),
    "location": ("everybody", "id: <place>"),
    "locations": ("everybody", ""),
    "item": ("everybody", 'sku: "quill"'),
    "items": ("everybody", 'skus: ["quill"]'),
    "carrierServices": ("the office", ""),
    "stockLevels": ("its workers", "location: <place>"),
    "stockMovements": ("its workers", "location: <place>"),
    "transfers": ("its workers", "location: <place>"),
    "receipts": ("its workers", "location: <place>"),
    "order": ("its readers", "id: <order>"),
    "orders": ("its workers", "where: {location: <place>}"),
    "assignments": ("its workers", "where: {location: <place>}"),
    "routingPolicies": ("the office", ""),
    "simulateRouting": ("the office", f'input: {{lines: [{{sku: "pen", quantity: 1}}], destination: {TO}}}'),
    "returnOptions": ("its readers", "orderId: <given>"),
    "returnPolicies": ("the office", ""),
    "returns": ("its workers", "where: {location: <place>}"),
    "reserveCart": ("shops", 'optionToken: <token>, idempotencyKey: "cart"'),
    "extendReservation": ("shops", 'id: <reservation>, ttl: "PT1M"'),
    "releaseReservation": ("shops", "id: <reservation>"),
    "placeOrder": ("shops", f"input: {ORDER}"),
    "rejectAssignment": ("its workers", "id: <offered>, reason: TOO_BUSY"),
    "acceptAssignment": ("its workers", "id: <work>"),
    "startPicking": ("its workers", "id: <work>"),
    "reportPicked": ("its workers", "id: <work>, lines: [{lineId: <line>, picked: 1}]"),
    "packAssignment": ("its workers", "id: <work>"),
    "handOverAssignment": ("its workers", "id: <work>"),
    "recordTracking": ("its workers", "trackingNumber: <number>, status: LOST"),
    "restockAssignment": ("its workers", "id: <dropped>"),
    "markReadyForPickup": ("its workers", "id: <parcel>"),
    "collectAssignment": ("its workers", "id: <parcel>, pickupCode: <code>"),
    "rerouteOrder": ("the office", "id: <open>"),
    "holdOrder": ("shops", "id: <open>"),
    "releaseOrder": ("shops", "id: <open>"),
    "changeOrderAddress": ("shops", f"id: <open>, shipTo: {TO}"),
    "replaceShipment": ("the office", "id: <sent>"),
    "cancelOrderLines": ("shops", "id: <open>, lines: [{lineId: <wanted>, quantity: 1}]"),
    "cancelOrder": ("shops", "id: <open>"),
    "requestReturn": ("shops", f'orderId: <given>, lines: [{PIECE}], method: IN_STORE, idempotencyKey: "new"'),
    "approveReturn": ("the office", "id: <back>"),
    "declineReturn": ("the office", 'id: <asked>, reason: "Worn"'),
    "cancelReturn": ("shops", "id: <called_off>"),
    "receiveReturn": ("its workers", "id: <back>, locationId: <place>"),
    "inspectReturn": ("its workers", "id: <back>, lines: [{lineId: <part>, condition: NEW}]"),
    "closeReturn": ("its workers", "id: <back>"),
    "registerReturn": (
        "its workers",
        'input: {idempotencyKey: "new", locationId: <place>, lines: [{sku: "mug", quantity: 1, reason: OTHER}]}',
    ),
    "saveReturnPolicy": ("the owner", 'input: {name: "standard", days: 30}'),
    "adjustStock": (
        "its workers", 'sku: "quill", locationId: <place>, delta: 9, reason: ADJUSTED, idempotencyKey: "found"'
    ),
    "countStock": ("its workers", 'sku: "quill", locationId: <place>, onHand: 900'),
    "importStock": ("the office", 'rows: [{sku: "rug", locationCode: "WB", onHand: 1}]'),
    "setSafetyStock": ("the office", 'rows: [{sku: "rug", locationCode: "WB", safetyStock: 1}]'),
    "setHoldback": ("the office", 'rows: [{channel: "kiosk", sku: "rug", units: 1}]'),
    "expectReceipts": (
        "the office",
        'rows: [{reference: "PO-2", locationCode: "WB", sku: "rug", quantity: 1, expectedAt: "2026-03-07T10:00:00Z"}]',
    ),
    "receiveReceipt": ("its workers", 'id: <receipt>, quantity: 1, idempotencyKey: "came"'),
    "createTransfer": (
        "its workers",
        'fromLocationId: <place>, toLocationId: <warehouse>, lines: [{sku: "mug", quantity: 1}], idempotencyKey: "new"',
    ),
    "dispatchTransfer": ("its workers", "id: <leaving>"),
    "receiveTransfer": ("its workers", 'id: <coming>, lines: [{sku: "mug", quantity: 1}]'),
    "cancelTransfer": ("its workers", "id: <doomed>"),
    "importItems": ("the office", 'rows: [{sku: "bowl", name: "Bowl"}]'),
    "setLocationStatus": ("the office", "id: <place>, status: SUSPENDED"),
    "importLocations": ("the owner", f"rows: [{PLACE}]"),
    "importCarrierServices": ("the owner", 'rows: [{code: "parcel", name: "Parcel"}]'),
    "saveLocation": ("the owner", 'input: {code: "SM", name: "Berlin Mitte"}'),
    "saveRoutingPolicy": ("the owner", 'input: {name: "fastest", fences: [], ratings: [], activate: false}'),
    "saveWebhook": ("the owner", 'input: {url: "https://93.184.215.14/", kinds: [], active: false}'),
    "webhooks": ("the office", ""),
    "apiKeys": ("the owner", ""),
    "issueApiKey": ("the owner", 'input: {name: "erp", role: OPERATIONS}'),
    "revokeApiKey": ("the owner", "id: <key>"),
    "replayWebhook": ("the office", "id: <webhook>, after: <start>"),
    "deleteWebhook": ("the owner", "id: <webhook>"),
    "saveCarrierService": ("the owner", 'input: {code: "parcel", name: "Standard"}'),
    "orderUpdates": ("its readers", "orderId: <order>, after: <start>"),
    "assignmentUpdates": ("its workers", "locationId: <place>, after: <start>"),
    "returnUpdates": ("its readers", "orderId: <given>, after: <start>"),
    "stockUpdates": ("its workers", "locationId: <place>, after: <start>"),
}  # fmt: skip


@pytest.fixture
async def town(settled_dsn: str, settled: tuple[str, Town]) -> AsyncIterator[Town]:
    async with visited(settled_dsn, settled[1]) as town:
        yield town


def asked(town: Town, name: str, arguments: str) -> str:
    """Return the selection of a root field, with the things of the store SM for its arguments."""
    share = town.shares["SM"]
    things = {
        "place": town.house.ids["SM"], "order": share.ids["Order"][0], "work": share.work["id"],
        "line": share.work["lines"][0]["id"], "parcel": share.parcel["id"], "offered": share.offered["id"],
        "open": share.ids["Order"][1], "wanted": share.ids["OrderLine"][1], "dropped": share.dropped["id"],
        "code": share.pickup_code, "number": share.tracking_number, "sent": share.ids["Shipment"][0],
        "start": town.start, "warehouse": town.house.ids["WB"], **share.motion, **share.returning,
        "given": share.returning["order"],
        "token": town.token, "reservation": town.reservation, "webhook": town.webhook, "key": town.key,
    }  # fmt: skip
    for thing, value in things.items():
        arguments = arguments.replace(f"<{thing}>", json.dumps(value))
    root = next(kind for kind in ROOT_TYPES if name in fields_of(kind))
    target = get_named_type(fields_of(root)[name].type)
    below = ""
    if isinstance(target, GraphQLObjectType):
        below = f"{{ {selections(target.name, 1)[0]} }}"
    elif isinstance(target, GraphQLUnionType):
        thing = target.types[0].name
        below = f"{{ __typename ... on UserError {{ message }} ... on {thing} {{ {selections(thing, 1)[0]} }} }}"
    elif isinstance(target, GraphQLInterfaceType):
        below = "{ __typename id }"
    return f"{root.lower()} {{ {name}{f'({arguments})' if arguments else ''} {below} }}"


@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.title)
async def test_each_root_field_answers_those_it_is_for(town: Town, caller: Caller) -> None:
    wanted = {name: RULES[rule][CALLERS.index(caller)] for name, (rule, _) in ROOTS.items()}
    found = {}
    for name, (_, arguments) in ROOTS.items():
        query = asked(town, name, arguments)
        ask = town.first if query.startswith("subscription") else town.post
        found[name] = verdict(await ask(caller, query))
    assert found == wanted


def test_each_root_field_says_who_may_use_it_and_what_it_is_for() -> None:
    fields = {name: each for root in ROOT_TYPES for name, each in fields_of(root).items()}
    assert set(fields) == set(ROOTS)
    assert [name for name, each in fields.items() if not each.description] == []
    assert [name for name, each in fields.items() if not declared(each)] == []


def declared(each: GraphQLField) -> bool:
    """Say whether a field declares who may use it."""
    definition: StrawberryField = each.extensions[GraphQLCoreConverter.DEFINITION_BACKREF]
    return any(isinstance(extension, Allowed) for extension in definition.extensions)


CHOSEN = {
    # What these show was chosen by a root field, or is public.
    "Viewer.locations", "FulfillmentOption.pickupLocation", "PlannedParcel.destination", "PlannedParcel.location",
    "PlannedParcel.carrierService", "LocationAvailability.location", "OrderUpdate.order",
    "AssignmentUpdate.assignment", "StockUpdate.location",
    "StockUpdate.level", "RoutingCandidate.location", "RoutingAlternative.locations", "RoutingSimulation.policy",
    "ReturnOption.location", "ReturnableLine.orderLine", "ReturnUpdate.return",
}  # fmt: skip


def test_each_edge_says_who_may_follow_it() -> None:
    guarded = NODES | {"Customer", "TimelineEntry", "Capacity"}
    guarded |= {f"{kind}Connection" for kind in guarded}
    undeclared = {
        f"{kind.name}.{name}"
        for kind in SCHEMA.type_map.values()
        if isinstance(kind, GraphQLObjectType) and kind.name not in ROOT_TYPES and not kind.name.endswith("Edge")
        for name, each in kind.fields.items()
        if get_named_type(each.type).name in guarded and not declared(each)
    }
    assert undeclared == CHOSEN


async def test_a_store_hears_of_no_order_but_its_own_and_of_no_other_stores_work(town: Town) -> None:
    async def heard(field: str, selection: str, until: str) -> list[dict[str, Any]]:
        updates = []
        query = f"subscription {{ {field}(after: {json.dumps(town.start)}) {{ {selection} }} }}"
        async with asyncio.timeout(30), aclosing(town.follow(OWN, query)) as following:
            async for update in following:
                updates.append(update)
                if until in json.dumps(update):
                    return updates
        raise AssertionError

    foreign = await town.house.place("foreign", [("quiz", 1)])
    last = await town.house.place("last", [("quill", 1), ("quiz", 1)])
    orders = await heard("orderUpdates", "order { id number } status", last["id"])
    own = {town.shared, *town.shares["SM"].ids["Order"], last["id"]}
    assert {update["order"]["id"] for update in orders} == own
    assert foreign["id"] not in own
    await town.post(OWN, asked(town, "adjustStock", ROOTS["adjustStock"][1]))
    stock = await heard("stockUpdates", "sku location { code } onHand", "701045")
    assert {update["location"]["code"] for update in stock} == {"SM"}


async def test_an_inactive_carrier_service_is_known_to_the_office_only(town: Town) -> None:
    codes = await town.house.ask(Role.ADMIN, "{ carrierServices { id code } }")
    (courier,) = [each["id"] for each in codes if each["code"] == "courier"]
    query = f'{{ node(id: "{courier}") {{ id }} }}'
    assert verdict(await town.post(OWN, query)) == "yes"
    save = 'mutation { saveCarrierService(input: {code: "courier", active: false}) { __typename } }'
    assert (await town.house.ask(Role.ADMIN, save)) == {"__typename": "CarrierService"}
    seen = {caller.title: verdict(await town.post(caller, query)) for caller in CALLERS}
    assert tuple(seen.values()) == ("nothing", "nothing", "nothing", "yes", "yes")
