"""Gives words to what has none of its own in the schema."""

from collections.abc import Iterator
from typing import Protocol

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
)

from schema.glossary.values import VALUES
from schema.glossary.words import WORDS


class _Described(Protocol):
    description: str | None


def describe(schema: GraphQLSchema) -> GraphQLSchema:
    """Return the schema, its missing descriptions filled in with those that the glossary knows."""
    for kind in schema.type_map.values():
        if not kind.name.startswith("__"):
            if isinstance(kind, GraphQLUnionType):
                kind.description = kind.description or "The thing, or why not."
            for named, words in _named(kind):
                named.description = named.description or words
    return schema


def _named(kind: GraphQLNamedType) -> Iterator[tuple[_Described, str | None]]:
    if isinstance(kind, GraphQLEnumType):
        for name, value in kind.values.items():
            yield value, VALUES.get(kind.name, {}).get(name)
    elif isinstance(kind, GraphQLInputObjectType):
        for name, given in kind.fields.items():
            yield given, WORDS.get(name)
    elif isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
        for name, field in kind.fields.items():
            yield field, WORDS.get(name)
            for argument, asked in field.args.items():
                yield asked, WORDS.get(argument)
