"""Carts that hold their stock for a while."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from domain.tables.columns import known, moment
from domain.vocabulary import ReservationStatus


class Reservation(SQLModel, table=True):
    """An option that holds its stock until `expires_at`. `token` is the option's."""

    __tablename__ = "reservation"

    id: UUID = Field(primary_key=True)
    status: ReservationStatus = Field(sa_type=known(ReservationStatus))
    token: str
    created_at: datetime = Field(sa_type=moment())
    expires_at: datetime = Field(sa_type=moment())
    order_id: UUID | None = None


class ReservationLine(SQLModel, table=True):
    """What a reservation holds of an item at a location."""

    __tablename__ = "reservation_line"
    __table_args__ = (
        sa.CheckConstraint("quantity > 0", "reservation_line_quantity_positive"),
        sa.Index("reservation_line_level", "sku", "location_id"),
    )

    reservation_id: UUID = Field(primary_key=True, foreign_key="reservation.id")
    sku: str = Field(primary_key=True)
    location_id: UUID = Field(primary_key=True)
    quantity: int
