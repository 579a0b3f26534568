"""The gateway: Postgres, the feed, the wake-ups and the API, wired into one ASGI application."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import asyncpg.exceptions
import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app import carriers, duties, graphiql
from app.admission import opened_gate
from app.background import running
from app.carriers.routes import Doors
from app.execution import Schema, build_schema
from app.graphql import GraphQLView, OpenContext
from app.hub import Window
from app.identity import Identity
from app.metrics import Metrics
from app.observing import Observing
from app.requests import name_socket
from app.settings import Settings
from app.sockets import SocketLimits
from app.wakeups import wakeups
from app.webhooks import Tellers
from app.workers import run_about, work
from domain import migrations
from domain.api_keys import ApiKeys
from domain.availability import Stock
from domain.cities import cities
from domain.feed import Feed
from domain.network import Networks
from domain.placement import Batcher, Placement
from domain.promises import Promises
from domain.reservations import Terms
from domain.timers import begin
from domain.transaction import OUTAGES, Database, open_pool
from domain.viewer import Viewer
from domain.vocabulary import Role
from domain.webhooks import Targets
from schema.context import Context

log = structlog.get_logger(__name__)

GRAPHQL = "/graphql"
READY_SECONDS = 1.0
FEED_SECONDS = 10.0
"""A process that has not caught up with the feed for so long tells of yesterday's stock."""
CLOSE_SECONDS = 5.0
RETRY_SECONDS = 1.0
ZIPPED_BYTES = 4096
ZIPPED_LEVEL = 4
PREFLIGHT_SECONDS = 7200


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """What lives as long as the process, found at `app.state.gateway`."""

    database: Database
    feed: Feed
    networks: Networks
    stock: Stock
    placement: Placement
    promises: Promises
    terms: Terms
    targets: Targets
    tailing: asyncio.Task[None]

    async def open_context(self, viewer: Viewer, *, now: Callable[[], datetime]) -> Context:
        """Return the context of one operation: where the updates stand as it begins, and fresh loaders."""
        standing = self.feed.position
        if viewer.role is Role.STORE:
            known = (await self.networks.knowing(viewer.location_codes)).id_by_code
            ids = frozenset(known[code] for code in viewer.location_codes if code in known)
            viewer = replace(viewer, location_ids=ids)
        return Context(
            database=self.database,
            feed=self.feed,
            networks=self.networks,
            stock=self.stock,
            placement=self.placement,
            promises=self.promises,
            terms=self.terms,
            targets=self.targets,
            viewer=viewer,
            now=now,
            standing=standing,
        )


