"""Stock on its way: from suppliers, and from one location to another."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, TypeAlias

import strawberry

from domain import receipts, transfers
from domain.receipts import ReceiptRow
from domain.transfers import TransferLineRow, TransferRow
from domain.vocabulary import TransferStatus
from schema.context import Info
from schema.errors import ActionNotAllowedError, IdempotencyConflictError, InvalidInputError, NotFoundError
from schema.network import CarrierService, Location, location_of
from schema.options import OutOfStockError
from schema.paging import Node, global_id, node_of
from schema.permission import STAFF, edge

if TYPE_CHECKING:
    from schema.orders import Order


@strawberry.type(description="A quantity of one item on its way; received is 0 until the transfer is RECEIVED.")
class TransferLine:
    sku: str
    quantity: int
    received: int

    @classmethod
    def of(cls, row: TransferLineRow) -> "TransferLine":
        return cls(sku=row.sku, quantity=row.quantity, received=row.received)


@strawberry.type(description="Stock on its way from one location to another; it counts as incoming there.")
class Transfer(Node):
    row: strawberry.Private[TransferRow]
    number: str
    status: TransferStatus
    expected_at: datetime | None
    due_at: datetime | None = strawberry.field(
        description="When it has to leave so that the order that waits for it has it as promised."
    )
    version: int

    @classmethod
    def of(cls, row: TransferRow) -> "Transfer":
        return cls(
            id=global_id("Transfer", row.id),
            row=row,
            number=row.number,
            status=TransferStatus(row.status),
            expected_at=row.expected_at,
            due_at=row.due_at,
            version=row.version,
        )

    @edge(allow=STAFF, name="from")
    async def source(self, info: Info) -> Location:
        return await location_of(info, self.row.from_location_id)

    @edge(allow=STAFF, name="to")
    async def target(self, info: Info) -> Location:
        return await location_of(info, self.row.to_location_id)

    @edge(allow=STAFF, description="How it is to travel; null where nobody has said.")
    async def carrier_service(self, info: Info) -> CarrierService | None:
        code = self.row.carrier_service_code
        return CarrierService.of((await info.context.network()).services[code]) if code else None

    @edge(allow=STAFF, description="The order that waits for it at its store; null for a store that has no work of it.")
    async def order(self, info: Info) -> Annotated["Order", strawberry.lazy("schema.orders")] | None:
        context, order_id = info.context, self.row.order_id
        if order_id is None or not await context.may_see_order(order_id):
            return None
        row = await context.loaders.order.load(order_id)
        return node_of(row) if row else None

    @edge(allow=STAFF)
    async def lines(self, info: Info) -> list[TransferLine]:
        return [TransferLine.of(row) for row in await info.context.loaders.transfer_lines.load(self.row.id)]


@strawberry.type(description="Stock expected from a supplier.")
class Receipt(Node):
    row: strawberry.Private[ReceiptRow]
    reference: str
    sku: str
    quantity: int
    received: int
    expected_at: datetime

    @classmethod
    def of(cls, row: ReceiptRow) -> "Receipt":
        return cls(
            id=global_id("Receipt", row.id),
            row=row,
            reference=row.reference,
            sku=row.sku,
            quantity=row.quantity,
            received=row.received,
            expected_at=row.expected_at,
        )

    @edge(allow=STAFF)
    async def location(self, info: Info) -> Location:
        return await location_of(info, self.row.location_id)


@strawberry.input(description="A quantity of one item.")
class TransferLineInput:
    sku: str
    quantity: int

    def value(self) -> transfers.Line:
        return transfers.Line(sku=self.sku, quantity=self.quantity)


@strawberry.input(
    description="What a supplier is to bring. Its reference, location and item tell it from others: sent again, it "
    "changes the rest."
)
class ReceiptInput:
    reference: str
    location_code: str
    sku: str
    quantity: int
    expected_at: datetime

    def value(self) -> receipts.ReceiptRecord:
        return receipts.ReceiptRecord(**vars(self))


TransferResult: TypeAlias = Annotated[
    Transfer | NotFoundError | OutOfStockError | ActionNotAllowedError | IdempotencyConflictError | InvalidInputError,
    strawberry.union("TransferResult"),
]
ReceiptResult: TypeAlias = Annotated[
    Receipt | NotFoundError | IdempotencyConflictError | InvalidInputError,
    strawberry.union("ReceiptResult"),
]
