"""The stock in this process's memory: loaded once, then kept by the feed."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import structlog

from domain.availability.columns import Columns, load
from domain.capacity import Work
from domain.feed import Feed, Newest, Update
from domain.transaction import Database

log = structlog.get_logger(__name__)

WAIT_SECONDS = 0.02
OLDEST_SECONDS = 1.0
AGAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class InStock:
    """What was in stock at a moment, and what locations have taken on."""

    columns: Columns
    as_of: datetime
    work: Work


@dataclass(slots=True)
class Stock:
    """What may be sold, as this process read it from the feed; a cache for reading, and for reading only.

    It is behind Postgres by the feed's `age`, and by nothing that this process has committed itself. Until it is
    loaded, and whenever it is too old, there is none, and Postgres is asked.
    """

    database: Database
    feed: Feed
    _columns: Columns | None = None
    _missed: dict[tuple[str, UUID], int] = field(default_factory=dict)
    """What was told last of each level while the columns were loaded."""
    _newest: Newest = field(default_factory=Newest)
    _work: Work = field(default_factory=Work)
    _epoch: int = 0
    _stale: asyncio.Event = field(default_factory=asyncio.Event)

    async def keep(self) -> None:
        """Load for ever: once at first, and again after each gap in what the feed told."""
        self._work.forget()
        self.feed.listeners.append(self._hear)
        try:
            while True:
                self._stale.clear()
                self._missed = {}
                try:
                    columns = await load(self.database)
                except (OSError, asyncpg.exceptions.PostgresError, asyncpg.exceptions.InterfaceError) as error:
                    log.warning("stock_unreadable", error=str(error))
                    await asyncio.sleep(AGAIN_SECONDS)
                    continue
                if not self._stale.is_set():
                    self._begin(columns)
                await self._stale.wait()
        finally:
            self.feed.listeners.remove(self._hear)
            self._columns = None

    def _begin(self, columns: Columns) -> None:
        # What was told since before the load began may be older than what was loaded; the last word of it is not.
        for (sku, location_id), units in self._missed.items():
            columns.put(sku, location_id, units)
        self._missed = {}
        self._epoch, self._columns = self.feed.position.epoch, columns
        log.info("stock_loaded", bytes=columns.size)

    def _hear(self, updates: Sequence[Update] | None) -> None:
        """Take what the feed tells, in its order; None and a new epoch say that something may have been missed."""
        if updates is None or (self._columns and updates[-1].cursor.epoch != self._epoch):
            self._columns = None
            self._work.forget()
            self._stale.set()
            return
        self._work.hear(updates)
        for update in updates:
            if update.sku is None or update.quantities is None or not self._newest.hears(update):
                continue
            (location_id,), available = update.location_ids, update.quantities[2]
            if self._columns:
                self._columns.put(update.sku, location_id, available)
            else:
                self._missed[update.sku, location_id] = available

    async def current(self, *, now: datetime) -> InStock | None:
        """Return what is in stock, with all that this process has committed; None where Postgres has to be asked."""
        if self._columns is None or not await self.feed.caught_up(WAIT_SECONDS) or self._columns is None:
            return None
        age = self.feed.age()
        return InStock(self._columns, now - timedelta(seconds=age), self._work) if age <= OLDEST_SECONDS else None

    @property
    def size(self) -> int:
        """Return the bytes that the columns take; 0 while there are none."""
        return self._columns.size if self._columns else 0
