"""Systems that are told over HTTP, and what they were not given yet."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from domain.tables.columns import moment, texts


class Webhook(SQLModel, table=True):
    """An address that is told what happens. `kinds` is empty where that is everything.

    Everything up to the cursor `delivered_through` was taken by the receiver, or is in `webhook_parked`, or is not
    after `missed_through`: that was gone before it could be told.
    """

    __tablename__ = "webhook"

    id: UUID = Field(primary_key=True)
    url: str
    kinds: list[str] = Field(sa_type=texts())
    active: bool
    secret: str
    delivered_through: str
    missed_through: str | None = None
    version: int


class WebhookParked(SQLModel, table=True):
    """A fact that a webhook was not given yet, or, once it is `dead`, never was.

    Of a subject (an order, or an item at a location) only the first that is not dead is tried, at its `due_at`.
    """

    __tablename__ = "webhook_parked"
    __table_args__ = (
        sa.Index(
            "webhook_parked_head",
            "webhook_id",
            "subject",
            "epoch",
            "xid",
            "id",
            postgresql_where=sa.text("dead_at IS NULL"),
        ),
        sa.Index("webhook_parked_dead", "dead_at", postgresql_where=sa.text("dead_at IS NOT NULL")),
    )

    webhook_id: UUID = Field(primary_key=True, foreign_key="webhook.id")
    epoch: int = Field(primary_key=True)
    xid: int = Field(primary_key=True, sa_type=sa.BigInteger)
    id: int = Field(primary_key=True, sa_type=sa.BigInteger)
    subject: str
    kind: str
    at: datetime = Field(sa_type=moment())
    body: str
    attempts: int
    error: str | None = None
    parked_at: datetime = Field(sa_type=moment())
    due_at: datetime = Field(sa_type=moment())
    dead_at: datetime | None = Field(default=None, sa_type=moment())
