"""What falls due and has to be asked of others: timers whose work holds no transaction while somebody else thinks.

A timer is leased, which is committed, then its errand runs, then it is gone. Who dies in between leaves it to be tried
again when the lease is over: errands are idempotent, and so is what they ask for.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import TypeAlias

import structlog

from domain.timers import TimerRow, put_off
from domain.transaction import Database

log = structlog.get_logger(__name__)

Errand: TypeAlias = Callable[[Database, str, datetime], Awaitable[None]]
"""Sees to the timer of a key at a moment, opening what transactions it needs."""

RUN_TOGETHER = 20
LEASE = timedelta(minutes=2)
LONGEST_SECONDS = 60.0


class Errands:
    """Runs the errands of these kinds as tasks of a group, at most RUN_TOGETHER at a time; no slow one stops others."""

    def __init__(self, database: Database, errands: Mapping[str, Errand], group: asyncio.TaskGroup) -> None:
        self.database = database
        self.errands = errands
        self.group = group
        self.running: set[asyncio.Task[None]] = set()

    async def begin(self, *, now: datetime) -> int:
        """Begin what is due at `now`, as much as there is room for, once there is some; return how much that was."""
        if len(self.running) == RUN_TOGETHER:
            await asyncio.wait(self.running, return_when=asyncio.FIRST_COMPLETED)
        leased = await self._lease(RUN_TOGETHER - len(self.running), now=now)
        for timer in leased:
            task = self.group.create_task(self._run(timer, now=now))
            self.running.add(task)
            task.add_done_callback(self.running.discard)
        return len(leased)

    async def _lease(self, most: int, *, now: datetime) -> list[TimerRow]:
        async with self.database.transaction() as connection:
            leased: list[TimerRow] = await connection.fetch(
                """
                UPDATE timer SET due_at = $2 WHERE (kind, key) IN (
                    SELECT kind, key FROM timer WHERE due_at <= $1 AND kind = ANY ($3)
                     ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED
                ) RETURNING *
                """,
                now,
                now + LEASE,
                list(self.errands),
                most,
                record_class=TimerRow,
            )
        return leased

    async def _run(self, timer: TimerRow, *, now: datetime) -> None:
        """Run an errand, and put it off, ever longer, where it fails or takes too long."""
        try:
            try:
                async with asyncio.timeout(LONGEST_SECONDS):
                    await self.errands[timer.kind](self.database, timer.key, now)
            except Exception as error:  # noqa: BLE001 - whatever it was, it is tried again
                failures = timer.failures + 1
                log.warning("errand_failed", kind=timer.kind, key=timer.key, failures=failures, error=repr(error))
                await put_off(self.database, timer, now=now)
            else:
                await self._end(timer)
        except Exception:  # then the lease ends by itself
            log.exception("errand_left", kind=timer.kind, key=timer.key)

    async def _end(self, timer: TimerRow) -> None:
        """Take a timer away whose errand is done; one that was set anew meanwhile stays."""
        async with self.database.transaction() as connection:
            await connection.execute(
                "DELETE FROM timer WHERE kind = $1 AND key = $2 AND due_at = $3", timer.kind, timer.key, timer.due_at
            )
