"""Wake-ups between processes: "there is news in the feed", and nothing else.

They carry no data and may be lost: the feed's rows are the truth, and each process looks for them by itself every few
moments. A dead connection here costs latency, never an update, and never fails a request.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from typing import TypeAlias

import asyncpg
import structlog
from broadcaster import Broadcast
from broadcaster._base import Subscriber

from domain.transaction import Wake

log = structlog.get_logger(__name__)

CHANNEL = "crossdock"
COALESCE_SECONDS = 0.003
"""At most one wake-up is sent in this time: notifying in each transaction would serialize their commits."""
SILENCE_SECONDS = 10.0
ECHO_SECONDS = 2.0
RETRY_SECONDS = 0.5

Heard: TypeAlias = Callable[[], None]
Send: TypeAlias = Callable[[], Awaitable[object]]
Line: TypeAlias = Callable[[Heard], AbstractAsyncContextManager[Send]]


@asynccontextmanager
async def wakeups(*, dsn: str, broadcast_url: str | None, on_wake: Heard) -> AsyncIterator[Wake]:
    """Yield what to await after a commit: it calls `on_wake` at once here, and soon in every other process.

    They meet over LISTEN and NOTIFY of the database, or over the broker at `broadcast_url`.
    """
    asked = asyncio.Event()
    line = partial(_broker, broadcast_url) if broadcast_url else partial(_postgres, dsn, asked)
    keeper = asyncio.create_task(_keep(line, asked, on_wake), name="wake-ups")

    async def wake() -> None:
        on_wake()
        asked.set()

    try:
        yield wake
    finally:
        keeper.cancel()
        with suppress(asyncio.CancelledError):
            await keeper


async def _keep(line: Line, asked: asyncio.Event, on_wake: Heard) -> None:
    """Hold the line for ever. What is sent has to be heard here too, else the line is dead and is opened anew."""
    echo = asyncio.Event()

    def heard() -> None:
        echo.set()
        on_wake()

    while True:
        try:
            async with line(heard) as send:
                log.debug("wakeups_connected")
                on_wake()
                while True:
                    asked.clear()
                    echo.clear()
                    async with asyncio.timeout(ECHO_SECONDS):
                        await send()
                        await echo.wait()
                    await asyncio.sleep(COALESCE_SECONDS)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(asked.wait(), SILENCE_SECONDS)
        except Exception as error:  # noqa: BLE001 - whatever a driver raises, wake-ups only cost latency
            log.warning("wakeups_interrupted", error=str(error) or type(error).__name__)
        await asyncio.sleep(RETRY_SECONDS)


@asynccontextmanager
async def _postgres(dsn: str, asked: asyncio.Event, heard: Heard) -> AsyncIterator[Send]:
    connection = await asyncpg.connect(dsn, timeout=5, server_settings={"application_name": "crossdock wake-ups"})
    try:
        connection.add_termination_listener(lambda _: asked.set())
        await connection.add_listener(CHANNEL, lambda *_: heard())
        yield lambda: connection.execute(f"NOTIFY {CHANNEL}")
    finally:
        connection.terminate()


@asynccontextmanager
async def _broker(url: str, heard: Heard) -> AsyncIterator[Send]:
    broadcast = Broadcast(url)
    try:
        await broadcast.connect()
    except BaseException:
        await broadcast._backend.disconnect()  # noqa: SLF001 - a connect that fails leaves its reader behind
        raise
    try:
        async with broadcast.subscribe(CHANNEL) as subscriber:
            reader = asyncio.create_task(_read(subscriber, heard), name="wake-ups reader")
            try:
                yield lambda: broadcast.publish(CHANNEL, "")
            finally:
                reader.cancel()
    finally:
        await broadcast.disconnect()


async def _read(subscriber: Subscriber, heard: Heard) -> None:
    while True:
        await subscriber.get()
        heard()
