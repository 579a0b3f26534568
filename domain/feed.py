"""The feed: an outbox written with each fact, read in commit order, followed with a cursor.

A row is read only once every transaction that began before it has ended (`xid < pg_snapshot_xmin`). Reading by a
growing id alone loses rows: a transaction that took a lower id may commit later.
"""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple, Self, TypeAlias
from uuid import UUID

import asyncpg
import structlog

from domain.errors import InvalidInput
from domain.transaction import Connection, Database, Row
from domain.vocabulary import UpdateKind

log = structlog.get_logger(__name__)

READ_AT_ONCE = 500
"""Rows; a row tells a run of facts."""
LEVELS_A_ROW = 20
PLACES_KNOWN = 10_000
FACTS_A_ROW = 20
"""No more than the 32 ids that the sequence `feed_id` gives each row."""
KEPT_IN_MEMORY = 10_000
POLL_SECONDS = 0.05


class Cursor(NamedTuple):
    """A place in the feed, ordered. Callers pass it on and never look inside."""

    epoch: int
    xid: int
    id: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the cursor that `str` wrote, or raise InvalidInput."""
        try:
            cursor = cls(*map(int, text.split(".")))
        except (TypeError, ValueError):
            raise InvalidInput(message="This is not a cursor.", path=("after",)) from None
        if not (0 <= cursor.epoch < 2**31 and 0 <= cursor.xid < 2**63 and 0 <= cursor.id < 2**63):
            raise InvalidInput(message="This is not a cursor.", path=("after",))
        return cursor

    def __str__(self) -> str:
        """Return what a client keeps."""
        return f"{self.epoch}.{self.xid}.{self.id}"


NOWHERE = Cursor(0, 0, 0)


class CursorExpired(Exception):
    """The feed no longer holds everything after this cursor: read the state anew, then follow from its cursor."""


class Fact(NamedTuple):
    """What is to be told: its kind, whom it concerns, and what it brought."""

    kind: UpdateKind
    at: datetime
    order_id: UUID | None = None
    assignment_id: UUID | None = None
    location_ids: Sequence[UUID] = ()
    channel: str | None = None
    sku: str | None = None
    status: str | None = None
    quantities: tuple[int, int, int] | None = None
    """On hand, reserved, available."""


class Update(NamedTuple):
    """A fact as the feed holds it."""

    cursor: Cursor
    kind: UpdateKind
    at: datetime
    order_id: UUID | None
    assignment_id: UUID | None
    location_ids: frozenset[UUID]
    channel: str | None
    sku: str | None
    status: str | None
    quantities: tuple[int, int, int] | None


class FeedRow(NamedTuple):
    """A run of facts, as it is written: one row, and one entry in the index, for what was told together."""

    order_id: UUID | None
    kind: str
    payload: dict[str, Any]
    at: datetime


class _FeedRow(Row):
    epoch: int
    xid: int
    id: int
    kind: str
    payload: dict[str, Any]
    at: datetime


async def record(connection: Connection, facts: Sequence[Fact]) -> None:
    """Write facts to the feed, in this order, in the caller's transaction."""
    if facts:
        await connection.execute(
            """
            INSERT INTO feed (epoch, kind, keys, payload, at)
            SELECT e.epoch, f.kind, '{}', f.payload, f.at
              FROM unnest($1::new_feed[]) WITH ORDINALITY f, feed_epoch e
             ORDER BY f.ordinality
            """,
            as_rows(facts),
        )


def as_rows(facts: Sequence[Fact]) -> list[FeedRow]:
    """Return facts about one moment as rows of the feed."""
    runs = [facts[start : start + FACTS_A_ROW] for start in range(0, len(facts), FACTS_A_ROW)]
    return [
        FeedRow(run[0].order_id, run[0].kind, {"facts": [_as_json(fact) for fact in run]}, run[0].at) for run in runs
    ]


