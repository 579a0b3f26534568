"""How orders are routed."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from domain.tables.columns import json, moment


class RoutingPolicy(SQLModel, table=True):
    """A version of a routing policy; nothing of it changes but whether it is active.

    `fences` is `[{kind, limit, tags, forbid, locations}]`, `ratings` `[{kind, weight, tags, kinds}]`, decimals in text.
    """

    __tablename__ = "routing_policy"
    __table_args__ = (
        sa.Index("routing_policy_active", "name", unique=True, postgresql_where=sa.text("active")),
        sa.CheckConstraint("version > 0", "routing_policy_version_positive"),
    )

    name: str = Field(primary_key=True)
    version: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    active: bool
    priority: int
    condition: str
    fences: list[Any] = Field(sa_type=json())
    ratings: list[Any] = Field(sa_type=json())
    respond_seconds: int | None = None
    start_seconds: int | None = None
    collect_seconds: int | None = None
    saved_at: datetime = Field(sa_type=moment())
