"""A gateway on a real socket, with a small network, and callers of every role."""

from collections import OrderedDict, defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import httpx
from gql import Client
from gql.transport.websockets import WebsocketsTransport

from app import auth
from app.documents import BYTES_A_CHARACTER, Document
from app.execution import Schema, build_schema
from app.limits import Limits
from app.main import Gateway, create_app
from app.settings import Settings
from domain.vocabulary import Role
from tests.api.serve import calling, serving

NOON = datetime(2026, 3, 4, 11, 0, tzinfo=UTC)
"""A Wednesday, noon in Berlin."""
SECRET = "a secret for the tests, which is long enough"
BERLIN = {"postalCode": "10115", "city": "Berlin", "country": "DE", "lines": ["Chausseestr. 1"], "name": "Ada"}

PLACES = [
    ("WB", "Lager Berlin", "WAREHOUSE", 52.45, 13.30, "12099", "Berlin"),
    ("WH", "Lager Hamburg", "WAREHOUSE", 53.55, 10.00, "20095", "Hamburg"),
    ("SM", "Berlin Mitte", "STORE", 52.53, 13.40, "10115", "Berlin"),
    ("SN", "Berlin Nord", "STORE", 52.57, 13.38, "13347", "Berlin"),
]
STOCK = {
    "WB": {"mug": 50, "lamp": 5},
    "WH": {"mug": 50, "lamp": 20, "rug": 3},
    "SM": {"mug": 4, "pen": 10},
    "SN": {"mug": 4, "pen": 10, "lamp": 1},
}
GRAMS = {"mug": 300, "lamp": 1500, "pen": 10, "rug": 9000}
SERVICES = [
    {
        "code": "parcel", "carrier": "ParcelPost", "name": "Standard", "level": "STANDARD", "countries": ["DE", "AT"],
        "currency": "EUR", "cutoff": "16:00", "deliverBy": "18:00", "collects": [1, 2, 3, 4, 5],
        "delivers": [1, 2, 3, 4, 5, 6], "maxGrams": 31500, "shopperPrice": "4.95", "freeFrom": "60.00",
        "zones": [{"zone": "near", "maxKm": 150, "transitDays": [1, 1]},
                  {"zone": "far", "maxKm": 900, "transitDays": [1, 2]}],
        "cost": [{"zone": "near", "maxGrams": 31500, "amount": "3.90"},
                 {"zone": "far", "maxGrams": 31500, "amount": "4.60"}],
        "co2GramsPerKm": 0.9,
    },
    {
        "code": "courier", "carrier": "CityCourier", "name": "This evening", "level": "SAME_DAY", "countries": ["DE"],
        "currency": "EUR", "locationKinds": ["STORE"], "cutoff": "15:00", "deliverBy": "21:00",
        "collects": [1, 2, 3, 4, 5, 6], "delivers": [1, 2, 3, 4, 5, 6], "maxGrams": 15000, "shopperPrice": "7.90",
        "zones": [{"zone": "city", "maxKm": 25, "transitDays": [0, 0]}],
        "cost": [{"zone": "city", "maxGrams": 15000, "amount": "6.80"}],
    },
]  # fmt: skip

ORDER = (
    "number status version method level shippingPrice { amount } total { amount } lines { id sku quantity fulfilled }"
)
ERROR = "... on UserError { __typename message code path }"
PLACE = f"""
    mutation ($input: PlaceOrderInput!) {{ placeOrder(input: $input) {{ __typename ... on Order {{ id {ORDER} }} {ERROR}
        ... on OutOfStockError {{ missing {{ sku quantity }} }}
        ... on NoFulfillmentOptionError {{ unavailable {{ code level sku }} }} }} }}
"""
OPTIONS = """
    query ($input: FulfillmentOptionsInput!) { fulfillmentOptions(input: $input) {
        options { token method level price { amount currency } complete missing { sku quantity } earliest latest
                  orderBefore expiresAt pickupLocation { code } distanceKm
                  parcels { location { code } carrierService { code } lines { sku quantity } readyAt arrivesLatest } }
        unavailable { method level sku code message } } }
"""


