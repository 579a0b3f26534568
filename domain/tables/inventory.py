"""What there is of what, where, and why."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from domain.tables.columns import known, moment, numbers, texts, uuids
from domain.vocabulary import MovementReason


class Item(SQLModel, table=True):
    """Something that is sold."""

    __tablename__ = "item"
    __table_args__ = (
        sa.CheckConstraint("weight_grams >= 0", "item_weight_not_negative"),
        sa.Index("item_barcodes", "barcodes", postgresql_using="gin"),
    )

    sku: str = Field(primary_key=True)
    name: str
    weight_grams: int
    tags: list[str] = Field(sa_type=texts())
    barcodes: list[str] = Field(sa_type=texts())
    image_url: str | None = None


class Stock(SQLModel, table=True):
    """The level of one item at one location. No index covers what orders change: that would end HOT updates.

    No foreign key holds it, for that would be half the time of a bulk load: every statement that makes a level has
    looked up its item and location, which are never deleted, and `check` finds a level without them.
    """

    __tablename__ = "stock"
    __table_args__ = (
        sa.CheckConstraint("on_hand >= 0", "stock_on_hand_not_negative"),
        sa.CheckConstraint("reserved >= 0", "stock_reserved_not_negative"),
        sa.CheckConstraint("safety_stock >= 0", "stock_safety_not_negative"),
        sa.Index("stock_location", "location_id", "sku"),
        sa.Index("stock_incoming", "sku", "location_id", postgresql_where=sa.text("incoming > 0")),
        {"postgresql_with": {"fillfactor": "80"}},
    )

    sku: str = Field(primary_key=True)
    location_id: UUID = Field(primary_key=True)
    on_hand: int
    reserved: int = Field(sa_column_kwargs={"server_default": "0"})
    safety_stock: int = Field(sa_column_kwargs={"server_default": "0"})
    incoming: int = Field(sa_column_kwargs={"server_default": "0"})
    damaged: int = Field(sa_column_kwargs={"server_default": "0"})
    version: int = Field(sa_column_kwargs={"server_default": "1"})
    updated_at: datetime = Field(sa_type=moment())


class StockMovement(SQLModel, table=True):
    """The ledger, with CountedRun: append-only, the sum of a level's deltas is the level, ids in the order of time."""

    __tablename__ = "stock_movement"
    __table_args__ = (sa.Index("stock_movement_level", "sku", "location_id", "id"),)

    id: UUID = Field(primary_key=True, sa_column_kwargs={"server_default": sa.text("gen_random_uuid()")})
    sku: str
    location_id: UUID
    reason: MovementReason = Field(sa_type=known(MovementReason))
    on_hand_delta: int
    reserved_delta: int
    order_id: UUID | None = None
    occurred_at: datetime = Field(sa_type=moment())
    note: str | None = None


class CountedRun(SQLModel, table=True):
    """Levels that were counted together: one row for what would be as many of the ledger and of the feed.

    An id ends in a zero byte, in whose place a movement of the run has its ordinal, counted from 1. A delta of 0 is no
    movement, but told. The levels are as they were just after.
    """

    __tablename__ = "counted_run"
    __table_args__ = (
        sa.Index("counted_run_skus", "skus", postgresql_using="gin"),
        sa.Index("counted_run_location_ids", "location_ids", postgresql_using="gin"),
    )

    id: UUID = Field(primary_key=True)
    occurred_at: datetime = Field(sa_type=moment())
    skus: list[str] = Field(sa_type=texts())
    location_ids: list[UUID] = Field(sa_type=uuids())
    on_hand_deltas: list[int] = Field(sa_type=numbers())
    on_hand: list[int] = Field(sa_type=numbers())
    reserved: list[int] = Field(sa_type=numbers())
    available: list[int] = Field(sa_type=numbers())


class Idempotency(SQLModel, table=True):
    """The first answer to each key: which thing it made, and from which input."""

    __tablename__ = "idempotency"

    scope: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    input_hash: bytes
    result: str
    created_at: datetime = Field(sa_type=moment(), index=True)
