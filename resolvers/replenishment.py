"""Stock on its way: from suppliers, and from one location to another."""

from datetime import datetime

import strawberry

from domain import receipts as supply
from domain import transfers as motion
from domain.imports import OnRowError
from domain.paging import Page
from domain.transfers import NewTransfer
from domain.vocabulary import Role, TransferStatus
from schema.context import Info
from schema.inventory import ImportResult
from schema.paging import Connection, connect, uuid_of
from schema.replenishment import (
    Receipt,
    ReceiptInput,
    ReceiptResult,
    Transfer,
    TransferLineInput,
    TransferResult,
)


async def transfers(
    info: Info, page: Page, location: strawberry.ID | None = None, status: list[TransferStatus] | None = None
) -> Connection[Transfer]:
    asked = None if location is None else uuid_of(location, "Location")
    context = info.context
    withheld = context.viewer.role is not Role.STORE
    listing = motion.listing(location_ids=context.narrowed(asked), status=status, withheld=withheld)
    return await connect(info.context.database, listing, page, Transfer.of)


async def receipts(
    info: Info,
    page: Page,
    skus: list[str] | None = None,
    location: strawberry.ID | None = None,
    reference: str | None = None,
) -> Connection[Receipt]:
    asked = None if location is None else uuid_of(location, "Location")
    listing = supply.listing(skus=skus, location_ids=info.context.narrowed(asked), reference=reference)
    return await connect(info.context.database, listing, page, Receipt.of)


async def create_transfer(
    info: Info,
    from_location_id: strawberry.ID,
    to_location_id: strawberry.ID,
    lines: list[TransferLineInput],
    idempotency_key: str,
    expected_at: datetime | None = None,
) -> TransferResult:
    wanted = NewTransfer(
        from_location_id=uuid_of(from_location_id, "Location"),
        to_location_id=uuid_of(to_location_id, "Location"),
        lines=[line.value() for line in lines],
        expected_at=expected_at,
        idempotency_key=idempotency_key,
    )
    async with info.context.database.transaction() as connection:
        row = await motion.create_transfer(connection, wanted, viewer=info.context.viewer, now=info.context.now())
    return Transfer.of(row)


async def dispatch_transfer(info: Info, id: strawberry.ID) -> TransferResult:
    async with info.context.database.transaction() as connection:
        row = await motion.dispatch_transfer(
            connection, uuid_of(id, "Transfer"), viewer=info.context.viewer, now=info.context.now()
        )
    return Transfer.of(row)


async def receive_transfer(info: Info, id: strawberry.ID, lines: list[TransferLineInput]) -> TransferResult:
    came = [line.value() for line in lines]
    async with info.context.database.transaction() as connection:
        row = await motion.receive_transfer(
            connection,
            info.context.networks,
            uuid_of(id, "Transfer"),
            came,
            viewer=info.context.viewer,
            now=info.context.now(),
        )
    return Transfer.of(row)


async def cancel_transfer(info: Info, id: strawberry.ID) -> TransferResult:
    async with info.context.database.transaction() as connection:
        row = await motion.cancel_transfer(
            connection,
            info.context.networks,
            uuid_of(id, "Transfer"),
            viewer=info.context.viewer,
            now=info.context.now(),
        )
    return Transfer.of(row)


async def expect_receipts(
    info: Info, rows: list[ReceiptInput], on_error: OnRowError = OnRowError.SKIP_ROW
) -> ImportResult:
    records = [row.value() for row in rows]
    outcome = await supply.expect_receipts(info.context.database, records, on_error=on_error, now=info.context.now())
    return ImportResult.of(outcome)


async def receive_receipt(info: Info, id: strawberry.ID, quantity: int, idempotency_key: str) -> ReceiptResult:
    async with info.context.database.transaction() as connection:
        row = await supply.receive_receipt(
            connection,
            uuid_of(id, "Receipt"),
            quantity,
            idempotency_key=idempotency_key,
            viewer=info.context.viewer,
            now=info.context.now(),
        )
    return Receipt.of(row)
