"""Gateways that are forked off a process which has imported them once: to import one takes seconds of a processor."""

import asyncio
import multiprocessing
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess

from app import logs, main, serving, settings
from tests.api.house import SECRET, House
from tests.api.serve import calling

FORKING = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload([__name__, "resolvers.root"])


def serve(environment: dict[str, str], port: int, told: Connection) -> None:
    """Serve as `crossdock serve` does, and tell the address."""
    os.environ.update(environment)
    chosen = settings.load(port=port)
    logs.configure(chosen)
    with serving.listen(chosen.host, chosen.port) as listener:
        tell = lambda: told.send(serving.address(listener))  # noqa: E731
        application = f"{main.__name__}:{main.create_app.__name__}"
        serving.serve(chosen, str(chosen.database_url), listener, ready=tell, application=application)


@asynccontextmanager
async def forked(dsn: str, *, port: int = 0, **environment: str) -> AsyncIterator[tuple[House, ForkServerProcess]]:
    """Run a gateway until the block ends, on a free port unless told."""
    ours, theirs = FORKING.Pipe()
    given = {"DATABASE_URL": dsn, "CROSSDOCK_SECRET": SECRET, **environment}
    process = FORKING.Process(target=serve, args=(given, port, theirs))
    await asyncio.to_thread(process.start)
    theirs.close()
    try:
        address = (await asyncio.to_thread(ours.recv)).removeprefix("http://")
        async with calling(address) as http:
            yield House(address=address, http=http, gateway=None, clock=[datetime.now(UTC)]), process
    finally:
        process.terminate()
        await asyncio.to_thread(process.join)
