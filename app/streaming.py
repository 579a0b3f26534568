"""Server-sent events: a stream that ends with its client, its token, or its server."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from datetime import datetime
from typing import TypeAlias

Events: TypeAlias = AsyncGenerator[str, None]


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
