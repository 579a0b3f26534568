"""A Postgres with a network, a gateway on it in a process of its own, and its clients in another."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil

from app import auth, embedded, logs, serving
from app.database import migrate
from app.settings import load
from domain.imports import OnRowError
from domain.network import LocationRecord, import_locations
from domain.transaction import Database, connect, open_pool
from domain.vocabulary import LocationKind, Role

HERE = Path(__file__).parent
SECRET = "a secret for the benchmark, which is long enough"  # noqa: S105 - of this run
SERVE = f"""
import sys; sys.path.insert(0, {str(HERE.parent)!r})
from realtime import stage; stage.serve()
"""
MANY = "100000"
IDLE_SECONDS = 0.1
"""Of the processor, in a second, at most."""
SETTLE_SECONDS = 120
"""For the gateway to come to rest."""
LITTLE_BYTES = 16_384
"""What the operating system is to keep for a socket that does not read."""


def serve() -> None:
    """Serve in this process, at an address that it prints, until SIGTERM."""
    settings = load(port=0)
    logs.configure(settings)
    with serving.listen(settings.host, settings.port) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LITTLE_BYTES)
        tell = lambda: print(serving.address(listener), flush=True)  # noqa: E731
        serving.serve(
            settings, str(settings.database_url), listener, ready=tell, application="realtime.server:create_app"
        )


@contextmanager
def database(places: int) -> Iterator[str]:
    """Yield the DSN of a Postgres with so many locations, each with a level of one item."""
    with tempfile.TemporaryDirectory(prefix="crossdock-") as folder:
        Path(folder).chmod(0o711 if os.geteuid() == 0 else 0o700)
        with embedded.server(Path(folder) / "data") as dsn:
            migrate(dsn)
            asyncio.run(_furnish(dsn, places))
            yield dsn


async def _furnish(dsn: str, places: int) -> None:
    pool = await open_pool(dsn, size=1)
    rows = [
        LocationRecord(
            code=f"place-{n}",
            name=f"Place {n}",
            kind=LocationKind.STORE,
            latitude=52.5,
            longitude=13.4,
            country="DE",
            postal_code="10115",
            city="Berlin",
            time_zone="Europe/Berlin",
        )
        for n in range(places)
    ]
    await import_locations(Database(pool), rows, on_error=OnRowError.REJECT_ALL, now=datetime.now(UTC))
    await pool.close()
    connection = await connect(dsn)
    await connection.execute("INSERT INTO item SELECT 'sku-0', 'Item', 300, '{}', '{}', NULL")
    await connection.execute(
        "INSERT INTO stock (sku, location_id, on_hand, updated_at) SELECT 'sku-0', id, 5, now() FROM location"
    )
    await connection.close()


@dataclass(slots=True)
class Clients:
    """The process that holds the sockets."""

    process: "subprocess.Popen[str]"

    def do(self, what: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": what, **more}) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline() or "null")
        return answer


@dataclass(slots=True)
class Stage:
    """A gateway and its clients."""

    server: "subprocess.Popen[str]"
    clients: Clients
    http: httpx.Client

    @property
    def address(self) -> tuple[str, int]:
        return self.http.base_url.host, self.http.base_url.port or 0

    def tell(self, places: int = 1, times: int = 1) -> float:
        """Return the moment, on the monotonic clock, from which the update could be read."""
        return float(self.http.post("/tell", json={"places": places, "times": times}).json()["began"])

    def usage(self) -> dict[str, float]:
        answer: dict[str, float] = self.http.get("/usage").json()
        return answer

    def cpu(self) -> float:
        """Return the seconds of the processor that all workers have used."""
        process = psutil.Process(self.server.pid)
        times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
        return float(sum(each.user + each.system for each in times))

    def settle(self) -> None:
        """Wait until the gateway has done what it does once it serves. Raises TimeoutError."""
        used, until = -1.0, time.monotonic() + SETTLE_SECONDS
        while self.cpu() - used > IDLE_SECONDS:
            if time.monotonic() > until:
                raise TimeoutError("the gateway does not come to rest")
            used = self.cpu()
            time.sleep(1)

    def broadcast(self, message: str) -> float:
        """Return the moment in which the bare broadcast began."""
        return float(self.http.post("/broadcast", content=message).json()["began"])

    def places(self) -> list[str]:
        answer: list[str] = self.http.get("/places").json()
        return answer


def token() -> str:
    hour = timedelta(hours=1)
    return auth.issue(SECRET, role=Role.ADMIN, name="Ada", ttl=hour, now=datetime.now(UTC))


@contextmanager
def stage(dsn: str, **settings: str) -> Iterator[Stage]:
    """Yield a fresh gateway with fresh clients."""
    given = {"SECRET": SECRET, "DATABASE_URL": dsn, "WS_OF_A_TOKEN": MANY, "WS_OF_AN_ADDRESS": MANY}
    given |= {"LOG_LEVEL": "warning"} | settings
    environment = os.environ | {f"CROSSDOCK_{name}": value for name, value in given.items()}
    environment["PYTHONPATH"] = str(HERE.parent)  # where workers find the application
    python = [sys.executable, "-P"]
    server = subprocess.Popen(  # noqa: S603 - our own
        [*python, "-c", SERVE], env=environment, stdout=subprocess.PIPE, text=True
    )
    clients = subprocess.Popen(  # noqa: S603 - our own
        [*python, str(HERE / "clients.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        with httpx.Client(base_url=server.stdout.readline().strip(), timeout=300) as http:
            on = Stage(server, Clients(clients), http)
            on.settle()
            yield on
    finally:
        for process in (clients, server):
            process.terminate()
        for process in (clients, server):
            process.wait(20)
