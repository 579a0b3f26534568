"""How an order goes another way: to another address, from other locations, or once more where a parcel went astray."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from domain import orders, places, transfers
from domain.assignments import AssignmentRow, lines_of
from domain.changing import Changing
from domain.errors import ActionNotAllowed, InvalidInput, NoFulfillmentOption, NotFound
from domain.inventory import Movement
from domain.network import Snapshot
from domain.order_actions import allowed_actions
from domain.orders import UNDERWAY, OrderRow
from domain.places import Address
from domain.planning.problem import Parcel, Unavailable
from domain.replanning import Change, Replanned, Standing, possible, remaining, replan, together
from domain.routing import Within
from domain.shipments import ShipmentRow, astray, came_back, lost_of_orders, name, shipments
from domain.vocabulary import (
    AssignmentStatus,
    FulfillmentMethod,
    OrderAction,
    RoutingTrigger,
    UnavailabilityCode,
)


class Rerouting(Changing):
    """Who sends an order another way, when, and on which transaction."""

    __slots__ = ()

    async def change_address(
        self, order_id: UUID, ship_to: Address, *, expected_version: int | None = None
    ) -> OrderRow:
        """Send what has not left yet to another address, at the same price and level; the promise may move.

        Work that has begun stays where it is if it can, with another label; the rest is planned anew. Raises NotFound,
        VersionConflict, ActionNotAllowed, InvalidInput and, with nothing changed, NoFulfillmentOption.
        """
        places.validate(ship_to, path=("shipTo",))
        target = await places.resolve(self.connection, ship_to)
        order = await orders.taken(self.connection, order_id)
        there = ship_to.as_json(found_at=target)
        if order.ship_to == there:
            return order
        await self.check(OrderAction.CHANGE_ADDRESS, order, expected_version)
        if target is None:
            raise _unknown()
        await self.connection.execute("UPDATE customer_order SET ship_to = $2 WHERE id = $1", order.id, there)
        order = await orders.order(self.connection, order.id)
        work = await self.open_work(order)
        to = f"{ship_to.postal_code} {ship_to.city}, {ship_to.country}"
        await self.announce(order, f"Sent to {to} instead by {self.viewer.name}.")
        snapshot = await self.networks.current(self.connection)
        staying, leaving = await self._sort(snapshot, order, work)
        change = await self._change(order, work, leaving, RoutingTrigger.ORDER_CHANGED, Within.LEVEL)
        done = await replan(
            self.connection, snapshot, change, lambda gone: self.withdraw_all([*leaving, *gone], order), now=self.now
        )
        await self._require(order, done, "It cannot be delivered there.")
        if done.missing and not await possible(self.connection, snapshot, change, done.missing, now=self.now):
            raise done.refusal("It cannot be delivered there.")
        for each, parcel in [*staying, *done.kept]:
            await self._go_on(each.row, order, parcel)
        await self._promise(order, [*(parcel for _, parcel in [*staying, *done.kept]), *done.offered])
        return await self.end(order)

    async def reroute(self, order_id: UUID, *, block: Sequence[UUID] | None = None) -> OrderRow:
        """Plan anew all that nobody has begun to pick, and what waits; `block` names those not to be asked again.

        Locations once blocked stay so until others are named. Work that has begun is taken from blocked ones only.
        Raises NotFound, ActionNotAllowed, InvalidInput and, with nothing changed, NoFulfillmentOption.
        """
        order = await orders.taken(self.connection, order_id)
        await self.check(OrderAction.REROUTE, order)
        snapshot = await self.networks.current(self.connection)
        blocked = order.blocked_location_ids if block is None else sorted(set(block))
        _check_blocked(order, block or (), snapshot)
        said = blocked != order.blocked_location_ids
        if said:
            query = "UPDATE customer_order SET blocked_location_ids = $2 WHERE id = $1"
            await self.connection.execute(query, order.id, blocked)
            order = await orders.order(self.connection, order.id)
        work = await self.open_work(order)
        leaving = [each.row for each in work if each.row.status in UNDERWAY and each.row.location_id in blocked]
        asked = await transfers.coming(self.connection, order.id, asked=blocked)
        without = [snapshot.locations[key].name for key in blocked] if said else []
        sentence = f"Routed anew by {self.viewer.name}{' without ' * bool(without)}{', '.join(without)}."

        async def give_up(gone: Sequence[AssignmentRow]) -> list[Movement]:
            await self.announce(order, sentence)
            unsent = await transfers.take_back(self.connection, order.id, asked, asked=blocked)
            return unsent + await self.withdraw_all([*leaving, *gone], order)

        change = await self._change(order, work, leaving, RoutingTrigger.MANUAL, Within.METHOD)
        change = replace(change, quantities=together([], asked + Counter(change.quantities)))
        done = await replan(self.connection, snapshot, change, give_up, now=self.now)
        await self._require(order, done, "No other location can do it.")
        changed = len(done.kept) < len(change.standing) or done.offered
        if not changed and done.missing:
            raise done.refusal("No location can do it.")
        if said and not changed:
            await self.announce(order, sentence)
        return await self.end(order) if said or changed else order

    async def replace(self, shipment_id: UUID) -> OrderRow:
        """Send once more what a parcel held that will not arrive.

        One whose units were sent again already stays so. Raises NotFound, ActionNotAllowed and, with
        nothing changed, NoFulfillmentOption.
        """
        parcel, order = await self._parcel(shipment_id)
        if parcel.replaced_at and not parcel.written_off:
            return order
        back = astray(parcel) and await came_back(self.connection, [parcel.id])
        if back or not astray(parcel):
            others = await lost_of_orders(self.connection, [order.id])
            allowed = [
                each for each in allowed_actions(order, self.viewer, astray=bool(others)) if each != OrderAction.REPLACE
            ]
            state = "what it held is cancelled" if parcel.written_off else f"the parcel is {parcel.status}"
            state = "some of it came back, or is announced to" if back else state
            message = f"Only what will not arrive is sent again: {state}."
            raise ActionNotAllowed(message=message, path=("id",), status=parcel.status, allowed_actions=allowed)
        await self.check(OrderAction.REPLACE, order)
        lost = await self.give_up_parcels([parcel], written_off=False)
        sentence = f"What parcel {name(parcel)} held is sent again by {self.viewer.name}."
        await self.dispatch.tell(parcel, order, sentence)
        snapshot = await self.networks.current(self.connection)
        change = Change(order=order, trigger=RoutingTrigger.MANUAL, quantities=lost, standing=())
        done = await replan(
            self.connection, snapshot, change, lambda gone: self.withdraw_all(gone, order), now=self.now
        )
        if done.missing and not order.allow_backorder:
            raise done.refusal("No location can send it again.")
        return await self.end(order)

    async def _parcel(self, shipment_id: UUID) -> tuple[ShipmentRow, OrderRow]:
        """Lock the order of a parcel, then read both."""
        rows = await shipments(self.connection, [shipment_id])
        if not rows:
            raise NotFound(message="There is no such parcel.", path=("id",))
        order = await orders.taken(self.connection, rows[0].order_id)
        return (await shipments(self.connection, [shipment_id]))[0], order

    async def _sort(
        self, snapshot: Snapshot, order: OrderRow, work: Sequence[Standing]
    ) -> tuple[list[tuple[Standing, Parcel]], list[AssignmentRow]]:
        """Return the work that has begun and can stay, with how, and that which cannot."""
        staying, leaving = [], []
        for each in work:
            if each.row.status in UNDERWAY:
                stays = await remaining(self.connection, snapshot, order, each, Within.LEVEL, now=self.now)
                if stays:
                    staying.append((each, stays.plan.parcels[0]))
                else:
                    leaving.append(each.row)
        return staying, leaving

    async def _change(
        self,
        order: OrderRow,
        work: Sequence[Standing],
        leaving: Sequence[AssignmentRow],
        trigger: RoutingTrigger,
        within: Within,
    ) -> Change:
        """Return what is planned anew: what waits, what nobody has begun, and what is taken from where it was begun."""
        free = [each for each in work if each.row.status not in UNDERWAY]
        taken = [each for each in work if each.row.id in {row.id for row in leaving}]
        quantities = together([*free, *taken], await self._waiting(order))
        return Change(order=order, trigger=trigger, quantities=quantities, standing=free, within=within)

    async def _waiting(self, order: OrderRow) -> Counter[str]:
        return Counter({line.sku: line.backordered for line in await orders.lines_of(self.connection, [order.id])})

    async def _require(self, order: OrderRow, done: Replanned, message: str) -> None:
        """Raise NoFulfillmentOption where more would wait than does; what was written so far is rolled back."""
        if Counter(done.missing) - await self._waiting(order):
            raise done.refusal(message)

    async def _go_on(self, row: AssignmentRow, order: OrderRow, parcel: Parcel) -> None:
        """Let work go on as another parcel of its location; one that is packed gets another label."""
        row = await self.connection.fetchrow(
            """
            UPDATE assignment SET carrier_service_code = $2, due_at = $3, arrives_latest = $4 WHERE id = $1 RETURNING *
            """,
            row.id,
            parcel.service_code,
            parcel.due_at,
            parcel.arrives_latest,
            record_class=AssignmentRow,
        )
        if row.status == AssignmentStatus.PACKED:
            await self.dispatch.call_off(row.id, order)
            await self.dispatch.create(row, await lines_of(self.connection, [row.id]))
        await self.write(row, order, AssignmentStatus(row.status))

    async def _promise(self, order: OrderRow, parcels: Sequence[Parcel]) -> None:
        """Promise an order anew, by what of it is still to come and what is on its way."""
        if not parcels:
            return
        await self.connection.execute(
            """
            UPDATE customer_order SET promised_earliest = $2, promised_latest = after.latest, late = after.latest < $3
              FROM (SELECT max(arrives_latest) AS latest FROM assignment
                     WHERE order_id = $1 AND status NOT IN ('REJECTED', 'EXPIRED', 'CANCELLED')) after
             WHERE id = $1
            """,
            order.id,
            max(parcel.arrives_earliest for parcel in parcels),
            self.now,
        )


def _check_blocked(order: OrderRow, block: Sequence[UUID], snapshot: Snapshot) -> None:
    for number, key in enumerate(block):
        path = ("blockLocations", str(number))
        if key not in snapshot.locations:
            raise NotFound(message="There is no such location.", path=path)
        if key == order.pickup_location_id:
            raise InvalidInput(message="A pickup is never routed to another store.", path=path)


def _unknown() -> NoFulfillmentOption:
    code, message = UnavailabilityCode.DESTINATION_UNKNOWN, "Nobody knows where this is."
    reason = Unavailable(method=FulfillmentMethod.DELIVERY, code=code, message=message)
    return NoFulfillmentOption(message=message, unavailable=[reason])
