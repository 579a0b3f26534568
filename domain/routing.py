"""Routing: which locations do an order's work, at first and anew when one of them cannot."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from domain import capacity, feed, inventory, lateness, orders
from domain.cart import CartLine, line_facts, wanted_lines
from domain.decided import Decided, decide
from domain.decisions import keep, new_decisions
from domain.errors import OutOfStock
from domain.ids import new_ids
from domain.inventory import Movement
from domain.network import Snapshot
from domain.orders import OrderLineRow, OrderRow
from domain.places import Address
from domain.planning.problem import Parcel, Problem
from domain.policies import Facts
from domain.transaction import Connection
from domain.vocabulary import (
    AssignmentStatus,
    FulfillmentMethod,
    MovementReason,
    OrderStatus,
    RoutingTrigger,
    ServiceLevel,
    UpdateKind,
)

MOST_TRIES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """The order whose work is offered; `offers_before` counts the assignments it had before.

    Work of an order that is `held` is planned only, and nobody is told of it.
    """

    order_id: UUID
    method: FulfillmentMethod
    channel: str
    offers_before: int = 0
    held: bool = False


class NewAssignment(NamedTuple):
    """A row of assignment, as it is offered; `suffix` follows the order's number.

    `work_day` is None where the location has no capacity to count against. How long the location may take to answer,
    and to begin once it has accepted, is in seconds of its opening hours.
    """

    id: UUID
    suffix: int
    order_id: UUID
    location_id: UUID
    method: FulfillmentMethod
    carrier_service_code: str | None
    offered_at: datetime
    due_at: datetime
    arrives_latest: datetime
    work_day: date | None
    respond_by: datetime | None
    respond_seconds: int | None
    start_seconds: int | None


class NewLine(NamedTuple):
    """A row of assignment_line, as it is offered, with what its stock is looked up by."""

    id: UUID
    order_id: UUID
    assignment_id: UUID
    order_line_id: UUID
    position: int
    sku: str
    quantity: int
    location_id: UUID
    channel: str


@dataclass(slots=True, kw_only=True)
class Work:
    """The rows that offering parcels to their locations writes."""

    assignments: list[NewAssignment] = field(default_factory=list)
    lines: list[NewLine] = field(default_factory=list)
    facts: list[feed.Fact] = field(default_factory=list)
    entries: list[orders.Entry] = field(default_factory=list)
    location_ids: list[UUID] = field(default_factory=list)


def offers(
    snapshot: Snapshot, decided: Decided, offered: Offered, line_ids: Mapping[str, UUID], *, now: datetime
) -> Work:
    """Return the work that a plan's parcels make, with the deadlines of the policy that decided.

    `line_ids` holds the order line of each SKU.
    """
    work, policy = Work(), snapshot.policies.named(decided.basis.policy_name if decided.basis else "")
    for suffix, parcel in enumerate(decided.plan.parcels, offered.offers_before + 1):
        location = snapshot.locations[snapshot.id_by_code[parcel.location_code]]
        assignment_id, *ids = new_ids(now, 1 + len(parcel.shares))
        respond_by = None if offered.held else snapshot.deadline(location.id, policy.respond_within, now)
        assignment = NewAssignment(
            assignment_id,
            suffix,
            offered.order_id,
            location.id,
            offered.method,
            parcel.service_code,
            now,
            parcel.due_at,
            parcel.arrives_latest,
            parcel.work_day if location.capacity else None,
            respond_by,
            _seconds(policy.respond_within),
            _seconds(policy.start_within),
        )
        work.assignments.append(assignment)
        work.lines += _lines(parcel, assignment, offered.channel, line_ids, ids)
        if not offered.held:
            _announce(work, assignment, offered.channel, f"Offered to {location.name}.")
    return work


def _announce(work: Work, assignment: NewAssignment, channel: str, sentence: str) -> None:
    kind, place, now = UpdateKind.ASSIGNMENT_OFFERED, assignment.location_id, assignment.offered_at
    work.location_ids.append(place)
    work.facts.append(
        feed.Fact(
            kind=kind,
            at=now,
            order_id=assignment.order_id,
            assignment_id=assignment.id,
            location_ids=(place,),
            channel=channel,
            status=AssignmentStatus.OFFERED,
        )
    )
    work.entries.append(orders.Entry(assignment.order_id, now, kind, sentence, None, place))


def _seconds(span: timedelta | None) -> int | None:
    return None if span is None else int(span.total_seconds())


def _lines(
    parcel: Parcel, assignment: NewAssignment, channel: str, line_ids: Mapping[str, UUID], ids: Sequence[UUID]
) -> list[NewLine]:
    return [
        NewLine(
            new_id,
            assignment.order_id,
            assignment.id,
            line_ids[share.sku],
            position,
            share.sku,
            share.quantity,
            assignment.location_id,
            channel,
        )
        for position, (new_id, share) in enumerate(zip(ids, parcel.shares, strict=True))
    ]


async def reroute(
    connection: Connection,
    snapshot: Snapshot,
    order: OrderRow,
    quantities: Mapping[str, int],
    movements: Sequence[Movement] = (),
    *,
    trigger: RoutingTrigger,
    now: datetime,
) -> bool:
    """Find locations for quantities that wait or that one could not supply, and reserve there; say if any was found.

    `movements` are what the failed try does to stock; they are written together with the new reservations, so that
    all stock rows are locked at once and in order. Locations that rejected an item of this order, or fell short of it,
    are not asked for it again; once new stock has arrived, those that fell short are. What nobody has stays open. Why
    it was decided so is kept, but not of stock that came and was of no use. The caller holds the order's lock and
    settles it after.
    """
    lines = await orders.lines_of(connection, [order.id])
    wish = _Wish(order=order, lines=lines, quantities=quantities, arrived=trigger is RoutingTrigger.STOCK_ARRIVED)
    for _ in range(MOST_TRIES):
        decided = await _decided(connection, snapshot, wish, now=now)
        work = await _work(connection, snapshot, wish, decided, now=now)
        try:
            async with connection.transaction():
                await _commit(connection, order, work, movements, now=now)
        except (OutOfStock, _NoRoom):
            continue  # somebody was faster, and the next plan sees what is left
        break
    else:
        decided, work = None, Work()
        await _commit(connection, order, work, movements, now=now)
    if decided and (work.assignments or not wish.arrived):
        await keep(connection, new_decisions(order.id, decided, trigger, now=now))
    if work.assignments:
        await _tell(connection, order, work, now=now)
    if not wish.arrived:
        await _say_what_is_left(connection, order, work, quantities, now=now)
    return bool(work.assignments)


def _reservations(work: Work) -> list[Movement]:
    return [
        Movement(
            sku=line.sku,
            location_id=line.location_id,
            reason=MovementReason.RESERVED,
            reserved_delta=line.quantity,
            order_id=line.order_id,
        )
        for line in work.lines
    ]


class _NoRoom(Exception):
    """Somebody else has filled a location's day."""


