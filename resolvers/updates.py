"""Subscriptions: the feed, as each viewer may see it."""

from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Sequence
from itertools import islice
from time import monotonic
from typing import TypeVar
from uuid import UUID

import strawberry
from graphql import GraphQLError

from domain.errors import NotFound
from domain.feed import Cursor as Place
from domain.feed import Newest
from domain.feed import Update as Fact
from domain.vocabulary import AssignmentStatus, OrderStatus, ReturnStatus, Role, UpdateKind
from schema.assignments import Assignment
from schema.context import Context, Info
from schema.orders import Order
from schema.paging import uuid_of
from schema.returns import Return
from schema.scalars import Cursor
from schema.updates import AssignmentUpdate, OrderUpdate, ReturnUpdate, StockUpdate

R = TypeVar("R")

READ_TOGETHER = 50
"""Updates that share one read of each kind, as long as it is no older than SHARED_SECONDS: a reader may be slow."""
SHARED_SECONDS = 1.0
ORDERS = frozenset(kind for kind in UpdateKind if kind.startswith(("ORDER_", "SHIPMENT_")))
ASSIGNMENTS = frozenset(kind for kind in UpdateKind if kind.startswith("ASSIGNMENT_"))
STOCK = frozenset({UpdateKind.STOCK_CHANGED})
RETURNS = frozenset({UpdateKind.RETURN_STATUS_CHANGED})


async def updates_cursor(info: Info) -> Cursor:
    return Cursor(str(info.context.standing))


async def order_updates(
    info: Info,
    order_id: strawberry.ID | None = None,
    status: list[OrderStatus] | None = None,
    channel: list[str] | None = None,
    location_id: strawberry.ID | None = None,
    after: Cursor | None = None,
) -> AsyncGenerator[OrderUpdate, None]:
    context = info.context
    if context.viewer.role is Role.STOREFRONT and order_id is None:
        raise GraphQLError("A STOREFRONT viewer names the order.", extensions={"code": "FORBIDDEN"})
    order = await _order(context, order_id)
    where = await _locations(context, location_id)

    def wanted(fact: Fact) -> bool:
        return (
            fact.kind in ORDERS
            and (order is None or fact.order_id == order)
            and (status is None or fact.status in status)
            and (channel is None or fact.channel in channel)
            and (where is None or not where.isdisjoint(fact.location_ids))
        )

    async for fact, row in _follow(
        context, after, wanted, lambda facts: context.loaders.order.load_many(_known(fact.order_id) for fact in facts)
    ):
        yield OrderUpdate(
            cursor=Cursor(str(fact.cursor)),
            at=fact.at,
            kind=fact.kind,
            status=OrderStatus(fact.status or row.status),
            order=Order.of(row),
        )


async def assignment_updates(
    info: Info, location_id: strawberry.ID, status: list[AssignmentStatus] | None = None, after: Cursor | None = None
) -> AsyncGenerator[AssignmentUpdate, None]:
    context = info.context
    where = await _locations(context, location_id) or frozenset()

    def wanted(fact: Fact) -> bool:
        return (
            fact.kind in ASSIGNMENTS
            and not where.isdisjoint(fact.location_ids)
            and (status is None or fact.status in status)
        )

    async for fact, row in _follow(
        context,
        after,
        wanted,
        lambda facts: context.loaders.assignment.load_many(_known(fact.assignment_id) for fact in facts),
    ):
        yield AssignmentUpdate(
            cursor=Cursor(str(fact.cursor)),
            at=fact.at,
            kind=fact.kind,
            status=AssignmentStatus(fact.status or row.status),
            assignment=Assignment.of(row),
        )


