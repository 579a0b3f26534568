"""The gateway's processes around the smallest application: started, killed, stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from app.serving import FIGURES
from tests.api.serve import NO_CERTIFICATES
from tests.processes import alive, children, postmaster

WITHIN_SECONDS = 15  # what waits here takes a second on an idle machine
SERVE = """
import signal, sys
from app import database, logs, serving, settings
signal.signal(signal.SIGTERM, signal.default_int_handler)
chosen = settings.load(port=0, workers=int(sys.argv[2]))
logs.configure(chosen)
with serving.listen(chosen.host, chosen.port) as listener, database.postgres(chosen) as dsn:
    tell = lambda: print(serving.address(listener), flush=True)
    serving.serve(chosen, dsn, listener, ready=tell, application="tests.trivial:" + sys.argv[1])
"""


class Gateway:
    """A running gateway."""

    def __init__(self, data_dir: Path, application: str, workers: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVE, application, str(workers)],
            env={**os.environ, "CROSSDOCK_DATA_DIR": str(data_dir)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()

    def answer(self) -> dict[str, object]:
        return dict(httpx.get(self.address, timeout=10, verify=NO_CERTIFICATES).json())

    def figure(self, name: str) -> float:
        page = httpx.get(f"{self.address}/metrics", timeout=10, verify=NO_CERTIFICATES).text
        return sum(float(line.split()[-1]) for line in page.splitlines() if line.startswith(name))

    def workers(self) -> set[int]:
        return children(self.process.pid, "app.serving")

    def stop(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(WITHIN_SECONDS)

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def data_dir(open_folder: Path) -> Path:
    return open_folder / "served data"


@pytest.fixture
def start(data_dir: Path) -> Iterator[Callable[..., Gateway]]:
    """Start a gateway on a free port; the embedded Postgres it may leave behind is stopped afterwards."""
    gateways: list[Gateway] = []

    def begin(application: str = "create_app", workers: int = 1) -> Gateway:
        gateways.append(Gateway(data_dir, application, workers))
        return gateways[-1]

    yield begin
    for gateway in gateways:
        gateway.close()
    if pid := postmaster(data_dir):
        os.kill(pid, signal.SIGQUIT)


def eventually(holds: Callable[[], bool]) -> bool:
    """Tell whether it holds before long."""
    deadline = time.monotonic() + WITHIN_SECONDS
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


@pytest.mark.parametrize(("workers", "number"), [(1, signal.SIGINT), (1, signal.SIGTERM), (2, signal.SIGTERM)], ids=str)
def test_a_signal_ends_the_gateway_cleanly_and_leaves_no_process(
    start: Callable[..., Gateway], data_dir: Path, workers: int, number: int
) -> None:
    gateway = start(workers=workers)
    assert gateway.answer()["folder"] == str(data_dir.resolve() / "postgres" / "data")
    family = psutil.Process(gateway.process.pid).children(recursive=True)
    assert len(family) >= workers
    assert gateway.stop(number) == 0
    assert [member for member in family if alive(member.pid)] == []


def test_workers_share_the_socket_the_secret_and_the_figures_and_one_that_is_killed_is_replaced(
    start: Callable[..., Gateway],
) -> None:
    gateway = start(workers=2)
    before = gateway.workers()
    assert len(before) == 2
    assert "server" not in httpx.get(gateway.address).headers
    answers = [gateway.answer() for _ in range(39)]
    assert {answer["pid"] for answer in answers} <= before
    assert len({str(answer["secret"]) for answer in answers}) == 1
    assert [gateway.figure("crossdock_http_requests_total") for _ in range(10)] == list(range(40, 50))
    assert eventually(lambda: gateway.figure("crossdock_open_sockets") == 2)

    killed = min(before)
    os.kill(killed, signal.SIGKILL)
    assert eventually(lambda: len(gateway.workers() - {killed}) == 2)
    assert gateway.answer()["pid"] != killed
    assert gateway.figure("crossdock_http_requests_total") > 50, "what the dead have counted counts"
    assert eventually(lambda: gateway.figure("crossdock_open_sockets") == 2)


@pytest.mark.parametrize("both", [False, True])
def test_workers_end_when_their_parent_is_killed_and_the_next_start_takes_over(
    start: Callable[..., Gateway], data_dir: Path, *, both: bool
) -> None:
    begun = time.monotonic()
    gateway = start(workers=2)
    usual = time.monotonic() - begun
    workers, database = gateway.workers(), postmaster(data_dir)
    figures = Path(psutil.Process(min(workers)).environ()[FIGURES])
    assert database is not None
    assert figures.is_dir()
    if both:
        os.kill(database, signal.SIGKILL)
    gateway.process.kill()
    assert eventually(lambda: not any(alive(pid) for pid in workers))
    assert not figures.exists()
    begun = time.monotonic()
    assert start(workers=2).answer()["folder"]
    assert time.monotonic() - begun < 3 * usual + 1
    assert (postmaster(data_dir) == database) is not both


@pytest.mark.parametrize("workers", [1, 2])
def test_an_application_that_does_not_start_ends_the_gateway(start: Callable[..., Gateway], workers: int) -> None:
    gateway = start("create_broken_app", workers=workers)
    assert gateway.address == ""
    assert gateway.process.wait(WITHIN_SECONDS) == 1
    assert "does not start" in str(gateway.process.stderr and gateway.process.stderr.read())
