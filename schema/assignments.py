"""Assignments: a location's share of an order."""

from datetime import datetime
from typing import Annotated, TypeAlias

import strawberry

from domain import assignments
from domain.assignments import AssignmentFilter, AssignmentLineRow, AssignmentRow, AssignmentSort, Collected, Picked
from domain.vocabulary import AssignmentAction, AssignmentStatus, FulfillmentMethod, RejectReason
from schema.context import Info
from schema.errors import (
    ActionNotAllowedError,
    InvalidInputError,
    InvalidPickupCodeError,
    NotFoundError,
    VersionConflictError,
)
from schema.inventory import Item
from schema.network import CarrierService, Location, location_of
from schema.orders import Direction, Order
from schema.paging import Node, global_id, node_of, uuid_of
from schema.permission import STAFF, edge
from schema.shipments import Shipment

strawberry.enum(assignments.AssignmentSort, description="What a list of assignments is ordered by.")


@strawberry.type(description="What the location is asked to pick, what it found, and what it did not.")
class AssignmentLine(Node):
    sku: str
    quantity: int
    picked: int
    short: int

    @classmethod
    def of(cls, row: AssignmentLineRow) -> "AssignmentLine":
        return cls(
            id=global_id("AssignmentLine", row.id),
            sku=row.sku,
            quantity=row.quantity,
            picked=row.picked,
            short=row.short,
        )

    @edge(allow=STAFF)
    async def item(self, info: Info) -> Item | None:
        row = await info.context.loaders.item.load(self.sku)
        return Item.of(row) if row else None


@strawberry.type(description="A location's share of an order: one parcel's worth of work.")
class Assignment(Node):
    row: strawberry.Private[AssignmentRow]
    number: str
    status: AssignmentStatus
    method: FulfillmentMethod
    offered_at: datetime
    respond_by: datetime | None = strawberry.field(description="Unless it is answered by then, it goes elsewhere.")
    start_by: datetime | None = strawberry.field(
        description="Unless picking has begun by then, it goes elsewhere; null before it is accepted and after."
    )
    due_at: datetime
    collect_by: datetime | None = strawberry.field(description="Until when it waits for the shopper.")
    assignee: str | None
    reject_reason: RejectReason | None
    version: int

    @classmethod
    def of(cls, row: AssignmentRow) -> "Assignment":
        return cls(
            id=global_id("Assignment", row.id),
            row=row,
            number=row.number,
            status=AssignmentStatus(row.status),
            method=FulfillmentMethod(row.method),
            offered_at=row.offered_at,
            respond_by=row.respond_by,
            start_by=row.deadline if row.status == AssignmentStatus.ACCEPTED else None,
            due_at=row.due_at,
            collect_by=row.collect_by,
            assignee=row.assignee,
            reject_reason=RejectReason(row.reject_reason) if row.reject_reason else None,
            version=row.version,
        )

    @edge(allow=STAFF, hidden=list, description="What the viewer may do now.")
    async def allowed_actions(self, info: Info) -> list[AssignmentAction]:
        picking = self.row.status == AssignmentStatus.PICKING
        lines = await info.context.loaders.assignment_lines.load(self.row.id) if picking else ()
        return assignments.allowed_actions(self.row, info.context.viewer, lines)

    @edge(allow=STAFF)
    async def location(self, info: Info) -> Location:
        return await location_of(info, self.row.location_id)

    @edge(allow=STAFF)
    async def order(self, info: Info) -> Order:
        row = await info.context.loaders.order.load(self.row.order_id)
        assert row is not None  # noqa: S101 - a foreign key holds it
        return Order.of(row)

    @edge(allow=STAFF, hidden=list)
    async def lines(self, info: Info) -> list[AssignmentLine]:
        return [AssignmentLine.of(row) for row in await info.context.loaders.assignment_lines.load(self.row.id)]

    @edge(allow=STAFF)
    async def carrier_service(self, info: Info) -> CarrierService | None:
        code = self.row.carrier_service_code
        return CarrierService.of((await info.context.network()).services[code]) if code else None

    @edge(allow=STAFF, hidden=list)
    async def shipments(self, info: Info) -> list[Shipment]:
        return [Shipment.of(row) for row in await info.context.loaders.assignment_shipments.load(self.row.id)]


node_of.register(AssignmentRow, Assignment.of)


@strawberry.input(description="Which assignments; what is left out narrows nothing.")
class AssignmentWhere:
    location: strawberry.ID | None = None
    status: list[AssignmentStatus] | None = None
    method: list[FulfillmentMethod] | None = None
    due_before: datetime | None = None

    def value(self) -> AssignmentFilter:
        return AssignmentFilter(
            location_ids=[uuid_of(self.location, "Location")] if self.location is not None else None,
            status=self.status,
            method=self.method,
            due_before=self.due_before,
        )


@strawberry.input(description="The order of a list of assignments.")
class AssignmentBy:
    field: AssignmentSort = AssignmentSort.DUE_AT
    direction: Direction = Direction.ASC


@strawberry.input(description="What was found of a line, in all so far. With a reason, the rest will not be found.")
class PickedLineInput:
    line_id: strawberry.ID
    picked: int
    reason: RejectReason | None = None

    def value(self) -> Picked:
        return Picked(line_id=uuid_of(self.line_id, "AssignmentLine"), quantity=self.picked, reason=self.reason)


@strawberry.input(description="How many units of a line the shopper takes.")
class CollectedLineInput:
    line_id: strawberry.ID
    quantity: int

    def value(self) -> Collected:
        return Collected(line_id=uuid_of(self.line_id, "AssignmentLine"), quantity=self.quantity)


AssignmentResult: TypeAlias = Annotated[
    Assignment
    | InvalidPickupCodeError
    | NotFoundError
    | ActionNotAllowedError
    | VersionConflictError
    | InvalidInputError,
    strawberry.union("AssignmentResult"),
]
