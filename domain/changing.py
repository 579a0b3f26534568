"""What every change of an order has in common: who may, and what is written of it."""

from collections import Counter
from collections.abc import Sequence

from domain import capacity, feed, lateness, orders
from domain.assignments import AssignmentRow, Record, assignments_of, lines_of
from domain.errors import VersionConflict
from domain.inventory import Movement
from domain.order_actions import require
from domain.orders import OPEN, OrderRow
from domain.replanning import Standing, standing
from domain.shipments import ShipmentRow, lost_of_orders
from domain.shipments import lines_of as contents_of
from domain.vocabulary import OrderAction, OrderStatus, UpdateKind


class Changing(Record):
    """Who changes an order, when, and on which transaction."""

    __slots__ = ()

    async def check(self, action: OrderAction, order: OrderRow, expected_version: int | None = None) -> None:
        """Raise VersionConflict where somebody was faster, ActionNotAllowed where it cannot be done."""
        if expected_version not in {None, order.version}:
            message = f"The order has changed: it is at version {order.version}."
            raise VersionConflict(message=message, path=("expectedVersion",), current_version=order.version)
        lost = await lost_of_orders(self.connection, [order.id])
        require(action, order, self.viewer, astray=bool(lost))

    async def announce(self, order: OrderRow, message: str, *, kind: UpdateKind = UpdateKind.ORDER_CHANGED) -> None:
        """Tell the order's timeline, and the feed for those who have or had work of it."""
        places = await orders.places_of(self.connection, order.id)
        told = orders.Told(order_id=order.id, channel=order.channel, location_ids=places)
        step = orders.Step(kind=kind, status=OrderStatus(order.status), message=message)
        await orders.note(self.connection, [orders.entry(told, step, actor=self.viewer.name, now=self.now)])
        await feed.record(self.connection, [orders.fact(told, step, now=self.now)])

    async def open_work(self, order: OrderRow) -> list[Standing]:
        """Return the work of an order that is still at its location."""
        rows = [row for row in await assignments_of(self.connection, [order.id]) if row.status in OPEN]
        return standing(rows, await lines_of(self.connection, [row.id for row in rows]))

    async def withdraw_all(self, rows: Sequence[AssignmentRow], order: OrderRow) -> list[Movement]:
        """Call work off; return what that releases, for the caller to move."""
        return [movement for row in rows for movement in await self.withdraw(row, order)]

    async def give_up_parcels(self, parcels: Sequence[ShipmentRow], *, written_off: bool) -> Counter[str]:
        """Let the order do without what parcels held that will not arrive; return how many units, by SKU.

        What is `written_off` is cancelled, and not sent again.
        """
        lost: Counter[str] = Counter()
        lines = await contents_of(self.connection, [parcel.id for parcel in parcels])
        for line in lines:
            lost[line.sku] += line.quantity
        await self.connection.executemany(
            "UPDATE order_line SET fulfilled = fulfilled - $2 WHERE id = $1",
            [(line.order_line_id, line.quantity) for line in lines],
        )
        await self.connection.execute(
            "UPDATE shipment SET replaced_at = $2, written_off = $3 WHERE id = ANY ($1::uuid[])",
            [parcel.id for parcel in parcels],
            self.now,
            written_off,
        )
        return lost

    async def end(self, order: OrderRow) -> OrderRow:
        """Bring the order, the days of its locations and its status to what is left of it; return it."""
        await self.connection.execute(
            "UPDATE customer_order SET version = version + 1, updated_at = $2 WHERE id = $1", order.id, self.now
        )
        await capacity.commit(self.connection, order.id)
        await orders.settle(self.connection, order, actor=self.viewer.name, now=self.now)
        await lateness.reconsider(self.connection, order.id, now=self.now)
        return await orders.order(self.connection, order.id)