def _as_json(fact: Fact) -> dict[str, object]:
    told: dict[str, object] = {"kind": fact.kind}
    if fact.order_id:
        told["order"] = str(fact.order_id)
    if fact.assignment_id:
        told["assignment"] = str(fact.assignment_id)
    if fact.location_ids:
        told["locations"] = [str(location_id) for location_id in fact.location_ids]
    if fact.channel:
        told["channel"] = fact.channel
    if fact.sku:
        told["sku"] = fact.sku
    if fact.status:
        told["status"] = fact.status
    if fact.quantities:
        told["quantities"] = fact.quantities
    return told


async def read(connection: Connection, after: Cursor, limit: int = READ_AT_ONCE) -> list[Update]:
    """Return the updates of up to `limit` rows after the cursor, in commit order; none that a later read could precede.

    The order is that of the key: `xid` alone would be the text above, and sort everything that is still to be read.
    """
    rows = await connection.fetch(
        """
        SELECT epoch, xid::text::bigint AS xid, id, kind, payload, at
          FROM feed
         WHERE (epoch, xid, id) > ($1, $2::text::xid8, $3) AND xid < pg_snapshot_xmin(pg_current_snapshot())
         ORDER BY feed.epoch, feed.xid, feed.id LIMIT $4
        """,
        after.epoch,
        str(after.xid),
        after.id,
        limit,
        record_class=_FeedRow,
    )
    return [update for row in rows for update in _updates(row) if update.cursor > after]


def _updates(row: _FeedRow) -> list[Update]:
    """Return what a row tells, in order; the last fact has the row's own id, those before it the ids below."""
    payload, epoch, xid, at = row.payload, row.epoch, row.xid, row.at
    if levels := payload.get("levels"):
        first = row.id - len(levels["sku"]) + 1
        kind = UpdateKind.STOCK_CHANGED
        quantities = zip(levels["on_hand"], levels["reserved"], levels["available"], strict=True)
        told = zip(levels["sku"], levels["location"], quantities, strict=True)
        return [
            Update(Cursor(epoch, xid, number), kind, at, None, None, _place(place), None, sku, None, units)
            for number, (sku, place, units) in enumerate(told, first)
        ]
    facts = payload["facts"]
    first = row.id - len(facts) + 1
    return [_update(Cursor(epoch, xid, number), at, fact) for number, fact in enumerate(facts, first)]


@lru_cache(maxsize=PLACES_KNOWN)
def _place(location: str) -> frozenset[UUID]:
    """Return a location; a row tells of the same few again and again."""
    return frozenset((UUID(location),))


def _update(cursor: Cursor, at: datetime, told: dict[str, Any]) -> Update:
    order, assignment, quantities = told.get("order"), told.get("assignment"), told.get("quantities")
    return Update(
        cursor,
        UpdateKind(told["kind"]),
        at,
        order_id=UUID(order) if order else None,
        assignment_id=UUID(assignment) if assignment else None,
        location_ids=frozenset(UUID(text) for text in told.get("locations", ())),
        channel=told.get("channel"),
        sku=told.get("sku"),
        status=told.get("status"),
        quantities=tuple(quantities) if quantities else None,
    )


async def begin(connection: Connection) -> Cursor:
    """Return where the feed stands, beginning a new epoch where this database is not the one the last began in.

    A restored database counts transactions from low again, so its rows would hide behind cursors handed out before.
    """
    await connection.execute(
        """
        UPDATE feed_epoch SET epoch = epoch + 1, system_identifier = s.system_identifier
          FROM pg_control_system() s
         WHERE feed_epoch.system_identifier <> s.system_identifier
            OR (SELECT max(xid) FROM feed WHERE feed.epoch = feed_epoch.epoch)
               >= pg_snapshot_xmax(pg_current_snapshot())
        """
    )
    return await standing(connection)


async def standing(connection: Connection) -> Cursor:
    """Return the cursor before which everything is committed and seen, and after which nothing is missed."""
    row = await connection.fetchrow(
        "SELECT epoch, pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xid FROM feed_epoch"
    )
    if row is None:
        message = "The database holds no feed epoch: run `crossdock migrate`."
        raise LookupError(message)
    return Cursor(row["epoch"], row["xid"], 0)


Listener: TypeAlias = Callable[[Sequence[Update] | None], None]


