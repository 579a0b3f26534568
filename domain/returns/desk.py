"""How a return goes from step to step: asked for, approved, received, closed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from domain import orders
from domain.errors import InvalidInput, NotFound, ReturnNotEligible
from domain.idempotency import answered
from domain.ids import new_id, new_ids
from domain.network import LocationRow
from domain.order_actions import require as require_of_order
from domain.orders import OrderRow
from domain.returns.eligible import Returnable, Terms, Wanted, check_wanted, returnable, terms
from domain.returns.moves import HERE, allowed_actions, require
from domain.returns.reading import ReturnRow, lines_of, returns, visible
from domain.returns.record import Record
from domain.returns.ways import carrier_way, takes_returns
from domain.text import check_text
from domain.timers import clear_timer, set_timer
from domain.vocabulary import OrderAction, ReturnAction, ReturnMethod, ReturnReason, ReturnStatus

BOOK = "book_return"
CANCEL = "cancel_return"
TRACK = "track_return"
AWAITED = timedelta(days=14)
"""For so long after its last day, and after it was approved, what a shopper sends back is still waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewReturn:
    """A return as a shopper asks for it. The same key and input make it once."""

    order_id: UUID
    lines: Sequence[Wanted]
    method: ReturnMethod
    location_id: UUID | None
    idempotency_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Goods:
    """A line of a return that is made."""

    order_line_id: UUID | None
    sku: str
    quantity: int
    reason: ReturnReason
    deductions: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """The rest of a return that is made: how it comes back, and for how much."""

    method: ReturnMethod
    currency: str
    price: int = 0
    location_id: UUID | None = None
    carrier: str | None = None
    service_code: str | None = None
    shipment_id: UUID | None = None
    tracking_number: str | None = None
    expires_at: datetime | None = None


