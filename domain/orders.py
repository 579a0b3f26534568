"""Orders: how they are read, and how they move from status to status."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from domain import feed
from domain.errors import NotFound
from domain.inventory.waiting import look_again
from domain.machine import check_step
from domain.order_actions import NEXT, SENTENCES
from domain.paging import Listing
from domain.places import AddressJson
from domain.transaction import Connection, Row
from domain.viewer import Viewer
from domain.vocabulary import AssignmentStatus, FulfillmentMethod, OrderStatus, UpdateKind

UNDERWAY = frozenset({AssignmentStatus.PICKING, AssignmentStatus.PACKED, AssignmentStatus.READY_FOR_PICKUP})
WAITING = frozenset({AssignmentStatus.OFFERED, AssignmentStatus.ACCEPTED})
OPEN = UNDERWAY | WAITING | {AssignmentStatus.HELD}


class OrderRow(Row):
    """An order as Postgres holds it."""

    id: UUID
    number: str
    status: str
    channel: str
    method: str
    level: str | None
    tags: list[str]
    placed_at: datetime
    updated_at: datetime
    promised_earliest: datetime | None
    promised_latest: datetime | None
    customer_name: str
    customer_email: str | None
    customer_phone: str | None
    ship_to: AddressJson | None
    pickup_location_id: UUID | None
    pickup_code: str | None
    currency: str
    shipping_price: int
    total: int
    version: int
    allow_backorder: bool
    late: bool
    payment: str
    hold_reason: str | None
    released_at: datetime | None
    blocked_location_ids: list[UUID]


class OrderLineRow(Row):
    """A line of an order."""

    id: UUID
    order_id: UUID
    position: int
    sku: str
    quantity: int
    unit_price: int
    fulfilled: int
    cancelled: int
    backordered: int
    returned: int
    fulfilled_at: datetime | None


class TimelineRow(Row):
    """What happened to an order, for people."""

    order_id: UUID
    at: datetime
    kind: str
    message: str
    actor: str | None
    location_id: UUID | None


class OrderSort(StrEnum):
    """What a list of orders is ordered by."""

    PLACED_AT = "PLACED_AT"
    PROMISED_LATEST = "PROMISED_LATEST"
    NUMBER = "NUMBER"


_SORT_COLUMNS = {
    OrderSort.PLACED_AT: ("placed_at", "timestamptz"),
    OrderSort.PROMISED_LATEST: ("promised_by", "timestamptz"),
    OrderSort.NUMBER: ("number", "text"),
}
_PROMISED = "(SELECT *, promised_latest AS promised_by FROM customer_order WHERE promised_latest IS NOT NULL) promised"
_UNPROMISED = """(SELECT *, timestamptz '9999-12-31 00:00Z' AS promised_by
                    FROM customer_order WHERE promised_latest IS NULL) unpromised"""
"""What is promised for no moment is the last to be expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFilter:
    """Which orders; what is None narrows nothing. `location_ids` is where any of the order's work lies or lay."""

    status: Sequence[str] | None = None
    tags: Sequence[str] | None = None
    channel: Sequence[str] | None = None
    method: Sequence[str] | None = None
    location_ids: Sequence[UUID] | None = None
    sku: str | None = None
    customer_email: str | None = None
    placed_from: datetime | None = None
    placed_to: datetime | None = None
    late: bool | None = None


def listing(which: OrderFilter, *, sort: OrderSort = OrderSort.PLACED_AT, descending: bool = True) -> Listing[OrderRow]:
    """Return the list of orders that a filter describes. `tags` asks for all of them, the other lists for any."""
    by_promise = sort is OrderSort.PROMISED_LATEST
    listed = Listing(
        source=_PROMISED if by_promise else "customer_order",
        others=[_UNPROMISED] if by_promise else [],
        columns="*",
        key=(_SORT_COLUMNS[sort], ("id", "uuid")),
        row=OrderRow,
        descending=descending,
    )
    listed.where_given("status = ANY (?::text[])", which.status)
    listed.where_given("tags @> ?::text[]", which.tags)
    listed.where_given("channel = ANY (?::text[])", which.channel)
    listed.where_given("method = ANY (?::text[])", which.method)
    listed.where_given(
        "id IN (SELECT order_id FROM assignment WHERE location_id = ANY (?::uuid[]) AND NOT withheld)",
        which.location_ids,
    )
    listed.where_given("id IN (SELECT order_id FROM order_line WHERE sku = ?)", which.sku)
    listed.where_given("lower(customer_email) = lower(?)", which.customer_email)
    listed.where_given("placed_at >= ?", which.placed_from)
    listed.where_given("placed_at < ?", which.placed_to)
    listed.where_given("late = ?", which.late)
    return listed


