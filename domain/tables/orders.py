"""What shoppers want."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from domain.tables.columns import json, known, moment, texts, uuids
from domain.vocabulary import FulfillmentMethod, OrderStatus, Payment, ServiceLevel


class Order(SQLModel, table=True):
    """An order. `ship_to` is an address with its resolved position; money is in minor units of `currency`.

    `released_at` is when its last hold ended; `blocked_location_ids` are those that are not to be asked for any of it.
    """

    __tablename__ = "customer_order"
    __table_args__ = (
        sa.Index("customer_order_placed", "placed_at", "id"),
        sa.Index("customer_order_promised", "promised_latest", "id"),
        sa.Index("customer_order_unpromised", "id", postgresql_where=sa.text("promised_latest IS NULL")),
        sa.Index("customer_order_late", "placed_at", "id", postgresql_where=sa.text("late")),
        sa.Index("customer_order_email", sa.text("lower(customer_email)")),
    )

    id: UUID = Field(primary_key=True)
    number: str = Field(unique=True)
    status: OrderStatus = Field(sa_type=known(OrderStatus))
    channel: str
    method: FulfillmentMethod = Field(sa_type=known(FulfillmentMethod))
    level: ServiceLevel | None = Field(default=None, sa_type=known(ServiceLevel))
    tags: list[str] = Field(sa_type=texts())
    placed_at: datetime = Field(sa_type=moment())
    updated_at: datetime = Field(sa_type=moment())
    promised_earliest: datetime | None = Field(default=None, sa_type=moment())
    promised_latest: datetime | None = Field(default=None, sa_type=moment())
    customer_name: str
    customer_email: str | None = None
    customer_phone: str | None = None
    ship_to: dict[str, Any] | None = Field(default=None, sa_type=json())
    pickup_location_id: UUID | None = None
    pickup_code: str | None = None
    currency: str
    shipping_price: int = Field(sa_type=sa.BigInteger)
    total: int = Field(sa_type=sa.BigInteger)
    version: int
    allow_backorder: bool = Field(sa_column_kwargs={"server_default": sa.false()})
    late: bool = Field(sa_column_kwargs={"server_default": sa.false()})
    payment: Payment = Field(sa_type=known(Payment), sa_column_kwargs={"server_default": "PREPAID"})
    hold_reason: str | None = None
    released_at: datetime | None = Field(default=None, sa_type=moment())
    blocked_location_ids: list[UUID] = Field(sa_type=uuids(), sa_column_kwargs={"server_default": "{}"})


class OrderLine(SQLModel, table=True):
    """A wanted quantity of one item. `unit_price` is in minor units of the order's currency.

    `fulfilled_at` is when units of it left a location last.
    """

    __tablename__ = "order_line"
    __table_args__ = (
        sa.CheckConstraint("quantity > 0", "order_line_quantity_positive"),
        sa.CheckConstraint(
            "fulfilled >= 0 AND cancelled >= 0 AND fulfilled + cancelled <= quantity", "order_line_sums"
        ),
        sa.CheckConstraint("returned >= 0", "order_line_returned_not_negative"),
        sa.Index("order_line_order", "order_id", "position"),
        sa.Index("order_line_sku", "sku"),
        sa.Index("order_line_waiting", "sku", "order_id", postgresql_where=sa.text("backordered > 0")),
    )

    id: UUID = Field(primary_key=True)
    order_id: UUID
    position: int
    sku: str
    quantity: int
    unit_price: int = Field(sa_type=sa.BigInteger)
    fulfilled: int = Field(sa_column_kwargs={"server_default": "0"})
    cancelled: int = Field(sa_column_kwargs={"server_default": "0"})
    backordered: int = Field(sa_column_kwargs={"server_default": "0"})
    returned: int = Field(sa_column_kwargs={"server_default": "0"})
    fulfilled_at: datetime | None = Field(default=None, sa_type=moment())


class Timeline(SQLModel, table=True):
    """What happened to an order, for people. `location_id` is set where it concerns one location's work."""

    __tablename__ = "timeline"

    order_id: UUID = Field(primary_key=True)
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
