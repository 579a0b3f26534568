"""Items and stock."""

from collections.abc import Sequence

import strawberry

from domain import inventory, shortage
from domain.imports import OnRowError, check_size
from domain.inventory import Key, OnShortage
from domain.paging import Page
from domain.transaction import Connection as Transaction
from domain.vocabulary import MovementReason
from schema.context import Context, Info
from schema.inventory import (
    Availability,
    HoldbackInput,
    ImportResult,
    Item,
    ItemRowInput,
    SafetyStockInput,
    StockLevel,
    StockMovement,
    StockResult,
    StockRowInput,
    availability_of,
)
from schema.paging import Connection, connect, uuid_of
from schema.scalars import GeoPointInput


async def item(info: Info, sku: str) -> Item | None:
    row = await info.context.loaders.item.load(sku)
    return Item.of(row) if row else None


async def items(
    info: Info, page: Page, skus: list[str] | None = None, barcode: str | None = None, tags: list[str] | None = None
) -> Connection[Item]:
    listing = inventory.item_listing(skus=skus, barcode=barcode, tags=tags)
    return await connect(info.context.database, listing, page, Item.of)


async def availability(
    info: Info,
    skus: list[str],
    near: GeoPointInput | None = None,
    within_km: float | None = None,
    channel: str = "web",
) -> list[Availability]:
    return await availability_of(info, skus, channel=channel, near=near, within_km=within_km)


async def stock_levels(
    info: Info, page: Page, skus: list[str] | None = None, location: strawberry.ID | None = None
) -> Connection[StockLevel]:
    asked = None if location is None else uuid_of(location, "Location")
    listing = inventory.stock_listing(skus=skus, location_ids=info.context.narrowed(asked))
    return await connect(info.context.database, listing, page, StockLevel.of)


async def stock_movements(
    info: Info, page: Page, sku: str | None = None, location: strawberry.ID | None = None
) -> Connection[StockMovement]:
    asked = None if location is None else uuid_of(location, "Location")
    listing = inventory.movement_listing(sku=sku, location_ids=info.context.narrowed(asked))
    return await connect(info.context.database, listing, page, StockMovement.of)


def _on_shortage(context: Context) -> OnShortage:
    async def settle(connection: Transaction, keys: Sequence[Key]) -> None:
        await shortage.settle(connection, context.networks, keys, viewer=context.viewer, now=context.now())

    return settle


async def adjust_stock(
    info: Info,
    sku: str,
    location_id: strawberry.ID,
    delta: int,
    reason: MovementReason,
    idempotency_key: str,
    note: str | None = None,
) -> StockResult:
    where = uuid_of(location_id, "Location")
    info.context.viewer.must_work_at(where)
    async with info.context.database.transaction() as connection:
        row = await inventory.adjust_stock(
            connection,
            sku=sku,
            location_id=where,
            delta=delta,
            reason=reason,
            note=note,
            idempotency_key=idempotency_key,
            on_shortage=_on_shortage(info.context),
            now=info.context.now(),
        )
    return StockLevel.of(row)


async def count_stock(
    info: Info, sku: str, location_id: strawberry.ID, on_hand: int, expected_version: int | None = None
) -> StockResult:
    where = uuid_of(location_id, "Location")
    info.context.viewer.must_work_at(where)
    async with info.context.database.transaction() as connection:
        row = await inventory.count_stock(
            connection,
            sku=sku,
            location_id=where,
            on_hand=on_hand,
            expected_version=expected_version,
            on_shortage=_on_shortage(info.context),
            now=info.context.now(),
        )
    return StockLevel.of(row)


async def import_items(
    info: Info, rows: list[ItemRowInput], on_error: OnRowError = OnRowError.SKIP_ROW
) -> ImportResult:
    records = [row.value() for row in rows]
    outcome = await inventory.import_items(info.context.database, records, on_error=on_error, now=info.context.now())
    return ImportResult.of(outcome)


async def import_stock(
    info: Info, rows: list[StockRowInput], on_error: OnRowError = OnRowError.SKIP_ROW
) -> ImportResult:
    check_size(rows)
    records = [row.value() for row in rows]
    outcome = await inventory.import_stock(
        info.context.database,
        records,
        on_error=on_error,
        on_shortage=_on_shortage(info.context),
        now=info.context.now(),
    )
    return ImportResult.of(outcome)


async def set_safety_stock(info: Info, rows: list[SafetyStockInput]) -> ImportResult:
    records = [row.value() for row in rows]
    outcome = await inventory.set_safety_stock(info.context.database, records, now=info.context.now())
    return ImportResult.of(outcome)


async def set_holdback(info: Info, rows: list[HoldbackInput]) -> ImportResult:
    records = [row.value() for row in rows]
    outcome = await inventory.set_holdback(info.context.database, records, now=info.context.now())
    return ImportResult.of(outcome)
