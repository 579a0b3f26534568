"""GraphQL over HTTP, the asking side: what a request holds, and in which form it wants its answer."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

import orjson
from graphql import GraphQLError
from starlette.requests import ClientDisconnect, Request

from app.limits import holds_nul, no_nul

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
EVENTS = "text/event-stream"

DRAINED = 4
"""How many times the largest body is read of one that is larger."""


class Refused(Exception):
    """A request that is answered with this status before any GraphQL is run, whatever the media type."""

    def __init__(self, status: int, reason: str, code: str, **headers: str) -> None:
        super().__init__(reason)
        self.status = status
        self.error = GraphQLError(reason, extensions={"code": code})
        self.headers = headers


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a request asks to run."""

    query: str | None
    variables: dict[str, Any]
    operation_name: str | None
    extensions: Mapping[str, object]
    document_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyLimits:
    """How large a body may be, and how long it may take to come."""

    bytes: int = 2**20
    wait: timedelta = timedelta(seconds=10)


async def read_request(request: Request, limits: BodyLimits) -> Asked:
    """Return what is asked, or refuse what is not a GraphQL request."""
    if request.method != "POST":
        given: dict[str, Any] = {name: value for name, value in request.query_params.items() if value}
        for name in ("variables", "extensions"):
            if name in given:
                given[name] = _json(given[name])
        return read(given)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise Refused(415, f"Send the request as {JSON}.", "UNSUPPORTED_MEDIA_TYPE")
    body = await _body(request, limits)
    return read(_json(body), may_hold_nul=b"\\u0000" in body)


def read(data: object, *, may_hold_nul: bool = True) -> Asked:
    """Return what the parameters of a request ask for."""
    if not isinstance(data, dict):
        raise Refused(400, "A request is one JSON object; batches are not served.", "BAD_REQUEST")
    query, name, document_id = (_text(data, each) for each in ("query", "operationName", "documentId"))
    variables, extensions = (_object(data, each) for each in ("variables", "extensions"))
    if may_hold_nul and variables and holds_nul(variables):
        raise Refused(400, no_nul().message, "INVALID_INPUT")
    return Asked(query=query, variables=variables, operation_name=name, extensions=extensions, document_id=document_id)


async def _body(request: Request, limits: BodyLimits) -> bytes:
    """Return the body, or refuse one that is too late or too large.

    Of the latter some more is read: an answer that comes while much is unread is lost with the connection.
    """
    parts, size, seconds = [], 0, limits.wait.total_seconds()
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                size += len(part)
                if size <= limits.bytes:
                    parts.append(part)
                elif size > limits.bytes * DRAINED:
                    break
    except TimeoutError:
        message = f"The body did not come within {seconds:g} s."
        raise Refused(408, message, "REQUEST_TIMEOUT", Connection="close") from None
    except ClientDisconnect:
        raise Refused(400, "The body ends too early.", "BAD_REQUEST") from None
    if size > limits.bytes:
        raise Refused(413, f"A body holds at most {limits.bytes} bytes.", "BODY_TOO_LARGE", Connection="close")
    return b"".join(parts)


def _json(text: str | bytes) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise Refused(400, "This is not JSON.", "BAD_REQUEST") from None


def _text(data: dict[str, Any], name: str) -> str | None:
    value = data.get(name)
    if not isinstance(value, str | None):
        raise Refused(400, f"`{name}` is a text.", "BAD_REQUEST")
    return value or None


def _object(data: dict[str, Any], name: str) -> dict[str, Any]:
    value = data.get(name)
    if not isinstance(value, dict | None):
        raise Refused(400, f"`{name}` is an object.", "BAD_REQUEST")
    return value or {}


@lru_cache(maxsize=256)
def media_type(accept: str) -> str:
    """Return the best liked of the media types served; application/json where none is named.

    Events are for whom nothing plainer suits: some clients name all that they can read, like urql.
    """
    liked, events = {JSON: 0.0, GRAPHQL_JSON: 0.0}, False
    for part in accept[:1000].split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        events = events or name == EVENTS
        if name in liked:
            liked[name] = _quality(parameters)
    if events and not any(liked.values()):
        return EVENTS
    return GRAPHQL_JSON if liked[GRAPHQL_JSON] > 0 and liked[GRAPHQL_JSON] >= liked[JSON] else JSON


def _quality(parameters: list[str]) -> float:
    try:
        return next((float(parameter[2:]) for parameter in parameters if parameter.startswith("q=")), 1.0)
    except ValueError:
        return 1.0
