"""How a root field is declared: its resolver, who may use it, and what it is for."""

from collections.abc import Callable
from typing import Any

import strawberry

from schema.paging import Paged
from schema.permission import Allowed
from schema.typed import Typed


def query(
    resolver: Callable[..., Any],
    allow: frozenset[Any],
    description: str,
    *,
    paged: bool = False,
    name: str | None = None,
) -> Any:  # noqa: ANN401
    """Return a field that reads."""
    extensions = [Allowed(allow), *([Paged()] if paged else [])]
    return strawberry.field(resolver=resolver, name=name, description=description, extensions=extensions)


def question(resolver: Callable[..., Any], allow: frozenset[Any], description: str) -> Any:  # noqa: ANN401
    """Return a field that reads, and answers typed errors."""
    return strawberry.field(resolver=resolver, description=description, extensions=[Allowed(allow), Typed()])


def mutation(resolver: Callable[..., Any], allow: frozenset[Any], description: str) -> Any:  # noqa: ANN401
    """Return a field that changes something, and answers typed errors."""
    return strawberry.mutation(resolver=resolver, description=description, extensions=[Allowed(allow), Typed()])


def subscription(resolver: Callable[..., Any], allow: frozenset[Any], description: str) -> Any:  # noqa: ANN401
    """Return a field that is followed."""
    return strawberry.subscription(resolver=resolver, description=description, extensions=[Allowed(allow)])
