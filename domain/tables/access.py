"""Keys for machines."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from domain.tables.columns import known, moment, texts
from domain.vocabulary import Role


class ApiKey(SQLModel, table=True):
    """A key, of which only the SHA-256 of its secret is kept. `scopes` is null where its role is all that binds it."""

    __tablename__ = "api_key"

    id: UUID = Field(primary_key=True)
    name: str
    role: Role = Field(sa_type=known(Role))
    location_codes: list[str] = Field(sa_type=texts())
    scopes: list[str] | None = Field(default=None, sa_column=sa.Column(texts(), nullable=True))
    digest: bytes
    created_by: str
    created_at: datetime = Field(sa_type=moment())
    expires_at: datetime | None = Field(default=None, sa_type=moment())
    revoked_at: datetime | None = Field(default=None, sa_type=moment())
    last_used_at: datetime | None = Field(default=None, sa_type=moment())
