"""What comes back."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, TypeAlias

import strawberry

from domain import orders, returns
from domain.returns import ReturnFilter, ReturnLineRow, ReturnPolicyRow, ReturnRow, Way
from domain.returns import ReturnOptions as OptionsValue
from domain.vocabulary import (
    Disposition,
    ErrorCode,
    ItemCondition,
    ReturnAction,
    ReturnMethod,
    ReturnReason,
    ReturnStatus,
)
from schema.context import Info
from schema.errors import (
    ActionNotAllowedError,
    IdempotencyConflictError,
    InvalidInputError,
    NotFoundError,
    ReturnNotEligibleError,
    VersionConflictError,
)
from schema.network import CarrierService, Location, location_of
from schema.orders import Order, OrderLine, TimelineEntry
from schema.paging import Node, global_id, node_of, uuid_of
from schema.permission import EVERYBODY, STAFF, edge
from schema.scalars import Money
from schema.shipments import Shipment


@strawberry.type(description="A quantity of one item that comes back. refund is 0 until it was inspected.")
class ReturnLine(Node):
    row: strawberry.Private[ReturnLineRow]
    sku: str
    quantity: int
    reason: ReturnReason
    condition: ItemCondition | None
    refund: Money

    @classmethod
    def of(cls, row: ReturnLineRow) -> "ReturnLine":
        return cls(
            id=global_id("ReturnLine", row.id),
            row=row,
            sku=row.sku,
            quantity=row.quantity,
            reason=ReturnReason(row.reason),
            condition=ItemCondition(row.condition) if row.condition else None,
            refund=Money.of(row.refund, row.currency),
        )

    @edge(allow=STAFF)
    async def disposition(self) -> Disposition | None:
        return Disposition(self.row.disposition) if self.row.disposition else None

    @edge(allow=STAFF, description="Why this disposition was chosen.")
    async def explanation(self) -> str | None:
        return self.row.explanation

    @edge(allow=STAFF)
    async def transfer_to(self, info: Info) -> Location | None:
        return await location_of(info, self.row.transfer_to_id) if self.row.transfer_to_id else None


@strawberry.type(
    description="What comes back, and how far it has come. Without an order, nobody knows which it was of."
)
class Return(Node):
    row: strawberry.Private[ReturnRow]
    number: str
    status: ReturnStatus
    method: ReturnMethod = strawberry.field(description="To a store, or with a carrier.")
    received_at: datetime | None
    requested_at: datetime
    expires_at: datetime | None = strawberry.field(
        description="When it is cancelled, unless its goods have come or are on their way by then; null once they are."
    )
    price: Money = strawberry.field(description="What the way back costs the shopper.")
    refund: Money = strawberry.field(description="That of all lines, less the price; due once the return is CLOSED.")
    label_url: str | None = strawberry.field(description="Where this gateway serves the label of the parcel.")
    tracking_number: str | None
    version: int

    @classmethod
    def of(cls, row: ReturnRow) -> "Return":
        return cls(
            id=global_id("Return", row.id),
            row=row,
            number=row.number,
            status=ReturnStatus(row.status),
            method=ReturnMethod(row.method),
            received_at=row.received_at,
            requested_at=row.requested_at,
            expires_at=row.expires_at,
            price=Money.of(row.price, row.currency),
            refund=Money.of(row.refund, row.currency),
            label_url=f"/labels/{row.label_key}" if row.label_key else None,
            tracking_number=row.tracking_number,
            version=row.version,
        )

    @edge(allow=EVERYBODY, description="A STORE viewer sees it where it has or had work of it.")
    async def order(self, info: Info) -> Order | None:
        key = self.row.order_id
        row = await info.context.loaders.order.load(key) if key else None
        return Order.of(row) if row and await info.context.may_see_order(row.id) else None

    @edge(allow=EVERYBODY)
    async def lines(self, info: Info) -> list[ReturnLine]:
        return [ReturnLine.of(row) for row in await info.context.loaders.return_lines.load(self.row.id)]

    @edge(allow=EVERYBODY)
    async def announced_location(self, info: Info) -> Location | None:
        place = self.row.announced_location_id
        return await location_of(info, place) if place else None

    @edge(allow=EVERYBODY)
    async def received_location(self, info: Info) -> Location | None:
        place = self.row.received_location_id
        return await location_of(info, place) if place else None

    @edge(allow=EVERYBODY, description="What the viewer may do now.")
    async def allowed_actions(self, info: Info) -> list[ReturnAction]:
        return returns.allowed_actions(self.row, info.context.viewer)

    @edge(allow=STAFF, hidden=list, description="Oldest first. A STORE viewer sees no other location's work.")
    async def timeline(self, info: Info) -> list[TimelineEntry]:
        viewer = info.context.viewer
        rows = await info.context.loaders.return_timeline.load(self.row.id)
        return [TimelineEntry.of(row, viewer) for row in rows if orders.may_read(row.location_id, viewer)]


node_of.register(ReturnRow, Return.of)


@strawberry.type(description="How much of a line may be returned. code and message say why nothing more can be.")
class ReturnableLine:
    order_line: OrderLine
    returnable: int
    latest_by: datetime | None
    code: ErrorCode | None = strawberry.field(description="Why nothing more can be, for a program.")
    message: str | None

    @classmethod
    def of(cls, value: returns.Returnable, currency: str) -> "ReturnableLine":
        return cls(
            order_line=OrderLine.of(value.line, currency),
            returnable=value.quantity,
            latest_by=value.latest_by,
            code=ErrorCode.RETURN_NOT_ELIGIBLE if value.why_not else None,
            message=value.why_not,
        )


@strawberry.type(
    description="A way back: to a store, or in a parcel to a location; price is what it costs the shopper."
)
class ReturnOption:
    way: strawberry.Private[Way]
    method: ReturnMethod = strawberry.field(description="To a store, or with a carrier.")
    location: Location | None
    distance_km: float | None
    price: Money
    latest_by: datetime

    @classmethod
    def of(cls, way: Way, currency: str) -> "ReturnOption":
        return cls(
            way=way,
            method=way.method,
            location=Location.of(way.location),
            distance_km=way.distance_km,
            price=Money.of(way.price, currency),
            latest_by=way.latest_by,
        )

    @edge(allow=EVERYBODY)
    async def carrier_service(self, info: Info) -> CarrierService | None:
        code = self.way.service_code
        return CarrierService.of((await info.context.network()).services[code]) if code else None


@strawberry.type(description="How an order, or a part of it, can come back, the nearest stores first.")
class ReturnOptions:
    options: list[ReturnOption] = strawberry.field(description="The ways back, the nearest stores first.")
    lines: list[ReturnableLine]

    @classmethod
    def of(cls, value: OptionsValue, currency: str) -> "ReturnOptions":
        return cls(
            options=[ReturnOption.of(way, currency) for way in value.ways],
            lines=[ReturnableLine.of(line, currency) for line in value.lines],
        )


@strawberry.input(description="Which returns; what is left out narrows nothing. location: announced or received there.")
class ReturnWhere:
    status: list[ReturnStatus] | None = None
    location: strawberry.ID | None = None
    order: strawberry.ID | None = strawberry.field(default=None, description="Only those of this order.")

    def value(self) -> ReturnFilter:
        return ReturnFilter(
            status=self.status,
            location_ids=None if self.location is None else [uuid_of(self.location, "Location")],
            order_id=None if self.order is None else uuid_of(self.order, "Order"),
        )


@strawberry.input(description="How many units of an order's line come back, and why.")
class ReturnLineInput:
    order_line_id: strawberry.ID
    quantity: int
    reason: ReturnReason

    def value(self) -> returns.Wanted:
        key = uuid_of(self.order_line_id, "OrderLine")
        return returns.Wanted(order_line_id=key, quantity=self.quantity, reason=self.reason)


@strawberry.input(description="How many units of an item are shown at the counter, and why they come back.")
class RegisteredLineInput:
    sku: str
    quantity: int
    reason: ReturnReason

    def value(self) -> returns.Shown:
        return returns.Shown(sku=self.sku, quantity=self.quantity, reason=self.reason)


@strawberry.input(
    description="At the counter: with the order's number and postal code (of the store, where it was collected), or "
    "blind. After five wrong postal codes a number is not looked up for 15 minutes. currency is that of a blind "
    "return's refund."
)
class RegisterReturnInput:
    idempotency_key: str
    location_id: strawberry.ID
    order_number: str | None = None
    postal_code: str | None = None
    lines: list[RegisteredLineInput]
    currency: str = "EUR"

    def value(self) -> returns.Registration:
        return returns.Registration(
            idempotency_key=self.idempotency_key,
            location_id=uuid_of(self.location_id, "Location"),
            order_number=self.order_number,
            postal_code=self.postal_code,
            lines=[line.value() for line in self.lines],
            currency=self.currency,
        )


@strawberry.input(
    description="In which condition a line is. disposition and refund, where given, go before what would be chosen."
)
class InspectedLineInput:
    line_id: strawberry.ID
    condition: ItemCondition
    disposition: Disposition | None = None
    refund: Decimal | None = None

    def value(self) -> returns.Inspected:
        return returns.Inspected(
            line_id=uuid_of(self.line_id, "ReturnLine"),
            condition=self.condition,
            disposition=self.disposition,
            refund=self.refund,
        )


@strawberry.type(description="Which share of the price is not refunded of what comes back in a condition.")
class Deduction:
    condition: ItemCondition
    share: Decimal


@strawberry.type(
    description="On which terms goods are taken back, for so many days after they arrived. The first whose channel and "
    "tags fit decides, the highest priority first; one that asks a price decides on orders in its currency only. "
    "Deductions are shares of the price, by condition."
)
class ReturnPolicy(Node):
    name: str
    channels: list[str]
    item_tags: list[str]
    days: int
    auto_approve: bool
    carrier_price: Money
    in_store_price: Money
    deductions: list[Deduction]
    priority: int
    version: int

    @classmethod
    def of(cls, row: ReturnPolicyRow) -> "ReturnPolicy":
        shares = row.deductions
        return cls(
            id=global_id("ReturnPolicy", row.id),
            name=row.name,
            channels=row.channels,
            item_tags=row.item_tags,
            days=row.days,
            auto_approve=row.auto_approve,
            carrier_price=Money.of(row.carrier_price, row.currency),
            in_store_price=Money.of(row.in_store_price, row.currency),
            deductions=[
                Deduction(condition=each, share=Decimal(shares[each])) for each in ItemCondition if each in shares
            ],
            priority=row.priority,
            version=row.version,
        )


@strawberry.input(
    description="Which share of the price is not refunded of what comes back in a condition; 0.2 is 20 %."
)
class DeductionInput:
    condition: ItemCondition
    share: Decimal


@strawberry.input(
    description="A policy, new or known by its name; what is left out stays as it is. A new one takes all channels and "
    "items back for 30 days, free of charge and without asking, at priority 100; days 0: not at all."
)
class ReturnPolicyInput:
    name: str
    channels: list[str] | None = None
    item_tags: list[str] | None = None
    days: int | None = None
    auto_approve: bool | None = None
    carrier_price: Decimal | None = None
    in_store_price: Decimal | None = None
    deductions: list[DeductionInput] | None = None
    priority: int | None = None
    currency: str | None = None

    def value(self) -> returns.PolicyChange:
        given = self.deductions
        return returns.PolicyChange(
            name=self.name,
            channels=self.channels,
            item_tags=self.item_tags,
            days=self.days,
            auto_approve=self.auto_approve,
            currency=self.currency,
            carrier_price=self.carrier_price,
            in_store_price=self.in_store_price,
            deductions=None if given is None else [(each.condition, each.share) for each in given],
            priority=self.priority,
        )


ReturnResult: TypeAlias = Annotated[
    Return
    | NotFoundError
    | ActionNotAllowedError
    | ReturnNotEligibleError
    | IdempotencyConflictError
    | InvalidInputError,
    strawberry.union("ReturnResult"),
]
ReturnPolicyResult: TypeAlias = Annotated[
    ReturnPolicy | VersionConflictError | InvalidInputError, strawberry.union("ReturnPolicyResult")
]
ShipmentResult: TypeAlias = Annotated[
    Shipment | Return | NotFoundError | ActionNotAllowedError | InvalidInputError, strawberry.union("ShipmentResult")
]
