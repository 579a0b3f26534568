"""Reservations: options that hold their stock for a while."""

from datetime import datetime
from typing import Annotated, TypeAlias

import strawberry

from domain.options import Option
from domain.reservations import ReservationLineRow, ReservationRow
from schema.context import Info
from schema.errors import (
    ActionNotAllowedError,
    IdempotencyConflictError,
    InvalidInputError,
    NotFoundError,
    OptionExpiredError,
    ReservationExpiredError,
)
from schema.network import Location, location_of
from schema.options import FulfillmentOption, OutOfStockError
from schema.paging import Node, global_id
from schema.permission import SHOP, edge


@strawberry.type(description="What a reservation holds of an item at a location.")
class ReservedLine:
    row: strawberry.Private[ReservationLineRow]
    sku: str
    quantity: int

    @classmethod
    def of(cls, row: ReservationLineRow) -> "ReservedLine":
        return cls(row=row, sku=row.sku, quantity=row.quantity)

    @edge(allow=SHOP)
    async def location(self, info: Info) -> Location:
        return await location_of(info, self.row.location_id)


@strawberry.type(description="A cart that holds its stock until expiresAt, or until an order takes it over.")
class Reservation(Node):
    row: strawberry.Private[ReservationRow]
    expires_at: datetime

    @classmethod
    def of(cls, row: ReservationRow) -> "Reservation":
        return cls(id=global_id("Reservation", row.id), row=row, expires_at=row.expires_at)

    @edge(allow=SHOP, description="What an order placed from it gets.")
    async def option(self, info: Info) -> FulfillmentOption:
        promise = info.context.promises.read(self.row.token)
        return FulfillmentOption.of(Option(token=self.row.token, promise=promise), await info.context.network())

    @edge(allow=SHOP, hidden=list)
    async def lines(self, info: Info) -> list[ReservedLine]:
        return [ReservedLine.of(row) for row in await info.context.loaders.reservation_lines.load(self.row.id)]


ReserveCartResult: TypeAlias = Annotated[
    Reservation
    | OutOfStockError
    | OptionExpiredError
    | ReservationExpiredError
    | IdempotencyConflictError
    | NotFoundError
    | InvalidInputError,
    strawberry.union("ReserveCartResult"),
]
ReleaseReservationResult: TypeAlias = Annotated[
    Reservation | NotFoundError | ActionNotAllowedError, strawberry.union("ReleaseReservationResult")
]
