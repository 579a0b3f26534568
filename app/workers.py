"""The workers of each process: they see to what falls due, within a second."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime
from functools import partial

import structlog

from domain.errands import RUN_TOGETHER, Errand, Errands
from domain.timers import RUN_AT_ONCE, Handler, next_due, run_due
from domain.transaction import OUTAGES, Database

log = structlog.get_logger(__name__)

LONGEST_SECONDS = 1.0
SHORTEST_SECONDS = 0.02
"""A timer that is due may be another process's at the moment."""


async def work(database: Database, handlers: Mapping[str, Handler], now: Callable[[], datetime]) -> None:
    """See to timers whose work is in Postgres alone."""
    await _work(database, handlers, now, partial(run_due, database, handlers), RUN_AT_ONCE)


async def run_about(database: Database, errands: Mapping[str, Errand], now: Callable[[], datetime]) -> None:
    """See to timers whose work is to ask others, who may take their time."""
    async with asyncio.TaskGroup() as group:
        await _work(database, errands, now, Errands(database, errands, group).begin, RUN_TOGETHER)


async def _work(
    database: Database,
    kinds: Collection[str],
    now: Callable[[], datetime],
    run: Callable[..., Awaitable[int]],
    at_once: int,
) -> None:
    """See to what is due, then sleep until the next timer, or for a second: one may have been set meanwhile."""
    while True:
        pause = LONGEST_SECONDS
        try:
            if await run(now=now()) == at_once:
                pause = 0.0
            else:
                async with database.reading() as connection:
                    due_at = await next_due(connection, kinds)
                if due_at is not None:
                    pause = min(max((due_at - now()).total_seconds(), SHORTEST_SECONDS), LONGEST_SECONDS)
        except OUTAGES as error:
            log.warning("worker_waits", error=str(error) or type(error).__name__)
        except Exception:
            log.exception("worker_failed")
        await asyncio.sleep(pause)
