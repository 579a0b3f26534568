"""What falls due."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from domain.tables.columns import moment


class Timer(SQLModel, table=True):
    """A thing of a kind that is to be seen to at a moment; setting it again moves it.

    `failures` counts the tries that failed since it was set.
    """

    __tablename__ = "timer"
    __table_args__ = (sa.Index("timer_due", "due_at"),)

    kind: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    due_at: datetime = Field(sa_type=moment())
    failures: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
