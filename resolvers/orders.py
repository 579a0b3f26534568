"""Orders."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeVar

import strawberry

from domain import orders as life
from domain.cancelling import Cancelling
from domain.changing import Changing
from domain.holding import Holding
from domain.paging import Page
from domain.rerouting import Rerouting
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
from schema.scalars import AddressInput

C = TypeVar("C", bound=Changing)


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
async def _changing(context: Context, kind: type[C]) -> AsyncIterator[C]:
    async with context.database.transaction() as connection:
        yield kind(connection=connection, networks=context.networks, viewer=context.viewer, now=context.now())


async def cancel_order(
    info: Info, id: strawberry.ID, reason: str | None = None, expected_version: int | None = None
) -> OrderResult:
    async with _changing(info.context, Cancelling) as cancelling:
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
    async with _changing(info.context, Cancelling) as cancelling:
        row = await cancelling.cancel_lines(
            uuid_of(id, "Order"), wanted, reason=reason, expected_version=expected_version
        )
    return Order.of(row)


async def change_order_address(
    info: Info, id: strawberry.ID, ship_to: AddressInput, expected_version: int | None = None
) -> OrderResult:
    async with _changing(info.context, Rerouting) as rerouting:
        row = await rerouting.change_address(uuid_of(id, "Order"), ship_to.value(), expected_version=expected_version)
    return Order.of(row)


async def hold_order(info: Info, id: strawberry.ID, reason: str | None = None) -> OrderResult:
    async with _changing(info.context, Holding) as holding:
        row = await holding.hold(uuid_of(id, "Order"), reason=reason)
    return Order.of(row)


async def release_order(info: Info, id: strawberry.ID) -> OrderResult:
    async with _changing(info.context, Holding) as holding:
        row = await holding.release(uuid_of(id, "Order"))
    return Order.of(row)


async def reroute_order(
    info: Info, id: strawberry.ID, block_locations: list[strawberry.ID] | None = None
) -> OrderResult:
    block = None if block_locations is None else [uuid_of(each, "Location") for each in block_locations]
    async with _changing(info.context, Rerouting) as rerouting:
        row = await rerouting.reroute(uuid_of(id, "Order"), block=block)
    return Order.of(row)


async def replace_shipment(info: Info, id: strawberry.ID) -> OrderResult:
    async with _changing(info.context, Rerouting) as rerouting:
        row = await rerouting.replace(uuid_of(id, "Shipment"))
    return Order.of(row)
