"""GraphQL on the wire: the ASGI view that serves a schema over HTTP, server-sent events and WebSocket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias, cast

import orjson
from graphql import ExecutionResult, GraphQLError, OperationType
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.subscriptions import GRAPHQL_SSE_PROTOCOL, GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types.unset import UnsetType

from app import asked, graphiql
from app.admission import Admitted, Gate, NotRun
from app.asked import EVENTS, JSON, Asked, Refused, media_type
from app.auth import Unauthorized, bearer
from app.execution import Schema
from app.faults import present
from app.hub import Asking, Hub, Runs, Window
from app.jwks import KeysUnavailable
from app.sockets import SocketLimits, Sockets
from app.streaming import HEADERS, Events, failed, join, telling, until
from app.subscriptions import TRY_AGAIN, Session, SocketHandler, TextAdapter
from domain.transaction import OUTAGES
from domain.viewer import Viewer
from schema.context import Context

Authenticate: TypeAlias = Callable[[str], Awaitable[Viewer]]
OpenContext: TypeAlias = Callable[[Viewer], Awaitable[object]]

LONGEST_TOKEN = 8192

METHODS = ("GET", "HEAD", "POST", "OPTIONS")
ALLOW = ", ".join(METHODS)
BY_GET = frozenset({OperationType.QUERY})
BY_POST = BY_GET | {OperationType.MUTATION}

STATUS = {"INTERNAL": 500, "UNAVAILABLE": 503, "TIMEOUT": 504}
"""Of an answer without data; any other error is the caller's, 400."""


