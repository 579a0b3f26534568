"""One update to N sockets of one worker: CPU a delivery, time until the last socket has it, memory a socket.

The hub, plainly and with direct write, beside Strawberry's own handler (every socket executes every update) and a bare
broadcast of the same bytes; each in a fresh process, the clients in another. Then 1,000 sockets on 200 locations, and
2,000 sockets that are dropped at once and resume with their cursors. A figure counts only when every socket got every
update, and none twice.

CPU is the server's, a delivery, and memory a socket. An update is written when the server has given that of the last
socket to the system, and read when the clients, which share the machine's processors, have taken it.
"""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

from realtime.stage import Stage, database, stage, token

PLACES = 200
NAIVE_MOST = 1_000
"""With more sockets Strawberry's handler takes minutes."""
QUERY = """subscription ($where: ID, $after: Cursor) { stockUpdates(locationId: $where, after: $after) {
    cursor at kind sku onHand reserved available location { id code name } level { onHand available } } }"""
MESSAGE = '{"id":"1","type":"next","payload":' + " " * 330 + "}"
WAYS = {
    "hub": ("/graphql", {}),
    "hub, direct": ("/graphql", {"DIRECT_WRITE": "true"}),
    "Strawberry's": ("/naive", {}),
    "bare": ("/bare", {}),
}


@dataclass(frozen=True, slots=True)
class Figure:
    """Of one way and one number of sockets."""

    cpu_us: float
    written_ms: float
    last_ms: float
    kib: float


def subscribe(on: Stage, count: int, *, path: str = "/graphql", **more: object) -> float:
    """Open the sockets and wait until an update has reached each; return what they took of memory, in KiB each."""
    before = on.usage()["rss"]
    asked = {"query": QUERY, "variables": [{}], "token": token()} | more if path != "/bare" else {}
    on.clients.do("open", count=count, address=on.address, path=path, **asked)
    kib = (on.usage()["rss"] - before) / count / 1024
    on.clients.do("run", seconds=1 + count / 2_000)
    return kib


def round_of(on: Stage, count: int, *, path: str, places: int = 1) -> tuple[float, float, float]:
    """Let one update reach every socket; return the server's CPU microseconds a delivery, and two times.

    They are the milliseconds from the wake-up until the server has written to the last socket, and until that has read.
    """
    on.clients.do("run", seconds=0.2)
    used = on.usage()["cpu"]
    began = on.broadcast(MESSAGE) if path == "/bare" else on.tell(places)
    heard = on.clients.do("expect", count=1)
    after = on.usage()
    assert (heard["least"], heard["most"]) == (1, 1), heard
    return (after["cpu"] - used) / count * 1e6, (after["written"] - began) * 1e3, (heard["last"] - began) * 1e3


def measure(dsn: str, way: str, count: int, rounds: int) -> Figure:
    path, settings = WAYS[way]
    with stage(dsn, **settings) as on:
        kib = subscribe(on, count, path=path)
        warm(on, path)
        times = [round_of(on, count, path=path) for _ in range(rounds)]
    return Figure(*map(median, zip(*times, strict=True)), kib)


def warm(on: Stage, path: str) -> None:
    """Let one update pass that is not counted."""
    _ = on.broadcast(MESSAGE) if path == "/bare" else on.tell()
    on.clients.do("expect", count=1)


def many_places(dsn: str, rounds: int) -> Figure:
    """1,000 sockets on 200 locations, each of which has an update."""
    with stage(dsn) as on:
        places = [{"where": where} for where in on.places()]
        kib = subscribe(on, 1_000, variables=places)
        on.tell(PLACES)
        on.clients.do("expect", count=1)
        times = [round_of(on, 1_000, path="/graphql", places=PLACES) for _ in range(rounds)]
        executions = on.usage()["executions"]
    assert executions == PLACES, executions
    return Figure(*map(median, zip(*times, strict=True)), kib)


def storm(dsn: str, count: int, missed: int, *, workers: int) -> tuple[float, float, float]:
    """Drop all sockets, tell some updates, let all come again.

    Return the seconds to connect, those until all have them, and the server's CPU microseconds a socket.
    """
    with stage(dsn, WORKERS=str(workers)) as on:
        subscribe(on, count)
        on.tell()
        cursor = on.clients.do("expect", count=1)["cursor"]
        on.clients.do("drop")
        on.tell(times=missed)
        on.clients.do("run", seconds=1)
        used = on.cpu()
        opened = on.clients.do(
            "open", count=count, address=on.address, path="/graphql", query=QUERY, variables=[{"after": cursor}],
            token=token(),
        )  # fmt: skip
        heard = on.clients.do("expect", count=missed)
        used = on.cpu() - used
        assert (heard["least"], heard["most"]) == (missed, missed), heard
        on.tell()
        live = on.clients.do("expect", count=1)
        assert (live["least"], live["most"]) == (1, 1), live
    return opened["seconds"], heard["since_open"], used / count * 1e6


@contextmanager
def titled() -> Iterator[None]:
    print(f"load {os.getloadavg()[0]:.1f} before")
    print(f"{'':14}{'sockets':>8}{'CPU us':>10}{'written ms':>12}{'read ms':>10}{'KiB':>8}")
    yield
    print(f"load {os.getloadavg()[0]:.1f} after")


def show(way: str, count: int, figure: Figure) -> None:
    times = f"{figure.written_ms:12,.1f}{figure.last_ms:10,.1f}"
    print(f"{way:14}{count:8,}{figure.cpu_us:10,.1f}{times}{figure.kib:8.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sockets", type=int, nargs="*", default=[1, 100, 1_000, 5_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--storm", type=int, default=2_000)
    chosen = parser.parse_args()
    with database(PLACES) as dsn, titled():
        for count in chosen.sockets:
            found = {}
            for way in WAYS:
                if way == "Strawberry's" and count > NAIVE_MOST:
                    continue
                found[way] = measure(dsn, way, count, chosen.rounds)
                show(way, count, found[way])
            if "Strawberry's" in found:
                ratio = found["Strawberry's"].cpu_us / found["hub"].cpu_us
                print(f"{'':14}{ratio:18.1f} x cheaper than Strawberry's")
        show("200 locations", 1_000, many_places(dsn, chosen.rounds))
        for workers in (1, 2):
            opened, live, cpu = storm(dsn, chosen.storm, 20, workers=workers)
            print(
                f"{chosen.storm:,} sockets dropped at once, {workers} workers: connected again in {opened:.2f} s,"
                f" all live after {live:.2f} s; the server's CPU {cpu:,.0f} us each"
            )


if __name__ == "__main__":
    main()
