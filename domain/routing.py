"""Routing: which locations do an order's work, at first and anew when one of them cannot."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from domain import capacity, feed, inventory, lateness, orders
from domain.cart import CartLine, line_facts, wanted_lines
from domain.decided import Decided, decide
from domain.decisions import keep, last_basis, new_decisions
from domain.errors import OutOfStock
from domain.inventory import Movement
from domain.inventory.waiting import LOOK_AGAIN, wake_together
from domain.network import Snapshot
from domain.offering import Offered, Work, offers
from domain.orders import OrderLineRow, OrderRow
from domain.places import Address
from domain.planning.calendar import ready_at, work_day
from domain.planning.problem import Parcel, Plan, Problem, Share
from domain.policies import Facts
from domain.transaction import Connection
from domain.vocabulary import (
    FulfillmentMethod,
    MovementReason,
    OrderStatus,
    RoutingTrigger,
    ServiceLevel,
    UpdateKind,
)

MOST_TRIES = 4


async def reroute(
    connection: Connection,
    snapshot: Snapshot,
    order: OrderRow,
    quantities: Mapping[str, int],
    movements: Sequence[Movement] = (),
    *,
    trigger: RoutingTrigger,
    now: datetime,
) -> None:
    """Find locations for quantities that wait or that one could not supply, and reserve there.

    `movements` are what the failed try does to stock; they are written together with the new reservations, so that
    all stock rows are locked at once and in order. Locations that rejected an item of this order, or fell short of it,
    are not asked for it again; once new stock has come, those that fell short or were closed are. What nobody has stays
    open, or is cancelled where no other location may hand it out and the order does not wait. Why it was decided so is
    kept, but not of stock that was of no use. The caller holds the order's lock and settles it after.
    """
    lines = await orders.lines_of(connection, [order.id])
    wish = Wish(order=order, lines=lines, quantities=quantities, trigger=trigger)
    for _ in range(MOST_TRIES):
        decided = await decided_for(connection, snapshot, wish, now=now)
        work = await work_of(connection, snapshot, wish, [decided] if decided else [], now=now)
        try:
            async with connection.transaction():
                await commit(connection, order, work, movements, now=now)
        except (OutOfStock, NoRoom):
            continue  # somebody was faster, and the next plan sees what is left
        break
    else:
        decided, work = None, Work()
        await commit(connection, order, work, movements, now=now)
        await wake_together(connection, quantities, due_at=now + 2 * LOOK_AGAIN)  # there may be more
    arrived = trigger is RoutingTrigger.STOCK_ARRIVED
    if decided and (work.assignments or not arrived):
        await keep(connection, new_decisions(order.id, decided, trigger, now=now))
    if decided and work.assignments:
        await tell(connection, order, work, trigger, plan=decided.plan, now=now)
    if not arrived:
        await _see_to_what_is_left(connection, order, work, quantities, known=bool(decided), now=now)


async def offer_arrived(
    connection: Connection, snapshot: Snapshot, order: OrderRow, arrived: Mapping[str, int], *, now: datetime
) -> None:
    """Offer an order's store what has come there for it by transfer; the caller has reserved it, and settles the order.

    It is counted against the day on which the store can begin, even where that has no room left: the goods are there.
    """
    if order.pickup_location_id is None:
        return
    store = snapshot.locations[order.pickup_location_id]
    site = snapshot.planner.sites[snapshot.site_by_id[store.id]]
    ready = ready_at(site, now) or now
    parcel = Parcel(
        location_code=store.code,
        service_code=None,
        shares=tuple(Share(sku=sku, quantity=units) for sku, units in arrived.items() if units),
        ready_at=ready,
        due_at=ready,
        arrives_earliest=ready,
        arrives_latest=ready,
        cost=0,
        work_day=work_day(site, now),
    )
    lines = await orders.lines_of(connection, [order.id])
    wish = Wish(order=order, lines=lines, quantities=arrived, trigger=RoutingTrigger.STOCK_ARRIVED)
    plan = Plan(method=FulfillmentMethod.PICKUP, level=None, parcels=(parcel,), price=0, cost=0)
    basis = await last_basis(connection, order.id)
    work = await work_of(connection, snapshot, wish, [Decided(plan=plan, basis=basis)], now=now)
    await connection.execute("SELECT offer_assignments($1, $2, $3)", work.assignments, work.lines, [order.id])
    await capacity.commit(connection, order.id)
    await orders.note(connection, work.entries)
    told = orders.Told(order_id=order.id, channel=order.channel, location_ids=work.location_ids)
    step = orders.Step(kind=UpdateKind.ORDER_CHANGED, status=OrderStatus(order.status), message="")
    await feed.record(connection, [orders.fact(told, step, now=now), *work.facts])
    await lateness.compare(connection, order, ready, now=now)


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


class NoRoom(Exception):
    """Somebody else has filled a location's day."""


