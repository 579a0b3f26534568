"""GraphQL on the wire: the schema, and the ASGI view that serves it over HTTP, server-sent events and WebSocket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias, cast

import orjson
import strawberry
from cross_web import AsyncHTTPRequestAdapter, HTTPException
from graphql import GraphQLError, OperationDefinitionNode
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError, MissingQueryError
from strawberry.extensions.runner import SchemaExtensionsRunner
from strawberry.http import GraphQLHTTPResponse, GraphQLRequestData
from strawberry.http.parse_content_type import parse_content_type
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.subscriptions import GRAPHQL_SSE_PROTOCOL, GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types import ExecutionContext, ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType
from strawberry.types.unset import UnsetType

from app import graphiql
from app.auth import Unauthorized, bearer
from app.documents import Documents, holds_nul, no_nul
from app.faults import present
from app.hub import Asking, Hub, Runs, Window
from app.jwks import KeysUnavailable
from app.streaming import HEADERS, Events, join, until
from app.subscriptions import Session, SocketHandler, SocketLimits, Sockets, TextAdapter
from domain.viewer import Viewer
from schema.context import Context

Authenticate: TypeAlias = Callable[[str], Awaitable[Viewer]]
Watch: TypeAlias = Callable[[str | None], AbstractContextManager[None]]
"""What stands around an operation of that name while it runs."""
OpenContext: TypeAlias = Callable[[Viewer], Awaitable[object]]

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"

SSE = GRAPHQL_SSE_PROTOCOL

STATUS = {"INTERNAL": 500, "UNAVAILABLE": 503}  # of an answer without data; any other error is the caller's, 400


class Schema(strawberry.Schema):
    """The schema, with its documents kept and its errors fit to be shown."""

    documents: Documents
    watch: Watch

    async def execute(self, query: str | None, *arguments: Any, **named: Any) -> ExecutionResult:  # noqa: ANN401 - Strawberry's
        """Run an operation, watched under its name."""
        with self.watch(named.get("operation_name") or self._name(query)):
            return await super().execute(query, *arguments, **named)

    def _name(self, query: str | None) -> str | None:
        node = self.documents.read(query).node if query else None
        operations = [each for each in node.definitions if isinstance(each, OperationDefinitionNode)] if node else []
        return next((each.name.value for each in operations if each.name), None)

    async def _prepare_operation_async(
        self,
        context: ExecutionContext,
        extensions_runner: SchemaExtensionsRunner,  # noqa: ARG002 - Strawberry passes it
    ) -> PreExecutionError | None:
        """Find the document of an operation, or say why it cannot run."""
        if not context.query:
            raise MissingQueryError
        document = self.documents.read(context.query)
        if document.node is None:
            return PreExecutionError(data=None, errors=list(document.errors))
        context.graphql_document = document.node
        try:
            operation_type = context.operation_type
        except RuntimeError as error:
            raise CannotGetOperationTypeError(context.operation_name) from error
        if operation_type not in context.allowed_operations:
            raise InvalidOperationTypeError(operation_type)
        if document.errors:
            return PreExecutionError(data=None, errors=list(document.errors))
        if document.operations > 1 and context._provided_operation_name is None:  # noqa: SLF001 - not public otherwise
            nameless = GraphQLError("Name the operation to run: the document holds several.")
            return PreExecutionError(data=None, errors=[present(nameless)])
        return None

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Replace each error by the one to show."""
        operation = execution_context.operation_name if execution_context else None
        errors[:] = [present(error, operation=operation) for error in errors]


def build_schema(
    query: type | None = None,
    mutation: type | None = None,
    subscription: type | None = None,
    types: tuple[type, ...] = (),
    *,
    federation: bool = False,
) -> Schema:
    """Return the schema of these roots; without any, that of the whole API, where wanted as a subgraph."""
    from schema.federation import REPRESENTATION, Representation
    from schema.scalars import SCALARS

    scalars = SCALARS
    if query is None:
        from resolvers import root

        query, mutation, subscription = root.Query, root.Mutation, root.Subscription
        if federation:
            query, scalars = root.federated(build_schema().as_str()), {**SCALARS, Representation: REPRESENTATION}
    schema = Schema(
        query=query,
        mutation=mutation,
        subscription=subscription,
        types=types,
        config=StrawberryConfig(scalar_map=scalars),
    )
    schema.watch = lambda _: nullcontext()
    schema.documents = Documents(schema._schema)  # noqa: SLF001 - graphql-core's own, not public otherwise
    return schema


class Refused(HTTPException):
    """A request that is answered before any GraphQL is run."""

    def __init__(self, status: int, reason: str, code: str, **headers: str) -> None:
        super().__init__(status, reason)
        self.code = code
        self.headers = headers