async def order(connection: Connection, order_id: UUID) -> OrderRow:
    """Return an order, or raise NotFound."""
    row: OrderRow | None = await connection.fetchrow(
        "SELECT * FROM customer_order WHERE id = $1", order_id, record_class=OrderRow
    )
    if row is None:
        raise NotFound(message="There is no such order.", path=("id",))
    return row


async def orders(connection: Connection, ids: Sequence[UUID]) -> list[OrderRow]:
    """Return those of the orders that exist, in any order."""
    rows: list[OrderRow] = await connection.fetch(
        "SELECT * FROM customer_order WHERE id = ANY ($1::uuid[])", ids, record_class=OrderRow
    )
    return rows


async def orders_by_number(connection: Connection, numbers: Sequence[str]) -> list[OrderRow]:
    """Return the orders of these numbers."""
    rows: list[OrderRow] = await connection.fetch(
        "SELECT * FROM customer_order WHERE number = ANY ($1)", numbers, record_class=OrderRow
    )
    return rows


async def lines_of(connection: Connection, order_ids: Sequence[UUID]) -> list[OrderLineRow]:
    """Return the lines of orders, each order's in their place."""
    rows: list[OrderLineRow] = await connection.fetch(
        "SELECT * FROM order_line WHERE order_id = ANY ($1::uuid[]) ORDER BY order_id, position",
        order_ids,
        record_class=OrderLineRow,
    )
    return rows


async def lines(connection: Connection, ids: Sequence[UUID]) -> list[OrderLineRow]:
    """Return those of the lines that exist, in any order."""
    rows: list[OrderLineRow] = await connection.fetch(
        "SELECT * FROM order_line WHERE id = ANY ($1::uuid[])", ids, record_class=OrderLineRow
    )
    return rows


async def timeline_of(connection: Connection, order_ids: Sequence[UUID]) -> list[TimelineRow]:
    """Return what happened to orders, oldest first."""
    rows: list[TimelineRow] = await connection.fetch(
        """
        SELECT order_id, at, kind, message, actor, location_id FROM timeline
         WHERE order_id = ANY ($1::uuid[]) ORDER BY order_id, at, id
        """,
        order_ids,
        record_class=TimelineRow,
    )
    return rows


def may_read(location_id: UUID | None, viewer: Viewer) -> bool:
    """Say whether a viewer may read what happened: a store nothing of another's work."""
    return location_id is None or viewer.works_at(location_id)


class Told(NamedTuple):
    """The order that something is told of, and where its work lies or lay."""

    order_id: UUID
    channel: str
    location_ids: Sequence[UUID]


class Step(NamedTuple):
    """Something that happened to an order, with the status it brought and a sentence for people.

    `location_id` is set where the sentence concerns one location's work, and no other store may read it.
    """

    kind: UpdateKind
    status: OrderStatus
    message: str
    location_id: UUID | None = None


class Entry(NamedTuple):
    """A row of the timeline, as it is written."""

    order_id: UUID
    at: datetime
    kind: UpdateKind
    message: str
    actor: str | None
    location_id: UUID | None


def entry(told: Told, step: Step, *, actor: str | None, now: datetime) -> Entry:
    """Return a step as a row of the timeline."""
    return Entry(told.order_id, now, step.kind, step.message, actor, step.location_id)


def fact(told: Told, step: Step, *, now: datetime) -> feed.Fact:
    """Return a step as a fact for the feed."""
    return feed.Fact(
        kind=step.kind,
        at=now,
        order_id=told.order_id,
        location_ids=told.location_ids,
        channel=told.channel,
        status=step.status,
    )


def work_fact(order: OrderRow, *, assignment_id: UUID, location_id: UUID, status: str, now: datetime) -> feed.Fact:
    """Return what work of the order has come to as a fact for the feed."""
    return feed.Fact(
        kind=UpdateKind.ASSIGNMENT_STATUS_CHANGED,
        at=now,
        order_id=order.id,
        assignment_id=assignment_id,
        location_ids=(location_id,),
        channel=order.channel,
        status=status,
    )


async def places_of(connection: Connection, order_id: UUID) -> list[UUID]:
    """Return where an order's work lies or lay, as far as the locations know of it."""
    rows = await connection.fetch(
        "SELECT DISTINCT location_id FROM assignment WHERE order_id = $1 AND NOT withheld ORDER BY location_id",
        order_id,
    )
    return [row["location_id"] for row in rows]


async def note(connection: Connection, entries: Sequence[Entry]) -> None:
    """Write entries to the timeline, as JSON for the reason that `feed.record` does."""
    await connection.execute(
        """
        INSERT INTO timeline (order_id, at, kind, message, actor, location_id)
        SELECT e.order_id, e.at, e.kind, e.message, e.actor, e.location_id
          FROM jsonb_populate_recordset(NULL::new_timeline, $1) WITH ORDINALITY e ORDER BY e.ordinality
        """,
        [each._asdict() for each in entries],
    )


