"""Pages of long lists, by key and not by offset: a page costs the same however deep it lies."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
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
    def is_backward(self) -> bool:
        """Say whether the page is told from its end."""
        return self.first is None and self.last is not None

    @property
    def size(self) -> int:
        """Return how many rows are wanted, 1 to LARGEST_SIZE, or raise InvalidInput."""
        if self.first is not None and self.last is not None:
            raise InvalidInput(message="Ask for the first or for the last, not for both.", path=("last",))
        name, wanted = ("last", self.last) if self.is_backward else ("first", self.first)
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


@dataclass(slots=True, kw_only=True, eq=False)
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
        total: int = await connection.fetchval(self.counting(), *self.values)
        return total

    async def slice(self, connection: Connection, page: Page) -> Slice[R]:
        """Return a page of the list."""
        sql, values = self.selecting(page)
        return self.cut(await connection.fetch(sql, *values, record_class=self.row), page)

    def counting(self) -> str:
        """Return the statement that counts the list, with `values`."""
        condition = self._condition(self.conditions)
        counts = (f"(SELECT count(*) FROM {source} WHERE {condition})" for source in (self.source, *self.others))  # noqa: S608
        return f"SELECT {' + '.join(counts)} AS count"

    def selecting(self, page: Page) -> tuple[str, list[object]]:
        """Return the statement for a page, and for one row more that tells whether there is more; and its values."""
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
        direction = "DESC" if self.descending is not page.is_backward else "ASC"
        order = ", ".join(f"{column} {direction}" for column, _ in self.key)
        condition, end = self._condition(conditions), f"ORDER BY {order} LIMIT {page.size + 1}"
        sql = " UNION ALL ".join(
            f"(SELECT {self.columns} FROM {source} WHERE {condition} {end})"  # noqa: S608
            for source in (self.source, *self.others)
        )
        return f"SELECT * FROM ({sql}) merged {end}" if self.others else sql, values  # noqa: S608

    def cut(self, rows: list[R], page: Page) -> Slice[R]:
        """Return the page whose statement brought these rows."""
        more, rows = len(rows) > page.size, rows[: page.size]
        if page.is_backward:
            rows.reverse()
        return Slice(
            rows=rows,
            cursors=[self._cursor(row) for row in rows],
            has_next=page.before is not None if page.is_backward else more,
            has_previous=more if page.is_backward else page.after is not None,
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


async def slices(connection: Connection, listings: Sequence[Listing[R]], page: Page) -> list[Slice[R]]:
    """Return the same page of lists that differ in their values, by one statement."""
    statements = [(f"({sql})", values) for sql, values in (listing.selecting(page) for listing in listings)]
    found: list[list[R]] = [[] for _ in listings]
    for row in await _united(connection, statements, "page.*", listings[0].row):
        found[row["part"]].append(row)
    return [listing.cut(rows, page) for listing, rows in zip(listings, found, strict=True)]


async def counts(connection: Connection, listings: Sequence[Listing[R]]) -> list[int]:
    """Return how many rows each of these lists has, by one statement."""
    statements = [(f"({listing.counting()})", listing.values) for listing in listings]
    return [row["count"] for row in await _united(connection, statements, "page.count", listings[0].row)]


async def _united(
    connection: Connection, statements: Sequence[tuple[str, Sequence[object]]], columns: str, row: type[R]
) -> list[R]:
    """Return the rows of all, in their order; `part` tells whose they are."""
    parts, values = list[str](), list[object]()
    for part, (sql, own) in enumerate(statements):
        moved = re.sub(r"\$(\d+)", partial(_moved, by=len(values)), sql)
        parts.append(f"SELECT {part} AS part, row_number() OVER () AS place, {columns} FROM {moved} page")  # noqa: S608
        values += own
    sql = f"SELECT * FROM ({' UNION ALL '.join(parts)}) pages ORDER BY part, place"  # noqa: S608
    rows: list[R] = await connection.fetch(sql, *values, record_class=row)
    return rows


def _moved(mark: re.Match[str], *, by: int) -> str:
    return f"${int(mark[1]) + by}"
