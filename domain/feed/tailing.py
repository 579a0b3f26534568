"""A process's reader of the feed."""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeAlias

import asyncpg
import structlog

from domain.feed.cursors import NOWHERE, Cursor, CursorExpired
from domain.feed.reading import READ_AT_ONCE, Update, is_last, read, standing
from domain.transaction import OUTAGES, Connection, Database

log = structlog.get_logger(__name__)

KEPT_IN_MEMORY = 10_000
POLL_SECONDS = 0.02
QUIET_SECONDS = 0.25
AGAIN_SECONDS = 0.5
REPLAYED_AT_ONCE = 20
"""Rows of a follower that reads from Postgres: others have their turn in between."""
REPLAYS = 3
"""Followers that read from Postgres at a time: they leave the other connections to those who write."""
UNREADABLE = (asyncpg.exceptions.PostgresError, *OUTAGES)

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
    _replays: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(REPLAYS))

    async def start(self) -> None:
        """Take up the feed where it stands."""
        async with self.database.reading() as connection:
            self.position = self.oldest = (await standing(connection)).newest

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
        """Read for ever: at once when nudged, every QUIET_SECONDS otherwise. A dead database costs time only.

        While a row is held back it is every POLL_SECONDS: nobody may tell of the end of the transaction it waits for.
        """
        nudged = True
        while True:
            pause = POLL_SECONDS
            try:
                await self._read_on()
                if not nudged and await self._has_all():
                    pause = QUIET_SECONDS
            except UNREADABLE as error:
                log.warning("feed_unreadable", error=str(error))
                self._interrupted = True
                await asyncio.sleep(AGAIN_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._nudge.wait()
            nudged = self._nudge.is_set()
            self._nudge.clear()

    async def _has_all(self) -> bool:
        async with self.database.reading() as connection:
            return await is_last(connection, self.position)

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
            if self._interrupted:
                await self._take_up(connection)
            try:
                updates = await read(connection, self.position)
            except CursorExpired as expired:
                self._skip(expired.oldest)
                return READ_AT_ONCE
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

    async def _take_up(self, connection: Connection) -> None:
        """Go on after an interruption: in the same place, unless it is another database that answers now."""
        oldest, _, _ = await standing(connection)
        if oldest.epoch != self.position.epoch:
            self._skip(oldest)
        self._interrupted = False
        self._tell(None)

    def _skip(self, to: Cursor) -> None:
        """Go on at another place; nothing is known of what lies between."""
        log.warning("feed_skipped", after=str(self.position), to=str(to))
        self.position = self.oldest = to
        self._recent.clear()
        self._tell(None)

    async def resume(self, after: Cursor) -> Cursor:
        """Return the cursor if the feed still holds everything after it, else raise CursorExpired."""
        if self.oldest <= after <= self.position:
            return after
        async with self.database.reading() as connection:
            oldest, newest, next_xid = await standing(connection)
        if after < oldest or after.epoch != newest.epoch or after.xid > next_xid:
            raise CursorExpired(oldest)
        return after

    async def news(self, after: Cursor, limit: int) -> list[Update]:
        """Wait until something comes after the cursor, and return it: in order, and of no more than `limit` rows.

        Raise CursorExpired where some of it is gone already.
        """
        while True:
            news = self._news
            if after >= self.oldest:
                start = bisect_right(self._recent, after, key=lambda update: update.cursor)
                updates = self._recent[start : start + limit]
            else:
                async with self._replays, self.database.reading() as connection:
                    updates = await read(connection, after, min(limit, REPLAYED_AT_ONCE))
            if updates:
                return updates
            await news.wait()

    async def follow(self, after: Cursor) -> AsyncIterator[Sequence[Update]]:
        """Yield every update after the cursor, in order, for ever: first what was missed, then what comes.

        Those that are there are yielded together, never none. Raise CursorExpired where some of it is gone, or where a
        new epoch begins: what was told before may be undone. A dead database costs time only.
        """
        while True:
            try:
                updates = await self.news(after, READ_AT_ONCE)
            except UNREADABLE:
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            told = [update for update in updates if update.cursor.epoch == after.epoch]
            if told:
                yield told
                after = told[-1].cursor
            if len(told) < len(updates):
                raise CursorExpired(Cursor(updates[-1].cursor.epoch, 0, 0))
            await asyncio.sleep(0)
