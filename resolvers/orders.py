"""Orders."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import strawberry

from domain import orders as life
from domain.cancelling import Cancelling
from domain.paging import Page
from domain.vocabulary import Role
from schema.context import Context, Info
from schema.orders import (
    CancelLineInput,
    Direction,
    Order,
    OrderBy,
    OrderResult,
    OrderWhere,
    PlaceOrderInput,
    PlaceOrderResult,
)
from schema.paging import Connection, connect, uuid_of


async def order(info: Info, id: strawberry.ID | None = None, number: str | None = None) -> Order | None:
    context = info.context
    if id is not None:
        row = await context.loaders.order.load(uuid_of(id, "Order"))
    elif number and context.viewer.role is not Role.STOREFRONT:
        row = await context.loaders.order_by_number.load(number)
    else:
        row = None
    visible = row and number in {None, row.number} and await context.may_see_order(row.id)
    return Order.of(row) if row and visible else None


async def orders(
    info: Info, page: Page, where: OrderWhere | None = None, order_by: OrderBy | None = None
) -> Connection[Order]:
    context, by = info.context, order_by or OrderBy()
    which = (where or OrderWhere()).value()
    asked = which.location_ids[0] if which.location_ids else None
    which = replace(which, location_ids=context.narrowed(asked))
    listing = life.listing(which, sort=by.field, descending=by.direction is Direction.DESC)
    return await connect(context.database, listing, page, Order.of)


async def place_order(info: Info, input: PlaceOrderInput) -> PlaceOrderResult:
    context = info.context
    return Order.of(await context.placement.place(input.value(), actor=context.viewer.name, now=context.now()))


@asynccontextmanager
async def _cancelling(context: Context) -> AsyncIterator[Cancelling]:
    async with context.database.transaction() as connection:
        yield Cancelling(connection=connection, networks=context.networks, viewer=context.viewer, now=context.now())


async def cancel_order(
    info: Info, id: strawberry.ID, reason: str | None = None, expected_version: int | None = None
) -> OrderResult:
    async with _cancelling(info.context) as cancelling:
        row = await cancelling.cancel(uuid_of(id, "Order"), reason=reason, expected_version=expected_version)
    return Order.of(row)


async def cancel_order_lines(
    info: Info,
    id: strawberry.ID,
    lines: list[CancelLineInput],
    reason: str | None = None,
    expected_version: int | None = None,
) -> OrderResult:
    wanted = [line.value() for line in lines]
    async with _cancelling(info.context) as cancelling:
        row = await cancelling.cancel_lines(
            uuid_of(id, "Order"), wanted, reason=reason, expected_version=expected_version
        )
    return Order.of(row)
