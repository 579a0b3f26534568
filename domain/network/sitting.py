"""For how long stock has sat without selling: kept in memory for the items of late carts, and read for no decision."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from domain.ids import least_id
from domain.planning.costs import SITS_AFTER_DAYS
from domain.transaction import Connection, Database

FRESH = timedelta(minutes=10)
"""So long is what was read good for: it is told in days."""
MOST_ITEMS = 4096
"""So many items are known at once: at 2,000 locations, 16 MB."""
AT_ONCE = 10
"""Items that one statement reads."""
MOVEMENTS = 100
"""The newest of a level are looked at; where none of them sold any, it sits."""


class Sitting:
    """Knows for how long items of late carts have sat where they are. One for each process.

    Who asks gets what is known, and what is not is read soon after: the next to look at the item gets to know it.
    Positions of locations only ever change when locations are added, for none is taken away or gets another code.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, tuple[datetime, NDArray[np.int16]]] = {}
        self._wanted: dict[str, datetime] = {}
        self._asked = asyncio.Event()

    def days(self, skus: Sequence[str], sites: int, *, now: datetime) -> NDArray[np.int64]:
        """Return for how many days, up to SITS_AFTER_DAYS, items have sat at the sites, shape (sites, skus).

        What is not known is taken for fresh, wherever it lies.
        """
        found = np.zeros((sites, len(skus)), dtype=np.int64)
        for column, sku in enumerate(skus):
            if (known := self._known.get(sku)) and known[1].size == sites:
                found[:, column] = known[1]
        for sku in self._stale(skus, sites, now=now):
            if len(self._wanted) < MOST_ITEMS:
                self._wanted[sku] = now
                self._asked.set()
        return found

    async def asked(self) -> None:
        """Return once there is something to read."""
        await self._asked.wait()

    async def read_wanted(self, site_by_id: Mapping[UUID, int]) -> None:
        """Read what was asked for and is not known."""
        self._asked.clear()
        wanted, self._wanted = self._wanted, {}
        skus = list(wanted)
        for start in range(0, len(skus), AT_ONCE):
            some = skus[start : start + AT_ONCE]
            async with self._database.reading() as connection:
                await self.read(connection, some, site_by_id, now=max(wanted[sku] for sku in some))

    async def read(
        self, connection: Connection, skus: Collection[str], site_by_id: Mapping[UUID, int], *, now: datetime
    ) -> None:
        """Read what is not known of these items, for who cannot wait."""
        stale = self._stale(skus, len(site_by_id), now=now)
        if not stale:
            return
        days = {sku: np.zeros(len(site_by_id), dtype=np.int16) for sku in stale}
        first, last = least_id(now - timedelta(days=SITS_AFTER_DAYS)), least_id(now + timedelta(minutes=1))
        for sku, location_id, moved in await connection.fetch(_SINCE, stale, first, last, MOVEMENTS):
            if location_id in site_by_id:
                sat = (now - moved).days if moved else SITS_AFTER_DAYS
                days[sku][site_by_id[location_id]] = min(max(sat, 0), SITS_AFTER_DAYS)
        for sku, found in days.items():
            self._known.pop(sku, None)
            self._known[sku] = now, found
        for sku in list(self._known)[: max(0, len(self._known) - MOST_ITEMS)]:
            del self._known[sku]

    def _stale(self, skus: Collection[str], sites: int, *, now: datetime) -> list[str]:
        return [
            sku
            for sku in dict.fromkeys(skus)
            if (known := self._known.get(sku)) is None or known[1].size != sites or now - known[0] >= FRESH
        ]


# Stock sits since it last sold, was last reserved, or came where there was none: of a level whose last units have just
# come, none sat. What it was before a movement follows from what it is now, newest first, to the first that tells.
_SINCE = """
WITH level AS MATERIALIZED (
    SELECT sku, location_id, on_hand FROM stock WHERE sku = ANY ($1::text[]) AND on_hand > reserved
), moved AS (
    SELECT l.sku, l.location_id, m.*
      FROM level l
     CROSS JOIN LATERAL (
           SELECT id, reason, on_hand_delta, reserved_delta, occurred_at FROM stock_movement m
            WHERE m.sku = l.sku AND m.location_id = l.location_id AND m.id >= $2 AND m.id < $3
            ORDER BY m.id DESC LIMIT $4) m
    UNION ALL
    SELECT c.sku, c.location_id, c.id, c.reason, c.on_hand_delta, c.reserved_delta, c.occurred_at
      FROM unnest($1::text[]) AS w(sku) CROSS JOIN LATERAL counted_movement() c
     WHERE c.of_skus @> ARRAY[w.sku] AND c.sku = w.sku AND c.run_id >= $2 AND c.run_id < $3
), known AS (
    SELECT *, l.on_hand - sum(m.on_hand_delta) OVER newest AS before, row_number() OVER newest AS nth
      FROM level l JOIN moved m USING (sku, location_id)
    WINDOW newest AS (PARTITION BY sku, location_id ORDER BY m.id DESC ROWS UNBOUNDED PRECEDING)
)
SELECT l.sku, l.location_id, max(k.occurred_at) AS since
  FROM level l LEFT JOIN known k
    ON k.sku = l.sku AND k.location_id = l.location_id AND k.nth <= $4
       AND (k.reason = 'SOLD' OR k.reserved_delta > 0 OR k.before <= 0)
 GROUP BY l.sku, l.location_id
"""