class Application(Starlette):
    """Requests go through what stands around them, a socket goes to its door at once: layers would last as long as it.

    `doors` are the applications of sockets, by their paths.
    """

    doors: Mapping[str, ASGIApp]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or serve one socket."""
        door = self.doors.get(scope["path"]) if scope["type"] == "websocket" else None
        if door is None:
            await super().__call__(scope, receive, send)
        else:
            name_socket(scope)
            await door(scope, receive, send)


def create_app(
    settings: Settings,
    dsn: str,
    *,
    schema: Schema | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Application:
    """Return the gateway to the Postgres at `dsn`; `schema` is the whole API unless another is given.

    Whoever serves it sets `app.state.stopping` when it begins to stop: streams of events end then.
    """
    identity = Identity.of(settings, now=now)

    async def open_context(viewer: Viewer) -> Context:
        gateway: Gateway = app.state.gateway
        return await gateway.open_context(viewer, now=now)

    served = schema or build_schema(subgraph=settings.federation)
    view = _view(settings, served, identity, open_context, now)
    metrics = Metrics(sockets=lambda: len(view.sockets), executions=lambda: len(view.hub.runs))
    observing = Observing(settings, metrics)
    served.watch = observing.operation

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with _gateway(settings, dsn, identity, now) as gateway:
            app.state.gateway = gateway
            metrics.follow(gateway.feed, gateway.stock, gateway.database.pool, gateway.placement.batcher)
            async with running(metrics.keep(), name="figures"):
                yield
        await view.gate.close()
        await asyncio.to_thread(observing.close)  # it waits for the collector

    routes = [*_routes(view, metrics), *Doors(settings, now).routes()]
    app = Application(routes=routes, middleware=[*observing.middleware(), *_middleware(settings)], lifespan=lifespan)
    app.doors = {GRAPHQL: view}
    app.state.stopping = view.stopping
    return app


def _view(
    settings: Settings, schema: Schema, identity: Identity, open_context: OpenContext, now: Callable[[], datetime]
) -> GraphQLView:
    return GraphQLView(
        schema,
        gate=opened_gate(settings, schema),
        authenticate=identity.viewer,
        open_context=open_context,
        limits=_limits(settings),
        window=_window(settings),
        origins=settings.cors_origins or (),
        now=now,
    )


def _limits(settings: Settings) -> SocketLimits:
    return SocketLimits(
        init_seconds=settings.ws_init_seconds,
        ping_seconds=settings.ws_ping_seconds,
        operations=settings.ws_operations,
        of_a_token=settings.ws_of_a_token,
        of_an_address=settings.ws_of_an_address,
    )


def _window(settings: Settings) -> Window:
    return Window(
        updates=settings.updates_kept, bytes=settings.updates_kept_bytes, bytes_of_all=settings.updates_all_bytes
    )


def _routes(view: GraphQLView, metrics: Metrics) -> list[BaseRoute]:
    return [
        Route(GRAPHQL, view),
        Route("/healthz", _healthz),
        Route("/readyz", _readyz),
        Route("/metrics", metrics.page),
        Route("/favicon.ico", _no_icon),
        graphiql.assets(),
    ]


def _middleware(settings: Settings) -> list[Middleware]:
    """Return what answers pass through: gzip, which leaves streams of events alone, and what other origins may do."""
    zipped = Middleware(GZipMiddleware, minimum_size=ZIPPED_BYTES, compresslevel=ZIPPED_LEVEL)
    if not settings.cors_origins:
        return [zipped]
    cors = Middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type", "Last-Event-ID", "X-Request-ID"],
        expose_headers=["RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-Id"],
        max_age=PREFLIGHT_SECONDS,
    )
    return [cors, zipped]


@asynccontextmanager
async def _opened(dsn: str, *, size: int) -> AsyncIterator[Database]:
    """Yield the way to Postgres; in the end its connections are closed, or cut where that takes too long."""
    pool = await open_pool(dsn, size=size)
    try:
        yield Database(pool)
    finally:
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await pool.close()
        except (TimeoutError, *OUTAGES):
            pool.terminate()


@asynccontextmanager
async def _gateway(
    settings: Settings, dsn: str, identity: Identity, now: Callable[[], datetime]
) -> AsyncIterator[Gateway]:
    async with _opened(dsn, size=settings.pool_max_size) as database:
        feed = Feed(database)
        await feed.start()
        async with wakeups(dsn=dsn, broadcast_url=settings.broadcast_url, on_wake=feed.nudge) as wake:
            database.wake, identity.api_keys = wake, ApiKeys(database)
            networks, stock = Networks(database), Stock(database, feed)
            promises = Promises(identity.secret.encode(), timedelta(minutes=settings.option_ttl_minutes))
            batcher = Batcher(database, timedelta(hours=settings.idempotency_hours))
            targets, seconds = Targets(private=settings.webhook_private), settings.webhook_timeout_seconds
            tellers = Tellers(database=database, feed=feed, dsn=dsn, targets=targets, seconds=seconds, now=now)
            await begin(database, duties.EVER, now=now())
            async with (
                running(_for_ever(feed.tail, "feed"), name="feed") as tailing,
                running(_for_ever(stock.keep, "stock"), name="stock"),
                running(_for_ever(networks.keep, "network"), name="network"),
                running(_for_ever(networks.watch, "sitting"), name="sitting"),
                running(_for_ever(tellers.run, "webhooks"), name="webhooks"),
                running(cities(), name="cities"),
                running(work(database, duties.handlers(networks, settings), now), name="timers"),
                carriers.opened(settings) as found,
                running(run_about(database, duties.errands(networks, found), now), name="errands"),
            ):
                yield Gateway(
                    database=database,
                    feed=feed,
                    networks=networks,
                    stock=stock,
                    placement=Placement(database, networks, promises, batcher),
                    promises=promises,
                    terms=Terms(
                        usual=timedelta(minutes=settings.reservation_minutes),
                        longest=timedelta(minutes=settings.reservation_max_minutes),
                    ),
                    targets=targets,
                    tailing=tailing,
                )


async def _for_ever(work: Callable[[], Awaitable[None]], name: str) -> None:
    """Do work that has no end, and begin anew where it fails."""
    while True:
        try:
            await work()
        except OUTAGES as error:
            log.warning("work_waits", work=name, error=str(error) or type(error).__name__)
        except Exception:
            log.exception("work_failed", work=name)
        await asyncio.sleep(RETRY_SECONDS)


async def _healthz(_: Request) -> Response:
    """Say that the process lives."""
    return JSONResponse({"status": "ok"})


async def _readyz(request: Request) -> Response:
    """Say whether requests can be answered, and else what is missing."""
    gateway: Gateway = request.app.state.gateway
    revision = await _revision(gateway.database)
    parts = {
        "database": revision is not None,
        "migrations": revision is not None and revision >= migrations.newest(),
        "feed": not gateway.tailing.done() and gateway.feed.age() < FEED_SECONDS,
    }
    ready = all(parts.values())
    said = {part: "ok" if fine else "unavailable" for part, fine in parts.items()}
    return JSONResponse({"status": "ok" if ready else "unavailable", **said}, status_code=200 if ready else 503)


async def _revision(database: Database) -> str | None:
    """Return the revision of the tables; None while Postgres does not answer."""
    try:
        async with asyncio.timeout(READY_SECONDS), database.reading() as connection:
            revision: str = await connection.fetchval("SELECT version_num FROM alembic_version")
            return revision
    except (*OUTAGES, asyncpg.exceptions.PostgresError):
        return None


async def _no_icon(_: Request) -> Response:
    return Response(status_code=204)
