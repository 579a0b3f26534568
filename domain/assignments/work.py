"""How a location works its share of an order off, step by step.

Each step locks the order first, so that two people who act on one order act one after the other.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from domain import inventory, orders, policies, routing, transfers
from domain.assignments.moves import EVENTS, MOVES, Event, allowed_actions
from domain.assignments.reading import AssignmentLineRow, AssignmentRow, assignments, assignments_of, lines_of, visible
from domain.assignments.record import Record
from domain.assignments.told import Collected, Picked, check_collected, check_picked, short_of, tells_nothing
from domain.errors import ActionNotAllowed, InvalidInput, InvalidPickupCode, NotFound, VersionConflict
from domain.inventory import Movement
from domain.orders import OrderRow
from domain.text import check_optional_text
from domain.timers import set_timer
from domain.vocabulary import (
    AssignmentAction,
    AssignmentStatus,
    MovementReason,
    RejectReason,
    RoutingTrigger,
    UpdateKind,
)

COLLECTION = "collection"
"""The kind of the timers that end the wait for a shopper."""
COLLECT_WITHIN = timedelta(days=7)
LOOK_AGAIN = timedelta(days=1)
UNREADY = orders.OPEN - {AssignmentStatus.READY_FOR_PICKUP}
PICKUP_ATTEMPTS = 5
PICKUP_LOCK = timedelta(minutes=15)
GONE: Mapping[str | None, MovementReason] = {
    RejectReason.OUT_OF_STOCK: MovementReason.ADJUSTED,
    RejectReason.DAMAGED: MovementReason.DAMAGED,
}
"""Why what was not found leaves the stock, too; for another reason it stays where it is."""


class Desk(Record):
    """Who works, when, and on which transaction."""

    __slots__ = ()

    async def accept(self, assignment_id: UUID, *, expected_version: int | None = None) -> AssignmentRow:
        """Take the work on."""
        row, order = await self._take(assignment_id)
        if row.status == AssignmentStatus.ACCEPTED and row.assignee == self.viewer.name:
            return row
        if expected_version not in {None, row.version}:
            message = f"The assignment has changed: it is at version {row.version}."
            raise VersionConflict(message=message, path=("expectedVersion",), current_version=row.version)
        await self._may(AssignmentAction.ACCEPT, row)
        return await self._step(AssignmentAction.ACCEPT, row, order)

    async def reject(self, assignment_id: UUID, reason: RejectReason, note: str | None = None) -> AssignmentRow:
        """Refuse the work as a whole; its lines are routed anew without this location."""
        row, order = await self._take(assignment_id)
        if row.status == AssignmentStatus.REJECTED and row.reject_reason == reason:
            return row
        await self._may(AssignmentAction.REJECT, row)
        check_optional_text(note or "", path=("note",))
        why = f"{reason.replace('_', ' ').lower()}{f' ({note})' if note else ''}"
        row = await self.write(row, order, AssignmentStatus.REJECTED, reason=reason, why=why)
        await self._give_back(row, order, RoutingTrigger.REJECTED)
        return row

    async def expire(self, assignment_id: UUID) -> None:
        """Take work back that was not answered, or not begun, by its deadline; its lines are routed as if refused."""
        row, order = await self._lock(assignment_id)
        if row.deadline is None or row.deadline > self.now:
            return
        missed = "answer" if row.status == AssignmentStatus.OFFERED else "begin"
        await self.write(row, order, AssignmentStatus.EXPIRED, why=missed)
        await self._give_back(row, order, RoutingTrigger.EXPIRED)

    async def _give_back(self, row: AssignmentRow, order: OrderRow, trigger: RoutingTrigger) -> None:
        """Release all that a location was asked for and will not do, and route it anew."""
        rest = [line for line in await lines_of(self.connection, [row.id]) if line.quantity > line.short]
        released = [
            self.movement(row, line, MovementReason.RELEASED, reserved=line.short - line.quantity) for line in rest
        ]
        await self._route_anew(order, {line.sku: line.quantity - line.short for line in rest}, released, trigger)

    async def shut(self, assignment_id: UUID) -> None:
        """Take open work from a location that has closed, and route it anew; what is packed has to be put back."""
        row, order = await self._lock(assignment_id)
        trigger = RoutingTrigger.LOCATION_CLOSED
        if row.status in EVENTS[Event.CLOSE].sources:
            why = "the location has closed"
            await self.write(row, order, AssignmentStatus.REJECTED, reason=RejectReason.CLOSED, why=why)
            await self._give_back(row, order, trigger)
        elif row.status in orders.OPEN:
            lines = await lines_of(self.connection, [row.id])
            released = await self.withdraw(row, order)
            left = {line.sku: line.quantity - line.short for line in lines if line.quantity > line.short}
            await self._route_anew(order, left, released, trigger)

    async def start_picking(self, assignment_id: UUID) -> AssignmentRow:
        """Begin to pick."""
        return await self._advance(AssignmentAction.START_PICKING, assignment_id)

    async def pack(self, assignment_id: UUID) -> AssignmentRow:
        """Pack what was picked; every line has to be picked or reported short in full. A delivery becomes parcels."""
        row, order = await self._take(assignment_id)
        if row.status == AssignmentStatus.PACKED:
            return row
        await self._may(AssignmentAction.PACK, row)
        lines = await lines_of(self.connection, [row.id])
        for line in lines:
            if line.picked + line.short < line.quantity:
                left = line.quantity - line.picked - line.short
                message = f"{left} x {line.sku} are neither picked nor reported short."
                raise InvalidInput(message=message, path=("id",))
        await self.dispatch.create(row, lines)
        return await self._step(AssignmentAction.PACK, row, order)

    async def mark_ready(self, assignment_id: UUID) -> AssignmentRow:
        """Put the parcel where the shopper collects it, for as long as the policy or COLLECT_WITHIN says.

        What of the order is ready there already waits as long: the shopper comes for all of it.
        """
        row, order = await self._take(assignment_id)
        if row.status == AssignmentStatus.READY_FOR_PICKUP:
            return row
        await self._may(AssignmentAction.MARK_READY, row)
        within = await policies.collect_within(self.connection, order.id) or COLLECT_WITHIN
        ready = await self.connection.fetch(
            """
            UPDATE assignment SET collect_by = $3
             WHERE id = $1 OR order_id = $2 AND status = 'READY_FOR_PICKUP' RETURNING *
            """,
            row.id,
            order.id,
            self.now + within,
            record_class=AssignmentRow,
        )
        for each in ready:
            await set_timer(self.connection, COLLECTION, str(each.id), self.now + within)
            if each.id != row.id:
                await self.write(each, order, AssignmentStatus.READY_FOR_PICKUP)
        return await self._step(AssignmentAction.MARK_READY, row, order)

    async def give_up(self, assignment_id: UUID) -> None:
        """Cancel what nobody has collected in time; it stays reserved until the location has put it back.

        As long as more of the order is to come to the store, or to be made ready there, the shopper is waited for.
        """
        row, order = await self._take(assignment_id)
        if row.status not in EVENTS[Event.GIVE_UP].sources or row.collect_by is None or row.collect_by > self.now:
            return
        work = await assignments_of(self.connection, [order.id])
        if any(each.status in UNREADY for each in work) or await transfers.coming(self.connection, order.id):
            later = self.now + LOOK_AGAIN
            await self.connection.execute("UPDATE assignment SET collect_by = $2 WHERE id = $1", row.id, later)
            await set_timer(self.connection, COLLECTION, str(row.id), later)
            await self.write(row, order, AssignmentStatus.READY_FOR_PICKUP)
            return
        await self.connection.executemany(
            "UPDATE order_line SET cancelled = cancelled + $2 WHERE id = $1",
            [(line.order_line_id, line.picked) for line in await lines_of(self.connection, [row.id])],
        )
        await self.write(row, order, AssignmentStatus.NOT_COLLECTED)
        await orders.settle(self.connection, order, actor=self.viewer.name, now=self.now)

    async def hand_over(self, assignment_id: UUID) -> AssignmentRow:
        """Give the parcel to the carrier: what was picked leaves the stock."""
        row, order = await self._take(assignment_id)
        if row.status == AssignmentStatus.HANDED_OVER:
            return row
        await self._may(AssignmentAction.HAND_OVER, row)
        await self.dispatch.hand_over(row.id, order)
        return await self._leave(AssignmentAction.HAND_OVER, row, order)

    async def collect(
        self, assignment_id: UUID, pickup_code: str, lines: Sequence[Collected] | None = None
    ) -> AssignmentRow | InvalidPickupCode:
        """Give the parcel to the shopper who shows the order's code: what was picked leaves the stock.

        With `lines`, the shopper takes only these: the rest goes back on the shelf, and is cancelled.
        The code is compared in constant time; after PICKUP_ATTEMPTS wrong ones it is locked for PICKUP_LOCK. A wrong
        code is returned and not raised, for the caller has to commit that it was counted.
        """
        row, order = await self._take(assignment_id)
        right = secrets.compare_digest(pickup_code.encode(), (order.pickup_code or "").encode())
        if row.status == AssignmentStatus.COLLECTED and right:
            return row
        await self._may(AssignmentAction.COLLECT, row)
        locked = row.pickup_locked_until is not None and row.pickup_locked_until > self.now
        if locked or not right:
            return await self._count_wrong_code(row, order, locked=locked)
        if lines is None:
            return await self._leave(AssignmentAction.COLLECT, row, order)
        known = {line.id: line for line in await lines_of(self.connection, [row.id])}
        check_collected(lines, known)
        taken = {each.line_id: each.quantity for each in lines}
        left = {line: line.picked - taken.get(line.id, 0) for line in known.values()}
        await inventory.lock(self.connection, [(line.sku, row.location_id) for line in known.values()])
        await self._leave_behind(row, order, {line: units for line, units in left.items() if units})
        return await self._leave(AssignmentAction.COLLECT, row, order)

    async def _leave_behind(self, row: AssignmentRow, order: OrderRow, left: Mapping[AssignmentLineRow, int]) -> None:
        """Put back what a shopper did not take; it is cancelled, and counts as picked no more."""
        back = [self.movement(row, line, MovementReason.RELEASED, reserved=-units) for line, units in left.items()]
        await inventory.move(self.connection, back, now=self.now)
        for statement, column in (
            ("UPDATE order_line SET cancelled = cancelled + $2 WHERE id = $1", "order_line_id"),
            ("UPDATE assignment_line SET picked = picked - $2 WHERE id = $1", "id"),
        ):
            await self.connection.executemany(statement, [(line[column], units) for line, units in left.items()])
        for line, units in left.items():
            await self.say(order, row, UpdateKind.ORDER_CHANGED, f"The shopper left {units} x {line.sku} at {{place}}.")

    async def restock(self, assignment_id: UUID) -> AssignmentRow:
        """Say that what was picked for work called off is back on its shelf: from now on it may be sold."""
        row, order = await self._take(assignment_id)
        if row.restocked_at and any(line.picked for line in await lines_of(self.connection, [row.id])):
            return row
        await self._may(AssignmentAction.RESTOCK, row)
        picked = [line for line in await lines_of(self.connection, [row.id]) if line.picked]
        back = [self.movement(row, line, MovementReason.RELEASED, reserved=-line.picked) for line in picked]
        await inventory.move(self.connection, back, now=self.now)
        await self.shelve(row)
        row = await self.write(row, order, AssignmentStatus(row.status))
        await self.say(order, row, UpdateKind.ASSIGNMENT_STATUS_CHANGED, f"{{place}} restocked {row.number}.")
        return row

    async def _count_wrong_code(self, row: AssignmentRow, order: OrderRow, *, locked: bool) -> InvalidPickupCode:
        attempts, until = row.pickup_attempts, row.pickup_locked_until
        if not locked:
            attempts = attempts % PICKUP_ATTEMPTS + 1
            until = self.now + PICKUP_LOCK if attempts == PICKUP_ATTEMPTS else None
            await self.connection.execute(
                "UPDATE assignment SET pickup_attempts = $2, pickup_locked_until = $3 WHERE id = $1",
                row.id,
                attempts,
                until,
            )
            if until:
                sentence = (
                    f"{{place}} was shown {PICKUP_ATTEMPTS} wrong pickup codes for {row.number}, and takes none now."
                )
                await self.say(order, row, UpdateKind.ORDER_CHANGED, sentence)
        message = "Too many wrong codes: wait a while." if until else "This is not the order's pickup code."
        return InvalidPickupCode(
            message=message, path=("pickupCode",), attempts_left=PICKUP_ATTEMPTS - attempts, locked_until=until
        )

    async def report_picked(self, assignment_id: UUID, picked: Sequence[Picked]) -> AssignmentRow:
        """Say what was found so far. What was not found leaves the stock, and is routed anew without this location.

        With every line short, the assignment is rejected.
        """
        row, order = await self._take(assignment_id)
        known = {line.id: line for line in await lines_of(self.connection, [row.id])}
        if picked and all(tells_nothing(known.get(each.line_id), each) for each in picked):
            return row
        await self._may(AssignmentAction.REPORT_PICKED, row)
        check_picked(picked, known)
        await self.connection.executemany(
            """
            UPDATE assignment_line SET picked = $2, short = $3, short_reason = coalesce($4, short_reason)
             WHERE id = $1
            """,
            [(each.line_id, each.quantity, short_of(known[each.line_id], each), each.reason) for each in picked],
        )
        after = await lines_of(self.connection, [row.id])
        row = await self._after_shortage(row, order, RejectReason(after[0].short_reason or RejectReason.OUT_OF_STOCK))
        newly = {line.sku: (line, line.short - known[line.id].short) for line in after}
        await self._shortage(row, order, {sku: found for sku, found in newly.items() if found[1]})
        return row

    async def lose(self, assignment_id: UUID, sku: str, most: int) -> int:
        """Mark as short what a count did not find, and route it anew; return how many units, at most what is open.

        The count itself has corrected the stock. With every line short, the assignment is rejected.
        """
        row, order = await self._lock(assignment_id)
        lines = [line for line in await lines_of(self.connection, [row.id]) if line.sku == sku]
        if not lines or row.status not in EVENTS[Event.LACK].sources:
            return 0  # it has moved on since it was found
        (line,) = lines
        quantity = min(most, line.quantity - line.short - line.picked)
        if not quantity:
            return 0
        await self.connection.execute(
            "UPDATE assignment_line SET short = short + $2, short_reason = $3 WHERE id = $1",
            line.id,
            quantity,
            RejectReason.OUT_OF_STOCK,
        )
        await self._after_shortage(row, order, RejectReason.OUT_OF_STOCK)
        await self.say(order, row, UpdateKind.ORDER_CHANGED, f"A count at {{place}} lacks {quantity} x {sku}.")
        released = self.movement(row, line, MovementReason.RELEASED, reserved=-quantity)
        await self._route_anew(order, {sku: quantity}, [released], RoutingTrigger.NOT_FOUND_IN_COUNT)
        return quantity

    async def _after_shortage(self, row: AssignmentRow, order: OrderRow, reason: RejectReason) -> AssignmentRow:
        """Tell of an assignment that lacks something; one that lacks everything is rejected."""
        lines = await lines_of(self.connection, [row.id])
        if all(line.short == line.quantity for line in lines):
            rejected = AssignmentStatus.REJECTED
            return await self.write(row, order, rejected, reason=reason, why="nothing was found")
        return await self.write(row, order, AssignmentStatus(row.status))

    async def _shortage(
        self, row: AssignmentRow, order: OrderRow, newly: Mapping[str, tuple[AssignmentLineRow, int]]
    ) -> None:
        if not newly:
            return
        lost = []
        for line, short in newly.values():
            reason = GONE.get(line.short_reason, MovementReason.RELEASED)
            gone = short if line.short_reason in GONE else 0
            movement = self.movement(row, line, reason, on_hand=-gone, reserved=-short)
            lost.append(replace(movement, missing=True))
        told = ", ".join(f"{short} x {sku}" for sku, (_, short) in newly.items())
        await self.say(order, row, UpdateKind.ORDER_CHANGED, f"{{place}} did not find {told}.")
        quantities = {sku: short for sku, (_, short) in newly.items()}
        await self._route_anew(order, quantities, lost, RoutingTrigger.SHORT_PICK)

    async def _advance(self, action: AssignmentAction, assignment_id: UUID) -> AssignmentRow:
        row, order = await self._take(assignment_id)
        if row.status == MOVES[action].target:
            return row
        await self._may(action, row)
        return await self._step(action, row, order)

    async def _take(self, assignment_id: UUID) -> tuple[AssignmentRow, OrderRow]:
        """Lock the order of an assignment, then read both; NotFound where the viewer may not know of it."""
        row, order = await self._lock(assignment_id)
        if not visible(row, self.viewer):
            raise NotFound(message="There is no such assignment.", path=("id",))
        return row, order

    async def _lock(self, assignment_id: UUID) -> tuple[AssignmentRow, OrderRow]:
        await self.connection.execute(
            """
            SELECT 1 FROM customer_order
             WHERE id = (SELECT order_id FROM assignment WHERE id = $1) FOR NO KEY UPDATE
            """,
            assignment_id,
        )
        rows = await assignments(self.connection, [assignment_id])
        if not rows:
            raise NotFound(message="There is no such assignment.", path=("id",))
        return rows[0], await orders.order(self.connection, rows[0].order_id)

    async def _may(self, action: AssignmentAction, row: AssignmentRow) -> None:
        if action not in allowed_actions(row, self.viewer):
            raise ActionNotAllowed(
                message=f"{action} cannot be done: the {row.method.lower()} assignment is {row.status}.",
                path=("id",),
                status=row.status,
                allowed_actions=allowed_actions(row, self.viewer, await lines_of(self.connection, [row.id])),
            )

    async def _step(self, action: AssignmentAction, row: AssignmentRow, order: OrderRow) -> AssignmentRow:
        target = MOVES[action].target
        row = await self.write(row, order, target or AssignmentStatus(row.status))
        await orders.settle(self.connection, order, actor=self.viewer.name, now=self.now)
        return row

    async def _leave(self, action: AssignmentAction, row: AssignmentRow, order: OrderRow) -> AssignmentRow:
        """Let what was picked leave the location: on the order's lines, on the shelf and in the ledger.

        The shelf comes last: others who take from it wait no longer than they have to.
        """
        picked = [line for line in await lines_of(self.connection, [row.id]) if line.picked]
        await self.connection.executemany(
            "UPDATE order_line SET fulfilled = fulfilled + $2, fulfilled_at = $3 WHERE id = $1",
            [(line.order_line_id, line.picked, self.now) for line in picked],
        )
        row = await self._step(action, row, order)
        levels = await inventory.lock(self.connection, [(line.sku, row.location_id) for line in picked])
        on_hand = {sku: level.on_hand for (sku, _), level in levels.items()}
        found = [
            self.movement(row, line, MovementReason.ADJUSTED, on_hand=line.picked - on_hand[line.sku])
            for line in picked
            if line.picked > on_hand[line.sku]  # the count was wrong: what leaves was there
        ]
        sold = [
            self.movement(row, line, MovementReason.SOLD, on_hand=-line.picked, reserved=-line.picked)
            for line in picked
        ]
        await inventory.move(self.connection, [*found, *sold], now=self.now)
        return row

    async def _route_anew(
        self, order: OrderRow, quantities: Mapping[str, int], movements: Sequence[Movement], trigger: RoutingTrigger
    ) -> None:
        snapshot = await self.networks.current(self.connection)
        await routing.reroute(self.connection, snapshot, order, quantities, movements, trigger=trigger, now=self.now)
        await orders.settle(self.connection, order, actor=self.viewer.name, now=self.now)