class Desk(Record):
    """Who takes the step, when, and on which transaction."""

    __slots__ = ()

    async def request(self, wanted: NewReturn) -> ReturnRow:
        """Ask to return lines of an order; where their policies say so it is approved at once.

        Raise NotFound, InvalidInput, ActionNotAllowed, ReturnNotEligible or IdempotencyConflict.
        """
        try:
            order = await orders.taken(self.connection, wanted.order_id)
        except NotFound as fact:
            raise NotFound(message=fact.message, path=("orderId",)) from None
        new = new_id(self.now)
        said = [
            wanted.order_id,
            [[each.order_line_id, each.quantity, each.reason] for each in wanted.lines],
            wanted.method,
            wanted.location_id,
        ]
        made = await answered(self.connection, "requestReturn", wanted.idempotency_key, said, new, now=self.now)
        if made != str(new):
            return (await returns(self.connection, [UUID(made)]))[0]
        require_of_order(OrderAction.REQUEST_RETURN, order, self.viewer, astray=False)
        snapshot = await self.networks.current(self.connection)
        found = await returnable(self.connection, snapshot, order, now=self.now)
        check_wanted(wanted.lines, found)
        agreed = terms([found[each.order_line_id] for each in wanted.lines])
        goods = goods_of(wanted.lines, found)
        announced = await self._announced(order, wanted, agreed, goods)
        row = await self.make(new, order, announced, goods)
        return await self._approve(row, order) if agreed.auto_approve else row

    async def _announced(self, order: OrderRow, wanted: NewReturn, agreed: Terms, goods: Sequence[Goods]) -> Announced:
        place = await self.place(wanted.location_id) if wanted.location_id else None
        announced = Announced(
            method=wanted.method,
            currency=order.currency,
            price=agreed.price(wanted.method),
            location_id=place.id if place else None,
            expires_at=agreed.latest_by + AWAITED,
        )
        if wanted.method is ReturnMethod.IN_STORE:
            return announced
        snapshot = await self.networks.current(self.connection)
        units = [(each.sku, each.quantity) for each in goods]
        way = await carrier_way(self.connection, snapshot, order, units, to=announced.location_id, now=self.now)
        if way is None:
            raise ReturnNotEligible(message="No carrier brings this back in one parcel.", path=("method",))
        carrier = snapshot.services[way[1]].carrier
        return replace(announced, location_id=way[0].id, carrier=carrier, service_code=way[1])

    async def approve(self, return_id: UUID) -> ReturnRow:
        """Let it come back; a carrier's label is made as soon as this is committed."""
        row, order = await self.take(return_id)
        if row.status == ReturnStatus.APPROVED:
            return row
        require(ReturnAction.APPROVE, row, self.viewer)
        await self.connection.execute(
            "UPDATE customer_return SET expires_at = greatest(expires_at, $2) WHERE id = $1",
            row.id,
            self.now + AWAITED,
        )
        return await self._approve(row, order)

    async def _approve(self, row: ReturnRow, order: OrderRow | None) -> ReturnRow:
        if row.method == ReturnMethod.CARRIER:
            await set_timer(self.connection, BOOK, str(row.id), self.now)
        return await self.write(row, order, ReturnStatus.APPROVED)

    async def decline(self, return_id: UUID, reason: str) -> ReturnRow:
        """Refuse to take it back."""
        row, order = await self.take(return_id)
        if row.status == ReturnStatus.DECLINED:
            return row
        require(ReturnAction.DECLINE, row, self.viewer)
        check_text(reason, path=("reason",))
        return await self.write(row, order, ReturnStatus.DECLINED, why=reason.strip().rstrip("."))

    async def cancel(self, return_id: UUID) -> ReturnRow:
        """Call it off before anything has come back; its label holds no more."""
        row, order = await self.take(return_id)
        if row.status == ReturnStatus.CANCELLED:
            return row
        require(ReturnAction.CANCEL, row, self.viewer)
        return await self._call_off(row, order)

    async def expire(self, return_id: UUID) -> None:
        """Call off what has not come in time; one that has come, is on its way or was called off stays as it is."""
        row, order = await self.lock(return_id)
        if row.expires_at is not None and row.expires_at <= self.now:
            await self._call_off(row, order, why=": nothing of it has come in time")

    async def _call_off(self, row: ReturnRow, order: OrderRow | None, *, why: str = "") -> ReturnRow:
        await self._forget_parcel(row)
        if row.method == ReturnMethod.CARRIER and row.status == ReturnStatus.APPROVED:
            await set_timer(self.connection, CANCEL, str(row.id), self.now)
        return await self.write(row, order, ReturnStatus.CANCELLED, why=why)

    async def _forget_parcel(self, row: ReturnRow) -> None:
        """Ask after a parcel no more, and keep no label, which says where somebody lives."""
        await self.connection.execute("UPDATE customer_return SET label_key = NULL WHERE id = $1", row.id)
        await self.connection.execute("DELETE FROM return_label WHERE return_id = $1", row.id)
        await clear_timer(self.connection, TRACK, str(row.id))

    async def receive(self, return_id: UUID, location_id: UUID) -> ReturnRow:
        """Take the goods in at a location with the RETURN service, announced or not; none of them may be sold yet."""
        self.viewer.must_work_at(location_id)
        row, order = await self.lock(return_id)
        if row.status in HERE and row.received_location_id == location_id:
            return row
        if ReturnAction.RECEIVE not in allowed_actions(row, self.viewer) and not visible(row, self.viewer):
            raise NotFound(message="There is no such return.", path=("id",))
        if row.shipment_id is None or location_id != row.announced_location_id:
            await self.place(location_id)
        require(ReturnAction.RECEIVE, row, self.viewer)
        return await self.take_in(row, order, location_id)

    async def take_in(self, row: ReturnRow, order: OrderRow | None, location_id: UUID) -> ReturnRow:
        """Write that the goods are at a location."""
        await self.connection.execute(
            "UPDATE customer_return SET received_location_id = $2, received_at = $3 WHERE id = $1",
            row.id,
            location_id,
            self.now,
        )
        await self._forget_parcel(row)
        if row.shipment_id is None:
            await self.connection.execute(
                """
                UPDATE order_line o SET returned = o.returned + l.quantity
                  FROM return_line l WHERE l.return_id = $1 AND o.id = l.order_line_id
                """,
                row.id,
            )
        return await self.write(row, order, ReturnStatus.RECEIVED)

    async def close(self, return_id: UUID) -> ReturnRow:
        """End it: its refund is what is to be paid."""
        row, order = await self.take(return_id)
        if row.status == ReturnStatus.CLOSED:
            return row
        require(ReturnAction.CLOSE, row, self.viewer)
        return await self.write(row, order, ReturnStatus.CLOSED)

    async def make(self, new: UUID, order: OrderRow | None, announced: Announced, goods: Sequence[Goods]) -> ReturnRow:
        """Write a return that is REQUESTED, with its lines, and tell of it."""
        await self.connection.execute(
            """
            INSERT INTO customer_return (id, number, order_id, shipment_id, status, method, announced_location_id,
                                         requested_at, currency, price, carrier, carrier_service_code, tracking_number,
                                         expires_at, parcel_number, parcel_status, version)
            VALUES ($1, 'R' || nextval('return_number'), $2, $3, 'REQUESTED', $4, $5, $6, $7, $8, $9, $10, $11, $12,
                    CASE WHEN $10::varchar IS NOT NULL THEN nextval('shipment_number') END,
                    CASE WHEN $10::varchar IS NOT NULL THEN 'CREATED' END, 0)
            """,
            new,
            order.id if order else None,
            announced.shipment_id,
            announced.method,
            announced.location_id,
            self.now,
            announced.currency,
            announced.price,
            announced.carrier,
            announced.service_code,
            announced.tracking_number,
            announced.expires_at,
        )
        await self.connection.executemany(
            """
            INSERT INTO return_line (id, return_id, order_line_id, position, sku, quantity, reason, deductions)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            """,
            [
                (line_id, new, each.order_line_id, place, each.sku, each.quantity, each.reason, each.deductions)
                for place, (line_id, each) in enumerate(zip(new_ids(self.now, len(goods)), goods, strict=True))
            ],
        )
        (row,) = await returns(self.connection, [new])
        what = ", ".join(f"{each.quantity} x {each.sku}" for each in await lines_of(self.connection, [new]))
        return await self.write(row, order, ReturnStatus.REQUESTED, what=what)

    async def place(self, location_id: UUID) -> LocationRow:
        """Return a location that takes returns, or raise NotFound or InvalidInput."""
        place = (await self.networks.current(self.connection)).locations.get(location_id)
        if place is None:
            raise NotFound(message="There is no such location.", path=("locationId",))
        if not takes_returns(place):
            raise InvalidInput(message=f"{place.name} takes no returns.", path=("locationId",))
        return place


def goods_of(wanted: Sequence[Wanted], found: Mapping[UUID, Returnable]) -> list[Goods]:
    """Return wanted lines as lines of a return, each with the deductions of its policy as it now is."""
    goods = []
    for each in wanted:
        line, policy = found[each.order_line_id].line, found[each.order_line_id].policy
        deductions = policy.deductions if policy else {}
        goods.append(
            Goods(
                order_line_id=line.id,
                sku=line.sku,
                quantity=each.quantity,
                reason=each.reason,
                deductions=deductions,
            )
        )
    return goods
