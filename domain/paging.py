"""Pages of long lists, by key and not by offset: a page costs the same however deep it lies."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Generic, TypeVar
from uuid import UUID

import orjson

from domain.errors import InvalidInput
from domain.transaction import Connection, Row

DEFAULT_SIZE = 20
LARGEST_SIZE = 100

R = TypeVar("R", bound=Row)

KeyValue = str | int | datetime | UUID


def _text(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError(value)
    return value


def _moment(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError(value)
    return moment.astimezone(UTC)


_READ: Mapping[str, Callable[[str], KeyValue]] = {
    "text": str,
    "int": int,
    "timestamptz": _moment,
    "uuid": UUID,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which part of a list: `first` rows `after` a cursor, or `last` rows `before` one."""

    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None

    @property
    def size(self) -> int:
        """Return how many rows are wanted, 1 to LARGEST_SIZE, or raise InvalidInput."""
        if self.first is not None and self.last is not None:
            raise InvalidInput(message="Ask for the first or for the last, not for both.", path=("last",))
        name, wanted = ("last", self.last) if self.first is None and self.last is not None else ("first", self.first)
        if wanted is None:
            return DEFAULT_SIZE
        if not 1 <= wanted <= LARGEST_SIZE:
            raise InvalidInput(message=f"A page holds 1 to {LARGEST_SIZE} rows.", path=(name,))
        return wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice(Generic[R]):
    """The rows of a page, each with its cursor, and whether there is more on either side."""

    rows: Sequence[R] = ()
    cursors: Sequence[str] = ()
    has_next: bool = False
    has_previous: bool = False


@dataclass(slots=True, kw_only=True)
class Listing(Generic[R]):
    """A list that is read in pages. Values are bound as parameters; only names that we wrote stand in the SQL.

    `key` holds the columns, with their Postgres types, that order the list and tell its rows apart. The rows of the
    `others` are merged in.
    """

    source: str
    columns: str
    key: Sequence[tuple[str, str]]
    row: type[R]
    descending: bool = False
    others: Sequence[str] = ()
    conditions: list[str] = field(default_factory=list)
    values: list[object] = field(default_factory=list)

    def where(self, condition: str, *values: object) -> None:
        """Narrow the list; each `?` of the condition stands for one value."""
        for value in values:
            self.values.append(value)
            condition = condition.replace("?", f"${len(self.values)}", 1)
        self.conditions.append(condition)

    def where_given(self, condition: str, value: object) -> None:
        """Narrow the list by a value, where one is given."""
        if value is not None:
            self.where(condition, value)

    async def count(self, connection: Connection) -> int:
        """Return how many rows the whole list has."""
        condition = self._condition(self.conditions)
        counts = (f"(SELECT count(*) FROM {source} WHERE {condition})" for source in (self.source, *self.others))  # noqa: S608
        total: int = await connection.fetchval(f"SELECT {' + '.join(counts)}", *self.values)
        return total

    async def slice(self, connection: Connection, page: Page) -> Slice[R]:
        """Return a page of the list."""
        size, backward = page.size, page.first is None and page.last is not None
        conditions, values = list(self.conditions), list(self.values)
        for name, text, forward in (("after", page.after, True), ("before", page.before, False)):
            if text is not None:
                marks = [f"${len(values) + n + 1}" for n in range(len(self.key))]
                values += self._parse(text, name)
                sign = ">" if forward is not self.descending else "<"
                columns = ", ".join(column for column, _ in self.key)
                conditions.append(f"({columns}) {sign} ({', '.join(marks)})")
                if self.others:  # what is unfolded has an index on the leading column only
                    conditions.append(f"{self.key[0][0]} {sign}= {marks[0]}")
        direction = "DESC" if self.descending is not backward else "ASC"
        order = ", ".join(f"{column} {direction}" for column, _ in self.key)
        condition, end = self._condition(conditions), f"ORDER BY {order} LIMIT {size + 1}"
        sql = " UNION ALL ".join(
            f"(SELECT {self.columns} FROM {source} WHERE {condition} {end})"  # noqa: S608
            for source in (self.source, *self.others)
        )
        if self.others:
            sql = f"SELECT * FROM ({sql}) merged {end}"  # noqa: S608
        rows: list[R] = await connection.fetch(sql, *values, record_class=self.row)
        more, rows = len(rows) > size, rows[:size]
        if backward:
            rows.reverse()
        return Slice(
            rows=rows,
            cursors=[self._cursor(row) for row in rows],
            has_next=page.before is not None if backward else more,
            has_previous=more if backward else page.after is not None,
        )

    @staticmethod
    def _condition(conditions: Sequence[str]) -> str:
        return " AND ".join(f"({condition})" for condition in conditions) or "true"

    def _cursor(self, row: R) -> str:
        values = [row[column.rpartition(".")[2]] for column, _ in self.key]
        texts = [value.isoformat() if isinstance(value, datetime) else str(value) for value in values]
        return base64.urlsafe_b64encode(orjson.dumps(texts)).decode().rstrip("=")

    def _parse(self, text: str, name: str) -> list[KeyValue]:
        try:
            texts = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            return [_READ[kind](value) for (_, kind), value in zip(self.key, map(_text, texts), strict=True)]
        except (binascii.Error, ValueError, TypeError, OverflowError):
            raise InvalidInput(message="This is not a cursor of this list.", path=(name,)) from None
