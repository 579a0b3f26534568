"""How what happens to assignments is written: on their rows, in the feed, in the order's timeline."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from domain import feed, orders
from domain.assignments.moves import NEXT, SENTENCES
from domain.assignments.reading import AssignmentLineRow, AssignmentRow, lines_of
from domain.inventory import Movement
from domain.machine import check_step
from domain.network import Networks
from domain.orders import OrderRow
from domain.shipments import Dispatch
from domain.transaction import Connection
from domain.viewer import Viewer
from domain.vocabulary import AssignmentStatus, MovementReason, OrderStatus, RejectReason, UpdateKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Who writes, when, and on which transaction; the caller has locked the order."""

    connection: Connection
    networks: Networks
    viewer: Viewer
    now: datetime

    @property
    def dispatch(self) -> Dispatch:
        """Return the same for parcels."""
        return Dispatch(connection=self.connection, networks=self.networks, actor=self.viewer.name, now=self.now)

    async def withdraw(self, row: AssignmentRow, order: OrderRow) -> list[Movement]:
        """Call work off; return what that releases, for the caller to move.

        What was picked stays reserved until the location has put it back.
        """
        lines = await lines_of(self.connection, [row.id])
        row = await self.write(row, order, AssignmentStatus.CANCELLED)
        await self.dispatch.call_off(row.id, order)
        if not any(line.picked for line in lines):
            await self.shelve(row)
        left = [(line, line.quantity - line.short - line.picked) for line in lines]
        return [self.movement(row, line, MovementReason.RELEASED, reserved=-units) for line, units in left if units]

    async def shelve(self, row: AssignmentRow) -> None:
        """Note that nothing of an assignment is missing from its shelf any more."""
        await self.connection.execute("UPDATE assignment SET restocked_at = $2 WHERE id = $1", row.id, self.now)

    async def write(
        self,
        row: AssignmentRow,
        order: OrderRow,
        status: AssignmentStatus,
        *,
        reason: RejectReason | None = None,
        why: str = "",
    ) -> AssignmentRow:
        """Write a status, tell it to the feed and, where it is a new one, to the order's timeline.

        A new status ends what was waited for; what is accepted has to be begun within the opening hours it is given. Of
        work that is withheld nobody is told.
        """
        check_step(NEXT, AssignmentStatus(row.status), status)
        begin_by = await self._begin_by(row) if status is AssignmentStatus.ACCEPTED else None
        updated: AssignmentRow = await self.connection.fetchrow(
            """
            UPDATE assignment SET status = $2::text, reject_reason = coalesce($3, reject_reason),
                   assignee = coalesce($4, assignee), deadline = CASE WHEN status = $2::text THEN deadline ELSE $5 END,
                   begun_at = coalesce(begun_at, $6), version = version + 1
             WHERE id = $1 RETURNING *
            """,
            row.id,
            status,
            reason,
            self.viewer.name if status is AssignmentStatus.ACCEPTED else None,
            begin_by,
            self.now if status is AssignmentStatus.PICKING else None,
            record_class=AssignmentRow,
        )
        if not row.withheld:
            await self._tell(row, order, status, why)
        return updated

    async def _tell(self, row: AssignmentRow, order: OrderRow, status: AssignmentStatus, why: str) -> None:
        fact = orders.work_fact(order, assignment_id=row.id, location_id=row.location_id, status=status, now=self.now)
        await feed.record(self.connection, [fact])
        if status != row.status:
            sentence = SENTENCES[status].format(place="{place}", number=row.number, reason=why)
            await self.say(order, row, UpdateKind.ASSIGNMENT_STATUS_CHANGED, sentence)

    async def _begin_by(self, row: AssignmentRow) -> datetime | None:
        if row.start_seconds is None:
            return None
        snapshot = await self.networks.current(self.connection)
        return snapshot.deadline(row.location_id, timedelta(seconds=row.start_seconds), self.now)

    async def say(self, order: OrderRow, row: AssignmentRow, kind: UpdateKind, sentence: str) -> None:
        """Tell the order's timeline of an assignment; {place} is its location."""
        snapshot = await self.networks.current(self.connection)
        message = sentence.replace("{place}", snapshot.locations[row.location_id].name)
        step = orders.Step(kind=kind, status=OrderStatus(order.status), message=message, location_id=row.location_id)
        told = orders.Told(order_id=order.id, channel=order.channel, location_ids=())
        await orders.note(self.connection, [orders.entry(told, step, actor=self.viewer.name, now=self.now)])

    def movement(
        self,
        row: AssignmentRow,
        line: AssignmentLineRow,
        reason: MovementReason,
        *,
        on_hand: int = 0,
        reserved: int = 0,
    ) -> Movement:
        """Return what a line of an assignment does to the stock of its location."""
        return Movement(
            sku=line.sku,
            location_id=row.location_id,
            reason=reason,
            on_hand_delta=on_hand,
            reserved_delta=reserved,
            order_id=row.order_id,
        )
