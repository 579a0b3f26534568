"""A town with two stores that share an order, five callers, and what none of them may ever read."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import asyncpg
from gql import Client, gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.websockets import WebsocketsTransport
from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
    is_leaf_type,
)

from app import auth
from app.execution import build_schema
from domain import epoch, webhooks
from domain.feed import Cursor
from domain.vocabulary import Role
from domain.webhooks import Delivery
from tests.api.house import SECRET, House, know, opened

SCHEMA = build_schema()._schema
NODES = {kind.name for kind in SCHEMA.get_possible_types(SCHEMA.type_map["Node"])}  # type: ignore[arg-type]
FIELDS_A_QUERY = 480
GENEROUS = dict.fromkeys(Role, 10**9)
"""Nothing is too dear for anybody: who may ask is the question here."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the column of the tables."""

    title: str
    role: Role
    locations: tuple[str, ...] = ()
    name: str = "Nobody"

    def token(self, house: House) -> str:
        ttl = timedelta(hours=8)
        return auth.issue(SECRET, role=self.role, name=self.name, ttl=ttl, now=house.now, locations=self.locations)


STOREFRONT = Caller("storefront", Role.STOREFRONT, name="The shop")
OTHER = Caller("another store", Role.STORE, ("SN",), name="Nils of Nord")
OWN = Caller("the store", Role.STORE, ("SM",), name="Mia of Mitte")
OPERATIONS = Caller("operations", Role.OPERATIONS, name="Olga")
ADMIN = Caller("admin", Role.ADMIN, name="Arno")
CALLERS = (STOREFRONT, OTHER, OWN, OPERATIONS, ADMIN)


@dataclass(kw_only=True)
class Share:
    """What belongs to one store: its objects by kind, and the texts that give them away."""

    ids: dict[str, list[str]]
    """Node ids by type."""
    number: str
    """Of the pickup, an order that the store does alone."""
    pickup_code: str
    work: dict[str, Any]
    """Its assignment of the shared order, OFFERED."""
    parcel: dict[str, Any]
    """That of the pickup, PACKED."""
    offered: dict[str, Any]
    """That of another order which it does alone, OFFERED."""
    dropped: dict[str, Any]
    """That of a third, CANCELLED while it waited for its shopper."""
    tracking_number: str
    """Of its parcel of a fourth, HANDED_OVER."""
    returning: dict[str, str]
    """Ids of a delivered `order` and its line, a `piece`; of its returns `back`, APPROVED, with its line, a `part`,
    `called_off`, APPROVED too, and `asked`, REQUESTED; and of one without an order that was `inspected`."""
    motion: dict[str, str]
    """Ids of its transfers `leaving` and `doomed`, REQUESTED, and `coming`, IN_TRANSIT, and of its `receipt`."""
    secrets: set[str]
    order_secrets: set[str]
    """What only those read who may read the orders that the store does alone."""


