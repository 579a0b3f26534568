"""Items, stock, and how much of what can be had."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, TypeAlias

import strawberry

from domain import imports, inventory
from domain.availability import MOST_SKUS, Found, availability
from domain.imports import ImportOutcome
from domain.inventory import ItemRow, MovementRow, StockRow
from domain.vocabulary import ErrorCode, MovementReason
from schema.context import Info
from schema.errors import (
    IdempotencyConflictError,
    InvalidInputError,
    NotFoundError,
    VersionConflictError,
)
from schema.network import Location, location_of
from schema.paging import Node, global_id, node_of
from schema.permission import EVERYBODY, STAFF, edge
from schema.scalars import GeoPointInput

if TYPE_CHECKING:
    from schema.orders import Order

strawberry.enum(
    imports.OnRowError, description="What a row that fails means for the others: they are taken, or none is."
)


LARGEST_INT = 2**31 - 1
"""GraphQL's Int holds no more; a network that has more of an item has enough."""


@strawberry.type(description="What one location can sell of an item.")
class LocationAvailability:
    location: Location
    available: int
    distance_km: float | None


@strawberry.type(description="What the network can sell of an item; never what it has on hand.")
class Availability:
    found: strawberry.Private[Found]
    sku: str
    available: int
    location_count: int
    nearest: list[LocationAvailability]

    @classmethod
    def of(cls, found: Found) -> "Availability":
        return cls(
            found=found,
            sku=found.sku,
            available=min(found.available, LARGEST_INT),
            location_count=found.location_count,
            nearest=[
                LocationAvailability(
                    location=Location.of(each.location), available=each.available, distance_km=each.distance_km
                )
                for each in found.nearest
            ],
        )

    @strawberry.field(description="What is on its way to the locations in reach.")
    async def incoming(self, info: Info) -> int:
        levels = await info.context.loaders.incoming.load(self.sku)
        return min(self.found.incoming(levels, await info.context.network()), LARGEST_INT)


@strawberry.type(description="Something that is sold.")
class Item(Node):
    sku: str
    name: str
    weight_grams: int
    tags: list[str]
    barcodes: list[str]
    image_url: str | None

    @classmethod
    def of(cls, row: ItemRow) -> "Item":
        return cls(
            id=global_id("Item", row.sku),
            sku=row.sku,
            name=row.name,
            weight_grams=row.weight_grams,
            tags=row.tags,
            barcodes=row.barcodes,
            image_url=row.image_url,
        )

    @edge(allow=EVERYBODY)
    async def availability(
        self, info: Info, channel: str = "web", near: GeoPointInput | None = None, within_km: float | None = None
    ) -> Availability:
        async def ask(skus: list[str]) -> list[Availability]:
            return await availability_of(info, skus, channel=channel, near=near, within_km=within_km)

        question = channel, near and near.value(), within_km
        return await info.context.loaders.alike(question, ask, MOST_SKUS).load(self.sku)


async def availability_of(
    info: Info, skus: Sequence[str], *, channel: str, near: GeoPointInput | None, within_km: float | None
) -> list[Availability]:
    """Return what the network can sell of each item, in the order asked for."""
    snapshot = await info.context.network()
    stock = await info.context.stock.current(now=info.context.now())
    point = near.value() if near else None
    async with info.context.database.reading() as connection:
        found = await availability(
            connection, snapshot, skus, stock=stock, channel=channel, near=point, within_km=within_km
        )
    return [Availability.of(each) for each in found]


