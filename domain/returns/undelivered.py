"""A parcel that could not be delivered comes back: received, inspected and restocked as what shoppers send back."""

from datetime import datetime
from functools import partial
from uuid import UUID

from domain import orders, shipments
from domain.ids import new_id
from domain.network import Networks
from domain.returns.desk import Announced, Desk, Goods
from domain.shortage import SYSTEM
from domain.timers import Handler
from domain.transaction import Connection
from domain.vocabulary import ReturnMethod, ReturnReason, ReturnStatus


def handler(networks: Networks) -> Handler:
    """Return what sees to the timers that a parcel on its way back to its sender sets."""
    return partial(_handle, networks)


async def _handle(networks: Networks, connection: Connection, key: str, now: datetime) -> None:
    (row,) = await shipments.shipments(connection, [UUID(key)])
    order = await orders.taken(connection, row.order_id)
    if await connection.fetchval("SELECT true FROM customer_return WHERE shipment_id = $1", row.id):
        return
    goods = [
        Goods(
            order_line_id=line.order_line_id,
            sku=line.sku,
            quantity=line.quantity,
            reason=ReturnReason.OTHER,
            deductions={},
        )
        for line in await shipments.lines_of(connection, [row.id])
    ]
    announced = Announced(
        method=ReturnMethod.CARRIER,
        currency=order.currency,
        location_id=row.location_id,
        carrier=row.carrier,
        shipment_id=row.id,
        tracking_number=row.tracking_number,
    )
    desk = Desk(connection=connection, networks=networks, viewer=SYSTEM, now=now)
    made = await desk.make(new_id(now), order, announced, goods)
    await desk.write(made, order, ReturnStatus.IN_TRANSIT)