def standing(order: OrderRow, lines: Sequence[OrderLineRow], work: Sequence[str]) -> OrderStatus:
    """Return the status that an order's lines and the statuses of its assignments amount to."""
    fulfilled = sum(line.fulfilled for line in lines)
    if sum(line.quantity - line.cancelled for line in lines) == fulfilled:
        if not fulfilled:
            return OrderStatus.CANCELLED
        return OrderStatus.COMPLETED if order.method == FulfillmentMethod.PICKUP else OrderStatus.FULFILLED
    for holds, status in (
        (order.status == OrderStatus.ON_HOLD, OrderStatus.ON_HOLD),
        (fulfilled, OrderStatus.PARTIALLY_FULFILLED),
        (UNDERWAY & set(work), OrderStatus.IN_FULFILLMENT),
        (WAITING & set(work), OrderStatus.ROUTED),
        (order.allow_backorder, OrderStatus.BACKORDERED),
    ):
        if holds:
            return status
    return OrderStatus.UNROUTABLE


_COUNT_WAITING = """
WITH counted AS (
    SELECT l.id, l.backordered AS before,
           l.quantity - l.cancelled - l.fulfilled - coalesce(sum(w.quantity - w.short), 0)
               - coalesce((SELECT sum(c.bound) FROM transfer t JOIN transfer_line c ON c.transfer_id = t.id
                            WHERE t.order_id = l.order_id AND t.status IN ('REQUESTED', 'IN_TRANSIT')
                              AND c.sku = l.sku), 0) AS waiting
      FROM order_line l
      LEFT JOIN (assignment_line w JOIN assignment a ON a.id = w.assignment_id AND a.status = ANY ($2::text[]))
             ON w.order_line_id = l.id
     WHERE l.order_id = $1
     GROUP BY l.id
)
UPDATE order_line l SET backordered = c.waiting FROM counted c WHERE l.id = c.id AND l.backordered <> c.waiting
RETURNING l.sku, c.waiting > c.before
"""


_WORK = """
SELECT status, location_id, withheld FROM assignment WHERE order_id = $1
 UNION ALL
SELECT 'OFFERED', t.to_location_id, true FROM transfer t
 WHERE t.order_id = $1 AND t.status IN ('REQUESTED', 'IN_TRANSIT')
   AND EXISTS (SELECT FROM transfer_line l WHERE l.transfer_id = t.id AND l.bound > 0)
"""


async def _delivered(connection: Connection, order_id: UUID) -> bool:
    """Say whether the shopper has every parcel of an order; one that was lost or went back waits for a decision."""
    delivered: bool | None = await connection.fetchval(
        """
        SELECT bool_and(status = 'DELIVERED') FROM shipment
         WHERE order_id = $1 AND status <> 'CANCELLED' AND replaced_at IS NULL
        """,
        order_id,
    )
    return bool(delivered)


async def taken(connection: Connection, order_id: UUID) -> OrderRow:
    """Lock an order until the transaction ends, and return it; NotFound where there is none."""
    await connection.execute("SELECT FROM customer_order WHERE id = $1 FOR NO KEY UPDATE", order_id)
    return await order(connection, order_id)


async def settle(connection: Connection, order: OrderRow, *, actor: str | None, now: datetime) -> None:
    """Bring an order, which the caller has locked, to what its work amounts to, and tell its status where it changed.

    What is neither cancelled, nor fulfilled, nor somebody's open work, nor on its way to the store waits for stock.
    """
    waiting = await connection.fetch(_COUNT_WAITING, order.id, sorted(OPEN))
    await look_again(connection, [sku for sku, more in waiting if more], order.id, now=now)
    lines = await lines_of(connection, [order.id])
    work = await connection.fetch(_WORK, order.id)
    status = standing(order, lines, [row["status"] for row in work])
    if status is OrderStatus.FULFILLED and await _delivered(connection, order.id):
        status = OrderStatus.COMPLETED
    if status == order.status:
        return
    check_step(NEXT, OrderStatus(order.status), status)
    await connection.execute(
        "UPDATE customer_order SET status = $2, updated_at = $3, version = version + 1 WHERE id = $1",
        order.id,
        status,
        now,
    )
    places = sorted({row["location_id"] for row in work if not row["withheld"]})
    told = Told(order_id=order.id, channel=order.channel, location_ids=places)
    at_once = status is OrderStatus.COMPLETED and order.status not in {OrderStatus.FULFILLED, OrderStatus.CANCELLED}
    through = [OrderStatus.FULFILLED, status] if at_once else [status]
    cancelled = status is OrderStatus.CANCELLED
    kind = UpdateKind.ORDER_CANCELLED if cancelled else UpdateKind.ORDER_STATUS_CHANGED
    steps = [Step(kind=kind, status=each, message=SENTENCES.get(each, "")) for each in through]
    await note(connection, [entry(told, step, actor=actor, now=now) for step in steps if step.message])
    await feed.record(connection, [fact(told, step, now=now) for step in steps])
