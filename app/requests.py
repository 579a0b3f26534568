"""The id of a request: the caller's or our own, on its answer, and in all that is logged about it."""

import re
import secrets

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "x-request-id"
_USABLE = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestIds:
    """Gives each request its id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, with the id bound to what is logged; an answer carries it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _id(scope)

        async def carrying(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        before = structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self._app(scope, receive, carrying)
        finally:
            structlog.contextvars.reset_contextvars(**before)


def name_socket(scope: Scope) -> None:
    """Give a socket its id, in the task that serves it, which ends with it."""
    structlog.contextvars.bind_contextvars(request_id=_id(scope))


def _id(scope: Scope) -> str:
    given = Headers(scope=scope).get(HEADER, "")
    return given if _USABLE.fullmatch(given) else secrets.token_hex(8)


def current() -> str | None:
    """Return the id of the request that is being answered, None outside any."""
    found: str | None = structlog.contextvars.get_contextvars().get("request_id")
    return found
