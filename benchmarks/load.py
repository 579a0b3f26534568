"""A stock file of 1,000,000 rows, 1 % of them bad, and again with 5 % changed; beside Postgres's own floor.

The floor is the least that the levels cost: plain `INSERT ... SELECT` into the same table with the same indexes, from a
table that holds them already in the order of the key, in transactions of 20,000 rows, by two connections. The same with
a row of the ledger for each level, as a load would write it without runs, is measured beside it, by one connection and
by two. File and floor take turns, so that what else the machine does disturbs both.
"""

import argparse
import asyncio
import contextlib
import io
import os
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import psutil

from app import embedded, load
from app.database import migrate
from domain.imports import OnRowError
from domain.inventory import check
from domain.network import LocationRecord, import_locations
from domain.transaction import Database, open_pool
from domain.vocabulary import LocationKind

PART = 20_000
BAD, CHANGED = 100, 20
"""One row in so many."""
TARGET = 100_000


@dataclass(slots=True)
class Rates:
    """Rows a second of each round, and the seconds of CPU that the new rows took."""

    new: list[float] = field(default_factory=list)
    again: list[float] = field(default_factory=list)
    one: list[float] = field(default_factory=list)
    two: list[float] = field(default_factory=list)
    levels: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    python: list[float] = field(default_factory=list)
    postgres: list[float] = field(default_factory=list)


def write(path: Path, *, locations: int, skus: int, more: int) -> tuple[int, int]:
    """Write a file, location by location; return how many rows are bad and how many have `more` on hand."""
    bad = changed = 0
    wrong = (("NONE", "", ""), ("", "NONE", ""), ("", "", "many"), ("", "", "-1"))
    with path.open("w") as file:
        file.write("sku,location_code,on_hand,safety_stock\n")
        for number in range(locations * skus):
            place, sku = divmod(number, skus)
            on_hand = 1 + (sku * 31 + place * 17) % 90
            cells = (f"SKU-{sku:06d}", f"L{place:04d}", str(on_hand))
            if number % BAD == BAD - 1:
                cells = tuple(fault or cell for fault, cell in zip(wrong[bad % len(wrong)], cells, strict=True))
                bad += 1
            elif number % CHANGED == 0:
                cells = (*cells[:2], str(on_hand + more))
                changed += 1
            file.write(",".join(cells) + ",\n")
    return bad, changed


async def furnish(database: Database, *, locations: int, skus: int) -> None:
    rows = [
        LocationRecord(
            code=f"L{number:04d}",
            name=f"Store {number}",
            kind=LocationKind.STORE,
            latitude=47 + number % 70 / 10,
            longitude=6 + number % 90 / 10,
            country="DE",
            postal_code="10115",
            city="Berlin",
            time_zone="Europe/Berlin",
        )
        for number in range(locations)
    ]
    await import_locations(database, rows, on_error=OnRowError.REJECT_ALL, now=datetime.now(UTC))
    await database.pool.execute(
        "INSERT INTO item SELECT 'SKU-' || lpad(n::text, 6, '0'), 'Item ' || n, 500, '{}', '{}'"
        "  FROM generate_series(0, $1 - 1) n",
        skus,
    )


async def empty(database: Database) -> None:
    await database.pool.execute("TRUNCATE stock, stock_movement, counted_run, feed")
    await database.pool.execute("CHECKPOINT")


def timed(dsn: str, path: Path) -> tuple[float, int, str]:
    """Load a file; return the seconds, how many rows failed, and the summary."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
        began = time.perf_counter()
        failed = load.run(dsn, stock=path)
        seconds = time.perf_counter() - began
    return seconds, failed, said.getvalue().strip().rpartition(": ")[2]


def cpu(postmaster: psutil.Process) -> tuple[float, float]:
    """Return the seconds of CPU that this process and Postgres have taken."""
    postgres = sum(postmaster.cpu_times()[:4])
    for process in postmaster.children():
        with contextlib.suppress(psutil.NoSuchProcess):  # its seconds are the postmaster's now
            postgres += sum(process.cpu_times()[:2])
    return time.process_time(), postgres


async def floor(database: Database, rows: int, *, connections: int, ledger: bool) -> float:
    """Return the seconds that the levels, and a ledger of single rows, take when nothing is asked of them."""
    starts = iter(range(0, rows, PART))

    async def work() -> None:
        async with database.pool.acquire() as connection:
            for start in starts:
                async with connection.transaction():
                    await connection.execute(_LEVELS, start, start + PART)
                    if ledger:
                        await connection.execute(_LEDGER, start, start + PART)

    return await seconds_of(lambda: asyncio.gather(*(work() for _ in range(connections))))


async def seconds_of(work: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


_HELD = """
CREATE UNLOGGED TABLE held AS
SELECT row_number() OVER (ORDER BY sku COLLATE "C", location_id) - 1 AS n, sku, location_id, on_hand FROM stock
 ORDER BY n
