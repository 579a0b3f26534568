"""Figures for Prometheus: of this process, or of all the workers of `crossdock serve`, whichever of them is asked."""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Literal, TypeAlias

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.serving import FIGURES

if TYPE_CHECKING:
    from domain.availability import Stock
    from domain.feed import Feed
    from domain.placement import Batcher
    from domain.transaction import Pool

METHODS = {"GET", "POST", "HEAD", "OPTIONS"}
MOST_OPERATIONS = 200
LONGEST_NAME = 100
"""Callers choose the names: those that come first have a figure of their own, where they are no longer than this."""
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BATCHES = (1, 2, 4, 8, 16, 32)
WRITE_SECONDS = 1.0

OfWorkers: TypeAlias = Literal["livesum", "livemax", "livemin"]
"""What becomes of a gauge of each worker that lives."""


class Metrics:
    """The figures of one application."""

    def __init__(self, *, sockets: Callable[[], int], executions: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._gauges: list[tuple[Gauge, Callable[[], float]]] = []
        self.requests = Counter(
            "crossdock_http_requests",
            "HTTP requests answered, by method and status.",
            ["method", "status"],
            registry=self._registry,
        )
        self._operations = Histogram(
            "crossdock_operation_seconds",
            "Seconds that queries and mutations took, by the name of the operation.",
            ["operation"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self._names: set[str] = set()
        self._batches = Histogram(
            "crossdock_placement_batch_orders",
            "Orders that were committed together.",
            buckets=BATCHES,
            registry=self._registry,
        )
        self._gauge("crossdock_open_sockets", "WebSockets open now.", sockets)
        self._gauge("crossdock_subscription_executions", "Executions that subscribers share.", executions)

    @contextmanager
    def operation(self, name: str | None) -> Iterator[None]:
        """Count an operation, and time it."""
        shown = name or "anonymous"
        if shown not in self._names:
            if len(self._names) < MOST_OPERATIONS and len(shown) <= LONGEST_NAME:
                self._names.add(shown)
            else:
                shown = "other"
        begun = perf_counter()
        try:
            yield
        finally:
            self._operations.labels(shown).observe(perf_counter() - begun)

    def follow(self, feed: "Feed", stock: "Stock", pool: "Pool", batcher: "Batcher") -> None:
        """Show what a process reads of the feed, keeps of it, commits, and its connections to Postgres."""
        batcher.observe = self._batches.observe
        self._gauge("crossdock_pool_connections", "Connections to Postgres.", pool.get_size)
        self._gauge("crossdock_pool_idle_connections", "Those of them that nobody uses.", pool.get_idle_size)
        self._gauge("crossdock_pool_max_connections", "As many as there may be.", pool.get_max_size)
        self._gauge("crossdock_feed_epoch", "The epoch of the feed.", lambda: feed.position.epoch, "livemin")
        read = "The last transaction read of the feed; of workers, of the last of them."
        self._gauge("crossdock_feed_xid", read, lambda: feed.position.xid, "livemin")
        lag = "How long ago all there was of the feed had been read; of workers, of the last of them."
        self._gauge("crossdock_feed_lag_seconds", lag, feed.age, "livemax")
        age = "How long ago the stock in memory was known to be Postgres's; of workers, the oldest."
        self._gauge("crossdock_stock_age_seconds", age, feed.age, "livemax")
        size = "What the stock in memory takes, 0 while Postgres is asked; of workers, the least."
        self._gauge("crossdock_stock_bytes", size, lambda: stock.size, "livemin")

    def _gauge(self, name: str, told: str, read: Callable[[], float], of_workers: OfWorkers = "livesum") -> None:
        self._gauges.append((Gauge(name, told, registry=self._registry, multiprocess_mode=of_workers), read))

    def _write(self) -> None:
        for gauge, read in self._gauges:
            gauge.set(read())

    async def keep(self) -> None:
        """Write the gauges down for whichever worker is asked."""
        while True:
            self._write()
            await asyncio.sleep(WRITE_SECONDS)

    async def page(self, _: Request) -> Response:
        """Return the figures as Prometheus reads them."""
        self._write()
        return Response(await asyncio.to_thread(self._shown), headers={"Content-Type": CONTENT_TYPE_LATEST})

    def _shown(self) -> bytes:
        """Return the page; of several workers it is read from the files of them all, away from the loop."""
        shown = self._registry
        if folder := os.environ.get(FIGURES):
            shown = CollectorRegistry()
            MultiProcessCollector(shown, folder)  # type: ignore[no-untyped-call]
        return generate_latest(shown)


class CountRequests:
    """Counts answers by method and status."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and count what is answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in METHODS else "other"

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.requests.labels(method, str(message["status"])).inc()
            await send(message)

        await self._app(scope, receive, counted)
