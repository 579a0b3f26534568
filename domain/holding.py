"""How an order is held back: planned and reserved, and offered to nobody before it is released."""

from collections.abc import Sequence
from uuid import UUID

from domain import orders, routing
from domain.assignments import AssignmentRow
from domain.changing import Changing
from domain.decided import Decided
from domain.inventory import Movement
from domain.network import Snapshot
from domain.orders import OrderRow
from domain.planning.problem import Parcel, Plan, Share
from domain.replanning import Change, Standing, remaining, replan, together
from domain.routing import Wish, Within
from domain.text import check_optional_text
from domain.vocabulary import FulfillmentMethod, OrderAction, OrderStatus, RoutingTrigger, UpdateKind


class Holding(Changing):
    """Who holds or releases, when, and on which transaction."""

    __slots__ = ()

    async def hold(self, order_id: UUID, *, reason: str | None = None) -> OrderRow:
        """Take an order's work back before picking starts; its stock and its room in days stay taken.

        Raises NotFound, ActionNotAllowed and InvalidInput.
        """
        order = await orders.taken(self.connection, order_id)
        if order.status == OrderStatus.ON_HOLD and order.hold_reason == reason:
            return order
        await self.check(OrderAction.HOLD, order)
        check_optional_text(reason or "", path=("reason",))
        work = await self.open_work(order)
        await self.connection.execute(
            "UPDATE customer_order SET status = 'ON_HOLD', hold_reason = $2, released_at = NULL WHERE id = $1",
            order.id,
            reason,
        )
        order = await orders.order(self.connection, order.id)
        why = f": {reason}" if reason else ""
        rows = [each.row for each in work]
        await self.announce(order, f"Held by {self.viewer.name}{why}.", kind=UpdateKind.ORDER_STATUS_CHANGED)
        snapshot = await self.networks.current(self.connection)
        lines = await orders.lines_of(self.connection, [order.id])
        wish = Wish(order=order, lines=lines, quantities={}, trigger=RoutingTrigger.MANUAL)
        parcels = tuple(_as_planned(each, snapshot) for each in work)
        plan = Plan(method=FulfillmentMethod(order.method), level=None, parcels=parcels, price=0, cost=0)
        planned = await routing.work_of(self.connection, snapshot, wish, [Decided(plan=plan, basis=None)], now=self.now)
        await routing.commit(self.connection, order, planned, await self.withdraw_all(rows, order), now=self.now)
        return await self.end(order)

    async def release(self, order_id: UUID) -> OrderRow:
        """Offer an order's work to its locations; what they cannot do any more as promised is planned anew.

        Raises NotFound and ActionNotAllowed.
        """
        order = await orders.taken(self.connection, order_id)
        if order.status != OrderStatus.ON_HOLD and order.released_at:
            return order
        await self.check(OrderAction.RELEASE, order)
        work = await self.open_work(order)
        await self.connection.execute(
            "UPDATE customer_order SET status = 'RECEIVED', hold_reason = NULL, released_at = $2 WHERE id = $1",
            order.id,
            self.now,
        )
        order = await orders.order(self.connection, order.id)
        await self.announce(order, f"Released by {self.viewer.name}.", kind=UpdateKind.ORDER_STATUS_CHANGED)
        snapshot = await self.networks.current(self.connection)
        fixed: dict[UUID, Decided] = {}
        for each in work:
            as_promised = await remaining(self.connection, snapshot, order, each, Within.PROMISE, now=self.now)
            if as_promised:
                fixed[each.row.id] = as_promised
        lost = [each for each in work if each.row.id not in fixed]
        stay = [each.row for each in work if each.row.id in fixed]

        async def give_up(gone: Sequence[AssignmentRow]) -> list[Movement]:
            return await self.withdraw_all([*stay, *gone], order)

        change = Change(
            order=order,
            trigger=RoutingTrigger.RELEASED,
            quantities=together(lost, {}),
            standing=lost,
            fixed=list(fixed.values()),
        )
        await replan(self.connection, snapshot, change, give_up, now=self.now)
        return await self.end(order)


def _as_planned(work: Standing, snapshot: Snapshot) -> Parcel:
    """Return work as the parcel that it was planned as."""
    row = work.row
    return Parcel(
        location_code=snapshot.locations[row.location_id].code,
        service_code=row.carrier_service_code,
        shares=tuple(Share(sku=sku, quantity=units) for sku, units in work.shares.items()),
        ready_at=row.due_at,
        due_at=row.due_at,
        arrives_earliest=row.arrives_latest,
        arrives_latest=row.arrives_latest,
        cost=0,
        work_day=row.work_day,
    )