DOCUMENTS: dict[tuple[bool, Limits], OrderedDict[str, Document]] = defaultdict(OrderedDict)
"""Those that any gateway of this process has read: every test asks in the same words as many others."""


@dataclass(kw_only=True)
class House:
    """A running gateway. `now` is what its clock says; move it at will."""

    address: str
    http: httpx.AsyncClient
    gateway: Gateway | None
    clock: list[datetime]
    ids: dict[str, str] = field(default_factory=dict)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: FBT001, ARG002 - as hypothesis calls it
        """Say in few words which house it was where an example fails."""
        printer.text(f"<House at {self.address}>")

    @property
    def now(self) -> datetime:
        return self.clock[0]

    def token(self, role: Role, *locations: str) -> str:
        ttl = timedelta(hours=8)
        return auth.issue(SECRET, role=role, name=role.lower(), ttl=ttl, now=self.now, locations=locations)

    async def post(self, role: Role, query: str, /, *locations: str, **variables: Any) -> dict[str, Any]:
        """Return the whole answer, errors too."""
        headers = {"Authorization": f"Bearer {self.token(role, *locations)}"}
        body = {"query": query, "variables": variables}
        answer = await self.http.post("/graphql", json=body, headers=headers)
        result: dict[str, Any] = answer.json()
        return result

    async def ask(self, role: Role, query: str, /, *locations: str, **variables: Any) -> Any:
        """Return the one root field's answer; errors fail the test."""
        answer = await self.post(role, query, *locations, **variables)
        assert "errors" not in answer, answer["errors"]
        (value,) = answer["data"].values()
        return value

    async def do(self, name: str, id: str, /, *locations: str, arguments: str = "", role: Role = Role.STORE) -> Any:  # noqa: A002
        """Take a step with an assignment; STORE acts as the store of `locations`."""
        fields = "id number status version allowedActions rejectReason lines { id sku quantity picked short }"
        query = f"""mutation ($id: ID!) {{ {name}(id: $id {arguments}) {{
            __typename ... on Assignment {{ {fields} }} {ERROR}
            ... on ActionNotAllowedError {{ found: status allowed: allowedActions }}
            ... on VersionConflictError {{ currentVersion }}
            ... on InvalidPickupCodeError {{ attemptsLeft lockedUntil }} }} }}"""
        return await self.ask(role, query, *locations, id=id)

    def socket(self, role: Role, *locations: str) -> Client:
        """Return a client over graphql-transport-ws."""
        transport = WebsocketsTransport(
            url=f"ws://{self.address}/graphql",
            init_payload={"authorization": f"Bearer {self.token(role, *locations)}"},
            subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
        )
        return Client(transport=transport)

    async def options(self, *lines: tuple[str, int], **more: Any) -> dict[str, Any]:
        cart = [{"sku": sku, "quantity": quantity} for sku, quantity in lines]
        answer: dict[str, Any] = await self.ask(
            Role.STOREFRONT, OPTIONS, input={"lines": cart, "destination": BERLIN, **more}
        )
        return answer

    async def place(self, key: str, lines: Iterable[tuple[str, int]], **more: Any) -> dict[str, Any]:
        """Place an order by token where `optionToken` is given, else by the wish for a delivery to Berlin."""
        wish: Mapping[str, Any] = {} if "optionToken" in more else {"method": "DELIVERY"}
        priced = [{"sku": sku, "quantity": quantity, "unitPrice": "10.00"} for sku, quantity in lines]
        order = {"idempotencyKey": key, "customer": {"name": "Ada"}, "lines": priced, "shipTo": BERLIN, **wish, **more}
        answer: dict[str, Any] = await self.ask(Role.STOREFRONT, PLACE, input=order)
        return answer

    async def work(self, order: str) -> list[dict[str, Any]]:
        """Return the order's assignments as the office sees them."""
        query = """query ($id: ID!) { order(id: $id) { assignments {
            id number status location { id code } lines { id sku quantity picked short } } } }"""
        found: list[dict[str, Any]] = (await self.ask(Role.OPERATIONS, query, id=order))["assignments"]
        return found

    async def order(self, id: str, fields: str = ORDER, role: Role = Role.OPERATIONS) -> dict[str, Any]:  # noqa: A002
        found: dict[str, Any] = await self.ask(role, f"query ($id: ID!) {{ order(id: $id) {{ {fields} }} }}", id=id)
        return found

    async def levels(self, sku: str) -> dict[str, tuple[int, int, int]]:
        """Return on hand, reserved and available by location code."""
        query = """query ($sku: String!) { stockLevels(skus: [$sku]) { edges { node {
            location { code } onHand reserved available } } } }"""
        edges = (await self.ask(Role.OPERATIONS, query, sku=sku))["edges"]
        return {
            node["location"]["code"]: (node["onHand"], node["reserved"], node["available"])
            for node in (edge["node"] for edge in edges)
        }


