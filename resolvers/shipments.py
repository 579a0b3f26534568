"""Parcels on their way."""

from datetime import datetime

from domain.carriers import TrackingReport
from domain.shipments import Dispatch
from domain.vocabulary import ShipmentStatus
from schema.context import Info
from schema.shipments import Shipment, ShipmentResult


async def record_tracking(
    info: Info,
    tracking_number: str,
    status: ShipmentStatus,
    carrier: str | None = None,
    at: datetime | None = None,
    description: str | None = None,
) -> ShipmentResult:
    context, now = info.context, info.context.now()
    report = TrackingReport(status=status, at=at or now, description=description)
    async with context.database.transaction() as connection:
        dispatch = Dispatch(connection=connection, networks=context.networks, actor=context.viewer.name, now=now)
        row = await dispatch.report(tracking_number, carrier, [report], viewer=context.viewer)
    return Shipment.of(row)