async def commit(
    connection: Connection, order: OrderRow, work: Work, movements: Sequence[Movement], *, now: datetime
) -> None:
    """Reserve for work and offer it, and count it, and what the order gave up, against the days of its locations.

    Raises OutOfStock or NoRoom where somebody was faster; the caller rolls back to before.
    """
    together = inventory.netted([*movements, *_reservations(work)])
    await inventory.move(connection, together, now=now, within_available=True, channel=order.channel)
    if work.assignments:
        await connection.execute("SELECT offer_assignments($1, $2, $3)", work.assignments, work.lines, [order.id])
    if not await capacity.commit(connection, order.id):
        raise NoRoom


async def tell(
    connection: Connection, order: OrderRow, work: Work, trigger: RoutingTrigger, *, plan: Plan | None, now: datetime
) -> None:
    """Tell the feed and the order's timeline where its work is now, and whether that is too late for its promise."""
    if plan:
        await _promise(connection, order, plan, now=now)
    status = OrderStatus(order.status)
    if status in {OrderStatus.RECEIVED, OrderStatus.UNROUTABLE, OrderStatus.BACKORDERED}:
        status = OrderStatus.ROUTED
    told = orders.Told(order_id=order.id, channel=order.channel, location_ids=work.location_ids)
    held = status is OrderStatus.ON_HOLD
    kind = UpdateKind.ORDER_CHANGED if held else UpdateKind.ORDER_ROUTED
    message = "Planned for its locations." if held else "Routed to its locations."
    step = orders.Step(kind=kind, status=status, message=message)
    await orders.note(connection, [orders.entry(told, step, actor=None, now=now), *work.entries])
    await feed.record(connection, [orders.fact(told, step, now=now), *work.facts])
    if trigger is not RoutingTrigger.ORDER_CHANGED:  # then the promise moves
        await lateness.compare(connection, order, work.arrives_latest, now=now)


async def _see_to_what_is_left(
    connection: Connection, order: OrderRow, work: Work, quantities: Mapping[str, int], *, known: bool, now: datetime
) -> None:
    """Tell what nobody can supply, if that is `known`; what is to be picked up and does not wait is cancelled then."""
    ends = known and order.method == FulfillmentMethod.PICKUP and not order.allow_backorder
    left = Counter(quantities)
    for line in work.lines:
        left[line.sku] -= line.quantity
    goods = ", ".join(f"{units} x {sku}" for sku, units in left.items() if units > 0)
    if not goods:
        return
    if ends:
        await connection.executemany(
            "UPDATE order_line SET cancelled = cancelled + $3 WHERE order_id = $1 AND sku = $2",
            [(order.id, sku, units) for sku, units in left.items() if units > 0],
        )
        await connection.execute(
            "UPDATE customer_order SET version = version + 1, updated_at = $2 WHERE id = $1", order.id, now
        )
    message = f"No other location can supply {goods}{': cancelled' if ends else ''}."
    places = await orders.places_of(connection, order.id)
    told = orders.Told(order_id=order.id, channel=order.channel, location_ids=places)
    step = orders.Step(kind=UpdateKind.ORDER_CHANGED, status=OrderStatus(order.status), message=message)
    await orders.note(connection, [orders.entry(told, step, actor=None, now=now)])
    await feed.record(connection, [orders.fact(told, step, now=now)])


async def _promise(connection: Connection, order: OrderRow, plan: Plan, *, now: datetime) -> None:
    """Promise an order that nothing was promised of, as it waited for all of it, what the first plan for it says."""
    if order.promised_latest is None and plan.parcels:
        await connection.execute(
            """
            UPDATE customer_order
               SET promised_earliest = $2, promised_latest = $3, version = version + 1, updated_at = $4
             WHERE id = $1
            """,
            order.id,
            plan.earliest,
            plan.latest,
            now,
        )


