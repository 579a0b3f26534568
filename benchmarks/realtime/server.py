"""The gateway, with doors beside it: Strawberry's own handler, a bare broadcast, and something to tell them all."""

import resource
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import psutil
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect
from strawberry.asgi import GraphQL
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from app import main, wire
from app.execution import build_schema
from app.settings import Settings
from domain.feed import Fact, record
from domain.viewer import Viewer
from domain.vocabulary import Role, UpdateKind
from schema.context import Context
from schema.paging import global_id

SKU = "sku-0"


class Timed(wire.Wire):
    """Notes when a socket was last written to."""

    at = 0.0

    def _flush(self) -> None:
        super()._flush()
        Timed.at = time.monotonic()


class Naive(GraphQL[Context, None]):
    """Strawberry as it comes: every socket executes every update, and encodes it."""

    def __init__(self, app: Starlette) -> None:
        super().__init__(build_schema(), graphql_ide=None, subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL])
        self._app = app

    async def get_context(self, request: Any, response: Any) -> Context:  # noqa: ANN401, ARG002 - Strawberry's
        hour = datetime.now(UTC) + timedelta(hours=1)
        viewer = Viewer(role=Role.ADMIN, name="Ada", expires_at=hour)
        context: Context = await self._app.state.gateway.open_context(viewer, now=lambda: datetime.now(UTC))
        return context


class Bare:
    """A broadcast with nothing around it."""

    def __init__(self) -> None:
        self.sockets: set[WebSocket] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = WebSocket(scope, receive, send)
        await socket.accept("graphql-transport-ws")
        self.sockets.add(socket)
        try:
            while True:
                await socket.receive_text()
        except WebSocketDisconnect:
            self.sockets.discard(socket)

    async def broadcast(self, request: Request) -> Response:
        began, text = time.monotonic(), (await request.body()).decode()
        for socket in list(self.sockets):
            await socket.send_text(text)
        return JSONResponse({"began": began})


def create_app(settings: Settings, dsn: str) -> main.Application:
    wire.Wire = Timed  # type: ignore[misc]
    app = main.create_app(settings, dsn)
    bare, naive = Bare(), Naive(app)

    async def tell(request: Request) -> Response:
        """Tell that stock changed at so many locations, `times` over."""
        asked, gateway = orjson.loads(await request.body()), app.state.gateway
        places = list((await gateway.networks.current()).locations)[: asked["places"]]
        fact = {"kind": UpdateKind.STOCK_CHANGED, "at": datetime.now(UTC), "sku": SKU, "quantities": (5, 2, 3)}
        facts = [Fact(location_ids=[place], **fact) for _ in range(asked.get("times", 1)) for place in places]
        async with gateway.database.pool.acquire() as connection:
            await record(connection, facts)
        began = time.monotonic()
        await gateway.database.wake()
        return JSONResponse({"began": began})

    async def usage(_: Request) -> Response:
        used = resource.getrusage(resource.RUSAGE_SELF)
        executions = next(route.endpoint.hub.runs for route in app.routes if getattr(route, "path", "") == "/graphql")
        return JSONResponse(
            {
                "cpu": used.ru_utime + used.ru_stime,
                "rss": psutil.Process().memory_info().rss,
                "executions": len(executions),
                "written": Timed.at,
            }
        )

    async def places(_: Request) -> Response:
        found = (await app.state.gateway.networks.current()).locations
        return JSONResponse([global_id("Location", str(each)) for each in found])

    app.doors = {**app.doors, "/naive": naive, "/bare": bare}
    app.router.routes += [
        Route("/places", places),
        Route("/broadcast", bare.broadcast, methods=["POST"]),
        Route("/tell", tell, methods=["POST"]),
        Route("/usage", usage),
    ]
    return app
