"""What the stock in memory is worth: reading 1, 3 and 5 SKUs from it and from Postgres, in one run on one server.

The network has 2,000 locations and 10,000 SKUs, each in stock at 400 of them: 4,000,000 levels.
"""

import argparse
import asyncio
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from uuid import UUID

from app import embedded
from app.database import migrate
from domain.availability import Columns
from domain.availability.columns import load
from domain.imports import OnRowError
from domain.inventory import available
from domain.network import LocationRecord, Networks, import_locations
from domain.transaction import Database, open_pool
from domain.vocabulary import LocationKind

CARTS = (1, 3, 5)
WARM_UP = 50
TARGET_MS = 0.1


def sku(number: int) -> str:
    return f"SKU-{number:06d}"


def place(number: int) -> LocationRecord:
    return LocationRecord(
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


async def fill(database: Database, *, locations: int, skus: int, levels: int) -> None:
    """Make the network. Its levels are written by one plain statement: loading them is another benchmark's."""
    rows = [place(number) for number in range(locations)]
    await import_locations(database, rows, on_error=OnRowError.REJECT_ALL, now=datetime.now(UTC))
    async with database.pool.acquire() as connection:
        await connection.execute(
            "INSERT INTO item SELECT 'SKU-' || lpad(n::text, 6, '0'), 'Item ' || n, 500, '{}', '{}'"
            "  FROM generate_series(0, $1 - 1) n",
            skus,
        )
        await connection.execute(
            """
            INSERT INTO stock (sku, location_id, on_hand, reserved, safety_stock, updated_at)
            SELECT 'SKU-' || lpad(s.n::text, 6, '0'), l.id, 3 + (s.n * 31 + l.n * 17) % 40, l.n % 3, 0, now()
              FROM generate_series(0, $1 - 1) AS s(n),
                   (SELECT id, row_number() OVER (ORDER BY code) - 1 AS n FROM location) l
             WHERE (l.n - s.n * 7) % $2 BETWEEN 0 AND $3 - 1 OR (l.n - s.n * 7) % $2 < $3 - $2
            """,
            skus,
            locations,
            levels,
        )
        await connection.execute("VACUUM ANALYZE stock")


async def p50(work: Callable[[list[str]], Awaitable[object]], carts: list[list[str]]) -> float:
    """Return the median milliseconds of the work, one cart after the other."""
    taken = []
    for cart in carts:
        began = time.perf_counter()
        await work(cart)
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken[WARM_UP:])


async def compare(database: Database, columns: Columns, *, skus: int, rounds: int) -> None:
    snapshot, random = await Networks(database).current(), Random(1)

    async def memory(cart: list[str]) -> object:
        return columns.units(cart, snapshot)

    async def postgres(cart: list[str]) -> object:
        async with database.reading() as connection:
            return await available(connection, cart, snapshot, "web")

    print(f"{'SKUs of a cart':<28}{'memory, p50 ms':>16}{'Postgres, p50 ms':>18}{'ratio':>8}")
    for size in CARTS:
        carts = [[sku(number) for number in random.sample(range(skus), size)] for _ in range(rounds + WARM_UP)]
        async with database.reading() as connection:
            for cart in carts[:5]:
                said = await available(connection, cart, snapshot, "web")
                assert (columns.units(cart, snapshot) == said).all(), f"memory and Postgres disagree on {cart}"
        quick, slow = await p50(memory, carts), await p50(postgres, carts)
        verdict = "" if quick <= TARGET_MS else f"   over {TARGET_MS} ms"
        print(f"{size:<28}{quick:>16.3f}{slow:>18.2f}{slow / quick:>7.0f}x{verdict}")


def keep(columns: Columns, keys: list[tuple[str, UUID]]) -> float:
    """Return the microseconds that a change takes to be kept."""
    began = time.perf_counter()
    for number, (item, location_id) in enumerate(keys):
        columns.put(item, location_id, number % 50)
    return (time.perf_counter() - began) / len(keys) * 1e6


async def run(dsn: str, *, locations: int, skus: int, levels: int, rounds: int) -> None:
    pool = await open_pool(dsn, size=2, statement_timeout_ms=round(timedelta(minutes=20).total_seconds() * 1000))
    try:
        database = Database(pool)
        await fill(database, locations=locations, skus=skus, levels=levels)
        count = await pool.fetchval("SELECT count(*) FROM stock")
        began = time.perf_counter()
        columns = await load(database)
        seconds = time.perf_counter() - began
        print(f"{locations:,} locations, {skus:,} SKUs, {count:,} levels; load average {os.getloadavg()[0]:.1f}\n")
        await compare(database, columns, skus=skus, rounds=rounds)
        random, ids = Random(2), [row["id"] for row in await pool.fetch("SELECT id FROM location")]
        keys = [(sku(random.randrange(skus)), random.choice(ids)) for _ in range(100_000)]
        print(f"\n{'load':<28}{count / seconds:>16,.0f} rows/s, {seconds:.1f} s")
        print(f"{'upkeep':<28}{keep(columns, keys):>16.2f} us a change")
        print(f"{'memory':<28}{columns.size / 1e6:>16.1f} MB")
    finally:
        await pool.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--locations", type=int, default=2_000)
    parser.add_argument("--skus", type=int, default=10_000)
    parser.add_argument("--levels", type=int, default=400, help="locations that have each SKU")
    parser.add_argument("--rounds", type=int, default=1_000, help="carts of each size")
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="crossdock-bench-"))
    folder.chmod(0o711)
    try:
        with embedded.server(folder / "data") as dsn:
            migrate(dsn)
            asyncio.run(run(dsn, **vars(chosen)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
