"""Crossdock as a subgraph: what a router asks, and whether a composer takes it."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import graphql
import pytest
import pytest_asyncio

from app.execution import build_schema
from domain.vocabulary import Role
from schema.federation import subgraph
from tests.api.house import House, furnish, opened
from tests.node import installed

FOLDER = Path(__file__).parents[1] / "federation"
REVIEWS = """
extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key", "@shareable"])
type Query { reviews(sku: String!): [Review!]! }
type Review { stars: Int! item: Item! order: Order! price: Money! writtenAt: Location! pageInfo: PageInfo! }
type Item @key(fields: "sku") { sku: String! reviews: [Review!]! }
type Order @key(fields: "id") { id: ID! review: Review }
type Location @key(fields: "code") { code: String! reviews: [Review!]! }
type Money @shareable { amount: Decimal! currency: String! }
type PageInfo @shareable { hasNextPage: Boolean! hasPreviousPage: Boolean! startCursor: String endCursor: String }
scalar Decimal
"""
ENTITIES = """query ($of: [_Any!]!) { _entities(representations: $of) { __typename
    ... on Order { number customer { name } assignments { id } } ... on Item { sku }
    ... on Location { code } } }"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def router(shared_dsn: str) -> Any:
    """A gateway that serves a router, on the small network."""
    async with opened(shared_dsn, federation=True) as house:
        await furnish(house)
        yield house


def test_the_subgraph_composes_with_another() -> None:
    folder, node = installed(FOLDER), str(shutil.which("node"))
    sdl = subgraph(build_schema().as_str())
    given = json.dumps({"crossdock": sdl, "reviews": REVIEWS})
    done = subprocess.run(
        [node, "compose.mjs"], cwd=folder, input=given, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    types = graphql.build_schema(done.stdout).type_map
    item, query = ({*types[name].fields} for name in ("Item", "Query"))  # type: ignore[attr-defined]
    assert {"reviews", "availability"} < item
    assert {"reviews", "order"} < query
    assert not {"node", "nodes", "_entities", "_service"} & query


@pytest.mark.asyncio(loop_scope="module")
async def test_a_router_reads_what_the_subgraph_is(router: House) -> None:
    assert await router.ask(Role.STOREFRONT, "{ _service { sdl } }") == {"sdl": subgraph(build_schema().as_str())}


@pytest.mark.asyncio(loop_scope="module")
async def test_entities_are_found_by_each_of_their_keys(router: House) -> None:
    order = await router.place("federated", [("mug", 1)])
    place, number = router.ids["SM"], order["number"]
    of = [
        {"__typename": "Order", "id": order["id"]},
        {"__typename": "Item", "sku": "mug"},
        {"__typename": "Location", "code": "SM"},
        {"__typename": "Order", "number": number},
        {"__typename": "Location", "id": place},
        {"__typename": "Item", "sku": "nothing"},
        {"__typename": "Location", "id": order["id"]},
        {"__typename": "Order", "id": "nonsense"},
    ]
    found = await router.ask(Role.OPERATIONS, ENTITIES, of=of)
    assert [each and (each.get("number") or each.get("sku") or each["code"]) for each in found] == [
        number, "mug", "SM", number, "SM", None, None, None,
    ]  # fmt: skip


@pytest.mark.asyncio(loop_scope="module")
async def test_roles_hold_for_entities(router: House) -> None:
    order = await router.place("guarded", [("mug", 1)])
    by_id, by_number = ({"__typename": "Order", name: order[name]} for name in ("id", "number"))
    (work,) = await router.work(order["id"])
    other = next(code for code in ("SM", "SN", "WB", "WH") if code != work["location"]["code"])
    assert await router.ask(Role.STORE, ENTITIES, other, of=[by_id, by_number]) == [None, None]
    shopper, guessed = await router.ask(Role.STOREFRONT, ENTITIES, of=[by_id, by_number])
    assert (shopper["customer"]["name"], guessed) == ("Ada", None)


@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_no_representation_is_told(router: House) -> None:
    for wrong in ({}, {"__typename": "Order"}, {"__typename": "Shipment", "id": "x"}, {"id": "x"}, "mug", 1, ["mug"]):
        answer = await router.post(Role.OPERATIONS, ENTITIES, of=[wrong])
        assert answer["errors"][0]["extensions"]["code"] == "INVALID_INPUT", wrong
    many = [{"__typename": "Item", "sku": "mug"}] * 1001
    answer = await router.post(Role.OPERATIONS, ENTITIES, of=many)
    assert answer["errors"][0]["extensions"]["code"] == "INVALID_INPUT"