class GraphQLView(GraphQL[Any, None]):
    """Serves one schema on one path."""

    schema: Schema
    websocket_adapter_class = TextAdapter
    graphql_transport_ws_handler_class = SocketHandler

    def __init__(
        self,
        schema: Schema,
        *,
        authenticate: Authenticate,
        open_context: OpenContext,
        gate: Gate | None = None,
        limits: SocketLimits | None = None,
        window: Window | None = None,
        origins: tuple[str, ...] = (),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        limits = limits or SocketLimits()
        super().__init__(
            schema,
            graphql_ide=None,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL, GRAPHQL_SSE_PROTOCOL),
            max_subscriptions_per_connection=None,  # SocketHandler counts them
            allowed_origins=origins,
        )
        self.authenticate = authenticate
        self.open_context = open_context
        self.gate = gate or Gate(documents=schema.documents)
        self.now = now
        self.sockets = Sockets(limits)
        self.hub, self.asking = Hub(schema.stream, Runs(window or Window())), Asking(schema.documents)
        self.stopping = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or serve one socket."""
        if scope["type"] == "websocket":
            session = Session(
                open_context=self.open_context,
                authenticate=self.authenticate,
                now=self.now,
                sockets=self.sockets,
                hub=self.hub,
                asking=self.asking,
                gate=self.gate,
            )
            await self.run(WebSocket(scope, receive, send), context=session)
            return
        request = Request(scope, receive)
        response = graphiql.page() if graphiql.is_wanted(request) else await self._answer(request)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        accept = media_type(request.headers.get("accept", ""))
        media = JSON if accept == EVENTS else accept
        try:
            if request.method == "OPTIONS":
                return Response(status_code=204, headers={"Allow": ALLOW})
            if request.method not in METHODS:
                raise Refused(405, "GraphQL is served by GET and POST.", "METHOD_NOT_ALLOWED", Allow=ALLOW)  # noqa: TRY301
            viewer = await self._viewer(request)
            wanted = await asked.read_request(request, self.gate.bodies)
            allowed = BY_POST if request.method == "POST" else BY_GET
            if accept == EVENTS:
                return await self._stream(request, wanted, viewer, allowed | {OperationType.SUBSCRIPTION})
            admitted = await self.gate.admit(wanted, viewer, _address(request), allowed)
            return await self._run(wanted, admitted, await self.open_context(viewer), media)
        except NotRun as error:
            status = 200 if media == JSON else _status(error.errors)
            return _refusal(media, status, error.errors)
        except Refused as error:
            return _refusal(media, error.status, (error.error,), error.headers)
        except Exception as error:  # noqa: BLE001 - told under a reference
            fault = present(error)
            return _refusal(media, _status((fault,)), (fault,))

    async def _viewer(self, request: Request) -> Viewer:
        """Return the caller, by a header that no browser sends of itself.

        So a page of another origin cannot ask anything in its visitor's name, and no simple request is ever run.
        """
        header = request.headers.get("authorization")
        if header is not None and len(header) > LONGEST_TOKEN:
            raise Refused(431, f"A token has at most {LONGEST_TOKEN} bytes.", "TOKEN_TOO_LARGE")
        try:
            return await self.authenticate(bearer(header))
        except Unauthorized as error:
            raise Refused(401, str(error), "UNAUTHENTICATED", **{"WWW-Authenticate": "Bearer"}) from None
        except KeysUnavailable:
            raise Refused(503, "Nobody can say who you are. Try again.", "UNAVAILABLE") from None

    async def _run(self, wanted: Asked, admitted: Admitted, context: object, media: str) -> Response:
        """Run a query or a mutation, and answer in the media type asked for."""
        result = await self.schema.run(admitted.document, context, wanted.variables, wanted.operation_name)
        answer: dict[str, object] = {"data": result.data} if _ran(result) else {}
        if result.errors:
            answer["errors"] = [error.formatted for error in result.errors]
        if (told := admitted.told(wanted)) is not None:
            answer["extensions"] = told
        status = 200 if media == JSON or _ran(result) else _status(tuple(result.errors or ()))
        headers = admitted.left.headers if admitted.left else None
        return Response(orjson.dumps(answer), status_code=status, media_type=media, headers=headers)

    async def _stream(
        self, request: Request, wanted: Asked, viewer: Viewer, allowed: frozenset[OperationType]
    ) -> Response:
        """Run an operation, and answer with a stream of events; what cannot run is told in the first and only one."""
        request.state.viewer = viewer
        try:
            admitted = await self.gate.admit(wanted, viewer, _address(request), allowed)
        except NotRun as error:
            return StreamingResponse(failed(error.errors), headers=HEADERS)
        context, text = await self.open_context(viewer), admitted.document.text
        left = admitted.left.headers if admitted.left else {}
        if isinstance(context, Context):
            ask = self.asking.read(text, wanted.variables, wanted.operation_name, context.viewer)
            if ask is not None:
                events = join(self.hub, ask, context, request)
                return StreamingResponse(self._ending(request, events), headers={**HEADERS, **left})
        result = await self.schema.stream(
            text,
            variable_values=wanted.variables,
            context_value=context,
            operation_name=wanted.operation_name,
        )
        if (told := admitted.told(wanted)) is not None:
            result = telling(cast("Any", result), told)
        sub_response = await self.get_sub_response(request)
        sub_response.headers.update(left)
        return await self._create_streaming_response(request, cast("Any", result), "sse", sub_response)

    async def on_ws_connect(self, context: object) -> UnsetType:
        """Take the caller's token from connection_init; a wrong one closes the socket, 4403; 1013 if nobody can say."""
        assert isinstance(context, Session)  # noqa: S101 - what __call__ gave
        try:
            context.token = bearer(context.header())
            context.viewer = await self.authenticate(context.token)
        except Unauthorized as error:
            raise ConnectionRejectionError from error
        except (KeysUnavailable, *OUTAGES) as error:
            if context.close is not None:
                await context.close(TRY_AGAIN, "Nobody can say who you are. Try again.")
            raise ConnectionRejectionError from error
        if context.count is not None:
            await context.count()
        return UnsetType()

    def decode_json(self, data: str | bytes) -> object:
        """Return what the JSON says."""
        return orjson.loads(data)

    def encode_json(self, data: object) -> bytes:
        """Return JSON."""
        return orjson.dumps(data)

    async def create_streaming_response(
        self,
        request: Request | WebSocket,
        stream: Callable[[], AsyncIterator[str]],
        sub_response: Response,
        headers: Mapping[str, str],
    ) -> Response:
        """Return a stream of events, which ends when the token does or the server stops."""
        ending = lambda: self._ending(request, cast("Events", stream()))  # noqa: E731
        return await super().create_streaming_response(request, ending, sub_response, headers)

    def _ending(self, request: Request | WebSocket, events: Events) -> Events:
        return until(events, request, authenticate=self.authenticate, now=self.now, stopping=self.stopping)


def _address(request: Request | WebSocket) -> str:
    return request.client.host if request.client else ""


def _ran(result: ExecutionResult) -> bool:
    """Say whether anything was run: an error before that has no place in the data, and the answer no data."""
    return result.data is not None or any(error.path is not None for error in result.errors or ())


def _status(errors: tuple[GraphQLError, ...]) -> int:
    codes = {str((error.extensions or {}).get("code")) for error in errors}
    return next((status for code, status in STATUS.items() if code in codes), 400)


def _refusal(
    media: str, status: int, errors: tuple[GraphQLError, ...], headers: Mapping[str, str] | None = None
) -> Response:
    body = orjson.dumps({"errors": [error.formatted for error in errors]})
    return Response(body, status_code=status, media_type=media, headers=headers)