async def _commit(
    connection: Connection, order: OrderRow, work: Work, movements: Sequence[Movement], *, now: datetime
) -> None:
    """Reserve for work and offer it, and count it, and what the order gave up, against the days of its locations."""
    together = [*movements, *_reservations(work)]
    await inventory.move(connection, together, now=now, within_available=True, channel=order.channel)
    if work.assignments:
        await connection.execute("SELECT offer_assignments($1, $2, $3)", work.assignments, work.lines, [order.id])
    if not await capacity.commit(connection, order.id):
        raise _NoRoom


async def _tell(connection: Connection, order: OrderRow, work: Work, *, now: datetime) -> None:
    status = OrderStatus(order.status)
    if status in {OrderStatus.UNROUTABLE, OrderStatus.BACKORDERED}:
        status = OrderStatus.ROUTED
    told = orders.Told(order_id=order.id, channel=order.channel, location_ids=work.location_ids)
    held = status is OrderStatus.ON_HOLD
    kind = UpdateKind.ORDER_CHANGED if held else UpdateKind.ORDER_ROUTED
    message = "Planned for its locations." if held else "Routed to its locations."
    step = orders.Step(kind=kind, status=status, message=message)
    await orders.note(connection, [orders.entry(told, step, actor=None, now=now), *work.entries])
    await feed.record(connection, [orders.fact(told, step, now=now), *work.facts])
    promised = order.promised_latest
    if promised and any(each.arrives_latest > promised for each in work.assignments):
        await lateness.mark(connection, [order.id], now=now)


