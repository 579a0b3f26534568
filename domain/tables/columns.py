"""The column types that every table uses, said once."""

from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql


def known(kind: type[StrEnum]) -> sa.Enum:
    """Return text with a CHECK that holds the enum's values."""
    return sa.Enum(
        kind,
        native_enum=False,
        create_constraint=True,
        length=32,
        name=f"{kind.__name__.lower()}_known",
        values_callable=lambda members: [member.value for member in members],
    )


def moment() -> sa.DateTime:
    """Return a moment with its offset."""
    return sa.DateTime(timezone=True)


def json() -> postgresql.JSONB:
    """Return JSONB; it is replaced as a whole, never changed in place."""
    return postgresql.JSONB(none_as_null=True)


def texts() -> postgresql.ARRAY[Any]:
    """Return an array of text."""
    return postgresql.ARRAY(sa.Text)


def uuids() -> postgresql.ARRAY[Any]:
    """Return an array of ids."""
    return postgresql.ARRAY(sa.Uuid)


def numbers() -> postgresql.ARRAY[Any]:
    """Return an array of whole numbers."""
    return postgresql.ARRAY(sa.Integer)


class Xid8(sa.types.UserDefinedType[int]):
    """Postgres's 64-bit transaction id."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """Return the type's name in DDL."""
        return "xid8"