@dataclass(kw_only=True)
class Town:
    """The stores SM and SN, and an order that both work on. `start` is the cursor before any of it.

    `token` is that of an option, `reservation` the id of what was reserved from it, `policy` that of a
    policy, `terms` of one for returns.
    `decision` is why the shared order was routed as it was. `webhook` is inactive, `key` revoked.
    """

    house: House
    shared: str
    start: str
    token: str
    reservation: str
    policy: str
    terms: str
    decision: str
    webhook: str
    key: str
    shares: dict[str, Share] = field(default_factory=dict)

    async def post(self, caller: Caller, query: str, **variables: Any) -> dict[str, Any]:
        """Return the whole answer, errors too; nothing in it may be a secret."""
        headers = {"Authorization": f"Bearer {caller.token(self.house)}"}
        answer = await self.house.http.post("/graphql", json={"query": query, "variables": variables}, headers=headers)
        result: dict[str, Any] = answer.json()
        self.no_secret(caller, result)
        return result

    async def follow(self, caller: Caller, query: str) -> AsyncIterator[Any]:
        """Yield a subscription's updates, looked through for secrets."""
        transport = WebsocketsTransport(
            url=f"ws://{self.house.address}/graphql",
            init_payload={"authorization": f"Bearer {caller.token(self.house)}"},
            subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
        )
        async with Client(transport=transport) as session, aclosing(session.subscribe(gql(query))) as updates:
            async for update in updates:
                self.no_secret(caller, update)
                yield next(iter(update.values()))

    async def first(self, caller: Caller, query: str) -> dict[str, Any]:
        """Return a subscription's first update, or why there is none, as an answer."""
        try:
            async with asyncio.timeout(30), aclosing(self.follow(caller, query)) as updates:
                return {"data": {"update": await anext(updates)}}
        except TransportQueryError as error:
            return {"errors": error.errors}

    def no_secret(self, caller: Caller, answer: object) -> None:
        """Fail where the answer holds a text that the caller may not read."""
        text = json.dumps(answer, ensure_ascii=False)
        found = [secret for secret in self.secrets(caller) if re.search(rf"(?<!\w){re.escape(secret)}(?!\w)", text)]
        assert not found, f"{caller.title} reads {found} in {text[:2000]}"

    def secrets(self, caller: Caller) -> set[str]:
        """Return what the caller may never read. The storefront knows of SN's pickup nothing, not even its id."""
        if caller.role is Role.STOREFRONT:
            return self.shares["SM"].secrets | self.shares["SN"].secrets | self.shares["SN"].order_secrets
        if caller.role is not Role.STORE:
            return set()
        codes = {share.pickup_code for share in self.shares.values()}
        foreign = [share for code, share in self.shares.items() if code not in caller.locations]
        return codes.union(*(share.secrets | share.order_secrets for share in foreign))


def verdict(answer: dict[str, Any]) -> str:
    """Return what became of a question: yes, nothing, or FORBIDDEN."""
    for error in answer.get("errors", ()):
        assert error["extensions"]["code"] in {"FORBIDDEN", "NOT_FOUND"}, error
        return "FORBIDDEN" if error["extensions"]["code"] == "FORBIDDEN" else "nothing"
    (value,) = answer["data"].values()
    kind = value.get("__typename", "") if isinstance(value, dict) else ""
    if value is None or kind == "NotFoundError" or (kind.endswith("Connection") and value["edges"] == []):
        assert kind in {"", "NotFoundError"} or value["totalCount"] == 0
        return "nothing"
    assert not kind.endswith("Error"), answer
    return "yes"


async def moved_in(dsn: str) -> Town:
    """Settle the furnished network of a database; the house is closed again."""
    async with opened(dsn, max_cost=GENEROUS) as house:
        await know(house)
        return await settled(house)


