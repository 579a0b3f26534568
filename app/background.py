"""Work that goes on beside the requests, and ends with the process."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import structlog

log = structlog.get_logger(__name__)

AGAIN_SECONDS = 0.2


@asynccontextmanager
async def running(work: Coroutine[Any, Any, object], *, name: str) -> AsyncIterator[asyncio.Task[Any]]:
    """Run the work for as long as the block, then cancel it and wait for its end."""
    task = asyncio.create_task(work, name=name)
    try:
        yield task
    finally:
        while (
            not task.done()
        ):  # a cancellation may get lost: to an error on the way out, to wait_for before Python 3.12
            task.cancel()
            await asyncio.wait([task], timeout=AGAIN_SECONDS)
        if not task.cancelled() and task.exception() is not None:
            log.error("background_work_failed", name=name, exc_info=task.exception())
