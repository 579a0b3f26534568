"""Orders."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, TypeAlias

import strawberry

from domain import order_actions, orders, returns, shipments
from domain.assignments import visible
from domain.cancelling import CancelledLine
from domain.cart import CartLine
from domain.money import check_currency, to_minor
from domain.orders import OrderFilter, OrderLineRow, OrderRow, OrderSort, TimelineRow
from domain.placement import NewOrder
from domain.places import Address as AddressValue
from domain.returns import ReturnTimelineRow
from domain.viewer import Viewer
from domain.vocabulary import FulfillmentMethod, OrderAction, OrderStatus, Payment, Role, ServiceLevel
from schema.context import Info
from schema.errors import (
    ActionNotAllowedError,
    IdempotencyConflictError,
    InvalidInputError,
    NotFoundError,
    OptionExpiredError,
    ReservationExpiredError,
    VersionConflictError,
)
from schema.inventory import Item
from schema.network import Location, location_of
from schema.options import NoFulfillmentOptionError, OutOfStockError
from schema.paging import Node, global_id, node_of, uuid_of
from schema.permission import EVERYBODY, OFFICE, STAFF, edge
from schema.scalars import Address, AddressInput, Money

if TYPE_CHECKING:
    from schema.assignments import Assignment
    from schema.returns import Return
    from schema.routing import RoutingDecision
    from schema.shipments import Shipment

strawberry.enum(orders.OrderSort, description="What a list of orders is ordered by.")


@strawberry.enum(description="Which end of a list comes first.")
class Direction(StrEnum):
    ASC = "ASC"
    DESC = "DESC"


@strawberry.type(description="Who ordered.")
class Customer:
    name: str
    email: str | None
    phone: str | None


@strawberry.type(description="What happened to an order, in a sentence.")
class TimelineEntry:
    at: datetime
    kind: str
    message: str
    actor: str | None

    @classmethod
    def of(cls, row: TimelineRow | ReturnTimelineRow, viewer: Viewer) -> "TimelineEntry":
        # What befell the order as a whole may have been done at another store.
        anonymous = row.location_id is None and viewer.role is Role.STORE
        return cls(at=row.at, kind=row.kind, message=row.message, actor=None if anonymous else row.actor)


@strawberry.type(description="A wanted quantity of one item.")
class OrderLine(Node):
    sku: str
    quantity: int
    unit_price: Money
    fulfilled: int
    cancelled: int
    backordered: int = strawberry.field(description="What waits for stock.")
    returned: int = strawberry.field(description="What has come back of what was fulfilled.")

    @classmethod
    def of(cls, row: OrderLineRow, currency: str) -> "OrderLine":
        return cls(
            id=global_id("OrderLine", row.id),
            sku=row.sku,
            quantity=row.quantity,
            unit_price=Money.of(row.unit_price, currency),
            fulfilled=row.fulfilled,
            cancelled=row.cancelled,
            backordered=row.backordered,
            returned=row.returned,
        )

    @edge(allow=EVERYBODY)
    async def item(self, info: Info) -> Item | None:
        row = await info.context.loaders.item.load(self.sku)
        return Item.of(row) if row else None


@strawberry.type(description="What a shopper wants, and how far it has come.")
class Order(Node):
    row: strawberry.Private[OrderRow]
    number: str
    status: OrderStatus
    channel: str
    method: FulfillmentMethod
    level: ServiceLevel | None
    payment: Payment
    tags: list[str]
    placed_at: datetime
    updated_at: datetime
    promised_earliest: datetime | None
    promised_latest: datetime | None
    late: bool = strawberry.field(description="The promise can no longer be kept.")
    hold_reason: str | None = strawberry.field(
        description="Why it is on hold, where somebody said so. Whoever may read the order reads it, and its timeline."
    )
    shipping_price: Money
    total: Money
    version: int

    @classmethod
    def of(cls, row: OrderRow) -> "Order":
        return cls(
            id=global_id("Order", row.id),
            row=row,
            number=row.number,
            status=OrderStatus(row.status),
            channel=row.channel,
            method=FulfillmentMethod(row.method),
            level=ServiceLevel(row.level) if row.level else None,
            payment=Payment(row.payment),
            tags=row.tags,
            placed_at=row.placed_at,
            updated_at=row.updated_at,
            promised_earliest=row.promised_earliest,
            promised_latest=row.promised_latest,
            late=row.late,
            hold_reason=row.hold_reason if row.status == OrderStatus.ON_HOLD else None,
            shipping_price=Money.of(row.shipping_price, row.currency),
            total=Money.of(row.total, row.currency),
            version=row.version,
        )

    @edge(
        allow=EVERYBODY - {Role.STORE},
        description="What the shopper shows at the counter; null for STORE viewers.",
    )
    async def pickup_code(self) -> str | None:
        return self.row.pickup_code

    @edge(allow=EVERYBODY)
    async def customer(self) -> Customer:
        return Customer(name=self.row.customer_name, email=self.row.customer_email, phone=self.row.customer_phone)

    @edge(allow=EVERYBODY)
    async def ship_to(self) -> Address | None:
        return Address.of(AddressValue.from_json(self.row.ship_to)) if self.row.ship_to else None

    @edge(allow=EVERYBODY)
    async def pickup_location(self, info: Info) -> Location | None:
        return await location_of(info, self.row.pickup_location_id) if self.row.pickup_location_id else None

    @edge(allow=EVERYBODY)
    async def lines(self, info: Info) -> list[OrderLine]:
        rows = await info.context.loaders.order_lines.load(self.row.id)
        return [OrderLine.of(row, self.row.currency) for row in rows]

    @edge(allow=STAFF, hidden=list, description="A STORE viewer sees those of its own locations.")
    async def assignments(self, info: Info) -> list[Annotated["Assignment", strawberry.lazy("schema.assignments")]]:
        viewer = info.context.viewer
        rows = await info.context.loaders.assignments.load(self.row.id)
        return [node_of(row) for row in rows if visible(row, viewer)]

    @edge(allow=EVERYBODY, description="A STORE viewer sees those of its own locations.")
    async def shipments(self, info: Info) -> list[Annotated["Shipment", strawberry.lazy("schema.shipments")]]:
        rows = await info.context.loaders.shipments.load(self.row.id)
        return [node_of(row) for row in rows if shipments.visible(row, info.context.viewer)]

    @edge(
        allow=EVERYBODY, description="Oldest first. A STORE viewer sees those announced or received at its locations."
    )
    async def returns(self, info: Info) -> list[Annotated["Return", strawberry.lazy("schema.returns")]]:
        rows = await info.context.loaders.order_returns.load(self.row.id)
        return [node_of(row) for row in rows if returns.visible(row, info.context.viewer)]

    @edge(allow=EVERYBODY, description="What the viewer may do now.")
    async def allowed_actions(self, info: Info) -> list[OrderAction]:
        parcels = await info.context.loaders.shipments.load(self.row.id)
        astray = any(shipments.astray(parcel) for parcel in parcels)
        lost = await info.context.loaders.lost.load(self.row.id) if astray else []
        return order_actions.allowed_actions(self.row, info.context.viewer, astray=bool(lost))

    @edge(allow=OFFICE, hidden=list, description="Why it was routed as it was, oldest first; kept for a while.")
    async def routing(self, info: Info) -> list[Annotated["RoutingDecision", strawberry.lazy("schema.routing")]]:
        return [node_of(row) for row in await info.context.loaders.decisions.load(self.row.id)]

    @edge(allow=STAFF, hidden=list, description="Oldest first. A STORE viewer sees no other location's work.")
    async def timeline(self, info: Info) -> list[TimelineEntry]:
        viewer = info.context.viewer
        rows = await info.context.loaders.timeline.load(self.row.id)
        return [TimelineEntry.of(row, viewer) for row in rows if orders.may_read(row.location_id, viewer)]


node_of.register(OrderRow, Order.of)


@strawberry.input(description="Which orders; what is left out narrows nothing. location: any of its work lies there.")
class OrderWhere:
    status: list[OrderStatus] | None = None
    tags: list[str] | None = None
    channel: list[str] | None = None
    method: list[FulfillmentMethod] | None = None
    location: strawberry.ID | None = None
    sku: str | None = None
    customer_email: str | None = None
    placed_from: datetime | None = None
    placed_to: datetime | None = None
    late: bool | None = None

    def value(self) -> OrderFilter:
        return OrderFilter(
            status=self.status,
            tags=self.tags,
            channel=self.channel,
            method=self.method,
            location_ids=[uuid_of(self.location, "Location")] if self.location is not None else None,
            sku=self.sku,
            customer_email=self.customer_email,
            placed_from=self.placed_from,
            placed_to=self.placed_to,
            late=self.late,
        )


@strawberry.input(description="The order of a list of orders.")
class OrderBy:
    field: OrderSort = OrderSort.PLACED_AT
    direction: Direction = Direction.DESC


@strawberry.input(description="Who orders.")
class CustomerInput:
    name: str
    email: str | None = None
    phone: str | None = None


@strawberry.input(description="A wanted quantity of one item, at its price.")
class OrderLineInput:
    sku: str
    quantity: int
    unit_price: Decimal


@strawberry.input(description="An order: by the option that the shopper chose, or by a wish.")
class PlaceOrderInput:
    idempotency_key: str
    number: str | None = strawberry.field(default=None, description="The shop's own number; made here when left out.")
    channel: str = "web"
    currency: str = "EUR"
    customer: CustomerInput
    tags: list[str] = strawberry.field(default_factory=list)
    payment: Payment = strawberry.field(
        default=Payment.PREPAID, description="ON_COLLECTION, click and reserve, is for pickups."
    )
    lines: list[OrderLineInput]
    option_token: str | None = strawberry.field(
        default=None, description="The option the shopper chose (an incomplete one places what it covers), or ..."
    )
    reservation_id: strawberry.ID | None = strawberry.field(
        default=None, description="... the reservation made from it, or, for orders taken elsewhere, ..."
    )
    method: FulfillmentMethod | None = strawberry.field(
        default=None, description="... the wish, and the network chooses."
    )
    level: ServiceLevel | None = None
    ship_to: AddressInput | None = None
    pickup_location_id: strawberry.ID | None = None
    allow_backorder: bool = strawberry.field(
        default=False, description="Accept lines that no location has now: they wait for stock."
    )
    hold: bool = strawberry.field(
        default=False,
        description="Plan it and reserve its stock, and offer it to nobody before release (payment or fraud review).",
    )

    def value(self) -> NewOrder:
        currency = check_currency(self.currency, path=("currency",))
        return NewOrder(
            idempotency_key=self.idempotency_key,
            number=self.number,
            channel=self.channel,
            currency=currency,
            customer_name=self.customer.name,
            customer_email=self.customer.email,
            customer_phone=self.customer.phone,
            tags=tuple(dict.fromkeys(self.tags)),
            lines=tuple(
                CartLine(
                    sku=line.sku,
                    quantity=line.quantity,
                    unit_price=to_minor(line.unit_price, currency, path=("lines", str(index), "unitPrice")),
                )
                for index, line in enumerate(self.lines)
            ),
            token=self.option_token,
            reservation_id=None if self.reservation_id is None else uuid_of(self.reservation_id, "Reservation"),
            method=self.method,
            level=self.level,
            ship_to=self.ship_to.value() if self.ship_to else None,
            allow_backorder=self.allow_backorder,
            payment=self.payment,
            hold=self.hold,
            pickup_location_id=(
                None if self.pickup_location_id is None else uuid_of(self.pickup_location_id, "Location")
            ),
        )


PlaceOrderResult: TypeAlias = Annotated[
    Order
    | OutOfStockError
    | NoFulfillmentOptionError
    | OptionExpiredError
    | ReservationExpiredError
    | IdempotencyConflictError
    | InvalidInputError,
    strawberry.union("PlaceOrderResult"),
]


@strawberry.input(description="How many units of an order's line are called off.")
class CancelLineInput:
    line_id: strawberry.ID
    quantity: int

    def value(self) -> CancelledLine:
        return CancelledLine(line_id=uuid_of(self.line_id, "OrderLine"), quantity=self.quantity)


OrderResult: TypeAlias = Annotated[
    Order
    | NotFoundError
    | ActionNotAllowedError
    | VersionConflictError
    | NoFulfillmentOptionError
    | OutOfStockError
    | InvalidInputError,
    strawberry.union("OrderResult"),
]
