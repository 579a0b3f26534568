"""What comes back to a small town's stores: sold and returned, or shown at a counter, step by step."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from domain import returns, shipments
from domain.assignments import Desk as Bench
from domain.assignments import Picked, assignments_of, lines_of
from domain.carriers import TrackingReport
from domain.errors import DomainError
from domain.orders import OPEN
from domain.returns import Counter, Inspected, Inspection, NewReturn, Registration, Shown, Wanted
from domain.returns.record import Record
from domain.shipments import Dispatch
from domain.viewer import FOREVER, Viewer
from domain.vocabulary import (
    Disposition,
    FulfillmentMethod,
    ItemCondition,
    ReturnMethod,
    ReturnReason,
    ReturnStatus,
    Role,
    ShipmentStatus,
)

if TYPE_CHECKING:
    from tests.races.trade import Trade

CLERK = Viewer(role=Role.ADMIN, name="clerk", expires_at=FOREVER)
STORES = ("SM", "SN")
DISPOSITIONS = (None, None, Disposition.RESTOCK, Disposition.DISPOSE, Disposition.TRANSFER)

R = TypeVar("R", bound=Record)


async def give_back(trade: "Trade", random: Random) -> None:
    """Give something back, or go on with what comes back, some steps far."""
    if random.random() < 0.6:
        await _begin(trade, random)
    for _ in range(random.randint(0, 4)):
        with suppress(DomainError):
            await _go_on(trade, random)


async def _begin(trade: "Trade", random: Random) -> None:
    """Ask to return a unit or two of some order, or show them at a counter, with the order's number or without."""
    async with trade.database.reading() as connection:
        lines = await connection.fetch(
            "SELECT l.order_id, l.id, l.sku, o.number FROM order_line l JOIN customer_order o ON o.id = l.order_id "
            "WHERE l.fulfilled > 0 ORDER BY l.id"
        )
    line = random.choice(lines) if lines else None
    place, units = trade.locations[random.choice(STORES)], random.randint(1, 2)
    if line and random.random() < 0.5:
        wanted = NewReturn(
            order_id=line["order_id"],
            lines=[Wanted(order_line_id=line["id"], quantity=units, reason=ReturnReason.OTHER)],
            method=random.choice(list(ReturnMethod)),
            location_id=None,
            idempotency_key=trade.key(),
        )
        await _transact(trade, returns.Desk, lambda desk: desk.request(wanted))
        return
    gift = line is not None and random.random() < 0.5
    shown = Registration(
        location_id=place,
        order_number=line["number"] if gift else None,
        postal_code="10115" if gift else None,
        lines=[Shown(sku=line["sku"] if line else "pen", quantity=units, reason=ReturnReason.OTHER)],
        currency="EUR",
        idempotency_key=trade.key(),
    )
    await _transact(trade, Counter, lambda counter: counter.register(shown))


async def _go_on(trade: "Trade", random: Random) -> None:
    """Take the next step with some return, or call it off."""
    chosen = await trade._any(random, "SELECT id FROM customer_return ORDER BY id")
    if chosen is None:
        return
    async with trade.database.reading() as connection:
        (row,) = await returns.returns(connection, [chosen])
        lines = await returns.lines_of(connection, [chosen])
    place = trade.locations[random.choice(STORES)]
    if row.status == ReturnStatus.RECEIVED:
        seen = [
            Inspected(
                line_id=line.id,
                condition=random.choice(list(ItemCondition)),
                disposition=random.choice(DISPOSITIONS),
            )
            for line in lines
        ]
        await _transact(trade, Inspection, lambda inspection: inspection.inspect(chosen, seen))
    elif row.status == ReturnStatus.INSPECTED:
        await _transact(trade, returns.Desk, lambda desk: desk.close(chosen))
    elif random.random() < 0.2:
        await _transact(trade, returns.Desk, lambda desk: desk.cancel(chosen))
    else:
        await _transact(trade, returns.Desk, lambda desk: desk.receive(chosen, place))


async def _transact(trade: "Trade", kind: type[R], act: Callable[[R], Awaitable[object]]) -> None:
    async with trade.database.transaction() as connection:
        await act(kind(connection=connection, networks=trade.networks, viewer=CLERK, now=trade.now))


async def deliver(trade: "Trade", random: Random) -> None:
    """Bring some order's work to its end, and its parcels to the shopper, or back to their sender."""
    chosen = await trade._any(random, "SELECT id FROM customer_order ORDER BY id")
    if chosen is None:
        return
    async with trade.database.reading() as connection:
        work = await assignments_of(connection, [chosen])
    for row in work:
        if row.status in OPEN and row.method == FulfillmentMethod.DELIVERY:
            await _fulfil(trade, row.id)
    status = random.choice((ShipmentStatus.DELIVERED, ShipmentStatus.DELIVERED, ShipmentStatus.RETURNED_TO_SENDER))
    async with trade.database.transaction() as connection:
        dispatch = Dispatch(connection=connection, networks=trade.networks, actor="ParcelPost", now=trade.now)
        for parcel in await shipments.shipments_of_orders(connection, [chosen]):
            await dispatch.take(parcel, [TrackingReport(status=status, at=trade.now)])


async def _fulfil(trade: "Trade", work_id: UUID) -> None:
    async with trade.database.transaction() as connection:
        bench = Bench(connection=connection, networks=trade.networks, viewer=CLERK, now=trade.now)
        await bench.accept(work_id)
        await bench.start_picking(work_id)
        lines = await lines_of(connection, [work_id])
        await bench.report_picked(
            work_id, [Picked(line_id=x.id, quantity=x.quantity - x.short, reason=None) for x in lines]
        )
        await bench.pack(work_id)
        await bench.hand_over(work_id)
