"""Figures for Prometheus, of this process."""

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, generate_latest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.availability import Stock
from domain.feed import Feed

METHODS = {"GET", "POST", "HEAD", "OPTIONS"}


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
        self._gauge("crossdock_open_sockets", "WebSockets open now.", sockets)
        self._gauge("crossdock_subscription_executions", "Executions that subscribers share.", executions)

    def follow(self, feed: Feed, stock: Stock) -> None:
        """Show where this process reads the feed, and what it keeps of it."""
        self._gauge("crossdock_feed_epoch", "The epoch of the feed.", lambda: feed.position.epoch)
        self._gauge(
            "crossdock_feed_xid", "The last transaction this process read of the feed.", lambda: feed.position.xid
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
