"""Micro-batches: orders that wait are committed together, by one call of `place_orders` (domain/migrations/sql).

One call locks the distinct stock rows once, in order, and flushes the log once. An order alone waits for nobody, and
one that fails takes nobody with it.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from domain.orders import OrderRow
from domain.placement.rows import Rows
from domain.transaction import Database

LARGEST_BATCH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of one order of a batch: the order, or the pairs (SKU, location id) that ran out for it."""

    name: str
    order: OrderRow | None = None
    short: tuple[tuple[str, UUID], ...] = ()


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
    observe: Callable[[int], None] = lambda _: None
    """Told how many orders each batch holds."""
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
        answered: list[tuple[_Waiting, Verdict | Exception]] = []
        while self._waiting:
            committing = asyncio.create_task(self._commit_batch(self._next_batch()))
            await asyncio.sleep(0)  # who is answered goes on to the next order: Postgres is to be at work by then
            _tell(answered)
            answered = await committing
        _tell(answered)

    def _next_batch(self) -> list[_Waiting]:
        batch: dict[str, _Waiting] = {}
        left: list[_Waiting] = []
        for waiting in self._waiting:
            if len(batch) < LARGEST_BATCH and waiting.rows.order.key not in batch:
                batch[waiting.rows.order.key] = waiting
            else:
                left.append(waiting)
        self._waiting = left
        self.observe(len(batch))
        return list(batch.values())

    async def _commit_batch(self, batch: Sequence[_Waiting]) -> list[tuple[_Waiting, Verdict | Exception]]:
        """Return what became of each order: one that cannot be committed takes nobody with it."""
        try:
            verdicts = await self._place([waiting.rows for waiting in batch])
        except Exception as error:  # noqa: BLE001 - told to who placed it
            if len(batch) == 1:
                return [(batch[0], error)]
            return [answer for waiting in batch for answer in await self._commit_batch([waiting])]
        return [(waiting, verdicts[waiting.rows.order.id]) for waiting in batch]

    async def _place(self, rows: Sequence[Rows]) -> dict[UUID, Verdict]:
        async with self.database.statement() as connection:
            answers: list[_AnswerRow] = await connection.fetch(
                "SELECT order_id, verdict, short, (made).* FROM place_orders($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                [one.order for one in rows],
                [line for one in rows for line in one.lines],
                [assignment for one in rows for assignment in one.work.assignments],
                [line for one in rows for line in one.work.lines],
                [entry for one in rows for entry in one.entries],
                [fact for one in rows for fact in one.facts],
                [decision for one in rows for decision in one.decisions],
                rows[-1].order.placed_at,
                self.remembered,
                record_class=_AnswerRow,
            )
        return {
            answer.order_id: Verdict(
                name=answer.verdict,
                order=answer if answer.verdict == "PLACED" else None,
                short=tuple((sku, UUID(place)) for sku, place in answer.short or ()),
            )
            for answer in answers
        }


def _tell(answered: Sequence[tuple[_Waiting, Verdict | Exception]]) -> None:
    for waiting, answer in answered:
        if waiting.verdict.done():
            continue
        if isinstance(answer, Exception):
            waiting.verdict.set_exception(answer)
        else:
            waiting.verdict.set_result(answer)
