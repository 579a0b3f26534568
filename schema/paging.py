"""Relay: global ids, nodes, connections."""

import base64
import binascii
from collections.abc import Awaitable, Callable, Sequence
from functools import singledispatch
from typing import Any, Generic, TypeVar
from uuid import UUID

import strawberry
from strawberry.annotation import StrawberryAnnotation
from strawberry.extensions import FieldExtension
from strawberry.extensions.field_extension import AsyncExtensionResolver
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.field import StrawberryField

from domain.errors import InvalidInput
from domain.paging import LARGEST_SIZE, Listing, Page, Slice, counts, slices
from domain.transaction import Database, Row
from schema.context import Info

T = TypeVar("T")
R = TypeVar("R", bound=Row)

SEPARATOR = "\x1f"
NUL = "\0"
"""Postgres takes it in no text, and it is in no id of ours."""


@strawberry.interface(description="Something with a global id, to be read again with node(id).")
class Node:
    id: strawberry.ID


def global_id(kind: str, *key: object) -> strawberry.ID:
    """Return the opaque id of a thing: its type's name, then its key."""
    text = SEPARATOR.join((kind, *map(str, key)))
    return strawberry.ID(base64.urlsafe_b64encode(text.encode()).decode().rstrip("="))


def parse_id(text: str) -> tuple[str, tuple[str, ...]] | None:
    """Return the type's name and the key that `global_id` wrote, None for anything else."""
    try:
        written = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except (binascii.Error, ValueError):
        return None
    kind, *key = written.split(SEPARATOR)
    return None if NUL in written else (kind, tuple(key))


def uuid_of(text: str, kind: str) -> UUID:
    """Return the UUID in the id of a `kind`; for any other id one that nothing has, so that nothing is found."""
    parsed = parse_id(text)
    if parsed and parsed[0] == kind and len(parsed[1]) == 1:
        try:
            return UUID(parsed[1][0])
        except ValueError:
            pass
    return UUID(int=0)


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@strawberry.type(description="A row of a page.")
class Edge(Generic[T]):
    node: T
    cursor: str


@strawberry.type(description="A page of a list.")
class Connection(Generic[T]):
    edges: list[Edge[T]]
    page_info: PageInfo
    count: strawberry.Private[Callable[[], Awaitable[int]]]

    @strawberry.field(description="How many rows the whole list has.")
    async def total_count(self) -> int:
        return await self.count()

    @classmethod
    def of(cls, part: Slice[R], show: Callable[[R], T], count: Callable[[], Awaitable[int]]) -> "Connection[T]":
        """Return a page of rows as the contract shows it."""
        return cls(
            edges=[Edge(node=show(row), cursor=cursor) for row, cursor in zip(part.rows, part.cursors, strict=True)],
            page_info=PageInfo(
                has_next_page=part.has_next,
                has_previous_page=part.has_previous,
                start_cursor=part.cursors[0] if part.cursors else None,
                end_cursor=part.cursors[-1] if part.cursors else None,
            ),
            count=count,
        )


@singledispatch
def node_of(row: Row) -> Any:  # noqa: ANN401 - each type's module registers its own
    """Return a row as the type of the contract that shows it.

    So an edge may lead to a type whose module comes later, without importing it.
    """
    message = f"Nothing shows a {type(row).__name__}."
    raise TypeError(message)


async def _none() -> int:
    return 0


def no_rows() -> Connection[Any]:
    """Return the page of a list that has nothing for this viewer."""
    return Connection.of(Slice(), lambda row: row, _none)


async def connect(database: Database, listing: Listing[R], page: Page, show: Callable[[R], T]) -> Connection[T]:
    """Read a page of a list."""
    async with database.reading() as connection:
        part = await listing.slice(connection, page)

    async def count() -> int:
        async with database.reading() as connection:
            return await listing.count(connection)

    return Connection.of(part, show, count)


async def connect_alike(info: Info, listing: Listing[R], page: Page, show: Callable[[R], T]) -> Connection[T]:
    """Read a page of a list, by one statement with those of the lists that differ from it in their values."""
    database, loaders = info.context.database, info.context.loaders

    async def read(listings: list[Listing[R]]) -> list[Slice[R]]:
        async with database.reading() as connection:
            return await slices(connection, listings, page)

    async def read_counts(listings: list[Listing[R]]) -> list[int]:
        async with database.reading() as connection:
            return await counts(connection, listings)

    alike = (
        (listing.source, listing.columns, listing.row, listing.descending),
        (tuple(listing.key), tuple(listing.conditions), tuple(listing.others)),
    )
    part = await loaders.alike((*alike, page), read, LARGEST_SIZE).load(listing)
    return Connection.of(part, show, lambda: loaders.alike(alike, read_counts, LARGEST_SIZE).load(listing))


class Paged(FieldExtension):
    """Gives a field first, after, last and before, and its resolver one `page`."""

    def apply(self, field: StrawberryField) -> None:
        names: Sequence[tuple[str, type]] = (("first", int), ("after", str), ("last", int), ("before", str))
        own = [argument for argument in field.arguments if argument.python_name != "page"]
        field.arguments = [
            StrawberryArgument(
                python_name=name, graphql_name=None, type_annotation=StrawberryAnnotation(kind | None), default=None
            )
            for name, kind in names
        ] + own

    async def resolve_async(self, next_: AsyncExtensionResolver, source: Any, info: Info, **kwargs: Any) -> Any:  # noqa: ANN401
        page = Page(**{name: kwargs.pop(name, None) for name in ("first", "after", "last", "before")})
        return await next_(source, info, page=page, **kwargs)


def page_of(rows: Sequence[R], page: Page, key: Callable[[R], str], show: Callable[[R], T]) -> "Connection[T]":
    """Return a page of a list that is in memory; `key` tells its rows apart."""
    size, backward = page.size, page.first is None and page.last is not None
    places = {key(row): place for place, row in enumerate(rows)}
    bounds = []
    for name, cursor, default in (("after", page.after, -1), ("before", page.before, len(rows))):
        parsed = parse_id(cursor) if cursor is not None else None
        place = default if cursor is None else places.get(parsed[1][0]) if parsed and len(parsed[1]) == 1 else None
        if place is None:
            raise InvalidInput(message="This is not a cursor of this list.", path=(name,))
        bounds.append(place)
    start, end = bounds[0] + 1, bounds[1]
    first = max(start, end - size) if backward else start
    last = end if backward else min(end, start + size)
    chosen = rows[first:last]
    part = Slice(
        rows=chosen,
        cursors=[global_id("cursor", key(row)) for row in chosen],
        has_next=last < len(rows),
        has_previous=first > 0,
    )

    async def count() -> int:
        return len(rows)

    return Connection.of(part, show, count)