async def _say_what_is_left(
    connection: Connection, order: OrderRow, work: Work, quantities: Mapping[str, int], *, now: datetime
) -> None:
    routed: Counter[str] = Counter()
    for line in work.lines:
        routed[line.sku] += line.quantity
    left = [f"{n - routed[sku]} x {sku}" for sku, n in quantities.items() if n > routed[sku]]
    if left:
        message = f"No other location can supply {', '.join(left)}."
        told = orders.Told(order_id=order.id, channel=order.channel, location_ids=work.location_ids)
        step = orders.Step(kind=UpdateKind.ORDER_CHANGED, status=OrderStatus(order.status), message=message)
        await orders.note(connection, [orders.entry(told, step, actor=None, now=now)])
        await feed.record(connection, [orders.fact(told, step, now=now)])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What of an order is to be routed anew, and whether stock that has arrived is why."""

    order: OrderRow
    lines: Sequence[OrderLineRow]
    quantities: Mapping[str, int]
    arrived: bool


async def _work(
    connection: Connection, snapshot: Snapshot, wish: _Wish, decided: Decided | None, *, now: datetime
) -> Work:
    if not (decided and decided.plan.parcels):
        return Work()
    order = wish.order
    offers_before: int = await connection.fetchval("SELECT count(*) FROM assignment WHERE order_id = $1", order.id)
    offered = Offered(
        order_id=order.id,
        method=FulfillmentMethod(order.method),
        channel=order.channel,
        offers_before=offers_before,
        held=order.status == OrderStatus.ON_HOLD,
    )
    return offers(snapshot, decided, offered, {line.sku: line.id for line in wish.lines}, now=now)


async def _decided(connection: Connection, snapshot: Snapshot, wish: _Wish, *, now: datetime) -> Decided | None:
    """Return the plan that keeps the promise; else the one that breaks it least, or else what kept all from it."""
    problem, facts = await _problem(connection, snapshot, wish, now=now)
    method = FulfillmentMethod(wish.order.method)
    first = decide(problem, method, snapshot.policies, facts)
    if method is FulfillmentMethod.PICKUP:
        return first.best or first.refused
    for attempt in (
        None,
        replace(problem, promised_latest=None),
        replace(problem, promised_latest=None, levels=tuple(ServiceLevel)),
    ):
        found = (decide(attempt, method, snapshot.policies, facts) if attempt else first).ranked
        if found:
            fullest = min(_missing(each) for each in found)
            full = [each for each in found if _missing(each) == fullest]
            return min(full, key=lambda each: (each.plan.latest, each.plan.cost))
    return first.refused


def _missing(decided: Decided) -> int:
    return sum(missing.quantity for missing in decided.plan.missing)


async def _problem(connection: Connection, snapshot: Snapshot, wish: _Wish, *, now: datetime) -> tuple[Problem, Facts]:
    order, skus = wish.order, list(wish.quantities)
    address = Address.from_json(order.ship_to) if order.ship_to else None
    items = {row.sku: row for row in await inventory.items(connection, [line.sku for line in wish.lines])}
    pickup = order.pickup_location_id
    ordered = [CartLine(sku=line.sku, quantity=line.quantity, unit_price=line.unit_price) for line in wish.lines]
    facts = Facts(
        channel=order.channel,
        currency=order.currency,
        country=address.country if address else None,
        postal_code=address.postal_code if address else None,
        tags=order.tags,
        lines=line_facts(ordered, items),
    )
    problem = Problem(
        network=snapshot.planner,
        lines=wanted_lines([CartLine(sku=sku, quantity=count) for sku, count in wish.quantities.items()], items),
        available=await inventory.available(connection, skus, snapshot, order.channel),
        now=now,
        currency=order.currency,
        country=address.country if address else None,
        destination=address.position if address else None,
        blocked=await _blocked(connection, snapshot, order, skus, arrived=wish.arrived),
        levels=(ServiceLevel(order.level),) if order.level else tuple(ServiceLevel),
        pickup_codes=(snapshot.locations[pickup].code,) if pickup else None,
        promised_latest=None if pickup else order.promised_latest,
        committed=await capacity.committed_from(connection, snapshot, now),
        tags=frozenset(order.tags),
    )
    return problem, facts


async def _blocked(
    connection: Connection, snapshot: Snapshot, order: OrderRow, skus: Sequence[str], *, arrived: bool
) -> NDArray[np.bool_]:
    """Return the pairs of site and SKU that are not to be asked, shape (sites, skus)."""
    blocked = np.zeros((len(snapshot.planner.sites), len(skus)), dtype=np.bool_)
    failed = await connection.fetch(
        """
        SELECT DISTINCT a.location_id, l.sku FROM assignment a JOIN assignment_line l ON l.assignment_id = a.id
         WHERE a.order_id = $1 AND l.sku = ANY ($2::text[])
           AND (a.status IN ('REJECTED', 'EXPIRED') AND l.short < l.quantity OR l.short > 0 AND NOT $3)
        """,
        order.id,
        skus,
        arrived,
    )
    for row in failed:
        blocked[snapshot.site_by_id[row["location_id"]], skus.index(row["sku"])] = True
    return blocked