@strawberry.type(
    description="available = onHand - reserved - safetyStock, never below 0. A count may find less than is reserved."
)
class StockLevel(Node):
    row: strawberry.Private[StockRow]
    sku: str
    on_hand: int
    reserved: int
    safety_stock: int
    available: int
    incoming: int
    damaged: int
    version: int
    updated_at: datetime

    @classmethod
    def of(cls, row: StockRow) -> "StockLevel":
        return cls(
            id=global_id("StockLevel", row.sku, row.location_id),
            row=row,
            sku=row.sku,
            on_hand=row.on_hand,
            reserved=row.reserved,
            safety_stock=row.safety_stock,
            available=row.available,
            incoming=row.incoming,
            damaged=row.damaged,
            version=row.version,
            updated_at=row.updated_at,
        )

    @edge(allow=STAFF, description="The item.")
    async def item(self, info: Info) -> Item:
        row = await info.context.loaders.item.load(self.sku)
        assert row is not None  # noqa: S101 - a foreign key holds it
        return Item.of(row)

    @edge(allow=STAFF)
    async def location(self, info: Info) -> Location:
        return await location_of(info, self.row.location_id)


node_of.register(StockRow, StockLevel.of)


@strawberry.type(description="Why a quantity changed: the ledger. The sum of a level's movements is the level.")
class StockMovement(Node):
    row: strawberry.Private[MovementRow]
    sku: str
    reason: MovementReason
    on_hand_delta: int
    reserved_delta: int
    occurred_at: datetime
    note: str | None

    @classmethod
    def of(cls, row: MovementRow) -> "StockMovement":
        return cls(
            id=global_id("StockMovement", row.id),
            row=row,
            sku=row.sku,
            reason=MovementReason(row.reason),
            on_hand_delta=row.on_hand_delta,
            reserved_delta=row.reserved_delta,
            occurred_at=row.occurred_at,
            note=row.note,
        )

    @edge(allow=STAFF)
    async def location(self, info: Info) -> Location:
        return await location_of(info, self.row.location_id)

    @edge(allow=STAFF, description="What it was done for; null where it was for no order.")
    async def order(self, info: Info) -> Annotated["Order", strawberry.lazy("schema.orders")] | None:
        context, order_id = info.context, self.row.order_id
        if order_id is None or not await context.may_see_order(order_id):
            return None
        row = await context.loaders.order.load(order_id)
        return node_of(row) if row else None


@strawberry.input(description="A row of an import of stock: what a count found.")
class StockRowInput:
    sku: str
    location_code: str
    on_hand: int
    safety_stock: int | None = None

    def value(self) -> inventory.StockRecord:
        return inventory.StockRecord(**vars(self))


@strawberry.input(description="A row of an import of items.")
class ItemRowInput:
    sku: str
    name: str
    weight_grams: int | None = None
    tags: list[str] | None = None
    barcodes: list[str] | None = None
    image_url: str | None = None

    def value(self) -> inventory.ItemRecord:
        return inventory.ItemRecord(**vars(self))


@strawberry.input(description="What a location keeps of an item, sold to nobody.")
class SafetyStockInput:
    sku: str
    location_code: str
    safety_stock: int

    def value(self) -> inventory.SafetyStock:
        return inventory.SafetyStock(**vars(self))


@strawberry.input(
    description="The last units of an item that a channel may not sell; without a location, at each. 0 units: it may "
    "sell them all."
)
class HoldbackInput:
    channel: str
    sku: str
    location_code: str | None = None
    units: int = strawberry.field(description="How many of the last units are kept.")

    def value(self) -> inventory.Holdback:
        return inventory.Holdback(**vars(self))


@strawberry.type(description="Why a row was not taken; row counts from 0, in the order sent.")
class RowError:
    row: int
    message: str
    code: ErrorCode
    path: list[str] | None


@strawberry.type(description="What an import did. Loading the same again changes nothing.")
class ImportResult:
    created: int
    updated: int
    unchanged: int
    failed: list[RowError]

    @classmethod
    def of(cls, outcome: ImportOutcome) -> "ImportResult":
        return cls(
            created=outcome.created,
            updated=outcome.updated,
            unchanged=outcome.unchanged,
            failed=[
                RowError(row=each.row, message=each.message, code=each.code, path=list(each.path) or None)
                for each in outcome.failed
            ],
        )


StockResult: TypeAlias = Annotated[
    StockLevel | NotFoundError | VersionConflictError | IdempotencyConflictError | InvalidInputError,
    strawberry.union("StockResult"),
]