@asynccontextmanager
async def visited(dsn: str, town: Town, **settings: Any) -> AsyncIterator[Town]:
    """Open a copy of the town, in which the cursors of the town go on, where an operation may cost what it likes."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(f"UPDATE feed_epoch SET database = ({epoch.HERE})")
    await connection.close()
    async with opened(dsn, **{"max_cost": GENEROUS, **settings}) as house:
        house.ids = town.house.ids
        yield replace(town, house=house)


async def settled(house: House) -> Town:
    """Furnish two stores alike: stock and capacity with figures that are nowhere else, orders, and work begun."""
    start = await house.ask(Role.ADMIN, "{ updatesCursor }")
    await _save(house, {"name": "cheapest", "fences": [], "ratings": [], "respondWithin": "P7D"})
    for code, (sku, figure) in {"SM": ("quill", 701), "SN": ("quiz", 702)}.items():
        await _stock(house, code, sku, figure)
    shared = await _place(house, "shared", [("quill", 1), ("quiz", 1)], "Ada")
    token, reservation = await _reserved(house)
    (decision,) = (await house.order(shared["id"], "routing { id }"))["routing"]
    town = Town(
        house=house,
        shared=shared["id"],
        start=start,
        token=token,
        reservation=reservation,
        policy=await _policy(house),
        terms=await _terms(house),
        decision=decision["id"],
        webhook=await _webhook(house),
        key=await _api_key(house),
    )
    for code, caller, sku, figure, name in (("SM", OWN, "quill", 701, "Bert"), ("SN", OTHER, "quiz", 702, "Cora")):
        town.shares[code] = await _share(town, code, caller, sku, figure, name)
    return town


FOUND = """mutation ($sku: String!, $place: ID!, $key: String!) { adjustStock(
    sku: $sku, locationId: $place, delta: 1, reason: ADJUSTED, note: "Behind the shelf.", idempotencyKey: $key
) { __typename } }"""


async def _stock(house: House, code: str, sku: str, figure: int) -> None:
    item = {
        "sku": sku, "name": sku, "weightGrams": 5, "tags": ["new"], "barcodes": ["1"], "imageUrl": "https://a.example/q"
    }  # fmt: skip
    row = {"sku": sku, "locationCode": code, "onHand": figure * 1000 + 40, "safetyStock": figure * 1000}
    place = {
        "code": code,
        "services": ["SHIP", "PICKUP", "RETURN"],
        "tags": ["downtown"],
        "closures": [{"date": "2026-12-25", "reason": "Christmas"}],
        "publicHolidays": "DE",
        "capacity": [
            {"weekday": weekday, "orders": figure * 1000 + 51, "units": figure * 1000 + 52} for weekday in (1, 3)
        ],
    }
    for name, argument, kind, value in (
        ("importItems", "rows", "[ItemRowInput!]!", [item]),
        ("importStock", "rows", "[StockRowInput!]!", [row]),
        ("saveLocation", "input", "LocationInput!", place),
    ):
        query = f"mutation ($v: {kind}) {{ {name}({argument}: $v) {{ __typename }} }}"
        told = await house.ask(Role.ADMIN, query, v=value)
        assert told["__typename"] in {"ImportResult", "Location"}, told
    found = await house.ask(Role.ADMIN, FOUND, sku=sku, place=house.ids[code], key=f"found {sku}")
    assert found == {"__typename": "StockLevel"}, found


async def _reserved(house: House) -> tuple[str, str]:
    """Return the token of an option, and the id of a reservation made from it."""
    token = (await house.options(("mug", 1)))["options"][0]["token"]
    query = """mutation ($token: String!) { reserveCart(optionToken: $token, idempotencyKey: "reserved") {
        ... on Reservation { id } } }"""
    return token, (await house.ask(Role.STOREFRONT, query, token=token))["id"]


async def _terms(house: House) -> str:
    """Return the id of a return policy that leaves nothing out, and fits nothing here."""
    query = """mutation { saveReturnPolicy(input: { name: "kiosk", channels: ["kiosk"], itemTags: ["gift"],
        deductions: [{ condition: OPENED, share: "0.1" }] }) { ... on ReturnPolicy { id } } }"""
    saved: str = (await house.ask(Role.ADMIN, query))["id"]
    return saved


async def _policy(house: House) -> str:
    """Return the id of a policy that is not in force, and leaves nothing out."""
    policy = {
        "name": "cautious",
        "condition": "'gift' in tags",
        "fences": [
            {"kind": "STOCK", "limit": "1"},
            {"kind": "TAGS", "tags": ["downtown"]},
            {"kind": "BLOCKED", "locationIds": [house.ids["WH"]]},
        ],
        "ratings": [{"kind": "PREFERENCE", "weight": "1", "tags": ["downtown"], "locationKinds": ["STORE"]}],
        "respondWithin": "PT1H",
        "startWithin": "PT2H",
        "collectWithin": "P7D",
        "activate": False,
    }
    return await _save(house, policy)


async def _save(house: House, policy: dict[str, Any]) -> str:
    query = """mutation ($input: RoutingPolicyInput!) { saveRoutingPolicy(input: $input) {
        ... on RoutingPolicy { id } } }"""
    saved: str = (await house.ask(Role.ADMIN, query, input=policy))["id"]
    return saved


async def _webhook(house: House) -> str:
    """Return the id of a webhook that has missed something, and has given something up long ago."""
    query = """mutation { saveWebhook(input: { url: "https://93.184.215.14/", kinds: [ORDER_PLACED], active: false }) {
        ... on Webhook { id } } }"""
    made: str = (await house.ask(Role.ADMIN, query))["id"]
    gateway = house.gateway
    assert gateway
    async with gateway.database.transaction() as connection:
        (row,) = await webhooks.all_webhooks(connection)
        place = Cursor.parse(row.delivered_through)
        letter = Delivery(
            cursor=place, subject="an order", kind="ORDER_PLACED", at=house.now, body="{}", error="HTTP 500"
        )
        assert await webhooks.skip(connection, row, place)
        assert await webhooks.advance(connection, row, place, [letter], now=house.now)
        (parked,) = await webhooks.due(connection, row.id, now=house.now + timedelta(hours=1), limit=1)
        assert await webhooks.fail(connection, parked, "HTTP 500", now=house.now + timedelta(hours=24))
    return made


async def _place(house: House, key: str, lines: list[tuple[str, int]], name: str, **more: Any) -> dict[str, Any]:
    customer = {"name": name, "email": f"{name.lower()}@{key}.example", "phone": f"0049 30 {key}"}
    order = await house.place(key, lines, customer=customer, tags=["gift"], **more)
    assert order["__typename"] == "Order", order
    return order


async def _bound(house: House, order: str) -> str:
    """Return the transfer that an order waits for."""
    query = "{ transfers(first: 100) { edges { node { id order { id } } } } }"
    nodes = [edge["node"] for edge in (await house.ask(Role.ADMIN, query))["edges"]]
    (found,) = [node["id"] for node in nodes if node["order"] == {"id": order}]
    return str(found)


async def _share(town: Town, code: str, caller: Caller, sku: str, figure: int, name: str) -> Share:
    house, place = town.house, town.house.ids[code]
    keys = [f"{what}{code}" for what in ("pickup", "offered", "refused", "sent", "given", "dropped")]
    at_counter = {"method": "PICKUP", "pickupLocationId": place}
    pickup = await _place(house, keys[0], [(sku, 2), ("rug", 1)], name, **at_counter)
    others = [await _place(house, key, [(sku, 4 if key.startswith("given") else 1)], name) for key in keys[1:5]]
    alone = [pickup, *others, await _place(house, keys[5], [(sku, 1)], name, **at_counter)]
    parcel, offered, refused, sent, given, dropped = [(await house.work(order["id"]))[0] for order in alone]
    (work,) = [each for each in await house.work(town.shared) if each["location"]["code"] == code]
    motion, numbers = await _motion(house, code)
    motion["bound"] = await _bound(house, pickup["id"])
    works = [work, parcel, offered, refused, sent, given, dropped]
    for step in (
        f'rejectAssignment(id: "{refused["id"]}", reason: OTHER)',
        *_packed_up(dropped, 1),
        f'markReadyForPickup(id: "{dropped["id"]}")',
        *_packed_up(parcel, 2),
        *_packed_up(sent, 1),
        f'handOverAssignment(id: "{sent["id"]}")',
        *_packed_up(given, 4),
        f'handOverAssignment(id: "{given["id"]}")',
    ):
        answer = await town.post(caller, f"mutation {{ {step} {{ __typename }} }}")
        assert next(iter(answer["data"].values())) == {"__typename": "Assignment"}, answer
    query = "mutation ($id: ID!) { cancelOrder(id: $id) { __typename } }"
    assert await house.ask(Role.ADMIN, query, id=alone[-1]["id"]) == {"__typename": "Order"}
    shipment = await _sent(town, caller, alone[3]["id"])
    returning, return_secrets = await _returning(town, caller, alone[4], code)
    pickup_code = (await house.order(pickup["id"], "pickupCode"))["pickupCode"]
    levels = await house.ask(
        Role.ADMIN, "query ($p: ID) { stockLevels(location: $p) { edges { node { id } } } }", p=place
    )
    ids = {
        "Order": [order["id"] for order in alone],
        "OrderLine": [order["lines"][0]["id"] for order in alone],
        "Assignment": [each["id"] for each in works],
        "AssignmentLine": [each["lines"][0]["id"] for each in works],
        "StockLevel": [edge["node"]["id"] for edge in levels["edges"]],
        "Location": [place],
        "Shipment": [shipment["id"]],
        "Transfer": [each for name, each in motion.items() if name != "receipt"],
        "Receipt": [motion["receipt"]],
        "Return": [returning[name] for name in ("back", "called_off", "asked", "inspected")],
        "ReturnLine": [returning["part"], returning["inspected_part"]],
    }
    ledger = await house.ask(
        Role.ADMIN, "query ($p: ID) { stockMovements(location: $p) { edges { node { id } } } }", p=place
    )
    ids["StockMovement"] = [edge["node"]["id"] for edge in ledger["edges"]]
    return Share(
        ids=ids,
        number=pickup["number"],
        pickup_code=pickup_code,
        work=work,
        parcel=parcel,
        offered=offered,
        dropped=dropped,
        tracking_number=shipment["trackingNumber"],
        motion=motion,
        returning=returning,
        secrets={caller.name, f"PO-{code}", *numbers}
        | {str(figure * 1000 + n) for n in (40, 51, 52)}
        | {each["number"] for each in works}
        | {each for kind in OWN_THINGS for each in ids[kind]},
        order_secrets={pickup_code, shipment["id"], shipment["trackingNumber"], *return_secrets}
        | {text for key in keys for text in (f"{name.lower()}@{key}.example", f"0049 30 {key}")}
        | {order["number"] for order in alone}
        | {each for kind in ("Order", "OrderLine", "Return", "ReturnLine") for each in ids[kind]},
    )


ASK = """mutation ($order: ID!, $line: ID!, $method: ReturnMethod!, $at: ID!, $key: String!) { requestReturn(
    orderId: $order, lines: [{ orderLineId: $line, quantity: 1, reason: OTHER }], method: $method, locationId: $at,
    idempotencyKey: $key) { ... on Return { id number status lines { id } } } }"""
SHOW = """mutation ($at: ID!, $key: String!) { registerReturn(input: { locationId: $at, idempotencyKey: $key,
    lines: [{ sku: "mug", quantity: 1, reason: OTHER }] }) { ... on Return { id number lines { id } } } }"""
LOOK = """mutation ($id: ID!, $line: ID!) { inspectReturn(id: $id, lines: [
    { lineId: $line, condition: NEW, disposition: TRANSFER, refund: "1.00" }]) { ... on Return { status } } }"""
AGREE = """mutation ($agree: Boolean!) {
    saveReturnPolicy(input: { name: "standard", autoApprove: $agree }) { __typename } }"""


async def _returning(town: Town, caller: Caller, order: dict[str, Any], code: str) -> tuple[dict[str, str], set[str]]:
    """Let an order come to its shopper, and parts of it back; return the ids, and what gives the returns away."""
    house, place = town.house, town.house.ids[code]
    number = (await _sent(town, caller, order["id"], "DELIVERED"))["trackingNumber"]
    made: dict[str, Any] = {}
    for name, method in (("back", "CARRIER"), ("called_off", "IN_STORE"), ("asked", "IN_STORE")):
        agree = name != "asked"
        assert (await house.ask(Role.ADMIN, AGREE, agree=agree))["__typename"] == "ReturnPolicy"
        given = {"order": order["id"], "line": order["lines"][0]["id"], "method": method, "at": place}
        made[name] = await house.ask(Role.OPERATIONS, ASK, **given, key=f"{name} {code}")
        assert made[name]["status"] == ("APPROVED" if agree else "REQUESTED")
    blind = (await town.post(caller, SHOW, at=place, key=f"blind {code}"))["data"]["registerReturn"]
    looked = await town.post(caller, LOOK, id=blind["id"], line=blind["lines"][0]["id"])
    assert looked["data"]["inspectReturn"] == {"status": "INSPECTED"}, looked
    query = "query ($id: ID!) { node(id: $id) { ... on Return { trackingNumber } } }"
    async with asyncio.timeout(30):
        while not (parcel := (await house.ask(Role.ADMIN, query, id=made["back"]["id"]))["trackingNumber"]):
            await asyncio.sleep(0.02)
    ids = {name: each["id"] for name, each in made.items()}
    parts = {"part": made["back"]["lines"][0]["id"], "inspected_part": blind["lines"][0]["id"]}
    numbers = {each["number"] for each in (*made.values(), blind)}
    return (
        {**ids, **parts, "order": order["id"], "piece": order["lines"][0]["id"], "inspected": blind["id"]},
        {number, parcel, *numbers},
    )


async def _sent(town: Town, caller: Caller, order: str, status: str = "IN_TRANSIT") -> dict[str, Any]:
    """Return the shipment of an order once its carrier is booked, and tell of it."""
    async with asyncio.timeout(30):
        while True:
            ((shipment,),) = (await town.house.order(order, "shipments { id trackingNumber }")).values()
            if shipment["trackingNumber"]:
                break
            await asyncio.sleep(0.02)
    query = """mutation ($number: String!, $status: ShipmentStatus!) { recordTracking(
        trackingNumber: $number, status: $status, description: "Sorted."
    ) { __typename } }"""
    told = await town.post(caller, query, number=shipment["trackingNumber"], status=status)
    assert told["data"]["recordTracking"] == {"__typename": "Shipment"}, told
    found: dict[str, Any] = shipment
    return found


def _packed_up(work: dict[str, Any], quantity: int) -> Iterator[str]:
    for step in ("acceptAssignment", "startPicking"):
        yield f'{step}(id: "{work["id"]}")'
    yield f'reportPicked(id: "{work["id"]}", lines: [{{lineId: "{work["lines"][0]["id"]}", picked: {quantity}}}])'
    yield f'packAssignment(id: "{work["id"]}")'


OWN_THINGS = ("Assignment", "AssignmentLine", "StockLevel", "StockMovement", "Transfer", "Receipt")
CREATE = """mutation ($from: ID!, $to: ID!, $key: String!) { createTransfer(
    fromLocationId: $from, toLocationId: $to, lines: [{ sku: "mug", quantity: 1 }], idempotencyKey: $key,
    expectedAt: "2026-03-06T10:00:00Z"
) { ... on Transfer { id number } } }"""
EXPECT = "mutation ($rows: [ReceiptInput!]!) { expectReceipts(rows: $rows) { created } }"


async def _motion(house: House, code: str) -> tuple[dict[str, str], set[str]]:
    """Let a store have stock on its way, in and out; return the ids, and the transfers' numbers."""
    ends = {"leaving": (code, "WB"), "doomed": (code, "WB"), "coming": ("WB", code)}
    made = {
        name: await house.ask(
            Role.ADMIN, CREATE, **{"from": house.ids[source], "to": house.ids[target], "key": f"{name} {code}"}
        )
        for name, (source, target) in ends.items()
    }
    query = "mutation ($id: ID!) { dispatchTransfer(id: $id) { __typename } }"
    assert await house.ask(Role.ADMIN, query, id=made["coming"]["id"]) == {"__typename": "Transfer"}
    row = {"reference": f"PO-{code}", "locationCode": code, "sku": "rug", "quantity": 9}
    expected = await house.ask(Role.ADMIN, EXPECT, rows=[{**row, "expectedAt": "2026-03-07T10:00:00Z"}])
    assert expected == {"created": 1}
    query = "query ($reference: String) { receipts(reference: $reference) { edges { node { id } } } }"
    (receipt,) = (await house.ask(Role.ADMIN, query, reference=f"PO-{code}"))["edges"]
    ids = {name: transfer["id"] for name, transfer in made.items()}
    return {**ids, "receipt": receipt["node"]["id"]}, {transfer["number"] for transfer in made.values()}


