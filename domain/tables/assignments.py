"""A location's share of an order."""

from datetime import date, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from domain.tables.columns import known, moment
from domain.vocabulary import AssignmentStatus, FulfillmentMethod, RejectReason


class Assignment(SQLModel, table=True):
    """One parcel's worth of work at one location.

    `work_day` is the day, at the location, whose capacity it uses, null where it had none; `units_committed` is what it
    counts for in `committed_work`. `withheld` work was planned while its order was on hold: no location knows of it.
    `deadline` is when it expires unless something is done before, null where nothing limits that: `respond_by`, and,
    once it is accepted, `start_seconds` of opening hours later. `begun_at` is since when it is picked.
    """

    __tablename__ = "assignment"
    __table_args__ = (
        sa.Index("assignment_order", "order_id"),
        sa.Index("assignment_due", "location_id", "due_at", "id"),
        sa.Index("assignment_deadline", "deadline", postgresql_where=sa.text("deadline IS NOT NULL")),
    )

    id: UUID = Field(primary_key=True)
    number: str = Field(unique=True)
    order_id: UUID
    location_id: UUID
    status: AssignmentStatus = Field(sa_type=known(AssignmentStatus))
    method: FulfillmentMethod = Field(sa_type=known(FulfillmentMethod))
    carrier_service_code: str | None = None
    offered_at: datetime = Field(sa_type=moment())
    due_at: datetime = Field(sa_type=moment())
    arrives_latest: datetime = Field(sa_type=moment())
    assignee: str | None = None
    reject_reason: RejectReason | None = Field(default=None, sa_type=known(RejectReason))
    pickup_attempts: int = Field(sa_column_kwargs={"server_default": "0"})
    pickup_locked_until: datetime | None = Field(default=None, sa_type=moment())
    version: int
    restocked_at: datetime | None = Field(default=None, sa_type=moment())
    collect_by: datetime | None = Field(default=None, sa_type=moment())
    work_day: date | None = None
    units_committed: int = Field(sa_column_kwargs={"server_default": "0"})
    withheld: bool = Field(sa_column_kwargs={"server_default": sa.false()})
    respond_by: datetime | None = Field(default=None, sa_type=moment())
    start_seconds: int | None = None
    deadline: datetime | None = Field(default=None, sa_type=moment())
    begun_at: datetime | None = Field(default=None, sa_type=moment())


class AssignmentLine(SQLModel, table=True):
    """What the location is asked to pick, and what it found."""

    __tablename__ = "assignment_line"
    __table_args__ = (
        sa.CheckConstraint("quantity > 0", "assignment_line_quantity_positive"),
        sa.CheckConstraint("picked >= 0 AND short >= 0 AND picked + short <= quantity", "assignment_line_sums"),
        sa.Index("assignment_line_assignment", "assignment_id", "position"),
    )

    id: UUID = Field(primary_key=True)
    assignment_id: UUID
    order_line_id: UUID
    position: int
    sku: str
    quantity: int
    picked: int = Field(sa_column_kwargs={"server_default": "0"})
    short: int = Field(sa_column_kwargs={"server_default": "0"})
    short_reason: RejectReason | None = Field(default=None, sa_type=known(RejectReason))


class CommittedWork(SQLModel, table=True):
    """What a location has taken on for a day of its own, done or to do: the sum of its assignments' shares."""

    __tablename__ = "committed_work"

    day: date = Field(primary_key=True)
    location_id: UUID = Field(primary_key=True)
    orders: int
    units: int
