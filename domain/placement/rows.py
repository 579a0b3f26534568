"""The rows that placing a plan writes."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from domain import feed, offering, orders
from domain.cart import cart_value
from domain.decided import Decided
from domain.decisions import NewDecision, new_decisions
from domain.ids import new_ids
from domain.network import Snapshot
from domain.placement.wanted import Wanted
from domain.places import AddressJson
from domain.planning.problem import Plan
from domain.vocabulary import FulfillmentMethod, OrderStatus, Payment, RoutingTrigger, ServiceLevel, UpdateKind


class NewOrderRow(NamedTuple):
    """A row of customer_order, as it is placed, with its idempotency key and the reservation that it takes over."""

    id: UUID
    number: str | None
    status: OrderStatus
    channel: str
    method: FulfillmentMethod
    level: ServiceLevel | None
    tags: Sequence[str]
    placed_at: datetime
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
    allow_backorder: bool
    key: str
    input_hash: bytes
    reservation_id: UUID | None
    payment: Payment


class NewOrderLine(NamedTuple):
    """A row of order_line, as it is placed."""

    id: UUID
    order_id: UUID
    position: int
    sku: str
    quantity: int
    unit_price: int
    backordered: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows that placing one order writes."""

    order: NewOrderRow
    lines: Sequence[NewOrderLine]
    work: offering.Work
    entries: Sequence[orders.Entry]
    facts: Sequence[feed.FeedRow]
    decisions: Sequence[NewDecision]


def rows(snapshot: Snapshot, wanted: Wanted, decided: Decided, *, actor: str, now: datetime) -> Rows:
    """Return the rows that placing this plan writes."""
    plan, order, (order_id, *line_ids) = decided.plan, wanted.order, new_ids(now, 1 + len(wanted.lines))
    waiting = {missing.sku: missing.quantity for missing in plan.missing if order.allow_backorder}
    lines = [
        NewOrderLine(
            line_id, order_id, position, line.sku, line.quantity, line.unit_price or 0, waiting.get(line.sku, 0)
        )
        for position, (line_id, line) in enumerate(zip(line_ids, wanted.lines, strict=True))
    ]
    offered = offering.Offered(order_id=order_id, method=plan.method, channel=order.channel, held=order.hold)
    work = offering.offers(snapshot, decided, offered, {line.sku: line.id for line in lines}, now=now)
    status = _status(plan, held=order.hold)
    steps = list(_steps(plan, waiting, status, actor))
    told = orders.Told(order_id=order_id, channel=order.channel, location_ids=work.location_ids)
    return Rows(
        order=_order_row(snapshot, wanted, plan, order_id, status, now=now),
        lines=lines,
        work=work,
        entries=[*(orders.entry(told, step, actor=actor, now=now) for step in steps), *work.entries],
        facts=feed.as_rows([*(orders.fact(told, step, now=now) for step in steps), *work.facts]),
        decisions=new_decisions(order_id, decided, RoutingTrigger.PLACED, now=now),
    )


def _steps(plan: Plan, waiting: Mapping[str, int], status: OrderStatus, actor: str) -> Iterator[orders.Step]:
    yield orders.Step(kind=UpdateKind.ORDER_PLACED, status=OrderStatus.RECEIVED, message=f"Placed by {actor}.")
    if status is OrderStatus.ON_HOLD:
        message = "Held until it is released."
        yield orders.Step(kind=UpdateKind.ORDER_STATUS_CHANGED, status=status, message=message)
    elif plan.parcels:
        message = "Routed to its locations."
        yield orders.Step(kind=UpdateKind.ORDER_ROUTED, status=OrderStatus.ROUTED, message=message)
    if waiting:
        waits = status is OrderStatus.BACKORDERED
        kind = UpdateKind.ORDER_STATUS_CHANGED if waits else UpdateKind.ORDER_CHANGED
        message = f"Waiting for {', '.join(f'{quantity} x {sku}' for sku, quantity in waiting.items())}."
        yield orders.Step(kind=kind, status=status, message=message)


def _status(plan: Plan, *, held: bool) -> OrderStatus:
    if held:
        return OrderStatus.ON_HOLD
    return OrderStatus.ROUTED if plan.parcels else OrderStatus.BACKORDERED


def _preordered(wanted: Wanted) -> Plan | None:
    """Return the plan that was promised, where all of it has yet to come: it says when it would arrive."""
    return wanted.promise.plan if wanted.promise and not wanted.promise.plan.parcels else None


def _order_row(
    snapshot: Snapshot, wanted: Wanted, plan: Plan, order_id: UUID, status: OrderStatus, *, now: datetime
) -> NewOrderRow:
    order, pickup, promised = wanted.order, plan.pickup_code, plan if plan.parcels else _preordered(wanted)
    return NewOrderRow(
        id=order_id,
        number=order.number,
        status=status,
        channel=order.channel,
        method=plan.method,
        level=plan.level,
        tags=order.tags,
        placed_at=now,
        promised_earliest=promised.earliest if promised else None,
        promised_latest=promised.latest if promised else None,
        customer_name=order.customer_name,
        customer_email=order.customer_email,
        customer_phone=order.customer_phone,
        ship_to=order.ship_to.as_json(found_at=wanted.target) if order.ship_to else None,
        pickup_location_id=snapshot.id_by_code[pickup] if pickup else None,
        pickup_code=f"{secrets.randbelow(10**6):06d}" if pickup else None,
        currency=order.currency,
        shipping_price=plan.price,
        total=plan.price + (cart_value(wanted.lines) or 0),
        allow_backorder=order.allow_backorder,
        key=order.idempotency_key,
        input_hash=order.digest(),
        reservation_id=order.reservation_id,
        payment=order.payment,
    )
