"""Micro-batches: orders that wait are committed together, by one call of `place_orders` (domain/migrations/sql).

One call locks the distinct stock rows once, in order, and flushes the log once. An order alone waits for nobody, and
one that fails takes nobody with it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain.orders import OrderRow
from domain.transaction import Database

LARGEST_BATCH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of one order of a batch: the order, or the pairs (SKU, location id) that ran out for it."""

    name: str
    order: OrderRow | None = None
    short: tuple[tuple[str, UUID], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows that placing one order writes, by the name `place_orders` has for them."""

    order_id: UUID
    key: str
    at: datetime
    tables: dict[str, list[dict[str, Any]]]


class _AnswerRow(OrderRow):
    """What became of an order, and the order where it was placed."""

    order_id: UUID
    verdict: str
    short: list[tuple[str, str]] | None


@dataclass(slots=True)
class _Waiting:
    rows: Rows
    verdict: asyncio.Future[Verdict]


@dataclass(slots=True)
class Batcher:
    """Commits orders. One for each process."""

    database: Database
    remembered: timedelta
    """How long an idempotency key keeps its answer."""
    _waiting: list[_Waiting] = field(default_factory=list)
    _committing: asyncio.Task[None] | None = None

    async def commit(self, rows: Rows) -> Verdict:
        """Commit an order, with whoever waits at the same moment, and return what became of it."""
        waiting = _Waiting(rows, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._committing is None or self._committing.done():
            self._committing = asyncio.create_task(self._commit_all())
        return await waiting.verdict

    async def _commit_all(self) -> None:
        while self._waiting:
            batch: dict[str, _Waiting] = {}
            for waiting in list(self._waiting):
                if len(batch) < LARGEST_BATCH and waiting.rows.key not in batch:
                    batch[waiting.rows.key] = waiting
                    self._waiting.remove(waiting)
            try:
                await self._commit_batch(list(batch.values()))
            except Exception as error:  # noqa: BLE001 - each order of the batch is told
                await self._commit_singly(list(batch.values()), error)

    async def _commit_singly(self, batch: Sequence[_Waiting], error: Exception) -> None:
        for waiting in batch:
            its_own: Exception | None = error
            if len(batch) > 1:
                try:
                    await self._commit_batch([waiting])
                except Exception as failure:  # noqa: BLE001 - told to who placed it
                    its_own = failure
                else:
                    its_own = None
            if its_own and not waiting.verdict.done():
                waiting.verdict.set_exception(its_own)

    async def _commit_batch(self, batch: Sequence[_Waiting]) -> None:
        together: dict[str, list[dict[str, Any]]] = {name: [] for name in batch[0].rows.tables}
        for waiting in batch:
            for name, rows in waiting.rows.tables.items():
                together[name] += rows
        async with self.database.transaction() as connection:
            answers: list[_AnswerRow] = await connection.fetch(
                "SELECT order_id, verdict, short, (made).* FROM place_orders($1, $2, $3)",
                together,
                batch[-1].rows.at,
                self.remembered,
                record_class=_AnswerRow,
            )
        verdicts = {
            answer.order_id: Verdict(
                name=answer.verdict,
                order=answer if answer.verdict == "PLACED" else None,
                short=tuple((sku, UUID(place)) for sku, place in answer.short or ()),
            )
            for answer in answers
        }
        for waiting in batch:
            if not waiting.verdict.done():
                waiting.verdict.set_result(verdicts[waiting.rows.order_id])
