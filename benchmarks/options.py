"""What `fulfillmentOptions` costs over HTTP, beside a bare Starlette route that answers as many bytes.

Carts of 3 lines, to places where the network's stores are, asked of one worker over kept connections: at the demo's
network, and at one of 2,000 locations that hold all items. The server's CPU seconds are those of its process.
"""

import argparse
import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Self

import orjson
import psutil

from app import auth, embedded
from app.database import migrate
from app.demo import fill
from app.demo.carriers import make_services
from app.demo.cities import read_country
from app.demo.network import make_network
from domain.imports import OnRowError
from domain.network import LocationRecord, import_carrier_services, import_locations
from domain.transaction import Database, open_pool
from domain.vocabulary import LocationKind, LocationService, Role

SECRET = "a secret for the benchmark, of 32 bytes"  # noqa: S105 - of a server that is gone afterwards
QUERY = """query ($input: FulfillmentOptionsInput!) { fulfillmentOptions(input: $input) {
    options { token method level price { amount currency } earliest latest pickupLocation { code name }
              parcels { location { code } lines { sku quantity } } }
    unavailable { method level sku code message } } }"""
WARM_SECONDS = 4.0
"""By then whoever came first has paid."""
LINES = 3
SKUS = 200
BARE = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
body = b"x" * int(sys.argv[2])
async def answer(request):
    await request.body()
    return Response(body, media_type="application/json")
uvicorn.run(Starlette(routes=[Route("/graphql", answer, methods=["POST"])]), port=int(sys.argv[1]),
            access_log=False, log_level="error")
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a round came to."""

    answers: int
    seconds: float
    cpu: float
    median_ms: float
    bytes: int

    def show(self, name: str, floor: "Taken | None" = None) -> None:
        rate, cost = self.answers / self.seconds, self.cpu / self.answers * 1e6
        ratio = f"{cost / (floor.cpu / floor.answers * 1e6):>9.1f}x" if floor else f"{1:>9.1f}x"
        print(f"{name:<26}{rate:>12,.0f}{cost:>12,.0f}{ratio}{self.median_ms:>10.1f}{self.bytes:>10,}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def served(*command: str, port: int, **env: str) -> Iterator[psutil.Process]:
    """Run a server until the end of the block, from when it accepts connections."""
    with subprocess.Popen([sys.executable, *command], env={**os.environ, **env}) as server:  # noqa: S603 - our own
        try:
            while True:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                assert server.poll() is None, "the server did not start"
                time.sleep(0.05)
            yield psutil.Process(server.pid)
        finally:
            server.terminate()


class Client:
    """One kept connection."""

    def __init__(self, port: int, token: str) -> None:
        self.port, self.head = port, f"POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        self.sizes: list[int] = []

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()

    async def ask(self, body: bytes) -> bytes:
        head = f"{self.head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self.writer.write(head.encode() + body)
        answer = await self.reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200"), answer
        length = next(int(line[15:]) for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        return await self.reader.readexactly(length)


async def measure(
    server: psutil.Process, port: int, bodies: Sequence[bytes], token: str, *, clients: int, seconds: float
) -> Taken:
    """Let so many clients ask one thing after the other."""
    times: list[float] = []
    sizes: list[int] = []

    async def client(number: int) -> None:
        random = Random(number)
        async with Client(port, token) as connection:
            while time.perf_counter() < end:
                begun = time.perf_counter()
                sizes.append(len(await connection.ask(random.choice(bodies))))
                times.append(time.perf_counter() - begun)

    end = time.perf_counter() + WARM_SECONDS
    await asyncio.gather(*(client(n) for n in range(clients)))
    times.clear()
    sizes.clear()
    begun, cpu = time.perf_counter(), sum(server.cpu_times()[:2])
    end = begun + seconds
    await asyncio.gather(*(client(n) for n in range(clients)))
    return Taken(
        answers=len(times),
        seconds=time.perf_counter() - begun,
        cpu=sum(server.cpu_times()[:2]) - cpu,
        median_ms=statistics.median(times) * 1000,
        bytes=round(statistics.mean(sizes)),
    )


def bodies(skus: Sequence[str], places: Sequence[LocationRecord], country: str) -> list[bytes]:
    random = Random(1)
    made = []
    for _ in range(500):
        place = random.choice(places)
        cart = {
            "lines": [{"sku": sku, "quantity": 1, "unitPrice": "19.99"} for sku in random.sample(skus, LINES)],
            "destination": {
                "postalCode": place.postal_code, "city": place.city, "country": country,
                "position": {"latitude": place.latitude, "longitude": place.longitude},
            },
        }  # fmt: skip
        made.append(orjson.dumps({"query": QUERY, "variables": {"input": cart}}))
    return made


async def demo(dsn: str) -> list[bytes]:
    """Make the demo's network; return what is asked of it."""
    network = make_network("DE")
    await fill(dsn, network)
    return bodies([good.record.sku for good in network.goods], network.of_kind(LocationKind.STORE), "DE")