def selections(kind: str, steps: int) -> list[str]:
    """Return what can be selected of a type, `steps` nodes far along every edge, in parts that one query can hold."""
    return [text for text, _ in _packed(kind, steps, ())]


def _packed(kind: str, left: int, path: tuple[str, ...]) -> list[tuple[str, int]]:
    """Return texts that together select every field, each with the number of its fields."""
    always = ["__typename", *(name for name in ("id", "code", "totalCount") if name in fields_of(kind))]
    packs: list[tuple[str, int]] = []
    for text, size in _selected(kind, left, path):
        if not packs or packs[-1][1] + size > FIELDS_A_QUERY - 10 * len(path):
            packs.append((" ".join(always), len(always)))
        packs[-1] = (f"{packs[-1][0]} {text}", packs[-1][1] + size)
    return packs


def _selected(kind: str, left: int, path: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    """Yield each field of a type with what is below it, part by part."""
    for name, each in fields_of(kind).items():
        target, edge = get_named_type(each.type), f"{kind}.{name}"
        if is_leaf_type(target):
            yield name, 1
        elif edge not in path and (left or target.name not in NODES):
            for text, size in _packed(target.name, left - (target.name in NODES), (*path, edge)):
                yield f"{name} {{ {text} }}", size + 1


def fields_of(kind: str) -> dict[str, GraphQLField]:
    """Return the fields of an object type, by name."""
    fields: dict[str, GraphQLField] = SCHEMA.type_map[kind].fields  # type: ignore[attr-defined]
    return fields


def reached(*roots: str) -> dict[str, set[str]]:
    """Return the object types that the root types lead to, errors apart, with the names of their fields."""
    found: dict[str, set[str]] = {}
    waiting = [get_named_type(each.type) for root in roots for each in fields_of(root).values()]
    while waiting:
        kind = waiting.pop()
        if isinstance(kind, GraphQLInterfaceType | GraphQLUnionType):
            waiting += SCHEMA.get_possible_types(kind)
        elif isinstance(kind, GraphQLObjectType) and kind.name not in found and not kind.name.endswith("Error"):
            found[kind.name] = set(kind.fields)
            waiting += [get_named_type(each.type) for each in kind.fields.values()]
    return found


def objects(answer: Any) -> Iterator[dict[str, Any]]:
    """Yield every object of an answer, however deep."""
    if isinstance(answer, dict):
        if "__typename" in answer:
            yield answer
        answer = list(answer.values())
    if isinstance(answer, list):
        for each in answer:
            yield from objects(each)


async def _api_key(house: House) -> str:
    """Return the id of an API key that was used, and revoked."""
    wish = {"name": "till", "role": "STORE", "locationCodes": ["SM"], "scopes": ["viewer"]}
    query = """mutation ($input: ApiKeyInput!) { issueApiKey(input: $input) { ... on ApiKey { id secret } } }"""
    expires_at = (house.now + timedelta(days=1)).isoformat()
    made = await house.ask(Role.ADMIN, query, input={**wish, "expiresAt": expires_at})
    headers = {"Authorization": f"Bearer {made['secret']}"}
    answer = await house.http.post("/graphql", json={"query": "{ viewer { name } }"}, headers=headers)
    assert answer.json() == {"data": {"viewer": {"name": "till"}}}
    await house.ask(Role.ADMIN, "mutation ($id: ID!) { revokeApiKey(id: $id) { __typename } }", id=made["id"])
    key: str = made["id"]
    return key
