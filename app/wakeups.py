"""Wake-ups between processes: "there is news in the feed", and nothing else.

They carry no data and may be lost: the feed's rows are the truth, and each process looks for them by itself every few
moments. A dead connection here costs latency, never an update, and never fails a request.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import TypeAlias

import asyncpg
import structlog
from broadcaster import Broadcast, BroadcastBackend
from broadcaster._base import Subscriber

from app.background import running
from domain.transaction import Wake

log = structlog.get_logger(__name__)

CHANNEL = "crossdock"
COALESCE_SECONDS = 0.003
"""At most one wake-up is sent in this time: notifying in each transaction would serialize their commits."""
SILENCE_SECONDS = 10.0
ECHO_SECONDS = 2.0
AGAIN_SECONDS = 0.2
FIRST_RETRY_SECONDS = 0.1
LAST_RETRY_SECONDS = 5.0

Heard: TypeAlias = Callable[[], None]
Send: TypeAlias = Callable[[], Awaitable[object]]
Lost: TypeAlias = Callable[[], None]
Line: TypeAlias = Callable[[Heard, Lost], AbstractAsyncContextManager[Send]]
"""Opens a line: it calls the one where it hears something and the other where it breaks, and sending fails then."""


@asynccontextmanager
async def wakeups(*, dsn: str, broadcast_url: str | None, on_wake: Heard) -> AsyncIterator[Wake]:
    """Yield what to await after a commit: it calls `on_wake` at once here, and soon in every other process.

    They meet over LISTEN and NOTIFY of the database, or over the broker at `broadcast_url`.
    """
    asked = asyncio.Event()
    line = partial(_broker, broadcast_url) if broadcast_url else partial(_postgres, dsn)

    async def wake() -> None:
        on_wake()
        asked.set()

    async with running(_keep(line, asked, on_wake), name="wake-ups"):
        yield wake


async def _keep(line: Line, asked: asyncio.Event, on_wake: Heard) -> None:
    """Hold the line for ever. What is sent has to be heard here too, else the line is dead and is opened anew."""
    echo = asyncio.Event()
    pause = FIRST_RETRY_SECONDS

    def heard() -> None:
        echo.set()
        on_wake()

    while True:
        try:
            async with line(heard, asked.set) as send:
                log.debug("wakeups_connected")
                on_wake()
                while True:
                    asked.clear()
                    echo.clear()
                    async with asyncio.timeout(ECHO_SECONDS):
                        while not echo.is_set():  # a broker may take what is sent before it takes the subscription
                            await send()
                            await _wait(echo, AGAIN_SECONDS)
                    pause = FIRST_RETRY_SECONDS
                    await asyncio.sleep(COALESCE_SECONDS)
                    await _wait(asked, SILENCE_SECONDS)
        except Exception as error:  # noqa: BLE001 - whatever a driver raises, wake-ups only cost latency
            log.warning("wakeups_interrupted", error=str(error) or type(error).__name__)
        await asyncio.sleep(pause)
        pause = min(2 * pause, LAST_RETRY_SECONDS)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, but no longer than that. Before Python 3.12 `wait_for` may lose a cancellation."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


@asynccontextmanager
async def _postgres(dsn: str, heard: Heard, lost: Lost) -> AsyncIterator[Send]:
    connection = await asyncpg.connect(dsn, timeout=5, server_settings={"application_name": "crossdock wake-ups"})
    try:
        connection.add_termination_listener(lambda _: lost())
        await connection.add_listener(CHANNEL, lambda *_: heard())
        yield lambda: connection.execute(f"NOTIFY {CHANNEL}")
    finally:
        connection.terminate()


@asynccontextmanager
async def _broker(url: str, heard: Heard, lost: Lost) -> AsyncIterator[Send]:
    backend = None if url.startswith("memory:") else _redis(url, lost)
    broadcast = Broadcast(url, backend=backend)
    async with AsyncExitStack() as stack:
        if backend is not None:
            stack.push_async_callback(backend.disconnect)  # Broadcast leaves it open where its reader failed
        await broadcast.connect()
        stack.push_async_callback(broadcast.disconnect)
        subscriber = await stack.enter_async_context(broadcast.subscribe(CHANNEL))
        reader = asyncio.create_task(_read(subscriber, heard), name="wake-ups reader")
        stack.callback(reader.cancel)
        yield lambda: broadcast.publish(CHANNEL, "")


def _redis(url: str, lost: Lost) -> BroadcastBackend:
    from app.redis import RedisLine  # to import it takes a tenth of the time in which a gateway starts

    return RedisLine(url, lost)


async def _read(subscriber: Subscriber, heard: Heard) -> None:
    while True:
        await subscriber.get()
        heard()
