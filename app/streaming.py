"""Server-sent events: a stream that ends with its client, its token, or its server."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from datetime import datetime
from typing import TypeAlias

import orjson
from graphql import GraphQLError
from starlette.requests import Request
from strawberry.http.streaming import SSETransport

from app.faults import present
from app.hub import Ask, FellBehind, Hub, Member
from schema.context import Context

Events: TypeAlias = AsyncGenerator[str, None]

HEARTBEAT_SECONDS = 15.0
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
        async for event in failed(member.run.errors):
            yield event
    except FellBehind:
        return
    finally:
        member.leave()


async def failed(errors: Sequence[GraphQLError]) -> Events:
    """Yield the end of a subscription, and why."""
    if errors:
        payload = orjson.dumps({"errors": [error.formatted for error in errors]}).decode()
        yield f"event: next\r\ndata: {payload}\r\n\r\n"
    yield COMPLETE


async def until(
    events: Events, *, expires_at: datetime, now: Callable[[], datetime], stopping: asyncio.Event
) -> Events:
    """Yield the events until `expires_at`, or until the server stops: a stream has no close code to say so."""
    end = asyncio.create_task(stopping.wait(), name="server stops")
    async with aclosing(events):
        try:
            while True:
                event = asyncio.create_task(_next(events), name="next event")
                try:
                    left = max((expires_at - now()).total_seconds(), 0)
                    await asyncio.wait({event, end}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                    if not event.done() or now() >= expires_at or (text := event.result()) is None:
                        return
                finally:
                    await _ended(event)
                yield text
        finally:
            await _ended(end)


async def _next(events: Events) -> str | None:
    return await anext(events, None)


async def _ended(task: asyncio.Task[object]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.wait([task])