async def stock_updates(
    info: Info,
    skus: list[str] | None = None,
    location_id: strawberry.ID | None = None,
    after: Cursor | None = None,
    conflate: bool = True,  # noqa: FBT001, FBT002 - a GraphQL argument
) -> AsyncGenerator[StockUpdate, None]:
    context, newest = info.context, Newest() if conflate else None
    where = await _locations(context, location_id)

    def wanted(fact: Fact) -> bool:
        return (
            fact.kind in STOCK
            and (skus is None or fact.sku in skus)
            and (where is None or not where.isdisjoint(fact.location_ids))
            and (newest is None or newest.hears(fact))
        )

    async for fact, row in _follow(
        context,
        after,
        wanted,
        lambda facts: context.loaders.level.load_many(
            (each.sku or "", place) for each in facts for place in each.location_ids
        ),
        lambda fact: (fact.sku, fact.location_ids) if conflate else None,
    ):
        if fact.quantities is not None:
            on_hand, reserved, available = fact.quantities
            yield StockUpdate(
                cursor=Cursor(str(fact.cursor)),
                at=fact.at,
                kind=fact.kind,
                row=row,
                sku=row.sku,
                on_hand=on_hand,
                reserved=reserved,
                available=available,
            )


async def return_updates(
    info: Info,
    order_id: strawberry.ID | None = None,
    location_id: strawberry.ID | None = None,
    after: Cursor | None = None,
) -> AsyncGenerator[ReturnUpdate, None]:
    context = info.context
    if context.viewer.role is Role.STOREFRONT and order_id is None:
        raise GraphQLError("A STOREFRONT viewer names the order.", extensions={"code": "FORBIDDEN"})
    order = await _order(context, order_id)
    where = await _locations(context, location_id)

    def wanted(fact: Fact) -> bool:
        return (
            fact.kind in RETURNS
            and (order is None or fact.order_id == order)
            and (where is None or not where.isdisjoint(fact.location_ids))
        )

    async for fact, row in _follow(
        context,
        after,
        wanted,
        lambda facts: context.loaders.customer_return.load_many(_known(fact.return_id) for fact in facts),
    ):
        yield ReturnUpdate(
            cursor=Cursor(str(fact.cursor)),
            at=fact.at,
            kind=fact.kind,
            status=ReturnStatus(fact.status or row.status),
            return_=Return.of(row),
        )


async def _follow(
    context: Context,
    after: Cursor | None,
    wanted: Callable[[Fact], bool],
    load: Callable[[Sequence[Fact]], Awaitable[Sequence[R | None]]],
    subject: Callable[[Fact], Hashable] = lambda _: None,
) -> AsyncGenerator[tuple[Fact, R], None]:
    """Yield the wanted facts, each with its row, and note how far that is.

    Those that wait are one answer: what is read for them is read once, after all of them were committed, so that none
    shows less than it tells of.
    """
    progress = context.progress
    if progress.passed is None:
        progress.passed = await context.feed.resume(Place.parse(after)) if after is not None else context.standing
    async for facts in context.feed.follow(progress.passed):
        waiting = deque(fact for fact in facts if wanted(fact))
        while waiting:
            context.refresh()
            began, progress.telling = monotonic(), waiting[0].cursor
            for row in await load(list(islice(waiting, READ_TOGETHER))):
                fact = waiting.popleft()
                if row is not None:
                    progress.telling, progress.subject = fact.cursor, subject(fact)
                    yield fact, row
                progress.telling, progress.passed = None, fact.cursor
                if monotonic() - began > SHARED_SECONDS:
                    break
        progress.passed = facts[-1].cursor


async def _order(context: Context, order_id: strawberry.ID | None) -> UUID | None:
    if order_id is None:
        return None
    key = uuid_of(order_id, "Order")
    if await context.loaders.order.load(key) is None or not await context.may_see_order(key):
        raise NotFound(message="There is no such order.", path=("orderId",))
    return key


async def _locations(context: Context, location_id: strawberry.ID | None) -> frozenset[UUID] | None:
    """Return the locations to hear of, None for all; NotFound for one that is not there, or not the viewer's."""
    if location_id is None:
        return context.viewer.location_ids if context.viewer.role is Role.STORE else None
    key = uuid_of(location_id, "Location")
    known = key in (await context.network()).locations
    if not known or not context.viewer.works_at(key):
        raise NotFound(message="There is no such location.", path=("locationId",))
    return frozenset({key})


def _known(key: UUID | None) -> UUID:
    assert key is not None  # noqa: S101 - facts of this kind have it
    return key
