"""Parcels on their way to shoppers."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from domain.tables.columns import known, moment
from domain.vocabulary import ShipmentStatus


class Shipment(SQLModel, table=True):
    """One parcel of an assignment. Carriers number their parcels anew after a year or so: no number is unique.

    `tracking_number` is null until the carrier has been booked; `label_key` is what its label is fetched with.
    `replaced_at` is since when the order does without what it held: that was sent again or, where it is
    `written_off`, cancelled.
    """

    __tablename__ = "shipment"
    __table_args__ = (
        sa.Index("shipment_order", "order_id"),
        sa.Index("shipment_assignment", "assignment_id"),
        sa.Index("shipment_tracking_number", "tracking_number"),
    )

    id: UUID = Field(primary_key=True)
    number: int = Field(
        sa_type=sa.BigInteger, sa_column_kwargs={"server_default": sa.text("nextval('shipment_number')")}
    )
    order_id: UUID
    assignment_id: UUID
    location_id: UUID
    carrier: str
    carrier_service_code: str
    status: ShipmentStatus = Field(sa_type=known(ShipmentStatus))
    grams: int = Field(sa_type=sa.BigInteger)
    expected_latest: datetime = Field(sa_type=moment())
    created_at: datetime = Field(sa_type=moment())
    tracking_number: str | None = None
    tracking_url: str | None = None
    label_key: str | None = Field(default=None, unique=True)
    replaced_at: datetime | None = Field(default=None, sa_type=moment())
    written_off: bool = Field(default=False, sa_column_kwargs={"server_default": sa.false()})


class ShipmentLine(SQLModel, table=True):
    """What a parcel holds of a line of the order."""

    __tablename__ = "shipment_line"
    __table_args__ = (sa.CheckConstraint("quantity > 0", "shipment_line_quantity_positive"),)

    shipment_id: UUID = Field(primary_key=True, foreign_key="shipment.id")
    order_line_id: UUID = Field(primary_key=True)
    sku: str
    quantity: int


class ShipmentLabel(SQLModel, table=True):
    """What is printed and stuck on a parcel."""

    __tablename__ = "shipment_label"

    shipment_id: UUID = Field(primary_key=True, foreign_key="shipment.id")
    media_type: str
    content: bytes


class TrackingEvent(SQLModel, table=True):
    """What was said to have happened to a parcel; said again, it is the same row."""

    __tablename__ = "tracking_event"

    shipment_id: UUID = Field(primary_key=True, foreign_key="shipment.id")
    at: datetime = Field(primary_key=True, sa_type=moment())
    status: ShipmentStatus = Field(primary_key=True, sa_type=known(ShipmentStatus))
    description: str | None = None