class Within(StrEnum):
    """What a new plan has to keep: the promise, at its level; the level; or the method alone."""

    PROMISE = "PROMISE"
    LEVEL = "LEVEL"
    METHOD = "METHOD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What of an order is to be routed anew, and why.

    `freed` and `free_days` are what its present work holds of stock (by SKU and location) and of days, and would give
    up. `plenty` asks as if each location had all of it.
    """

    order: OrderRow
    lines: Sequence[OrderLineRow]
    quantities: Mapping[str, int]
    trigger: RoutingTrigger
    within: Within = Within.METHOD
    freed: Mapping[tuple[str, UUID], int] = field(default_factory=dict)
    free_days: Sequence[capacity.Freed] = ()
    plenty: bool = False


async def work_of(
    connection: Connection, snapshot: Snapshot, wish: Wish, plans: Sequence[Decided], *, now: datetime
) -> Work:
    """Return the work that the parcels of plans make, each with the deadlines of the policy that decided."""
    order, work = wish.order, Work()
    offers_before: int = await connection.fetchval("SELECT count(*) FROM assignment WHERE order_id = $1", order.id)
    for decided in plans:
        offered = Offered(
            order_id=order.id,
            method=FulfillmentMethod(order.method),
            channel=order.channel,
            offers_before=offers_before + len(work.assignments),
            held=order.status == OrderStatus.ON_HOLD,
        )
        work.add(offers(snapshot, decided, offered, {line.sku: line.id for line in wish.lines}, now=now))
    return work


async def decided_for(connection: Connection, snapshot: Snapshot, wish: Wish, *, now: datetime) -> Decided | None:
    """Return the plan that keeps the promise; else the one that breaks it least, or else what kept all from it."""
    problem, facts = await _problem(connection, snapshot, wish, now=now)
    method = FulfillmentMethod(wish.order.method)
    first = decide(problem, method, snapshot.policies, facts)
    if method is FulfillmentMethod.PICKUP:
        return first.best or first.refused
    attempts = (
        None,
        replace(problem, promised_latest=None),
        replace(problem, promised_latest=None, levels=tuple(ServiceLevel)),
    )
    for attempt in attempts[: 1 + list(Within).index(wish.within)]:
        found = (decide(attempt, method, snapshot.policies, facts) if attempt else first).ranked
        if found:
            fullest = min(_missing(each) for each in found)
            full = [each for each in found if _missing(each) == fullest]
            return min(full, key=lambda each: (each.plan.latest, each.plan.cost))
    return first.refused


def _missing(decided: Decided) -> int:
    return sum(missing.quantity for missing in decided.plan.missing)


async def _problem(connection: Connection, snapshot: Snapshot, wish: Wish, *, now: datetime) -> tuple[Problem, Facts]:
    order = wish.order
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
        available=await _available(connection, snapshot, wish),
        now=now,
        currency=order.currency,
        country=address.country if address else None,
        destination=address.position if address else None,
        blocked=await _blocked(connection, snapshot, wish),
        levels=(ServiceLevel(order.level),) if order.level else tuple(ServiceLevel),
        pickup_codes=(snapshot.locations[pickup].code,) if pickup else None,
        promised_latest=None if pickup else order.promised_latest,
        committed=await capacity.committed_from(connection, snapshot, now, wish.free_days),
        idle_days=snapshot.idle_days(list(wish.quantities), now=now),
        tags=frozenset(order.tags),
    )
    return problem, facts


async def _available(connection: Connection, snapshot: Snapshot, wish: Wish) -> NDArray[np.int64]:
    if wish.plenty:
        return np.full((len(snapshot.planner.sites), len(wish.quantities)), sum(wish.quantities.values()))
    return await inventory.available(connection, list(wish.quantities), snapshot, wish.order.channel, wish.freed)


async def _blocked(connection: Connection, snapshot: Snapshot, wish: Wish) -> NDArray[np.bool_]:
    """Return the pairs of site and SKU that are not to be asked, shape (sites, skus).

    Who routes by hand asks everybody again but those that the order is kept from.
    """
    skus = list(wish.quantities)
    blocked = np.zeros((len(snapshot.planner.sites), len(skus)), dtype=np.bool_)
    kept_from = [key for key in wish.order.blocked_location_ids if key in snapshot.site_by_id]
    blocked[[snapshot.site_by_id[key] for key in kept_from]] = True
    if wish.trigger is RoutingTrigger.MANUAL:
        return blocked
    failed = await connection.fetch(
        """
        SELECT DISTINCT a.location_id, l.sku FROM assignment a JOIN assignment_line l ON l.assignment_id = a.id
         WHERE a.order_id = $1 AND l.sku = ANY ($2::text[])
           AND (a.status IN ('REJECTED', 'EXPIRED') AND l.short < l.quantity
                AND NOT ($3 AND a.reject_reason IS NOT DISTINCT FROM 'CLOSED')
                OR l.short > 0 AND NOT $3)
         UNION
        SELECT t.from_location_id, l.sku FROM transfer t JOIN transfer_line l ON l.transfer_id = t.id
         WHERE t.order_id = $1 AND l.sku = ANY ($2::text[])
           AND (t.status = 'CANCELLED' OR t.status = 'RECEIVED' AND l.received < l.bound)
        """,
        wish.order.id,
        skus,
        wish.trigger is RoutingTrigger.STOCK_ARRIVED,
    )
    for row in failed:
        if (row["sku"], row["location_id"]) in wish.freed:
            continue  # it was asked again since, by hand
        blocked[snapshot.site_by_id[row["location_id"]], skus.index(row["sku"])] = True
    return blocked
