"""Operations of the whole life of work over HTTP, accept to hand over, beside a bare Starlette route.

Orders of 2 lines are placed first, at a network of one warehouse; then clients of one worker work them off, each its
own assignment, step after step over a kept connection. The CPU seconds are those of the gateway's process and, beside
them, of its Postgres, which syncs its commits.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import psutil
from options import BARE, SECRET, Client, free_port, measure, served

from app import auth, embedded
from app.database import migrate
from app.demo.carriers import make_services
from app.demo.cities import read_country
from domain import inventory
from domain.imports import OnRowError
from domain.inventory import ItemRecord, StockRecord
from domain.network import LocationRecord, import_carrier_services, import_locations
from domain.transaction import Database, open_pool
from domain.vocabulary import LocationKind, Role

PLACE = """mutation ($input: PlaceOrderInput!) { placeOrder(input: $input) { __typename
    ... on Order { assignments { id lines { id quantity } } } ... on UserError { message } } }"""
WORK = "{ __typename ... on Assignment { id status allowedActions } ... on UserError { message } }"
STEPS: Mapping[str, str] = {
    "acceptAssignment": "",
    "startPicking": "",
    "reportPicked": ", lines: $lines",
    "packAssignment": "",
    "handOverAssignment": "",
}
SKUS = ("mug", "lamp")


@dataclass(slots=True)
class Worked:
    """How long each step took, in ms."""

    times: dict[str, list[float]] = field(default_factory=lambda: {step: [] for step in STEPS})

    @property
    def all(self) -> list[float]:
        return [took for times in self.times.values() for took in times]


async def stock_up(dsn: str) -> None:
    """Make a warehouse that has plenty of everything, and its carriers."""
    country, now = read_country("DE"), datetime.now(UTC)
    city, whole = country.cities[0], OnRowError.REJECT_ALL
    place = LocationRecord(
        code="W", name="Warehouse", kind=LocationKind.WAREHOUSE, latitude=city.position.latitude,
        longitude=city.position.longitude, country="DE", postal_code="10115", city=city.name, time_zone="Europe/Berlin",
    )  # fmt: skip
    pool = await open_pool(dsn, size=2)
    try:
        database = Database(pool)
        await import_locations(database, [place], on_error=whole, now=now)
        await import_carrier_services(database, make_services(country, reach_km=1200), on_error=whole)
        items = [ItemRecord(sku=sku, name=sku, weight_grams=400) for sku in SKUS]
        await inventory.import_items(database, items, on_error=whole, now=now)
        levels = [StockRecord(sku=sku, location_code="W", on_hand=1_000_000) for sku in SKUS]
        await inventory.import_stock(database, levels, on_error=whole, now=now)
    finally:
        await pool.close()


async def ask(client: Client, query: str, variables: Mapping[str, object]) -> dict[str, Any]:
    """Return the one root field's answer, which is no refusal."""
    answer = orjson.loads(await client.ask(orjson.dumps({"query": query, "variables": variables})))
    assert "errors" not in answer, answer
    (found,) = answer["data"].values()
    assert "message" not in found, found
    return dict(found)


async def placed(port: int, token: str, count: int) -> list[dict[str, Any]]:
    """Place so many orders; return their work."""
    home = {"postalCode": "10115", "city": "Berlin", "country": "DE", "lines": ["Chausseestr. 1"]}
    lines = [{"sku": sku, "quantity": 1, "unitPrice": "19.99"} for sku in SKUS]
    order = {"customer": {"name": "Ada"}, "lines": lines, "method": "DELIVERY", "level": "STANDARD", "shipTo": home}
    async with Client(port, token) as client:
        answers = [
            await ask(client, PLACE, {"input": {**order, "idempotencyKey": f"order {number}"}})
            for number in range(count)
        ]
    return [work for answer in answers for work in answer["assignments"]]


async def work_off(port: int, token: str, work: Sequence[dict[str, Any]], clients: int) -> Worked:
    """Take every step with each piece of work, several at a time."""
    worked, waiting = Worked(), list(work)

    async def clerk() -> None:
        async with Client(port, token) as client:
            while waiting:
                one = waiting.pop()
                picked = [{"lineId": line["id"], "picked": line["quantity"]} for line in one["lines"]]
                for step, told in STEPS.items():
                    declared = ", $lines: [PickedLineInput!]!" if told else ""
                    query = f"mutation ($id: ID!{declared}) {{ {step}(id: $id{told}) {WORK} }}"
                    begun = time.perf_counter()
                    await ask(client, query, {"id": one["id"], **({"lines": picked} if told else {})})
                    worked.times[step].append((time.perf_counter() - begun) * 1000)

    await asyncio.gather(*(clerk() for _ in range(clients)))
    return worked


def cpu(*processes: psutil.Process) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def of_postgres(folder: Path) -> list[psutil.Process]:
    (running,) = folder.glob("**/postmaster.pid")
    postmaster = psutil.Process(int(running.read_text().split()[0]))
    return [postmaster, *postmaster.children()]


def token(role: Role, *locations: str) -> str:
    return auth.issue(SECRET, role=role, name="b", ttl=timedelta(hours=2), now=datetime.now(UTC), locations=locations)


async def run(server: psutil.Process, folder: Path, port: int, *, orders: int, clients: int) -> float:
    """Print what working off so many orders came to; return the gateway's CPU microseconds an operation."""
    office, store = token(Role.OPERATIONS), token(Role.STORE, "W")
    work = await placed(port, office, orders + clients)
    await work_off(port, store, work[:clients], clients)  # whoever comes first pays
    begun, gateway, postgres = time.perf_counter(), cpu(server), cpu(*of_postgres(folder))
    worked = await work_off(port, store, work[clients:], clients)
    count, seconds = len(worked.all), time.perf_counter() - begun
    each = (cpu(server) - gateway) / count * 1e6
    there = (cpu(*of_postgres(folder)) - postgres) / count * 1e6
    print(f"{count:,} operations: {count / seconds:,.0f}/s, p50 {statistics.median(worked.all):.1f} ms")
    print(f"CPU an operation: gateway {each:,.0f} us, Postgres {there:,.0f} us")
    for step, times in worked.times.items():
        print(f"  {step:<20} p50 {statistics.median(times):5.1f} ms")
    return each


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=1_000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=5, help="of the bare route")
    chosen = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.1f} before")
    with tempfile.TemporaryDirectory(prefix="crossdock-") as folder:
        Path(folder).chmod(0o711)
        with embedded.server(Path(folder) / "data") as dsn:
            migrate(dsn)
            asyncio.run(stock_up(dsn))
            port = free_port()
            env = {"DATABASE_URL": dsn, "CROSSDOCK_SECRET": SECRET, "CROSSDOCK_LOG_LEVEL": "warning"}
            with served("-m", "app", "serve", "--port", str(port), port=port, **env) as server:
                how = {"orders": chosen.orders, "clients": chosen.clients}
                each = asyncio.run(run(server, Path(folder), port, **how))
    port = free_port()
    with served("-c", BARE, str(port), "200", port=port) as server:
        floor = asyncio.run(measure(server, port, [b"{}"], "x", clients=chosen.clients, seconds=chosen.seconds))
    bare = floor.cpu / floor.answers * 1e6
    print(
        f"bare route: {floor.answers / floor.seconds:,.0f}/s, CPU {bare:,.0f} us; an operation is {each / bare:.0f} x"
    )
    print(f"load average {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    main()
