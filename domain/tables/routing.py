"""How orders are routed."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from domain.tables.columns import json, known, moment
from domain.vocabulary import RoutingTrigger


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


class RoutingDecision(SQLModel, table=True):
    """What was decided for an order. `cost` is in minor units of the order's currency, `gap` 0.01 for 1 %.

    `told` is `{parcels, why}`: where the goods come from, and the explanation, null where an option's token told all.
    Orders' ids grow with time, so the primary key also finds the oldest.
    """

    __tablename__ = "routing_decision"

    order_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    decided_at: datetime = Field(sa_type=moment())
    trigger: RoutingTrigger = Field(sa_type=known(RoutingTrigger))
    policy_name: str
    policy_version: int
    cost: int = Field(sa_type=sa.BigInteger)
    gap: float
    solve_microseconds: int
    told: dict[str, Any] = Field(sa_type=json())
