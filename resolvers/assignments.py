"""The work of locations."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import strawberry

from domain import assignments as work
from domain.assignments import Desk
from domain.errors import InvalidPickupCode
from domain.paging import Page
from domain.vocabulary import RejectReason, Role
from schema.assignments import (
    Assignment,
    AssignmentBy,
    AssignmentResult,
    AssignmentWhere,
    CollectedLineInput,
    PickedLineInput,
)
from schema.context import Context, Info
from schema.orders import Direction
from schema.paging import Connection, connect, uuid_of


async def assignments(
    info: Info, page: Page, where: AssignmentWhere | None = None, order_by: AssignmentBy | None = None
) -> Connection[Assignment]:
    context, by = info.context, order_by or AssignmentBy()
    which = (where or AssignmentWhere()).value()
    asked = which.location_ids[0] if which.location_ids else None
    which = replace(which, location_ids=context.narrowed(asked), withheld=context.viewer.role is not Role.STORE)
    listing = work.listing(which, sort=by.field, descending=by.direction is Direction.DESC)
    return await connect(context.database, listing, page, Assignment.of)


@asynccontextmanager
async def _desk(context: Context) -> AsyncIterator[Desk]:
    async with context.database.transaction() as connection:
        yield Desk(connection=connection, networks=context.networks, viewer=context.viewer, now=context.now())


async def accept_assignment(info: Info, id: strawberry.ID, expected_version: int | None = None) -> AssignmentResult:
    async with _desk(info.context) as desk:
        row = await desk.accept(uuid_of(id, "Assignment"), expected_version=expected_version)
    return Assignment.of(row)


async def reject_assignment(
    info: Info, id: strawberry.ID, reason: RejectReason, note: str | None = None
) -> AssignmentResult:
    async with _desk(info.context) as desk:
        row = await desk.reject(uuid_of(id, "Assignment"), reason, note)
    return Assignment.of(row)


async def start_picking(info: Info, id: strawberry.ID) -> AssignmentResult:
    async with _desk(info.context) as desk:
        row = await desk.start_picking(uuid_of(id, "Assignment"))
    return Assignment.of(row)


async def report_picked(info: Info, id: strawberry.ID, lines: list[PickedLineInput]) -> AssignmentResult:
    async with _desk(info.context) as desk:
        row = await desk.report_picked(uuid_of(id, "Assignment"), [line.value() for line in lines])
    return Assignment.of(row)


async def pack_assignment(info: Info, id: strawberry.ID) -> AssignmentResult:
    async with _desk(info.context) as desk:
        row = await desk.pack(uuid_of(id, "Assignment"))
    return Assignment.of(row)


async def mark_ready_for_pickup(info: Info, id: strawberry.ID) -> AssignmentResult:
    async with _desk(info.context) as desk:
        row = await desk.mark_ready(uuid_of(id, "Assignment"))
    return Assignment.of(row)


async def collect_assignment(
    info: Info, id: strawberry.ID, pickup_code: str, lines: list[CollectedLineInput] | None = None
) -> AssignmentResult:
    taken = None if lines is None else [line.value() for line in lines]
    async with _desk(info.context) as desk:
        answer = await desk.collect(uuid_of(id, "Assignment"), pickup_code, taken)
    if isinstance(answer, InvalidPickupCode):  # only now: that it was counted is committed
        raise answer
    return Assignment.of(answer)


async def hand_over_assignment(info: Info, id: strawberry.ID) -> AssignmentResult:
    async with _desk(info.context) as desk:
        row = await desk.hand_over(uuid_of(id, "Assignment"))
    return Assignment.of(row)


async def restock_assignment(info: Info, id: strawberry.ID) -> AssignmentResult:
    async with _desk(info.context) as desk:
        row = await desk.restock(uuid_of(id, "Assignment"))
    return Assignment.of(row)
