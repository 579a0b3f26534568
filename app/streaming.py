"""Server-sent events: a stream that ends with its client, its token, or its server."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from datetime import datetime
from typing import Any, TypeAlias

import orjson
from graphql import GraphQLError
from starlette.requests import Request
from starlette.websockets import WebSocket
from strawberry.http.streaming import SSETransport

from app.auth import Unauthorized, bearer
from app.faults import present
from app.hub import Ask, FellBehind, Hub, Member
from app.jwks import KeysUnavailable
from domain.transaction import OUTAGES
from domain.viewer import Viewer
from schema.context import Context

Events: TypeAlias = AsyncGenerator[str, None]
Results: TypeAlias = AsyncGenerator[Any, None]

HEARTBEAT_SECONDS = 15.0
ASK_SECONDS = 30.0
"""Between two looks at whether the token still opens what it opened: an API key may be revoked."""
HEADERS = SSETransport.headers
COMPLETE = "event: complete\r\ndata: \r\n\r\n"


async def join(hub: Hub, ask: Ask, context: Context, request: Request) -> Events:
    """Yield what a shared subscription brings after the last event the client had, or after what it asks for."""
    last = request.headers.get("last-event-id")
    try:
        member = await hub.join(ask._replace(after=last) if last else ask, context)
    except Exception as error:  # noqa: BLE001 - told, or told under a reference
        events = failed([present(error, operation=ask.operation_name)])
    else:
        events = told(member)
    async with aclosing(events):
        async for event in events:
            yield event


async def told(member: Member) -> Events:
    """Yield what a shared subscription brings, each with its cursor as the event's id; a quiet one's moves on as well.

    Who falls behind is left without `complete`: it comes again with the last id.
    """
    try:
        while True:
            try:
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    frame = await member.next()
            except TimeoutError:
                yield f": ping\r\nid: {member.passed()}\r\n\r\n"
                continue
            if frame is None:
                break
            yield f"id: {frame.cursor}\r\nevent: next\r\ndata: {frame.payload.decode()}\r\n\r\n"
            member.cursor = frame.cursor
        async for event in failed(member.run.errors):
            yield event
    except FellBehind:
        return
    finally:
        member.leave()


async def telling(results: Results, extensions: dict[str, object]) -> Results:
    """Yield the results of an operation that nobody shares, each with these extensions."""
    async with aclosing(results):
        async for result in results:
            result.extensions = extensions
            yield result


async def failed(errors: Sequence[GraphQLError]) -> Events:
    """Yield the end of a subscription, and why."""
    if errors:
        payload = orjson.dumps({"errors": [error.formatted for error in errors]}).decode()
        yield f"event: next\r\ndata: {payload}\r\n\r\n"
    yield COMPLETE


async def until(
    events: Events,
    request: Request | WebSocket,
    *,
    authenticate: Callable[[str], Awaitable[Viewer]],
    now: Callable[[], datetime],
    stopping: asyncio.Event,
) -> Events:
    """Yield the events until the request's token expires or is revoked, or until the server stops.

    A stream has no close code to say which.
    """
    expires_at = request.state.viewer.expires_at
    time = asyncio.get_running_loop().time
    asked_at = time()
    end = asyncio.create_task(stopping.wait(), name="server stops")
    async with aclosing(events):
        try:
            while True:
                event = asyncio.create_task(_next(events), name="next event")
                try:
                    while not event.done():
                        left = max((expires_at - now()).total_seconds(), 0)
                        await asyncio.wait(
                            {event, end}, timeout=min(left, ASK_SECONDS), return_when=asyncio.FIRST_COMPLETED
                        )
                        if end.done() or now() >= expires_at:
                            return
                        if time() > asked_at + ASK_SECONDS:
                            if not await _is_good(bearer(request.headers.get("authorization")), authenticate):
                                return
                            asked_at = time()
                    if (text := event.result()) is None:
                        return
                finally:
                    await _ended(event)
                yield text
        finally:
            await _ended(end)


async def _is_good(token: str, authenticate: Callable[[str], Awaitable[Viewer]]) -> bool:
    with suppress(KeysUnavailable, *OUTAGES):  # nobody can say now
        try:
            await authenticate(token)
        except Unauthorized:
            return False
    return True


async def _next(events: Events) -> str | None:
    return await anext(events, None)


async def _ended(task: asyncio.Task[object]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.wait([task])
