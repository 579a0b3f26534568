"""The outbox: one row a fact, written in the fact's own transaction."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from domain.tables.columns import Xid8, json, known, moment
from domain.vocabulary import UpdateKind


class Feed(SQLModel, table=True):
    """A run of facts, or of levels, in its payload or in `counted_run`. Rows are read in the order of their key."""

    __tablename__ = "feed"

    epoch: int = Field(primary_key=True)
    xid: int = Field(
        primary_key=True,
        sa_type=Xid8,
        sa_column_kwargs={"server_default": sa.text("pg_current_xact_id()")},
    )
    id: int = Field(
        primary_key=True, sa_type=sa.BigInteger, sa_column_kwargs={"server_default": sa.text("nextval('feed_id')")}
    )
    kind: UpdateKind = Field(sa_type=known(UpdateKind))
    keys: dict[str, Any] = Field(sa_type=json())
    payload: dict[str, Any] = Field(sa_type=json())
    run_id: UUID | None = None
    at: datetime = Field(sa_type=moment())


class FeedEpoch(SQLModel, table=True):
    """One row: the feed's present epoch, the database it was begun in, and the cursor up to which the feed is gone."""

    __tablename__ = "feed_epoch"
    __table_args__ = (sa.CheckConstraint('"only"', "feed_epoch_is_one_row"),)

    only: bool = Field(default=True, primary_key=True)
    epoch: int
    database: str
    trimmed: str = Field(sa_column_kwargs={"server_default": "0.0.0"})
