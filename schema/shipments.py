"""Shipments: parcels on their way to shoppers."""

from datetime import datetime

import strawberry

from domain.shipments import ShipmentRow, TrackingEventRow
from domain.vocabulary import ShipmentStatus
from schema.context import Info
from schema.network import CarrierService, Location, location_of
from schema.options import PlannedLine
from schema.paging import Node, global_id, node_of
from schema.permission import EVERYBODY, STAFF, edge


@strawberry.type(description="What was said to have happened to a parcel.")
class TrackingEvent:
    at: datetime
    status: ShipmentStatus
    description: str | None

    @classmethod
    def of(cls, row: TrackingEventRow) -> "TrackingEvent":
        return cls(at=row.at, status=ShipmentStatus(row.status), description=row.description)


@strawberry.type(description="One parcel. trackingNumber is null until its carrier has been booked.")
class Shipment(Node):
    row: strawberry.Private[ShipmentRow]
    status: ShipmentStatus
    tracking_number: str | None
    tracking_url: str | None
    expected_latest: datetime
    given_up_at: datetime | None = strawberry.field(
        description="Since when the order does without what it held, which was sent again, or is cancelled. Null again "
        "where it arrived after all, in place of what was cancelled."
    )

    @classmethod
    def of(cls, row: ShipmentRow) -> "Shipment":
        return cls(
            id=global_id("Shipment", row.id),
            row=row,
            status=ShipmentStatus(row.status),
            tracking_number=row.tracking_number,
            tracking_url=row.tracking_url,
            expected_latest=row.expected_latest,
            given_up_at=row.replaced_at,
        )

    @edge(allow=STAFF, description="Where this gateway serves the label, to whoever knows the path.")
    async def label_url(self) -> str | None:
        return f"/labels/{self.row.label_key}" if self.row.label_key else None

    @edge(allow=EVERYBODY)
    async def carrier_service(self, info: Info) -> CarrierService:
        return CarrierService.of((await info.context.network()).services[self.row.carrier_service_code])

    @edge(allow=EVERYBODY)
    async def location(self, info: Info) -> Location:
        return await location_of(info, self.row.location_id)

    @edge(allow=EVERYBODY)
    async def lines(self, info: Info) -> list[PlannedLine]:
        rows = await info.context.loaders.shipment_lines.load(self.row.id)
        return [PlannedLine(sku=row.sku, quantity=row.quantity) for row in rows]

    @edge(allow=EVERYBODY, description="Oldest first.")
    async def events(self, info: Info) -> list[TrackingEvent]:
        return [TrackingEvent.of(row) for row in await info.context.loaders.tracking_events.load(self.row.id)]


node_of.register(ShipmentRow, Shipment.of)
