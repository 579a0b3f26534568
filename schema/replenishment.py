"""Stock on its way: from suppliers, and from one location to another."""

from datetime import datetime
from typing import Annotated, TypeAlias

import strawberry

from domain import receipts, transfers
from domain.receipts import ReceiptRow
from domain.transfers import TransferLineRow, TransferRow
from domain.vocabulary import TransferStatus
from schema.context import Info
from schema.errors import ActionNotAllowedError, IdempotencyConflictError, InvalidInputError, NotFoundError
from schema.network import Location, location_of
from schema.options import OutOfStockError
from schema.paging import Node, global_id
from schema.permission import STAFF, edge


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
    version: int

    @classmethod
    def of(cls, row: TransferRow) -> "Transfer":
        return cls(
            id=global_id("Transfer", row.id),
            row=row,
            number=row.number,
            status=TransferStatus(row.status),
            expected_at=row.expected_at,
            version=row.version,
        )

    @edge(allow=STAFF, name="from")
    async def source(self, info: Info) -> Location:
        return await location_of(info, self.row.from_location_id)

    @edge(allow=STAFF, name="to")
    async def target(self, info: Info) -> Location:
        return await location_of(info, self.row.to_location_id)

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
