"""The API as a subgraph of a supergraph: Apollo Federation 2."""

from collections.abc import Iterator
from typing import Annotated, NewType, TypeAlias

import strawberry
from graphql import ObjectTypeDefinitionNode, parse

from schema.inventory import Item
from schema.network import Location
from schema.orders import Order

LINK = (
    'extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", '
    'import: ["@key", "@shareable", "@inaccessible"])'
)
DIRECTIVES = {
    "Order": '@key(fields: "id") @key(fields: "number")',
    "Item": '@key(fields: "id") @key(fields: "sku")',
    "Location": '@key(fields: "id") @key(fields: "code")',
    **dict.fromkeys(("PageInfo", "Money", "Address", "GeoPoint"), "@shareable"),
    **dict.fromkeys(("Query.node", "Query.nodes"), "@inaccessible"),  # an id does not say which subgraph's it is
}

Representation = NewType("Representation", object)
REPRESENTATION = strawberry.scalar(
    name="_Any", description="An entity by one of its keys, with its __typename.", parse_value=lambda value: value
)

Entity: TypeAlias = Annotated[
    Order | Item | Location, strawberry.union("_Entity", description="What other subgraphs may add to.")
]


@strawberry.type(name="_Service", description="What this subgraph is.")
class Service:
    sdl: str = strawberry.field(description="Its contract, with the directives that a composer reads.")


def subgraph(sdl: str) -> str:
    """Return the schema `sdl` with what a composer has to know of it: its keys, and what it shares and hides."""
    for place, directives in sorted(_places(sdl), reverse=True):
        sdl = f"{sdl[:place]} {directives}{sdl[place:]}"
    return f"{LINK}\n\n{sdl}"


def _places(sdl: str) -> Iterator[tuple[int, str]]:
    """Yield where directives belong: behind the name and the interfaces of a type, and behind the type of a field."""
    for kind in parse(sdl).definitions:
        if isinstance(kind, ObjectTypeDefinitionNode):
            name = kind.name.value
            head = kind.interfaces[-1] if kind.interfaces else kind.name
            ends = {name: head.loc} | {f"{name}.{field.name.value}": field.loc for field in kind.fields or ()}
            yield from ((at.end, DIRECTIVES[each]) for each, at in ends.items() if at and each in DIRECTIVES)