class GraphQLView(GraphQL[object, None]):
    """Serves one schema on one path."""

    websocket_adapter_class = TextAdapter
    graphql_transport_ws_handler_class = SocketHandler  # type: ignore[assignment] # its context is a Session

    def __init__(
        self,
        schema: Schema,
        *,
        authenticate: Authenticate,
        open_context: OpenContext,
        max_body_bytes: int = 2**20,
        limits: SocketLimits | None = None,
        window: Window | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        limits = limits or SocketLimits()
        super().__init__(
            schema,
            graphql_ide=None,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL, SSE),
            connection_init_wait_timeout=timedelta(seconds=limits.init_seconds),
            max_subscriptions_per_connection=limits.operations,
        )
        self.authenticate = authenticate
        self.open_context = open_context
        self.max_body_bytes = max_body_bytes
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
            )
            await self.run(WebSocket(scope, receive, send), context=session)
            return
        request = Request(scope, self._limited(receive))
        response = graphiql.page() if graphiql.is_wanted(request) else await self._answer(request)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        try:
            if request.method not in {"GET", "POST"}:
                raise Refused(405, "GraphQL is served by GET and POST.", "METHOD_NOT_ALLOWED", Allow="GET, POST")  # noqa: TRY301
            request.state.viewer = await self.authenticate(bearer(request.headers.get("authorization")))
            context = await self.open_context(request.state.viewer)
            return await self._shared(request, context) or await self.run(request, context=context)
        except Unauthorized as error:
            headers = {"WWW-Authenticate": "Bearer"}
            return _refusal(request, 401, GraphQLError(str(error), extensions={"code": "UNAUTHENTICATED"}), headers)
        except KeysUnavailable:
            fault = GraphQLError("Nobody can say who you are. Try again.", extensions={"code": "UNAVAILABLE"})
            return _refusal(request, 503, fault)
        except Refused as error:
            fault = GraphQLError(error.reason, extensions={"code": error.code})
            return _refusal(request, error.status_code, fault, error.headers)
        except HTTPException as error:
            return _refusal(request, error.status_code, GraphQLError(error.reason, extensions={"code": "BAD_REQUEST"}))
        except Exception as error:  # noqa: BLE001 - told under a reference
            fault = present(error)
            return _refusal(request, _status([fault]), fault)

    async def _shared(self, request: Request, context: object) -> Response | None:
        """Return the events of a subscription that others can share, if it is one."""
        if not isinstance(context, Context) or not self._get_stream_transport_from_headers(request.headers):
            return None
        data = await self.parse_http_body(self.request_adapter_class(request))
        ask = self.asking.read(data.query or "", data.variables, data.operation_name, context.viewer)
        return ask and StreamingResponse(self._ending(request, join(self.hub, ask, context, request)), headers=HEADERS)

    def _limited(self, receive: Receive) -> Receive:
        """Refuse a body as soon as it grows past the limit."""
        size = 0

        async def limited() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self.max_body_bytes:
                raise Refused(
                    413, f"A body holds at most {self.max_body_bytes} bytes.", "BODY_TOO_LARGE", Connection="close"
                )
            return message

        return limited

    async def on_ws_connect(self, context: object) -> UnsetType:
        """Take the caller's token from connection_init; a wrong one closes the socket, 4403."""
        assert isinstance(context, Session)  # noqa: S101 - what __call__ gave
        payload = context.connection_params
        token = payload.get("token")
        header = payload.get("Authorization", payload.get("authorization", token and f"Bearer {token}"))
        try:
            context.token = bearer(header)
            context.viewer = await self.authenticate(context.token)
        except (Unauthorized, KeysUnavailable) as error:
            raise ConnectionRejectionError from error
        return UnsetType()

    def decode_json(self, data: str | bytes) -> object:
        """Return what the JSON says."""
        return orjson.loads(data)

    def encode_json(self, data: object) -> bytes:
        """Return JSON."""
        return orjson.dumps(data)

    def should_render_graphql_ide(self, _request: object) -> bool:
        """Leave the page to `__call__`, which gives it without a token."""
        return False

    async def parse_http_body(self, request: AsyncHTTPRequestAdapter) -> GraphQLRequestData:
        """Return what is asked, or refuse what is not a GraphQL request."""
        if request.method == "GET":
            given = {name: value for name, value in request.query_params.items() if value}
            data: object = self.parse_query_params(given)
        elif parse_content_type(request.content_type or "")[0] == JSON:
            data = self.parse_json(await request.get_body())
        else:
            raise Refused(415, f"Send the request as {JSON}.", "UNSUPPORTED_MEDIA_TYPE")
        if not isinstance(data, dict):
            raise Refused(400, "A request is one JSON object; batches are not served.", "BAD_REQUEST")
        protocol = "sse" if self._get_stream_transport_from_headers(request.headers) else "http"
        return _checked(data, protocol)

    async def execute_single(
        self,
        request: Request,
        request_adapter: AsyncHTTPRequestAdapter,  # noqa: ARG002 - Strawberry passes it
        sub_response: Response,
        context: object,
        root_value: None,
        request_data: GraphQLRequestData,
    ) -> ExecutionResult:
        """Run a query, or by POST a mutation."""
        allowed = {OperationType.QUERY} | ({OperationType.MUTATION} if request.method == "POST" else set())
        try:
            result = await self.schema.execute(
                request_data.query,
                root_value=root_value,
                variable_values=request_data.variables,
                context_value=context,
                operation_name=request_data.operation_name,
                allowed_operation_types=allowed,
            )
        except CannotGetOperationTypeError as error:
            raise Refused(400, error.as_http_error_reason(), "BAD_REQUEST") from None
        except InvalidOperationTypeError as error:
            raise _misplaced(error.operation_type) from None
        except MissingQueryError:
            raise Refused(400, "The request holds no query.", "BAD_REQUEST") from None
        if _ran(result) or _media_type(request) == JSON:
            sub_response.status_code = 200
        else:
            sub_response.status_code = _status(result.errors or [])
        return result

    async def process_result(self, request: Request, result: ExecutionResult) -> GraphQLHTTPResponse:
        """Return the answer; without `data` where nothing was run."""
        answer = await super().process_result(request, result)
        if not _ran(result):
            answer.pop("data", None)
        return answer

    async def get_sub_response(self, request: Request | WebSocket) -> Response:
        """Return what carries the status and the media type to the answer."""
        response = await super().get_sub_response(request)
        response.media_type = _media_type(request)
        return response

    def create_response(
        self, response_data: GraphQLHTTPResponse | list[GraphQLHTTPResponse], sub_response: Response
    ) -> Response:
        """Return the answer in the media type asked for."""
        body = self.encode_json(response_data)
        return Response(body, status_code=sub_response.status_code, media_type=sub_response.media_type)

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


