"""A real server for a test: uvicorn as `crossdock serve` sets it up, in the test's own loop."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import httpx
import uvicorn
from starlette.types import ASGIApp

from app import heads, wire

LITTLE_BYTES = 8192
TICK_SECONDS = 0.1
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients that speak plain HTTP: to read the usual ones takes longer than many a test."""


class _Server(uvicorn.Server):
    """Uvicorn, which says when it serves and leaves the signals to pytest."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.serves = asyncio.Event()
        self.leaving = asyncio.Event()

    async def main_loop(self) -> None:
        """Tick as uvicorn does, but end once it is told to: a tenth of a second is long for a test."""
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_SECONDS):
                    await self.leaving.wait()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.serves.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        stopping = getattr(getattr(self.config.app, "state", None), "stopping", None)
        if stopping is not None:
            stopping.set()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def calling(address: str, *, timeout: float = 30, **more: Any) -> httpx.AsyncClient:
    """Return a client of the server at that address, host:port, which waits so many seconds."""
    return httpx.AsyncClient(base_url=f"http://{address}", timeout=timeout, verify=NO_CERTIFICATES, **more)


@asynccontextmanager
async def serving(
    app: ASGIApp, *, stall_seconds: float = 10, direct: bool = False, head_seconds: float = 10
) -> AsyncIterator[str]:
    """Yield the address, host:port, at which the application answers; the system takes little that nobody reads."""
    config = uvicorn.Config(
        app,
        http=heads.protocol(seconds=head_seconds, stall_seconds=stall_seconds),
        ws=wire.protocol(stall_seconds=stall_seconds, direct=direct),
        ws_ping_interval=None,
        ws_max_size=131_072,
        ws_per_message_deflate=False,
        lifespan="on",
        log_config=None,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=2,
    )
    server = _Server(config)
    # asyncio sends small answers at once, without waiting 40 ms for an ACK, only where it is told that this is TCP.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LITTLE_BYTES)
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        task = asyncio.create_task(server.serve(sockets=[listener]))
        await asyncio.wait([task, waiting := asyncio.create_task(server.serves.wait())], return_when="FIRST_COMPLETED")
        waiting.cancel()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.should_exit = True
            server.leaving.set()
            await task
