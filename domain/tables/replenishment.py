"""Stock on its way: from suppliers, and between locations. And what a channel may not sell."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from domain.tables.columns import known, moment
from domain.vocabulary import TransferStatus


class Receipt(SQLModel, table=True):
    """Stock expected from a supplier; what is not received yet is incoming."""

    __tablename__ = "receipt"
    __table_args__ = (
        sa.UniqueConstraint("reference", "location_id", "sku", name="receipt_once"),
        sa.CheckConstraint("quantity > 0 AND received >= 0", "receipt_quantities"),
        sa.Index("receipt_level", "sku", "location_id"),
    )

    id: UUID = Field(primary_key=True)
    reference: str
    location_id: UUID = Field(foreign_key="location.id")
    sku: str = Field(foreign_key="item.sku")
    quantity: int
    received: int = Field(sa_column_kwargs={"server_default": "0"})
    expected_at: datetime = Field(sa_type=moment())


class Transfer(SQLModel, table=True):
    """Stock that goes from one location to another: reserved until it is dispatched, then incoming.

    `order_id` is the order that waits for it, which it was written with (docs/adr/0008), and `due_at` when it has to
    leave for that order's promise.
    """

    __tablename__ = "transfer"
    __table_args__ = (
        sa.Index("transfer_created", "created_at", "id"),
        sa.Index("transfer_order", "order_id", postgresql_where=sa.text("order_id IS NOT NULL")),
        sa.Index("transfer_open", "id", postgresql_where=sa.text("status IN ('REQUESTED', 'IN_TRANSIT')")),
    )

    id: UUID = Field(primary_key=True)
    number: str = Field(unique=True)
    from_location_id: UUID = Field(foreign_key="location.id")
    to_location_id: UUID = Field(foreign_key="location.id")
    status: TransferStatus = Field(sa_type=known(TransferStatus))
    expected_at: datetime | None = Field(default=None, sa_type=moment())
    created_at: datetime = Field(sa_type=moment())
    version: int
    order_id: UUID | None = None
    due_at: datetime | None = Field(default=None, sa_type=moment())
    carrier_service_code: str | None = None


class TransferLine(SQLModel, table=True):
    """A quantity of one item on its way, of which an order waits for `bound` units."""

    __tablename__ = "transfer_line"
    __table_args__ = (
        sa.CheckConstraint("quantity > 0 AND received >= 0", "transfer_line_quantities"),
        sa.CheckConstraint("bound BETWEEN 0 AND quantity", "transfer_line_bound"),
        sa.Index("transfer_line_sku", "sku"),
    )

    transfer_id: UUID = Field(primary_key=True, foreign_key="transfer.id")
    sku: str = Field(primary_key=True, foreign_key="item.sku")
    position: int
    quantity: int
    received: int = Field(sa_column_kwargs={"server_default": "0"})
    bound: int = Field(sa_column_kwargs={"server_default": "0"})


class Holdback(SQLModel, table=True):
    """The last units of an item that a channel may not sell at a location; the nil UUID stands for each location."""

    __tablename__ = "holdback"
    __table_args__ = (sa.CheckConstraint("units >= 0", "holdback_not_negative"),)

    channel: str = Field(primary_key=True)
    sku: str = Field(primary_key=True, foreign_key="item.sku")
    location_id: UUID = Field(primary_key=True)
    units: int
