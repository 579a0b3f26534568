"""The reference page of the API, made from the schema: docs/reference.md."""

from collections.abc import Iterator, Mapping

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    is_specified_scalar_type,
)

from app.execution import Schema
from domain.vocabulary import Role
from schema.permission import Allowed

HEAD = """# The API, field by field

Made from the schema by `crossdock schema --markdown`; do not edit. Words in brackets are the roles that may use a root
field; where there are none, every role may.
"""


def reference(schema: Schema) -> str:
    """Return the page, in Markdown."""
    known = schema._schema  # noqa: SLF001 - graphql-core's own, not public otherwise
    return "\n".join([HEAD, *_roots(known), *_types(known)]) + "\n"


def _roots(known: GraphQLSchema) -> Iterator[str]:
    roots = (
        ("Queries", known.query_type),
        ("Mutations", known.mutation_type),
        ("Subscriptions", known.subscription_type),
    )
    for title, root in roots:
        if root is not None:
            yield f"## {title}\n"
            for name, field in root.fields.items():
                yield f"### {name}\n\n{field.description or ''}{_roles(field)}\n"
                yield f"```graphql\n{name}{_arguments(field.args)}: {field.type}\n```\n"


def _roles(field: GraphQLField) -> str:
    """Return the roles that may use a root field, where not all may."""
    definition = field.extensions["strawberry-definition"]
    allowed = next(each.roles for each in definition.extensions if isinstance(each, Allowed))
    return "" if allowed == set(Role) else f" *[{', '.join(role for role in Role if role in allowed)}]*"


def _arguments(given: Mapping[str, GraphQLArgument]) -> str:
    return f"({', '.join(f'{name}: {each.type}' for name, each in given.items())})" if given else ""


def _types(known: GraphQLSchema) -> Iterator[str]:
    roots = {known.query_type, known.mutation_type, known.subscription_type}
    yield "## Types\n"
    for name, kind in sorted(known.type_map.items()):
        if kind not in roots and not name.startswith("__") and not is_specified_scalar_type(kind):
            yield f"### {name}\n\n{kind.description or ''}\n"
            yield from _members(kind)


def _members(kind: GraphQLNamedType) -> Iterator[str]:
    if isinstance(kind, GraphQLUnionType):
        yield f"One of {', '.join(f'[{each}](#{str(each).lower()})' for each in kind.types)}.\n"
    elif isinstance(kind, GraphQLEnumType):
        yield from _table("value", {name: ("", value.description) for name, value in kind.values.items()})
    elif isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
        yield from _table(
            "field", {f"{n}{_arguments(f.args)}": (str(f.type), f.description) for n, f in kind.fields.items()}
        )
    elif isinstance(kind, GraphQLInputObjectType):
        yield from _table("field", {name: (str(each.type), each.description) for name, each in kind.fields.items()})


def _table(what: str, rows: Mapping[str, tuple[str, str | None]]) -> Iterator[str]:
    typed = any(kind for kind, _ in rows.values())
    yield f"| {what} |{' type |' if typed else ''} |\n|---|---|{'---|' if typed else ''}"
    for name, (kind, told) in rows.items():
        shown = (told or "").replace("\n", " ").replace("|", "\\|")
        yield f"| `{name}` |{f' `{kind}` |' if typed else ''} {shown} |"
    yield ""