@dataclass(slots=True)
class Feed:
    """This process's reader of the feed: one tailer, any number of followers.

    A follower holds nothing but its cursor. What it has not read yet is in the shared memory of recent updates, or,
    where it lags further, in Postgres; so a slow one costs no memory and delays nobody.
    """

    database: Database
    position: Cursor = NOWHERE
    oldest: Cursor = NOWHERE
    """Memory holds everything after this cursor, up to `position`."""
    listeners: list[Listener] = field(default_factory=list)
    """Called with what is read, as it is read, and with None after reading was interrupted."""
    _asked: int = 0
    """How often something was said to be there to read; `_answered` of them were followed by a whole read."""
    _answered: int = 0
    _read_at: float = 0.0
    """When the last whole read began, on the loop's clock."""
    _interrupted: bool = False
    _recent: list[Update] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _nudge: asyncio.Event = field(default_factory=asyncio.Event)
    _whole: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        """Take up the feed where it stands."""
        async with self.database.transaction() as connection:
            self.position = self.oldest = await begin(connection)

    def nudge(self) -> None:
        """Say that there may be something to read."""
        self._asked += 1
        self._nudge.set()

    async def caught_up(self, seconds: float) -> bool:
        """Wait, no longer than that, for a whole read that began after the last nudge; say whether there was one."""
        asked = self._asked
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._answered < asked:
                    await self._whole.wait()
        return self._answered >= asked

    def age(self) -> float:
        """Return the seconds since everything was read that there was to read."""
        return asyncio.get_running_loop().time() - self._read_at

    async def tail(self) -> None:
        """Read for ever: at once when nudged, every POLL_SECONDS otherwise. A dead database costs time only."""
        while True:
            try:
                await self._read_on()
            except (OSError, asyncpg.exceptions.PostgresError, asyncpg.exceptions.InterfaceError) as error:
                log.warning("feed_unreadable", error=str(error))
                self._interrupted = True
                await asyncio.sleep(POLL_SECONDS * 10)
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._nudge.wait()
            self._nudge.clear()

    async def _read_on(self) -> None:
        """Read until there is no more."""
        asked, began = self._asked, asyncio.get_running_loop().time()
        while await self._advance() >= READ_AT_ONCE:
            began = asyncio.get_running_loop().time()
        self._answered, self._read_at = asked, began
        whole, self._whole = self._whole, asyncio.Event()
        whole.set()

    def _tell(self, updates: Sequence[Update] | None) -> None:
        for listener in self.listeners:
            listener(updates)

    async def _advance(self) -> int:
        async with self.database.reading() as connection:
            updates = await read(connection, self.position)
        if self._interrupted:
            self._interrupted = False
            self._tell(None)
        if updates:
            self.position = updates[-1].cursor
            self._tell(updates)
            self._recent.extend(updates)
            if len(self._recent) > 2 * KEPT_IN_MEMORY:
                self.oldest = self._recent[-KEPT_IN_MEMORY - 1].cursor
                del self._recent[:-KEPT_IN_MEMORY]
            news, self._news = self._news, asyncio.Event()
            news.set()
        return len(updates)

    async def resume(self, after: Cursor) -> Cursor:
        """Return the cursor if the feed still holds everything after it, else raise CursorExpired."""
        async with self.database.reading() as connection:
            now = await standing(connection)
            ahead = await connection.fetchval("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
        if after.epoch != now.epoch or after.xid > ahead:
            raise CursorExpired
        return after

    async def news(self, after: Cursor, limit: int) -> list[Update]:
        """Wait until something comes after the cursor, and return it: in order, and of no more than `limit` rows."""
        while True:
            news = self._news
            if after >= self.oldest:
                start = bisect_right(self._recent, after, key=lambda update: update.cursor)
                updates = self._recent[start : start + limit]
            else:
                async with self.database.reading() as connection:
                    updates = await read(connection, after, limit)
            if updates:
                return updates
            await news.wait()

    async def follow(self, after: Cursor) -> AsyncIterator[Update]:
        """Yield every update after the cursor, in order, for ever: first what was missed, then what comes."""
        while True:
            for update in await self.news(after, READ_AT_ONCE):
                yield update
                after = update.cursor
