"""How an order, or a part of it, is called off: its work, its stock and what waits for stock."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from domain import inventory, orders, transfers
from domain.assignments import AssignmentLineRow, AssignmentRow, assignments_of, lines_of
from domain.changing import Changing
from domain.errors import InvalidInput
from domain.inventory import Movement
from domain.orders import OPEN, OrderLineRow, OrderRow
from domain.shipments import ShipmentRow, lost_of_orders
from domain.shipments import lines_of as contents_of
from domain.text import check_optional_text
from domain.vocabulary import AssignmentStatus, MovementReason, OrderAction, OrderStatus

_S = AssignmentStatus
GIVEN_BACK_FIRST = (_S.HELD, _S.OFFERED, _S.ACCEPTED, _S.PICKING)


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelledLine:
    """How many units of an order's line are called off."""

    line_id: UUID
    quantity: int


class Cancelling(Changing):
    """Who cancels, when, and on which transaction."""

    __slots__ = ()

    async def cancel(
        self, order_id: UUID, *, reason: str | None = None, expected_version: int | None = None
    ) -> OrderRow:
        """Call off everything that has not left its location, and what will not arrive; what is cancelled stays so.

        Raises NotFound, VersionConflict, ActionNotAllowed and InvalidInput.
        """
        order = await orders.taken(self.connection, order_id)
        if order.status == OrderStatus.CANCELLED:
            return order
        await self.check(OrderAction.CANCEL, order, expected_version)
        check_optional_text(reason or "", path=("reason",))
        work = [row for row in await assignments_of(self.connection, [order.id]) if row.status in OPEN]
        released = [movement for row in work for movement in await self.withdraw(row, order)]
        coming = await transfers.coming(self.connection, order.id)
        released += await transfers.take_back(self.connection, order.id, coming)
        await inventory.move(self.connection, released, now=self.now)
        lost = await lost_of_orders(self.connection, [order.id])
        await self.give_up_parcels(lost, written_off=True)
        await self.connection.execute(
            "UPDATE order_line SET cancelled = quantity - fulfilled, backordered = 0 WHERE order_id = $1", order.id
        )
        return await self._end(order, "Cancelled", reason)

    async def cancel_lines(
        self,
        order_id: UUID,
        wanted: Sequence[CancelledLine],
        *,
        reason: str | None = None,
        expected_version: int | None = None,
    ) -> OrderRow:
        """Call off units of parcels that will not arrive, and units that are not picked yet.

        The parcels go first, and each as a whole; then what waits or has yet to come, then the least advanced work.
        Raises NotFound, VersionConflict, ActionNotAllowed and InvalidInput.
        """
        order = await orders.taken(self.connection, order_id)
        await self.check(OrderAction.CANCEL_LINES, order, expected_version)
        check_optional_text(reason or "", path=("reason",))
        known = {line.id: line for line in await orders.lines_of(self.connection, [order.id])}
        contents = await self._lost_contents(order)
        _check_lines(wanted, known, sum(contents.values(), Counter()))
        given_up = _whole(contents, Counter({each.line_id: each.quantity for each in wanted}))
        await self.give_up_parcels(given_up, written_off=True)
        lost = sum((contents[parcel] for parcel in given_up), Counter[UUID]())
        await self._give_back(order, known, [replace(x, quantity=x.quantity - lost[x.line_id]) for x in wanted])
        await self.connection.executemany(
            "UPDATE order_line SET cancelled = cancelled + $2 WHERE id = $1",
            [(each.line_id, each.quantity) for each in wanted],
        )
        what = ", ".join(f"{each.quantity} x {known[each.line_id].sku}" for each in wanted)
        return await self._end(order, f"{what} cancelled", reason)

    async def _lost_contents(self, order: OrderRow) -> dict[ShipmentRow, Counter[UUID]]:
        """Return how many units of each line of the order the parcels hold that will not arrive."""
        lost = await lost_of_orders(self.connection, [order.id])
        contents = {parcel.id: (parcel, Counter[UUID]()) for parcel in lost}
        for line in await contents_of(self.connection, list(contents)):
            contents[line.shipment_id][1][line.order_line_id] += line.quantity
        return dict(contents.values())

    async def _give_back(
        self, order: OrderRow, known: Mapping[UUID, OrderLineRow], wanted: Sequence[CancelledLine]
    ) -> None:
        """Call off units that are not picked yet."""
        work = {row.id: row for row in await assignments_of(self.connection, [order.id])}
        lines = await lines_of(self.connection, list(work))
        to_pick = sorted(
            ((line, units) for line in lines if (units := _free(work, line))),
            key=lambda share: GIVEN_BACK_FIRST.index(AssignmentStatus(work[share[0].assignment_id].status)),
        )
        coming = await transfers.coming(self.connection, order.id)
        unsent: dict[str, int] = {}
        taken: dict[AssignmentLineRow, int] = {}
        for index, each in enumerate(wanted):
            line, path = known[each.line_id], ("lines", str(index), "quantity")
            unsent[line.sku] = min(coming[line.sku], max(each.quantity - line.backordered, 0))
            taken |= _share_out(each, line, line.backordered + unsent[line.sku], to_pick, path)
        await self._take_off(order, work, taken, unsent)

    async def _take_off(
        self,
        order: OrderRow,
        work: Mapping[UUID, AssignmentRow],
        taken: Mapping[AssignmentLineRow, int],
        unsent: Mapping[str, int],
    ) -> None:
        """Take units off lines to pick, or their work, as it was, off where nothing of it is left to find.

        `unsent` are units by SKU that need not come to the store any more.
        """
        changed = [work[key] for key in dict.fromkeys(line.assignment_id for line in taken)]
        lines = await lines_of(self.connection, [row.id for row in changed])
        left = {line.assignment_id for line in lines if line.quantity > line.short + taken.get(line, 0)}
        fewer = {line: units for line, units in taken.items() if line.assignment_id in left}
        await self.connection.executemany(
            "UPDATE assignment_line SET quantity = quantity - $2 WHERE id = $1 AND quantity > $2",
            [(line.id, units) for line, units in fewer.items()],
        )
        await self.connection.execute(
            "DELETE FROM assignment_line WHERE id = ANY ($1::uuid[])",
            [line.id for line, units in fewer.items() if units == line.quantity],
        )
        for row in changed:
            await self.write(row, order, AssignmentStatus(row.status if row.id in left else AssignmentStatus.CANCELLED))
            if row.id not in left:
                await self.shelve(row)
        released: list[Movement] = [
            self.movement(work[line.assignment_id], line, MovementReason.RELEASED, reserved=-units)
            for line, units in taken.items()
        ]
        released += await transfers.take_back(self.connection, order.id, unsent)
        await inventory.move(self.connection, released, now=self.now)

    async def _end(self, order: OrderRow, what: str, reason: str | None) -> OrderRow:
        """Say what was cancelled, and bring the order to what is left of it and to what arrived after all."""
        await self.announce(order, f"{what} by {self.viewer.name}{f': {reason}' if reason else ''}.")
        await self.dispatch.recognise(order)
        return await self.end(order)


