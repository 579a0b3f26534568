"""Who may use a field, declared on the field.

A root field that a viewer's role may not call answers FORBIDDEN. An edge that it may not follow is hidden: null, or
empty. Which objects of a kind a viewer may see is decided where they are found (`schema.context.Context`).
"""

import inspect
from collections.abc import Callable
from typing import Any

import strawberry
from graphql import GraphQLError
from strawberry.extensions import FieldExtension
from strawberry.extensions.field_extension import AsyncExtensionResolver

from domain.vocabulary import Role
from schema.context import Info

EVERYBODY = frozenset(Role)
STAFF = frozenset({Role.STORE, Role.OPERATIONS, Role.ADMIN})
OFFICE = frozenset({Role.OPERATIONS, Role.ADMIN})
SHOP = frozenset({Role.STOREFRONT, Role.OPERATIONS, Role.ADMIN})
SETTINGS = frozenset({Role.ADMIN})


def forbidden(reason: str) -> GraphQLError:
    """Return the error for a root field that a viewer may not call."""
    return GraphQLError(reason, extensions={"code": "FORBIDDEN"})


class Allowed(FieldExtension):
    """Lets some roles use a field. For the others it is hidden, or, where `hidden` is None, forbidden."""

    def __init__(self, roles: frozenset[Role], hidden: Callable[[], object] | None = None) -> None:
        self.roles = roles
        self.hidden = hidden

    async def resolve_async(self, next_: AsyncExtensionResolver, source: Any, info: Info, **kwargs: Any) -> Any:  # noqa: ANN401
        viewer = info.context.viewer
        if self.hidden is None and not viewer.may_use(info.field_name):
            raise forbidden(f"The scopes of this token do not hold {info.field_name}.")
        if viewer.role in self.roles:
            answer: Any = next_(source, info, **kwargs)  # a subscription answers at once, with a generator
            return await answer if inspect.isawaitable(answer) else answer
        if self.hidden is None:
            raise forbidden(f"The role {viewer.role} may not use {info.field_name}.")
        return self.hidden()


def edge(
    *,
    allow: frozenset[Role],
    hidden: Callable[[], object] = lambda: None,
    name: str | None = None,
    description: str | None = None,
    paged: FieldExtension | None = None,
) -> Callable[..., Any]:
    """Declare a field of a type that leads to another, and who may follow it."""
    extensions: list[FieldExtension] = [Allowed(allow, hidden), *([paged] if paged else [])]
    return lambda resolver: strawberry.field(resolver, name=name, description=description, extensions=extensions)
