"""The smallest application there is, to see the processes around it."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from app.background import running
from app.metrics import CountRequests, Metrics
from app.settings import Settings


def create_app(settings: Settings, dsn: str) -> Starlette:
    """Answer with what a process knows about itself and its database."""

    async def tell(_request: Request) -> JSONResponse:
        connection = await asyncpg.connect(dsn)
        try:
            folder = await connection.fetchval("SHOW data_directory")
        finally:
            await connection.close()
        return JSONResponse({"pid": os.getpid(), "folder": folder, "secret": settings.signing_secret()})

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with running(metrics.keep(), name="figures"):
            yield

    metrics = Metrics(sockets=lambda: 1, executions=lambda: 0)
    return Starlette(
        routes=[Route("/", tell), Route("/metrics", metrics.page)],
        middleware=[Middleware(CountRequests, metrics=metrics)],
        lifespan=lifespan,
    )


def create_broken_app(_settings: Settings, _dsn: str) -> Starlette:
    """Fail to start."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await asyncio.sleep(0)
        raise RuntimeError("this application does not start")
        yield

    return Starlette(lifespan=lifespan)
