"""What the router of a supergraph asks."""

import asyncio
from typing import Annotated, TypeAlias

import strawberry

from domain.errors import InvalidInput
from resolvers import inventory, network, nodes, orders
from resolvers.fields import query
from resolvers.root import Query
from schema.context import Info
from schema.federation import Entity, Representation, Service, subgraph
from schema.inventory import Item
from schema.network import Location
from schema.orders import Order
from schema.paging import parse_id
from schema.permission import EVERYBODY

MOST = 1000


Representations: TypeAlias = Annotated[
    list[Representation], strawberry.argument(description=f"At most {MOST}; answered in their order.")
]


async def entities(info: Info, representations: Representations) -> list[Entity | None]:
    if len(representations) > MOST:
        raise InvalidInput(message=f"At most {MOST} representations are allowed.", path=("representations",))
    return await asyncio.gather(*(_entity(info, each) for each in representations))


async def _entity(info: Info, representation: object) -> Entity | None:
    match representation:
        case {"__typename": "Order" | "Item" | "Location" as kind, "id": str(key)}:
            parsed = parse_id(key)
            found = await nodes.node(info, strawberry.ID(key)) if parsed and parsed[0] == kind else None
            return found if isinstance(found, Order | Item | Location) else None
        case {"__typename": "Order", "number": str(number)}:
            return await orders.order(info, number=number)
        case {"__typename": "Item", "sku": str(sku)}:
            return await inventory.item(info, sku)
        case {"__typename": "Location", "code": str(code)}:
            return await network.location(info, code=code)
    raise InvalidInput(
        message="A representation is an Order, an Item or a Location by a key.", path=("representations",)
    )


def federated(sdl: str) -> type:
    """Return the root of queries with what a router asks of a subgraph, whose schema is `sdl` without it."""
    service = Service(sdl=subgraph(sdl))

    @strawberry.type(name="Query", description=Query.__doc__)
    class Subgraph(Query):
        _service: Service = query(lambda: service, EVERYBODY, "What this subgraph is.", name="_service")
        _entities: list[Entity | None] = query(
            entities,
            EVERYBODY,
            "Orders, items and locations by their keys; null for what is not there.",
            name="_entities",
        )

    return Subgraph
