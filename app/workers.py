"""The worker of each process: it sees to what falls due, within a second."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime

import structlog

from domain.timers import RUN_AT_ONCE, Handler, next_due, run_due
from domain.transaction import Database

log = structlog.get_logger(__name__)

LONGEST_SECONDS = 1.0
SHORTEST_SECONDS = 0.02
"""A timer that is due may be another process's at the moment."""


async def work(database: Database, handlers: Mapping[str, Handler], now: Callable[[], datetime]) -> None:
    """See to what is due, then sleep until the next timer, or for a second: one may have been set meanwhile."""
    while True:
        pause = LONGEST_SECONDS
        try:
            if await run_due(database, handlers, now=now()) == RUN_AT_ONCE:
                pause = 0.0
            else:
                async with database.reading() as connection:
                    due_at = await next_due(connection, handlers)
                if due_at is not None:
                    pause = min(max((due_at - now()).total_seconds(), SHORTEST_SECONDS), LONGEST_SECONDS)
        except Exception:
            log.exception("worker_failed")
        await asyncio.sleep(pause)
