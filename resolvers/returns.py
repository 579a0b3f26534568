"""What comes back."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Annotated, TypeVar

import strawberry

from domain import returns as life
from domain.errors import NotFound
from domain.paging import Page
from domain.returns import Counter, Desk, Inspection, NewReturn
from domain.returns.record import Record
from domain.vocabulary import ReturnMethod
from schema.context import Context, Info
from schema.paging import Connection, connect, uuid_of
from schema.returns import (
    InspectedLineInput,
    RegisterReturnInput,
    Return,
    ReturnLineInput,
    ReturnOptions,
    ReturnPolicy,
    ReturnPolicyInput,
    ReturnPolicyResult,
    ReturnResult,
    ReturnWhere,
)
from schema.scalars import GeoPointInput

R = TypeVar("R", bound=Record)


async def return_options(
    info: Info, order_id: strawberry.ID, lines: list[ReturnLineInput] | None = None, near: GeoPointInput | None = None
) -> ReturnOptions:
    context = info.context
    order = await context.loaders.order.load(uuid_of(order_id, "Order"))
    if order is None or not await context.may_see_order(order.id):
        raise NotFound(message="There is no such order.", path=("orderId",))
    wanted = None if lines is None else [line.value() for line in lines]
    point, now, snapshot = near.value() if near else None, context.now(), await context.network()
    async with context.database.reading() as connection:
        found = await life.return_options(connection, snapshot, order, wanted=wanted, near=point, now=now)
    return ReturnOptions.of(found, order.currency)


async def returns(info: Info, page: Page, where: ReturnWhere | None = None) -> Connection[Return]:
    which = (where or ReturnWhere()).value()
    asked = which.location_ids[0] if which.location_ids else None
    listing = life.listing(replace(which, location_ids=info.context.narrowed(asked)))
    return await connect(info.context.database, listing, page, Return.of)


async def return_policies(info: Info) -> list[ReturnPolicy]:
    async with info.context.database.reading() as connection:
        return [ReturnPolicy.of(row) for row in await life.all_policies(connection)]


async def save_return_policy(
    info: Info, input: ReturnPolicyInput, expected_version: int | None = None
) -> ReturnPolicyResult:
    async with info.context.database.transaction() as connection:
        row = await life.save_policy(
            connection, input.value(), expected_version=expected_version, now=info.context.now()
        )
    return ReturnPolicy.of(row)


@asynccontextmanager
async def _begun(context: Context, kind: type[R]) -> AsyncIterator[R]:
    async with context.database.transaction() as connection:
        yield kind(connection=connection, networks=context.networks, viewer=context.viewer, now=context.now())


async def request_return(
    info: Info,
    order_id: strawberry.ID,
    lines: list[ReturnLineInput],
    method: Annotated[ReturnMethod, strawberry.argument(description="To a store, or with a carrier.")],
    idempotency_key: str,
    location_id: strawberry.ID | None = None,
) -> ReturnResult:
    wanted = NewReturn(
        order_id=uuid_of(order_id, "Order"),
        lines=[line.value() for line in lines],
        method=method,
        location_id=None if location_id is None else uuid_of(location_id, "Location"),
        idempotency_key=idempotency_key,
    )
    async with _begun(info.context, Desk) as desk:
        return Return.of(await desk.request(wanted))


async def approve_return(info: Info, id: strawberry.ID) -> ReturnResult:
    async with _begun(info.context, Desk) as desk:
        return Return.of(await desk.approve(uuid_of(id, "Return")))


async def decline_return(info: Info, id: strawberry.ID, reason: str) -> ReturnResult:
    async with _begun(info.context, Desk) as desk:
        return Return.of(await desk.decline(uuid_of(id, "Return"), reason))


async def cancel_return(info: Info, id: strawberry.ID) -> ReturnResult:
    async with _begun(info.context, Desk) as desk:
        return Return.of(await desk.cancel(uuid_of(id, "Return")))


async def receive_return(info: Info, id: strawberry.ID, location_id: strawberry.ID) -> ReturnResult:
    async with _begun(info.context, Desk) as desk:
        return Return.of(await desk.receive(uuid_of(id, "Return"), uuid_of(location_id, "Location")))


async def inspect_return(info: Info, id: strawberry.ID, lines: list[InspectedLineInput]) -> ReturnResult:
    inspected = [line.value() for line in lines]
    async with _begun(info.context, Inspection) as inspection:
        return Return.of(await inspection.inspect(uuid_of(id, "Return"), inspected))


async def close_return(info: Info, id: strawberry.ID) -> ReturnResult:
    async with _begun(info.context, Desk) as desk:
        return Return.of(await desk.close(uuid_of(id, "Return")))


async def register_return(info: Info, input: RegisterReturnInput) -> ReturnResult:
    async with _begun(info.context, Counter) as counter:
        answer = await counter.register(input.value())
    if isinstance(answer, NotFound):  # only now: that it was counted is committed
        raise answer
    return Return.of(answer)