def _whole(contents: Mapping[ShipmentRow, Counter[UUID]], wanted: Counter[UUID]) -> list[ShipmentRow]:
    """Return the parcels, the earliest first, of which all that they hold is wanted."""
    found, left = [], wanted
    for parcel, units in contents.items():
        if units <= left:
            found.append(parcel)
            left = left - units
    return found


def _check_lines(wanted: Sequence[CancelledLine], known: Mapping[UUID, OrderLineRow], lost: Mapping[UUID, int]) -> None:
    if not wanted:
        raise InvalidInput(message="Name the lines to cancel.", path=("lines",))
    for index, each in enumerate(wanted):
        path, line = ("lines", str(index)), known.get(each.line_id)
        if line is None:
            raise InvalidInput(message="The order has no such line.", path=(*path, "lineId"))
        if each.line_id in {other.line_id for other in wanted[:index]}:
            raise InvalidInput(message="A line is named twice.", path=(*path, "lineId"))
        most = line.quantity - line.fulfilled - line.cancelled + lost.get(line.id, 0)
        if not 1 <= each.quantity <= most:
            message = f"Of {line.sku}, 1 to {most} can be cancelled." if most else f"Nothing of {line.sku} is left."
            raise InvalidInput(message=message, path=(*path, "quantity"))


def _free(work: Mapping[UUID, AssignmentRow], line: AssignmentLineRow) -> int:
    """Return how many units of a line to pick are nobody's in hand yet."""
    status = work[line.assignment_id].status
    return line.quantity - line.short - line.picked if status in GIVEN_BACK_FIRST else 0


def _share_out(
    wanted: CancelledLine,
    line: OrderLineRow,
    waiting: int,
    to_pick: Sequence[tuple[AssignmentLineRow, int]],
    path: Sequence[str],
) -> dict[AssignmentLineRow, int]:
    """Return how many units each line to pick gives back, beside those that are `waiting`.

    Raise InvalidInput where too many are picked.
    """
    missing = wanted.quantity - min(waiting, wanted.quantity)
    taken: dict[AssignmentLineRow, int] = {}
    for share, free in to_pick:
        if share.order_line_id == line.id and missing:
            taken[share] = min(free, missing)
            missing -= taken[share]
    if missing:
        message = f"{missing} x {line.sku} are picked, or part of a parcel that is cancelled as a whole."
        raise InvalidInput(message=message, path=path)
    return taken
