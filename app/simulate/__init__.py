"""`crossdock simulate`: thousands of orders through the real domain, people as people are, and time passed by us."""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app import database, duties, embedded
from app.carriers import Carriers
from app.settings import Settings
from app.simulate.counters import Counters
from app.simulate.office import Office
from app.simulate.roads import Roads
from app.simulate.shoppers import Shoppers
from app.simulate.stores import Stores
from app.simulate.town import Town, opened
from domain import inventory
from domain.errands import Errands
from domain.network import Networks, set_location_status
from domain.timers import Handler, begin, run_due
from domain.vocabulary import LocationStatus

BEGIN = datetime(2026, 3, 26, 8, 0, tzinfo=UTC)
"""A Thursday; clocks change in the night to Sunday."""
STEP, AT_NIGHT = timedelta(minutes=30), timedelta(hours=2)
DAYTIME = range(6, 20)
"""The hours, UTC, in which somebody may be at work."""
PLACED_WITHIN = timedelta(days=3)
SUPPLIED_AFTER = timedelta(hours=30)
CLOSED_AFTER = timedelta(days=1)
LONGEST = timedelta(days=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a simulation came to; `faults` is empty where all ended well."""

    orders: int
    turned_away: int
    seconds: float
    cpu_seconds: float
    days: float
    statuses: dict[str, int]
    work: dict[str, int]
    decisions: dict[str, int]
    transfers: int
    returns: dict[str, int]
    late: int
    deadlocks: int
    faults: tuple[str, ...]

    def __str__(self) -> str:
        """Return the summary as it is printed."""
        rate, each = self.orders / self.seconds, self.cpu_seconds / self.orders * 1000
        again = sum(count for trigger, count in self.decisions.items() if trigger != "PLACED")
        return "\n".join(
            [
                f"{self.orders:,} orders, {self.turned_away:,} turned away, over {self.days:.1f} days",
                f"in {self.seconds:.1f} s: {rate:.1f} orders/s, {each:.1f} ms of this process's CPU each",
                f"orders: {_counts(self.statuses)}; {self.late:,} late",
                f"work: {_counts(self.work)}",
                f"{again:,} re-routes: {_counts({k: v for k, v in self.decisions.items() if k != 'PLACED'})}",
                f"returns: {_counts(self.returns)}",
                f"{self.transfers:,} transfers; {self.deadlocks:,} deadlocks, done again",
                *(
                    self.faults
                    or ["The ledger, the stock and the orders agree; no work or return is open, and no timer is left."]
                ),
            ]
        )


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"


def run(settings: Settings, *, orders: int, seed: int) -> Summary:
    """Simulate on a Postgres of our own, which is gone afterwards. Raises SetupError where none can be run."""
    with _server() as dsn:
        database.migrate(dsn)
        return asyncio.run(simulate(dsn, settings, orders=orders, seed=seed))


@contextmanager
def _server() -> Iterator[str]:
    folder = Path(tempfile.mkdtemp(prefix="crossdock-"))
    folder.chmod(0o711 if os.geteuid() == 0 else 0o700)  # so that Postgres's account reaches it
    try:
        with embedded.server(folder / "data", fsync="off", full_page_writes="off") as dsn:
            yield dsn
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def simulate(
    dsn: str, settings: Settings, *, orders: int, seed: int, placed_within: timedelta = PLACED_WITHIN
) -> Summary:
    """Simulate in the migrated, empty database at `dsn`: the same orders, and the same people, for the same seed."""
    started, cpu = time.perf_counter(), time.process_time()
    async with opened(dsn, seed=seed, now=BEGIN) as town:
        every, office = placed_within / orders, Office(town=town)
        shoppers = Shoppers(town=town, office=office, orders=orders, every=every, begin=BEGIN)
        days = Days(town, settings, shoppers)
        await days.pass_by()
        return await _summary(
            town, days.shoppers, seconds=time.perf_counter() - started, cpu_seconds=time.process_time() - cpu
        )


class Days:
    """The days of a town, step by step until nothing is left to happen."""

    def __init__(self, town: Town, settings: Settings, shoppers: Shoppers) -> None:
        self.town, self.shoppers = town, shoppers
        self.stores, self.roads, self.counters = Stores(town), Roads(town), Counters(town)
        self.processes = [duties.handlers(networks, settings) for networks in (town.networks, Networks(town.database))]
        self.errands = duties.errands(town.networks, Carriers())
        self.events = [(CLOSED_AFTER, self._close), (SUPPLIED_AFTER, self._supply)]

    async def pass_by(self) -> None:
        """Let time pass, at most LONGEST."""
        await begin(self.town.database, duties.EVER, now=self.town.now)
        while self.town.now < BEGIN + LONGEST and await self._busy():
            self.town.now += STEP if self.town.now.hour in DAYTIME else AT_NIGHT
            await self._step()

    async def _busy(self) -> bool:
        return (
            not self.shoppers.done
            or bool(self.shoppers.office.wanted)
            or bool(await self.town.rows(_BUSY, duties.EVER))
        )

    async def _step(self) -> None:
        while self.events and BEGIN + self.events[0][0] <= self.town.now:
            await self.events.pop(0)[1]()
        people = (self.shoppers, self.shoppers.office, self.stores, self.roads, self.counters)
        await asyncio.gather(*(group.act() for group in people))
        while any(await asyncio.gather(*map(self._run_due, self.processes))):
            pass
        async with asyncio.TaskGroup() as group:
            errands = Errands(self.town.database, self.errands, group)
            while await errands.begin(now=self.town.now):
                pass
        await self.shoppers.office.look_after()

    async def _run_due(self, handlers: Mapping[str, Handler]) -> int:
        return await run_due(self.town.database, handlers, now=self.town.now)

    async def _close(self) -> None:
        """Close the busiest store for good, where one has work: few orders may all be others'."""
        for row in await self.town.rows(_BUSIEST):
            async with self.town.database.transaction() as connection:
                await set_location_status(connection, row["location_id"], LocationStatus.CLOSED, now=self.town.now)

    async def _supply(self) -> None:
        """Bring what everybody waits for to a warehouse."""
        place = (await self.town.networks.current()).id_by_code[self.town.network.locations[0].code]
        await self.roads.deliver(self.town.network.goods[-1].record.sku, place, self.shoppers.orders)


async def _summary(town: Town, shoppers: Shoppers, *, seconds: float, cpu_seconds: float) -> Summary:
    async def counts(query: str) -> dict[str, int]:
        return {row[0]: row[1] for row in await town.rows(query)}

    async with town.database.reading() as connection:
        faults = await inventory.check(connection)
    faults += [row[0] for row in await town.rows(_LEFT, duties.EVER)]
    return Summary(
        orders=shoppers.placed - shoppers.turned_away,
        turned_away=shoppers.turned_away,
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        days=(town.now - BEGIN) / timedelta(days=1),
        statuses=await counts("SELECT status, count(*) FROM customer_order GROUP BY 1 ORDER BY 2 DESC"),
        work=await counts("SELECT status, count(*) FROM assignment GROUP BY 1 ORDER BY 2 DESC"),
        decisions=await counts("SELECT trigger, count(*) FROM routing_decision GROUP BY 1 ORDER BY 2 DESC"),
        transfers=(await town.rows("SELECT count(*) FROM transfer"))[0][0],
        returns=await counts("SELECT status, count(*) FROM customer_return GROUP BY 1 ORDER BY 2 DESC"),
        late=(await town.rows("SELECT count(*) FROM customer_order WHERE late"))[0][0],
        deadlocks=town.deadlocks,
        faults=tuple(faults),
    )


_LEFT = """
SELECT 'order ' || number || ' is ' || status FROM customer_order WHERE status NOT IN ('COMPLETED', 'CANCELLED')
 UNION ALL
SELECT 'work ' || number || ' is ' || status FROM assignment
 WHERE status NOT IN ('HANDED_OVER', 'COLLECTED', 'NOT_COLLECTED', 'REJECTED', 'EXPIRED', 'CANCELLED')
    OR (status IN ('CANCELLED', 'NOT_COLLECTED') AND restocked_at IS NULL)
 UNION ALL
SELECT 'transfer ' || number || ' is ' || status FROM transfer WHERE status IN ('REQUESTED', 'IN_TRANSIT')
 UNION ALL
SELECT 'return ' || number || ' is ' || status FROM customer_return
 WHERE status NOT IN ('DECLINED', 'CLOSED', 'CANCELLED')
 UNION ALL
SELECT 'timer ' || kind || ' ' || key || ' is left' FROM timer WHERE kind <> ALL ($1::text[])
"""
_BUSY = f"{_LEFT} LIMIT 1"
_BUSIEST = """
SELECT location_id FROM assignment a JOIN location l ON l.id = a.location_id
 WHERE l.kind = 'STORE' GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1
"""