def _checked(data: dict[str, Any], protocol: str) -> GraphQLRequestData:
    variables, extensions = data.get("variables"), data.get("extensions")
    if not isinstance(data.get("query"), str | None):
        raise Refused(400, "`query` is a text.", "BAD_REQUEST")
    if not isinstance(data.get("operationName"), str | None):
        raise Refused(400, "`operationName` is a text.", "BAD_REQUEST")
    if not isinstance(variables, dict | None):
        raise Refused(400, "`variables` is an object.", "BAD_REQUEST")
    if not isinstance(extensions, dict | None):
        raise Refused(400, "`extensions` is an object.", "BAD_REQUEST")
    if holds_nul(variables):
        raise Refused(400, no_nul().message, "INVALID_INPUT")
    return GraphQLRequestData(
        query=data.get("query"),
        variables=variables,
        operation_name=data.get("operationName") or None,
        extensions=extensions,
        protocol="sse" if protocol == "sse" else "http",
    )


def _misplaced(kind: OperationType) -> Refused:
    if kind is OperationType.SUBSCRIPTION:
        message = "Subscriptions run over WebSocket (graphql-transport-ws) or with Accept: text/event-stream."
        return Refused(406, message, "NOT_ACCEPTABLE")
    return Refused(405, "Mutations are sent by POST.", "METHOD_NOT_ALLOWED", Allow="POST")


def _ran(result: ExecutionResult) -> bool:
    """Say whether anything was run: an error before that has no place in the data, and the answer no data."""
    return result.data is not None or any(error.path is not None for error in result.errors or ())


def _status(errors: list[GraphQLError]) -> int:
    codes = {str((error.extensions or {}).get("code")) for error in errors}
    return next((status for code, status in STATUS.items() if code in codes), 400)


def _refusal(request: Request, status: int, error: GraphQLError, headers: Mapping[str, str] | None = None) -> Response:
    body = orjson.dumps({"errors": [error.formatted]})
    return Response(body, status_code=status, media_type=_media_type(request), headers=headers)


def _media_type(request: Request | WebSocket) -> str:
    """Return the better liked of the two media types; application/json where neither is named."""
    liked = {JSON: 0.0, GRAPHQL_JSON: 0.0}
    for part in request.headers.get("accept", "").split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if name in liked:
            liked[name] = _quality(parameters)
    return GRAPHQL_JSON if liked[GRAPHQL_JSON] > 0 and liked[GRAPHQL_JSON] >= liked[JSON] else JSON


def _quality(parameters: list[str]) -> float:
    try:
        return next((float(parameter[2:]) for parameter in parameters if parameter.startswith("q=")), 1.0)
    except ValueError:
        return 1.0