async def large(dsn: str, count: int) -> list[bytes]:
    """Make a network of so many stores, all of which hold all items; return what is asked of it."""
    country = read_country("DE")
    places = [
        LocationRecord(
            code=f"S{n:04d}", name=f"Store {n}", kind=LocationKind.STORE,
            latitude=47.5 + (n * 37 % 700) / 100, longitude=6.5 + (n * 53 % 800) / 100, country="DE",
            postal_code="10115", city="Berlin", time_zone="Europe/Berlin",
            services=[LocationService.SHIP, LocationService.PICKUP],
        )
        for n in range(count)
    ]  # fmt: skip
    pool = await open_pool(dsn, size=1, statement_timeout_ms=600_000)
    try:
        database, now = Database(pool), datetime.now(UTC)
        await import_locations(database, places, on_error=OnRowError.REJECT_ALL, now=now)
        services = make_services(country, reach_km=1200)
        await import_carrier_services(database, services, on_error=OnRowError.REJECT_ALL)
        skus = [f"SKU-{n}" for n in range(SKUS)]
        await pool.execute("INSERT INTO item SELECT s, s, 500, '{}', '{}' FROM unnest($1::text[]) s", skus)
        await pool.execute(
            "INSERT INTO stock (sku, location_id, on_hand, updated_at)"
            " SELECT i.sku, l.id, 20 + hashtext(i.sku || l.code) % 20, now() FROM item i CROSS JOIN location l"
        )
        await pool.execute("VACUUM ANALYZE")
    finally:
        await pool.close()
    return bodies(skus, places, "DE")


def check(answer: bytes) -> None:
    found = orjson.loads(answer)
    assert "errors" not in found, found
    assert found["data"]["fulfillmentOptions"]["options"], found


async def first(port: int, token: str, asked: Sequence[bytes]) -> None:
    """Fail unless what is asked is answered with options."""
    async with Client(port, token) as client:
        for body in asked[:20]:
            check(await client.ask(body))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10, help="of each round")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--locations", type=int, default=2_000)
    chosen = parser.parse_args()
    token = auth.issue(
        SECRET, role=Role.STOREFRONT, name="bench", ttl=timedelta(hours=2), now=datetime.now(UTC), locations=()
    )
    how = {"clients": chosen.clients, "seconds": chosen.seconds}
    print(f"load average {os.getloadavg()[0]:.1f} before\n{'':<26}{'answers/s':>12}{'CPU us':>12}", end="")
    print(f"{'x route':>10}{'p50 ms':>10}{'bytes':>10}")
    size = 0
    found: list[tuple[str, Taken]] = []
    for name, make in (("demo network", demo), (f"{chosen.locations:,} locations", None)):
        with tempfile.TemporaryDirectory(prefix="crossdock-") as folder:
            Path(folder).chmod(0o711)
            with embedded.server(Path(folder) / "data") as dsn:
                migrate(dsn)
                asked = asyncio.run(make(dsn) if make else large(dsn, chosen.locations))
                port = free_port()
                env = {"DATABASE_URL": dsn, "CROSSDOCK_SECRET": SECRET, "CROSSDOCK_LOG_LEVEL": "warning"}
                with served("-m", "app", "serve", "--port", str(port), port=port, **env) as server:
                    asyncio.run(first(port, token, asked))
                    taken = asyncio.run(measure(server, port, asked, token, **how))
                    found.append((name, taken))
                    size = size or taken.bytes
    port = free_port()
    with served("-c", BARE, str(port), str(size), port=port) as server:
        floor = asyncio.run(measure(server, port, asked, token, **how))
    floor.show("bare route")
    for name, taken in found:
        taken.show(name, floor)
    print(f"load average {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    main()
