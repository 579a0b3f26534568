"""What locations do with their work: most of them all of it, some refuse, find too little or stay silent."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from enum import Enum, auto

from app.simulate.town import Town
from domain import assignments, orders
from domain.assignments import AssignmentLineRow, AssignmentRow, Desk, Picked
from domain.errors import DomainError
from domain.planning.calendar import is_open
from domain.transaction import Connection
from domain.viewer import FOREVER, Viewer
from domain.vocabulary import AssignmentStatus, FulfillmentMethod, RejectReason, Role

REJECTED, SHORT, SILENT, NOT_COLLECTED, WRONG_CODE = 0.10, 0.05, 0.05, 0.05, 0.05
AT_WORK, AT_THE_COUNTER = 0.9, 0.1
"""How probable it is, at each step of the clock, that a store does the next thing, and that a shopper comes."""


class Manner(Enum):
    """How a location treats a piece of work."""

    WELL = auto()
    REJECTS = auto()
    FINDS_TOO_LITTLE = auto()
    IS_SILENT = auto()


@dataclass(frozen=True, slots=True)
class Stores:
    """Those who work at the town's locations, in their opening hours."""

    town: Town

    async def act(self) -> None:
        """Do the next thing with each piece of work, or not yet."""
        async with self.town.database.reading() as connection:
            rows = await connection.fetch(_OPEN, record_class=AssignmentRow)
        snapshot = await self.town.networks.current()
        at_work = [
            row
            for row in rows
            if is_open(snapshot.planner.sites[snapshot.site_by_id[row.location_id]], self.town.now)
            and self.town.chance(row.number, self.town.now).random() < _pace(row)
        ]
        await asyncio.gather(*map(self._next, at_work))

    async def _next(self, row: AssignmentRow) -> None:
        """Do the next thing; an order may be called off at the same moment, and then it is refused."""
        viewer = Viewer(role=Role.STORE, name="a clerk", expires_at=FOREVER, location_ids=frozenset({row.location_id}))

        def step(connection: Connection) -> Awaitable[None]:
            desk = Desk(connection=connection, networks=self.town.networks, viewer=viewer, now=self.town.now)
            return self._step(desk, row)

        try:
            await self.town.transact(step)
        except DomainError as refusal:
            await self._expect_change(row, refusal)

    async def _expect_change(self, row: AssignmentRow, refusal: DomainError) -> None:
        """Raise a refusal again of work that nobody else has touched."""
        async with self.town.database.reading() as connection:
            (now,) = await assignments.assignments(connection, [row.id])
        if now.version == row.version:
            raise refusal

    async def _step(self, desk: Desk, row: AssignmentRow) -> None:
        match row.status:
            case AssignmentStatus.OFFERED | AssignmentStatus.ACCEPTED:
                await self._begin(desk, row)
            case AssignmentStatus.PICKING:
                await self._pick(desk, row)
            case AssignmentStatus.PACKED if row.method == FulfillmentMethod.PICKUP:
                await desk.mark_ready(row.id)
            case AssignmentStatus.PACKED:
                await desk.hand_over(row.id)
            case AssignmentStatus.READY_FOR_PICKUP:
                await self._meet(desk, row)
            case _:
                await desk.restock(row.id)

    async def _begin(self, desk: Desk, row: AssignmentRow) -> None:
        """Accept work and begin it, unless this is where it is refused, or forgotten."""
        random, manner = self.town.chance(row.number, "begin"), self._manner(row)
        stops_at = random.choice((AssignmentStatus.OFFERED, AssignmentStatus.ACCEPTED))
        stops = manner in {Manner.REJECTS, Manner.IS_SILENT}
        if stops and row.status == stops_at:
            if manner is Manner.REJECTS:
                await desk.reject(row.id, random.choice(list(RejectReason)))
            return
        await desk.accept(row.id)
        if not stops:
            await desk.start_picking(row.id)

    async def _pick(self, desk: Desk, row: AssignmentRow) -> None:
        """Find everything, or all but one unit; what was called off meanwhile is not looked for."""
        lines = [line for line in await assignments.lines_of(desk.connection, [row.id]) if line.quantity > line.short]
        missing = int(self._manner(row) is Manner.FINDS_TOO_LITTLE)
        picked = [_found(line, missing=missing if n == 0 else 0) for n, line in enumerate(lines)]
        row = await desk.report_picked(row.id, picked)
        if row.status == AssignmentStatus.PICKING:
            await desk.pack(row.id)

    def _manner(self, row: AssignmentRow) -> Manner:
        chance = self.town.chance(row.number).random()
        if chance < REJECTED:
            return Manner.REJECTS
        if chance < REJECTED + SHORT:
            return Manner.FINDS_TOO_LITTLE
        return Manner.IS_SILENT if chance < REJECTED + SHORT + SILENT else Manner.WELL

    async def _meet(self, desk: Desk, row: AssignmentRow) -> None:
        """Give a parcel to its shopper, who may have the wrong code first, or never comes."""
        random = self.town.chance(row.number, "counter")
        if random.random() < NOT_COLLECTED:
            return
        code = (await orders.order(desk.connection, row.order_id)).pickup_code or ""
        if random.random() < WRONG_CODE:
            await desk.collect(row.id, f"not {code}")
        await desk.collect(row.id, code)


def _pace(row: AssignmentRow) -> float:
    return AT_THE_COUNTER if row.status == AssignmentStatus.READY_FOR_PICKUP else AT_WORK


def _found(line: AssignmentLineRow, *, missing: int) -> Picked:
    left = line.quantity - line.short - missing
    return Picked(line_id=line.id, quantity=left, reason=RejectReason.OUT_OF_STOCK if missing else None)


_OPEN = """
SELECT * FROM assignment
 WHERE status IN ('OFFERED', 'ACCEPTED', 'PICKING', 'PACKED', 'READY_FOR_PICKUP')
    OR (status IN ('CANCELLED', 'NOT_COLLECTED') AND restocked_at IS NULL)
 ORDER BY number
"""