"""
_LEVELS = """
INSERT INTO stock (sku, location_id, on_hand, updated_at)
SELECT sku, location_id, on_hand, now() FROM held WHERE n >= $1::bigint AND n < $2::bigint ORDER BY n
"""
_LEDGER = """
INSERT INTO stock_movement (id, sku, location_id, reason, on_hand_delta, reserved_delta, occurred_at)
SELECT encode(int8send($1::bigint) || int8send(n), 'hex')::uuid, sku, location_id, 'COUNTED', on_hand, 0, now()
  FROM held WHERE n >= $1::bigint AND n < $2::bigint ORDER BY n
"""
_BARE = "INSERT INTO bare SELECT sku, location_id, on_hand, 0, 0, 0, 0, 1, now() FROM held ORDER BY n"


async def compare(dsn: str, folder: Path, *, locations: int, skus: int, rounds: int) -> Rates:
    rows, rates = locations * skus, Rates()
    first, second = folder / "first.csv", folder / "second.csv"
    bad, _ = write(first, locations=locations, skus=skus, more=0)
    _, changed = write(second, locations=locations, skus=skus, more=1)
    pool = await open_pool(dsn, size=2, statement_timeout_ms=600_000)
    try:
        database = Database(pool)
        await furnish(database, locations=locations, skus=skus)
        postmaster = psutil.Process(await pool.fetchval("SELECT pg_backend_pid()")).parent()
        for number in range(rounds):
            await empty(database)
            for path, found, expected in (
                (first, rates.new, f"{rows - bad} created, 0 updated, 0 unchanged, {bad} failed"),
                (second, rates.again, f"0 created, {changed} updated, {rows - bad - changed} unchanged, {bad} failed"),
            ):
                python, postgres = cpu(postmaster)
                seconds, failed, said = await asyncio.to_thread(timed, dsn, path)
                python, postgres = cpu(postmaster)[0] - python, cpu(postmaster)[1] - postgres
                if found is rates.new:
                    rates.python.append(python / rows)
                    rates.postgres.append(postgres / rows)
                assert (failed, said) == (bad, expected), said
                found.append(rows / seconds)
            async with database.reading() as connection:
                assert await check(connection) == []
            if not number:
                await pool.execute(_HELD)
                await pool.execute("CREATE INDEX ON held (n)")
                await pool.execute("CREATE TABLE bare (LIKE stock)")
                await pool.execute("VACUUM ANALYZE held")
            for connections, ledger, found in ((1, True, rates.one), (2, True, rates.two), (2, False, rates.levels)):
                await empty(database)
                seconds = await floor(database, rows - bad, connections=connections, ledger=ledger)
                found.append((rows - bad) / seconds)
            await pool.execute("TRUNCATE bare")
            rates.bare.append((rows - bad) / await seconds_of(lambda: pool.execute(_BARE)))
    finally:
        await pool.close()
    return rates


def report(rates: Rates) -> None:
    least = median(rates.levels)
    print(f"{'rows a second, median':<52}{'':>10}{'of the floor':>14}   each round")
    for what, found in (
        ("new rows from the file", rates.new),
        ("the file again, 5 % changed", rates.again),
        ("floor: levels, two connections", rates.levels),
        ("levels and a ledger of single rows, two connections", rates.two),
        ("levels and a ledger of single rows, one connection", rates.one),
        ("levels into a table without indexes, one connection", rates.bare),
    ):
        each = ", ".join(f"{rate:,.0f}" for rate in found)
        print(f"{what:<52}{median(found):>10,.0f}{median(found) / least:>13.2f}x   {each}")
    python, postgres = median(rates.python) * 1e6, median(rates.postgres) * 1e6
    print(f"\nCPU of a new row: Python {python:.1f} us, Postgres {postgres:.1f} us")
    if median(rates.new) < TARGET:
        print(f"\nunder {TARGET:,} rows a second")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--locations", type=int, default=100)
    parser.add_argument("--skus", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="crossdock-bench-"))
    folder.chmod(0o711)
    try:
        with embedded.server(folder / "data") as dsn:
            migrate(dsn)
            rates = asyncio.run(compare(dsn, folder, **vars(chosen)))
        print(f"{chosen.locations * chosen.skus:,} rows; load average {os.getloadavg()[0]:.1f}\n")
        report(rates)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
