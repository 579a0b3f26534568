"""Leaves are taken from their source at once: what comes of it is what graphql-core makes of them."""

from decimal import Decimal
from enum import Enum
from typing import Any

import strawberry
from graphql import execute, parse

from app.execution import LEAVES, build_schema
from app.execution import Executor as Ours


@strawberry.enum
class Colour(Enum):
    RED = "red"


class Source:
    """What lacks some of its attributes, and has others that do not fit."""

    name, size, colour, wrong_colour, nothing, required, amount = "Ada", 3, Colour.RED, "green", None, None, None
    wrong_size: Any = "three"

    @property
    def broken(self) -> str:
        raise ValueError("it is broken")


@strawberry.type
class Thing:
    name: str
    size: int
    colour: Colour
    nothing: str | None
    required: str
    amount: Decimal
    wrong_size: int | None
    wrong_colour: Colour | None
    broken: str | None
    missing: str | None

    @strawberry.field
    def greeting(self, whom: str = "you") -> str:
        return f"hello {whom}"


@strawberry.type
class Query:
    @strawberry.field
    def thing(self) -> Thing | None:
        return Source()  # type: ignore[return-value]


def test_a_leaf_is_what_graphql_core_makes_of_it_and_so_is_its_error() -> None:
    graph = build_schema(Query)._schema
    assert set(graph.extensions[LEAVES]["Thing"]) == {
        *("name", "size", "colour", "nothing", "required", "amount", "wrongSize", "wrongColour", "broken", "missing")
    }
    fits = "as: __typename name size colour nothing other: name"
    for fields in (fits, "wrongSize", "wrongColour name", "broken size", "missing", "name required", "amount"):
        document = parse(f"{{ thing {{ {fields} }} }}")
        ours, theirs = (execute(graph, document, executor_class=kind) for kind in (Ours, None))
        assert ours.formatted == theirs.formatted
        assert bool(ours.errors) == (fields != fits)
        assert list(ours.data["thing"] or ()) == list(theirs.data["thing"] or ())
