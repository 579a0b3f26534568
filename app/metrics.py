"""Figures for Prometheus, of this process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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


class Metrics:
    """The figures of one application."""

    def __init__(self, *, sockets: Callable[[], int], executions: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
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

    def follow(self, feed: Feed, stock: Stock, pool: Pool, batcher: Batcher) -> None:
        """Show what a process reads of the feed, keeps of it, commits, and its connections to Postgres."""
        batcher.observe = self._batches.observe
        self._gauge("crossdock_pool_connections", "Connections to Postgres.", pool.get_size)
        self._gauge("crossdock_pool_idle_connections", "Those of them that nobody uses.", pool.get_idle_size)
        self._gauge("crossdock_pool_max_connections", "As many as there may be.", pool.get_max_size)
        self._gauge("crossdock_feed_epoch", "The epoch of the feed.", lambda: feed.position.epoch)
        self._gauge(
            "crossdock_feed_xid", "The last transaction this process read of the feed.", lambda: feed.position.xid
        )

        self._gauge(
            "crossdock_feed_lag_seconds", "How long ago this process had read all there was of the feed.", feed.age
        )
        self._gauge(
            "crossdock_stock_age_seconds", "How long ago the stock in memory was known to be Postgres's.", feed.age
        )
        self._gauge(
            "crossdock_stock_bytes", "What the stock in memory takes; 0 while Postgres is asked.", lambda: stock.size
        )

    def _gauge(self, name: str, told: str, read: Callable[[], float]) -> None:
        Gauge(name, told, registry=self._registry).set_function(read)

    async def page(self, _: Request) -> Response:
        """Return the figures as Prometheus reads them."""
        return Response(generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


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
