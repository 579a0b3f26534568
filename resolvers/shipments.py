"""Parcels on their way."""

from datetime import datetime

from domain.carriers import TrackingReport
from domain.tracking import Tracking
from domain.vocabulary import ShipmentStatus
from schema.context import Info
from schema.paging import node_of
from schema.returns import Return, ShipmentResult
from schema.shipments import Shipment


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
        tracking = Tracking(connection=connection, networks=context.networks, viewer=context.viewer, now=now)
        row = await tracking.report(tracking_number, carrier, [report])
    shown: Shipment | Return = node_of(row)
    return shown
