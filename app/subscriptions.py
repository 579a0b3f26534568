"""One WebSocket: graphql-transport-ws, with a fresh context for each operation and an authority that ends."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

import orjson
from starlette.websockets import WebSocketDisconnect, WebSocketState
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler, Operation
from strawberry.subscriptions.protocols.graphql_transport_ws.types import (
    CompleteMessage,
    ConnectionInitMessage,
    Message,
    SubscribeMessage,
)
from strawberry.utils.aio import aclosing

from app.documents import holds_nul, no_nul
from app.faults import present
from domain.viewer import Viewer

FORBIDDEN = 4403
GOING_AWAY = 1012


@dataclass(slots=True, kw_only=True)
class Session:
    """What a socket knows of its caller. `connection_params` is the payload of connection_init."""

    open_context: Callable[[Viewer], Awaitable[object]]
    now: Callable[[], datetime]
    sockets: set["SocketHandler"]
    connection_params: dict[str, Any] = field(default_factory=dict)
    viewer: Viewer | None = None


class TextAdapter(ASGIWebSocketAdapter):
    """Sends JSON as text frames: orjson makes bytes, which would travel as binary ones."""

    async def send_json(self, message: Mapping[str, object]) -> None:
        """Send one message; WebSocketDisconnected where nobody is there any more."""
        text = orjson.dumps(message).decode()
        try:
            await self.ws.send_text(text)
        except (WebSocketDisconnect, RuntimeError) as error:
            raise WebSocketDisconnected from error

    async def close(self, code: int, reason: str) -> None:
        """Close the socket, once."""
        if self.ws.application_state is not WebSocketState.DISCONNECTED:
            with suppress(WebSocketDisconnect, RuntimeError):  # the other side was faster
                await self.ws.close(code=code, reason=reason[:120])


class SocketHandler(BaseGraphQLTransportWSHandler[Session, None]):
    """Speaks graphql-transport-ws on one socket until it closes."""

    _expiry: asyncio.Task[None] | None = None

    async def handle(self) -> None:
        """Serve the socket; leave nothing running behind it."""
        self.context.sockets.add(self)
        try:
            await super().handle()
        finally:
            self.context.sockets.discard(self)
            if self._expiry is not None:
                self._expiry.cancel()

    async def handle_message(self, message: Message) -> None:
        """Answer one message, or close 4400 where it is none of the protocol's."""
        fault = _fault(message)
        if fault is not None:
            await self.handle_invalid_message(fault)
        else:
            await super().handle_message(message)

    async def handle_connection_init(self, message: ConnectionInitMessage) -> None:
        """Take the caller's token, and close when it expires."""
        await super().handle_connection_init({"type": "connection_init", "payload": message.get("payload") or {}})
        if self.context.viewer is not None and self._expiry is None:
            self._expiry = asyncio.create_task(self._expire(self.context.viewer), name="token expiry")

    async def handle_subscribe(self, message: SubscribeMessage) -> None:
        """Start an operation."""
        if self.connection_acknowledged and holds_nul(message["payload"].get("variables")):
            await self.send_message({"id": message["id"], "type": "error", "payload": [no_nul().formatted]})
        else:
            await super().handle_subscribe(message)

    async def run_operation(self, operation: Operation[Session, None]) -> None:
        """Run one operation to its end in a context of its own."""
        viewer = cast("Viewer", self.context.viewer)
        try:
            if viewer.expires_at <= self.context.now():
                await self.websocket.close(FORBIDDEN, "Forbidden")
                return
            source = await self.schema.stream(
                operation.query,
                variable_values=operation.variables,
                context_value=await self.context.open_context(viewer),
                operation_name=operation.operation_name,
            )
            async with aclosing(source):
                await self._send_result_stream(operation, source)
            await operation.send_operation_message(CompleteMessage(id=operation.id, type="complete"))
        except WebSocketDisconnected:
            self.operations.pop(operation.id, None)
        except Exception as error:  # noqa: BLE001 - told under a reference; the socket lives on
            fault = present(error, operation=operation.operation_name)
            with suppress(WebSocketDisconnected):
                await operation.send_initial_errors([fault])

    async def _expire(self, viewer: Viewer) -> None:
        await asyncio.sleep((viewer.expires_at - self.context.now()).total_seconds())
        await self.websocket.close(FORBIDDEN, "Forbidden")

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
    if not isinstance(payload.get("query"), str):
        return "payload.query is a text"
    if not isinstance(payload.get("operationName"), str | None):
        return "payload.operationName is a text"
    if not isinstance(payload.get("variables"), dict | None):
        return "payload.variables is an object"
    return None
