"""One WebSocket: graphql-transport-ws, within limits, and with an authority that ends."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

import orjson
from graphql import GraphQLError
from starlette.websockets import WebSocketDisconnect, WebSocketState
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.exceptions import ConnectionRejectionError
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler, Operation
from strawberry.subscriptions.protocols.graphql_transport_ws.types import (
    CompleteMessage,
    ConnectionInitMessage,
    Message,
    PongMessage,
    SubscribeMessage,
)
from strawberry.utils.aio import aclosing

from app import asked
from app.admission import Gate, NotRun
from app.auth import Unauthorized
from app.faults import present
from app.hub import Asking, FellBehind, Hub, Member
from app.jwks import KeysUnavailable
from app.sockets import Sockets
from app.streaming import telling
from app.wire import EXTENSION, Wire, text_frame
from domain.feed import Cursor
from domain.transaction import OUTAGES
from domain.viewer import Viewer
from schema.context import Context

FORBIDDEN = 4403
TIMEOUT = 4408
TOO_MANY = 4429
SERVICE_RESTART = 1012
TRY_AGAIN = 1013
LAST_SECONDS = 5.0
"""For queries and mutations under way when the server stops."""


@dataclass(slots=True, kw_only=True)
class Session:
    """What a socket knows of its caller. `connection_params` is the payload of connection_init."""

    open_context: Callable[[Viewer], Awaitable[object]]
    authenticate: Callable[[str], Awaitable[Viewer]]
    now: Callable[[], datetime]
    sockets: Sockets
    hub: Hub
    asking: Asking
    gate: Gate
    connection_params: dict[str, Any] = field(default_factory=dict)
    viewer: Viewer | None = None
    token: str = ""
    count: Callable[[], Awaitable[None]] | None = None
    """Counts the socket in by its token; raises ConnectionRejectionError where it is one too many."""
    close: Callable[[int, str], Awaitable[None]] | None = None

    def header(self) -> object:
        """Return what the payload holds in place of the header Authorization."""
        token = self.connection_params.get("token")
        found = self.connection_params.get("authorization", token and f"Bearer {token}")
        return self.connection_params.get("Authorization", found)


class TextAdapter(ASGIWebSocketAdapter):
    """Sends JSON as text frames: orjson makes bytes, which would travel as binary ones."""

    async def receive(self) -> MutableMapping[str, Any] | None:
        """Wait for the next message; None where the socket is closed, by whichever side."""
        if self.ws.application_state is WebSocketState.DISCONNECTED:
            return None
        message = await self.ws.receive()
        return message if message["type"] == "websocket.receive" else None

    async def send_json(self, message: Mapping[str, object]) -> None:
        """Send one message; WebSocketDisconnected where nobody is there any more."""
        await self.send_text(orjson.dumps(message).decode())

    async def send_text(self, text: str) -> None:
        """Send one message that is JSON already."""
        try:
            await self.ws.send_text(text)
        except (WebSocketDisconnect, RuntimeError) as error:
            raise WebSocketDisconnected from error

    async def close(self, code: int, reason: str) -> None:
        """Close the socket, once."""
        if self.ws.application_state is not WebSocketState.DISCONNECTED:
            with suppress(WebSocketDisconnect, RuntimeError):  # the other side was faster
                await self.ws.close(code=code, reason=reason[:120])
            if self.wire is not None:
                self.wire.end()

    @property
    def wire(self) -> Wire | None:
        """Return the connection below, where the server gives it."""
        wire: Wire | None = self.ws.scope.get("extensions", {}).get(EXTENSION)
        return wire


class SocketHandler(BaseGraphQLTransportWSHandler[Session, None]):
    """Speaks graphql-transport-ws on one socket until it closes."""

    websocket: TextAdapter
    _timer: asyncio.TimerHandle | None = None
    """Until the caller has to have shown a token, then until the next ping or the token's end."""
    _tasks: set[asyncio.Task[None]]
    _members: dict[str, Member]
    _counted: list[tuple[str, Hashable]]
    _told: dict[str, dict[str, object] | None]
    _unanswered = False
    _stopping = False

    async def handle(self) -> None:
        """Serve the socket; leave nothing running behind it."""
        self._tasks, self._members, self._counted, self._told = set(), {}, [], {}
        client, limits = self.websocket.ws.client, self.context.sockets.limits
        try:
            if not self._count(("address", client and client.host), limits.of_an_address):
                await self.websocket.close(TOO_MANY, "Too many sockets from this address")
                return
            self.context.count, self.context.close = self._count_token, self.websocket.close
            wire = self.websocket.wire
            if wire is not None:
                wire.on_stop = self._stop
                wire.settle()
            self._timer = asyncio.get_running_loop().call_later(limits.init_seconds, self._end_silent)
            await self._listen()
        finally:
            await self.shutdown()
            if self._timer is not None:
                self._timer.cancel()
            for task in self._tasks:
                task.cancel()
            for whose in self._counted:
                self.context.sockets.leave(whose)
            self.context.count = self.context.close = None

    async def _listen(self) -> None:
        """Answer each message until the socket closes; hold none of them while waiting for the next."""
        with suppress(WebSocketDisconnected):
            while (received := await self.websocket.receive()) is not None:
                text = received.get("text")
                del received
                if text is None:
                    await self.handle_invalid_message("WebSocket message type must be text")
                    continue
                await self._answer(text)
                del text

    async def _answer(self, text: str) -> None:
        try:
            message = orjson.loads(text)
        except orjson.JSONDecodeError:
            await self.handle_invalid_message("WebSocket message must be valid JSON")
        else:
            await self.handle_message(message)

    async def handle_message(self, message: Message) -> None:
        """Answer one message, or close 4400 where it is none of the protocol's."""
        fault = _fault(message)
        if fault is not None:
            await self.handle_invalid_message(fault)
        else:
            await super().handle_message(message)

    async def handle_connection_init(self, message: ConnectionInitMessage) -> None:
        """Take the caller's token, and close when it expires."""
        again = self.connection_init_received
        await super().handle_connection_init({"type": "connection_init", "payload": message.get("payload") or {}})
        self.context.connection_params = {}
        if self.context.viewer is not None and not again and self.connection_acknowledged:
            self._look_later()

    def _look_later(self) -> None:
        """Be back for the next ping, or when the token ends."""
        viewer, limits = cast("Viewer", self.context.viewer), self.context.sockets.limits
        left = (viewer.expires_at - self.context.now()).total_seconds()
        if self._timer is not None:
            self._timer.cancel()
        ends, later = left <= limits.ping_seconds, asyncio.get_running_loop().call_later
        self._timer = later(left, self._expire) if ends else later(limits.ping_seconds, self._look)

    def _look(self) -> None:
        self._look_later()
        self._ping()

    def _end_silent(self) -> None:
        if not self.connection_init_received:
            self.connection_timed_out = True
            self._soon(self.websocket.close(TIMEOUT, "Connection initialisation timeout"))

    async def handle_pong(self, message: PongMessage) -> None:  # noqa: ARG002 - Strawberry passes it
        """Note that somebody is there."""
        self._unanswered = False

    async def handle_subscribe(self, message: SubscribeMessage) -> None:
        """Start an operation."""
        if self._stopping:
            fault = GraphQLError("The server stops. Connect anew.", extensions={"code": "UNAVAILABLE"})
            await self.send_message({"id": message["id"], "type": "error", "payload": [fault.formatted]})
        elif (viewer := self.context.viewer) is None or not self.connection_acknowledged:
            await super().handle_subscribe(message)
        elif message["id"] not in self.operations and len(self.operations) >= self.context.sockets.limits.operations:
            await self.websocket.close(TOO_MANY, "Too many operations on this socket")
        elif await self._is_good():
            await self._admit(message, viewer)
        else:
            await self.websocket.close(FORBIDDEN, "Forbidden")

    async def _admit(self, message: SubscribeMessage, viewer: Viewer) -> None:
        """Start an operation that may run and is paid for; its document by then is that of its hash."""
        client = self.websocket.ws.client
        try:
            wanted = asked.read(message["payload"])
            admitted = await self.context.gate.admit(wanted, viewer, client.host if client else "")
        except NotRun as error:
            errors = error.errors
        except asked.Refused as error:
            errors = (error.error,)
        else:
            self._told[message["id"]] = admitted.told(wanted)
            known: Any = {**message["payload"], "query": admitted.document.text}
            await super().handle_subscribe({**message, "payload": known})
            return
        await self.send_message({"id": message["id"], "type": "error", "payload": [each.formatted for each in errors]})

    async def run_operation(self, operation: Operation[Session, None]) -> None:
        """Run one operation to its end in a context of its own, or share one that runs."""
        try:
            if cast("Viewer", self.context.viewer).expires_at <= self.context.now():
                await self.websocket.close(FORBIDDEN, "Forbidden")
                return
            member = await self._begin(operation)
            if member is not None:
                await self._follow(operation, member)
            await operation.send_operation_message(CompleteMessage(id=operation.id, type="complete"))
        except WebSocketDisconnected:
            self.operations.pop(operation.id, None)
        except Exception as error:  # noqa: BLE001 - told under a reference; the socket lives on
            fault = present(error, operation=operation.operation_name)
            with suppress(WebSocketDisconnected):
                await operation.send_initial_errors([fault])

    async def cleanup_operation(self, operation_id: str) -> None:
        """Forget an operation, also one that has not begun."""
        self._told.pop(operation_id, None)
        await super().cleanup_operation(operation_id)

    async def _begin(self, operation: Operation[Session, None]) -> Member | None:
        """Join the others who ask the same; what nobody can share is run here, to its end."""
        told = self._told.pop(operation.id, None)
        context = await self.context.open_context(cast("Viewer", self.context.viewer))
        if isinstance(context, Context):
            ask = self.context.asking.read(
                operation.query, operation.variables, operation.operation_name, context.viewer
            )
            if ask is not None:
                return await self.context.hub.join(ask, context)
        results = await self.schema.stream(
            operation.query,
            variable_values=operation.variables,
            context_value=context,
            operation_name=operation.operation_name,
        )
        async with aclosing(results if told is None else telling(cast("Any", results), told)) as source:
            await self._send_result_stream(operation, source)
        return None

    async def _follow(self, operation: Operation[Session, None], member: Member) -> None:
        """Send what a shared execution brings."""
        head = b'{"id":' + orjson.dumps(operation.id) + b',"type":"next","payload":'
        wire = self.websocket.wire
        if wire is not None and wire.direct:
            member.push = lambda frame: wire.write(frame.encoded(head, text_frame))
        self._members[operation.id] = member
        try:
            while (frame := await member.next()) is not None:
                await self.websocket.send_text(frame.encoded(head, bytes.decode))
                member.cursor = frame.cursor
            if member.run.errors:
                await operation.send_initial_errors(member.run.errors)
        except FellBehind:
            await self.websocket.close(TOO_MANY, self._resume())
        finally:
            member.leave()
            if self._members.get(operation.id) is member:
                del self._members[operation.id]

    async def _count_token(self) -> None:
        if not self._count(("token", self.context.viewer), self.context.sockets.limits.of_a_token):
            await self.websocket.close(TOO_MANY, "Too many sockets with this token")
            raise ConnectionRejectionError

    def _count(self, whose: tuple[str, Hashable], most: int) -> bool:
        if not self.context.sockets.enter(whose, most):
            return False
        self._counted.append(whose)
        return True

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _expire(self) -> None:
        self._soon(self.websocket.close(FORBIDDEN, "Forbidden"))

    def _ping(self) -> None:
        """Ask whether somebody is there; close where nobody has answered since the last time."""
        if self._unanswered:
            self._soon(self.websocket.close(TIMEOUT, "No pong"))
            return
        self._unanswered = True
        self._soon(self._send_ping())

    async def _send_ping(self) -> None:
        """Send a ping; where all subscriptions stand at one cursor, with it: a quiet one's would else grow too old."""
        if not await self._is_good():
            self._expire()
            return
        passed = self._passed()
        told = max((member.cursor for member in self._members.values()), default=None)
        of_all = len(self._members) == len(self.operations)
        with suppress(WebSocketDisconnected):
            if of_all and passed is not None and told is not None and passed >= told:
                await self.send_message({"type": "ping", "payload": {"cursor": str(passed)}})
            else:
                await self.send_message({"type": "ping"})

    async def _is_good(self) -> bool:
        """Say whether the token still opens what it opened: an API key may be revoked."""
        try:
            with suppress(KeysUnavailable, *OUTAGES):  # nobody can say now
                await self.context.authenticate(self.context.token)
        except Unauthorized:
            return False
        return True

    def _passed(self) -> Cursor | None:
        """Return the cursor up to which no subscription of this socket misses anything."""
        return min((member.passed() for member in self._members.values()), default=None)

    def _resume(self) -> str:
        """Return the reason of a close after which subscriptions go on elsewhere: their cursor."""
        passed = self._passed()
        return f"after={passed}" if passed is not None else ""

    def _stop(self) -> None:
        self._stopping = True
        self._soon(self._part())

    async def _part(self) -> None:
        """Let queries and mutations finish, then close, with the cursor to go on from."""
        read = self.context.asking
        brief = [
            each.task
            for each in self.operations.values()
            if each.task is not None and not read.is_subscription(each.query, each.operation_name)
        ]
        if brief:
            await asyncio.wait(brief, timeout=LAST_SECONDS)
        await self.websocket.close(SERVICE_RESTART, self._resume())

    @staticmethod
    def _get_pre_execution_close_reason(_: object) -> None:
        """Answer a document that cannot run with an `error` message; the socket stays open."""


def _fault(message: object) -> str | None:
    """Say what is wrong with the form of a message, if anything is."""
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        return "A message is an object with a type"
    payload = message.get("payload")
    if not isinstance(payload, dict | None):
        return "A payload is an object"
    if message["type"] in {"subscribe", "complete"} and not (isinstance(message.get("id"), str) and message["id"]):
        return "An id is a text that is not empty"
    if message["type"] == "subscribe":
        return _fault_of_request(payload or {})
    return None


def _fault_of_request(payload: dict[str, object]) -> str | None:
    try:
        wanted = asked.read(payload, may_hold_nul=False)
    except asked.Refused as error:
        return str(error)
    named = isinstance(payload.get("query"), str) or wanted.document_id or "persistedQuery" in wanted.extensions
    return None if named else "A payload names its query"