@cache
def whole_schema(*, subgraph: bool = False) -> Schema:
    """Return the schema, of which each gateway has a copy: it takes longer to build than a gateway to start."""
    return build_schema(subgraph=subgraph)


@asynccontextmanager
async def opened(dsn: str, *, now: datetime = NOON, **more: Any) -> AsyncIterator[House]:
    """Run a gateway on an empty network, its clock at `now`; `more` are settings."""
    clock = [now]
    settings = Settings(database_url=dsn, secret=SECRET, **more)  # type: ignore[call-arg, arg-type]
    schema = copy(whole_schema(subgraph=settings.federation))
    app = create_app(settings, dsn, schema=schema, now=lambda: clock[0])
    if settings.rate is None:  # else it costs points to read one
        documents = schema.documents
        documents._kept = DOCUMENTS[settings.federation, documents.limits]
        documents._size = sum(map(len, documents._kept)) * BYTES_A_CHARACTER
    async with (
        serving(app, stall_seconds=settings.ws_stall_seconds, direct=settings.direct_write) as address,
        calling(address) as http,
    ):
        yield House(address=address, http=http, gateway=app.state.gateway, clock=clock)


async def furnish(house: House) -> None:
    """Make the network, over the API, as its owner would."""
    rows = [
        {
            "code": code, "name": name, "kind": kind, "latitude": latitude, "longitude": longitude, "country": "DE",
            "postalCode": postal_code, "city": city, "timeZone": "Europe/Berlin",
            "services": ["SHIP"] if kind == "WAREHOUSE" else ["SHIP", "PICKUP"], "handlingTime": "PT1H",
        }
        for code, name, kind, latitude, longitude, postal_code, city in PLACES
    ]  # fmt: skip
    stock = [
        {"sku": sku, "locationCode": code, "onHand": quantity}
        for code, levels in STOCK.items()
        for sku, quantity in levels.items()
    ]
    items = [{"sku": sku, "name": sku.title(), "weightGrams": grams} for sku, grams in GRAMS.items()]
    for name, kind, what in (
        ("importLocations", "LocationRowInput", rows),
        ("importCarrierServices", "CarrierServiceInput", SERVICES),
        ("importItems", "ItemRowInput", items),
        ("importStock", "StockRowInput", stock),
    ):
        query = f"mutation ($rows: [{kind}!]!) {{ {name}(rows: $rows) {{ created failed {{ row message path }} }} }}"
        result = await house.ask(Role.ADMIN, query, rows=what)
        assert result == {"created": len(what), "failed": []}, result
    if house.gateway:  # else it is another process
        house.gateway.feed.nudge()
        assert await house.gateway.feed.caught_up(10), "the gateway does not hear of its stock"
    await know(house)


async def know(house: House) -> None:
    """Learn the ids of the locations."""
    edges = (await house.ask(Role.ADMIN, "{ locations { edges { node { id code } } } }"))["edges"]
    house.ids = {edge["node"]["code"]: edge["node"]["id"] for edge in edges}
