"""What subscriptions bring."""

from datetime import datetime

import strawberry

from domain.inventory import StockRow
from domain.vocabulary import AssignmentStatus, OrderStatus, ReturnStatus, UpdateKind
from schema.assignments import Assignment
from schema.context import Info
from schema.inventory import StockLevel
from schema.network import Location, location_of
from schema.orders import Order
from schema.returns import Return
from schema.scalars import Cursor


@strawberry.interface(description="Something that happened. Subscribe again with its cursor and nothing is missed.")
class Update:
    cursor: Cursor
    at: datetime
    kind: UpdateKind


@strawberry.type(description="status is the one this update brought; order is as it stands when it is read.")
class OrderUpdate(Update):
    status: OrderStatus
    order: Order


@strawberry.type(description="status is the one this update brought; assignment is as it stands when it is read.")
class AssignmentUpdate(Update):
    status: AssignmentStatus
    assignment: Assignment


@strawberry.type(description="The quantities this update brought; level is as it stands when it is read.")
class StockUpdate(Update):
    row: strawberry.Private[StockRow]
    sku: str
    on_hand: int
    reserved: int
    available: int

    @strawberry.field
    async def location(self, info: Info) -> Location:
        return await location_of(info, self.row.location_id)

    @strawberry.field(description="It, as it stands when it is read.")
    def level(self) -> StockLevel:
        return StockLevel.of(self.row)


@strawberry.type(description="status is the one this update brought; return is as it stands when it is read.")
class ReturnUpdate(Update):
    status: ReturnStatus
    return_: Return = strawberry.field(name="return")
