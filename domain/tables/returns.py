"""What comes back, and on which terms."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from domain.tables.columns import json, known, moment, texts
from domain.vocabulary import Disposition, ItemCondition, ReturnMethod, ReturnReason, ReturnStatus, ShipmentStatus


class ReturnPolicy(SQLModel, table=True):
    """On which terms goods are taken back. Prices are in minor units of `currency`.

    `deductions` is `{condition: share}`, shares of the price as decimals in text.
    """

    __tablename__ = "return_policy"

    id: UUID = Field(primary_key=True)
    name: str = Field(unique=True)
    channels: list[str] = Field(sa_type=texts())
    item_tags: list[str] = Field(sa_type=texts())
    days: int
    auto_approve: bool
    currency: str
    carrier_price: int = Field(sa_type=sa.BigInteger)
    in_store_price: int = Field(sa_type=sa.BigInteger)
    deductions: dict[str, Any] = Field(sa_type=json())
    priority: int
    version: int


class Return(SQLModel, table=True):
    """Goods that come back: of an order, or of one that is not known. `price` is what that costs the shopper.

    `shipment_id` is the parcel of an order that could not be delivered. `parcel_number` numbers a parcel that a carrier
    brings back, among all parcels; the carrier's number and the label are null until the carrier has been booked.
    """

    __tablename__ = "customer_return"
    __table_args__ = (
        sa.Index("customer_return_order", "order_id"),
        sa.Index("customer_return_requested", "requested_at", "id"),
        sa.Index("customer_return_tracking_number", "tracking_number"),
        sa.Index("customer_return_expires_at", "expires_at", postgresql_where=sa.text("expires_at IS NOT NULL")),
    )

    id: UUID = Field(primary_key=True)
    number: str = Field(unique=True)
    order_id: UUID | None = None
    shipment_id: UUID | None = Field(default=None, unique=True)
    status: ReturnStatus = Field(sa_type=known(ReturnStatus))
    method: ReturnMethod = Field(sa_type=known(ReturnMethod))
    announced_location_id: UUID | None = None
    received_location_id: UUID | None = None
    requested_at: datetime = Field(sa_type=moment())
    received_at: datetime | None = Field(default=None, sa_type=moment())
    currency: str
    price: int = Field(sa_type=sa.BigInteger)
    carrier: str | None = None
    carrier_service_code: str | None = None
    parcel_number: int | None = Field(default=None, sa_type=sa.BigInteger)
    parcel_status: ShipmentStatus | None = Field(default=None, sa_type=known(ShipmentStatus))
    tracking_number: str | None = None
    tracking_url: str | None = None
    label_key: str | None = Field(default=None, unique=True)
    version: int
    expires_at: datetime | None = Field(default=None, sa_type=moment())


class ReturnLine(SQLModel, table=True):
    """A quantity of one item that comes back. `refund` is in minor units of the return's currency.

    `deductions` are those of the policy when it was asked for. `explanation` says why `disposition` was chosen.
    """

    __tablename__ = "return_line"
    __table_args__ = (
        sa.CheckConstraint("quantity > 0", "return_line_quantity_positive"),
        sa.CheckConstraint("refund >= 0", "return_line_refund_not_negative"),
        sa.Index("return_line_return", "return_id", "position"),
        sa.Index("return_line_order_line", "order_line_id"),
    )

    id: UUID = Field(primary_key=True)
    return_id: UUID = Field(foreign_key="customer_return.id")
    order_line_id: UUID | None = None
    position: int
    sku: str
    quantity: int
    reason: ReturnReason = Field(sa_type=known(ReturnReason))
    deductions: dict[str, Any] = Field(sa_type=json())
    condition: ItemCondition | None = Field(default=None, sa_type=known(ItemCondition))
    disposition: Disposition | None = Field(default=None, sa_type=known(Disposition))
    explanation: str | None = None
    transfer_id: UUID | None = None
    refund: int = Field(sa_type=sa.BigInteger, sa_column_kwargs={"server_default": "0"})


class ReturnTimeline(SQLModel, table=True):
    """What happened to a return, for people. `location_id` is set where it concerns one location's work."""

    __tablename__ = "return_timeline"

    return_id: UUID = Field(primary_key=True, foreign_key="customer_return.id")
    id: int | None = Field(
        default=None,
        primary_key=True,
        sa_type=sa.BigInteger,
        sa_column_kwargs={"server_default": sa.text("nextval('timeline_id_seq')"), "autoincrement": False},
    )
    at: datetime = Field(sa_type=moment())
    kind: str
    message: str
    actor: str | None = None
    location_id: UUID | None = None


class ReturnLabel(SQLModel, table=True):
    """What is printed and stuck on a parcel that comes back."""

    __tablename__ = "return_label"

    return_id: UUID = Field(primary_key=True, foreign_key="customer_return.id")
    media_type: str
    content: bytes


class PostalCodeGuess(SQLModel, table=True):
    """How often of late the wrong postal code was said at a counter for an order's number, which no order need have."""

    __tablename__ = "postal_code_guess"

    order_number: str = Field(primary_key=True)
    guesses: int
    forgotten_at: datetime = Field(sa_type=moment())
