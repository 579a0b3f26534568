"""A plan is made anew while the present one still stands: what both have in common goes on, the rest is called off."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

from domain import orders, routing
from domain.assignments import AssignmentLineRow, AssignmentRow
from domain.capacity import Freed
from domain.decided import Decided
from domain.decisions import keep, new_decisions
from domain.errors import NoFulfillmentOption, OutOfStock
from domain.inventory import Movement
from domain.network import Snapshot
from domain.orders import UNDERWAY, OrderRow
from domain.planning.problem import Parcel
from domain.routing import Wish, Within
from domain.transaction import Connection
from domain.vocabulary import AssignmentStatus, OrderStatus, RoutingTrigger

GiveUp: TypeAlias = Callable[[Sequence[AssignmentRow]], Awaitable[Sequence[Movement]]]
"""Calls work off, and returns what that releases; nobody else has seen it when somebody else was faster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Work that goes on where the new plan has the same; `shares` are its units by SKU."""

    row: AssignmentRow
    shares: Mapping[str, int]

    def is_in(self, parcel: Parcel, snapshot: Snapshot) -> bool:
        """Say whether a parcel is this work."""
        return (
            snapshot.id_by_code[parcel.location_code] == self.row.location_id
            and parcel.service_code == self.row.carrier_service_code
            and {share.sku: share.quantity for share in parcel.shares} == self.shares
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What of an order is planned anew: `quantities` by SKU, of which `standing` is work at present.

    `fixed` are plans that are offered whatever is decided.
    """

    order: OrderRow
    trigger: RoutingTrigger
    quantities: Mapping[str, int]
    standing: Sequence[Standing]
    within: Within = Within.METHOD
    fixed: Sequence[Decided] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Replanned:
    """What became of it: the work that goes on, with its parcel in the new plan; the parcels offered; what is left."""

    kept: Sequence[tuple[Standing, Parcel]]
    offered: Sequence[Parcel]
    missing: Mapping[str, int]
    decided: Decided | None

    def refusal(self, message: str) -> NoFulfillmentOption:
        """Return why it cannot be had."""
        decision = self.decided.decision if self.decided else None
        return NoFulfillmentOption(message=message, unavailable=decision.unavailable if decision else ())


def standing(rows: Sequence[AssignmentRow], lines: Sequence[AssignmentLineRow]) -> list[Standing]:
    """Return open work with what is left of its lines."""
    return [
        Standing(
            row=row,
            shares={
                line.sku: line.quantity - line.short
                for line in lines
                if line.assignment_id == row.id and line.quantity > line.short
            },
        )
        for row in rows
    ]


def together(work: Sequence[Standing], waiting: Mapping[str, int]) -> Counter[str]:
    """Return how many units of each SKU work and what waits come to."""
    quantities = Counter(waiting)
    for each in work:
        quantities.update(each.shares)
    return +quantities


async def replan(
    connection: Connection, snapshot: Snapshot, change: Change, give_up: GiveUp, *, now: datetime
) -> Replanned:
    """Plan anew, call off what the plan has no more, and offer what is new in it, in the caller's transaction.

    Nothing is written where the plan is the present one. Raises NoFulfillmentOption where others were faster, again
    and again.
    """
    wish = await _wish(connection, change)
    for _ in range(routing.MOST_TRIES):
        decided = await routing.decided_for(connection, snapshot, wish, now=now) if wish.quantities else None
        kept, new = _common(change, decided.plan.parcels if decided else (), snapshot)
        on = {each.row.id for each, _ in kept}
        gone = [each.row for each in change.standing if each.row.id not in on]
        plans = [*change.fixed, *([replace(decided, plan=replace(decided.plan, parcels=new))] if decided else [])]
        offered = [parcel for each in plans for parcel in each.plan.parcels]
        work = await routing.work_of(connection, snapshot, wish, plans, now=now)
        found = Replanned(kept=kept, offered=offered, missing=_missing(change, decided), decided=decided)
        if not (gone or offered):
            return found
        try:
            async with connection.transaction():
                await routing.commit(connection, change.order, work, await give_up(gone), now=now)
        except (OutOfStock, routing.NoRoom):
            continue
        if decided:
            await keep(connection, new_decisions(change.order.id, decided, change.trigger, now=now))
        if work.assignments:
            plan = decided.plan if decided else None
            await routing.tell(connection, change.order, work, change.trigger, plan=plan, now=now)
        return found
    raise NoFulfillmentOption(message="Others were faster.")


async def remaining(
    connection: Connection, snapshot: Snapshot, order: OrderRow, work: Standing, within: Within, *, now: datetime
) -> Decided | None:
    """Return how work can stay where it is, from now on; None where it cannot. Its stock is its own."""
    change = Change(order=order, trigger=RoutingTrigger.MANUAL, quantities=work.shares, standing=[work], within=within)
    wish = replace(await _wish(connection, change), plenty=True)
    there = snapshot.only(work.row.location_id, left=_left_to_do(snapshot, work.row, now))
    decided = await routing.decided_for(connection, there, wish, now=now)
    if decided is None or _missing(change, decided) or len(decided.plan.parcels) > 1:
        return None
    return decided


def _left_to_do(snapshot: Snapshot, row: AssignmentRow, now: datetime) -> timedelta | None:
    """Return how much time work still takes that was begun; None where it was not."""
    if row.status == AssignmentStatus.PICKING:
        return snapshot.left_to_do(row.location_id, row.begun_at or now, now)
    return timedelta(0) if row.status in UNDERWAY else None


async def possible(
    connection: Connection, snapshot: Snapshot, change: Change, quantities: Mapping[str, int], *, now: datetime
) -> bool:
    """Say whether quantities could be had if there were plenty everywhere."""
    wish = replace(await _wish(connection, change), quantities=quantities, plenty=True)
    decided = await routing.decided_for(connection, snapshot, wish, now=now)
    return decided is not None and bool(decided.plan.parcels) and not decided.plan.missing


async def _wish(connection: Connection, change: Change) -> Wish:
    held: Counter[tuple[str, UUID]] = Counter()
    for each in change.standing:
        held.update({(sku, each.row.location_id): units for sku, units in each.shares.items()})
    return Wish(
        order=change.order,
        lines=await orders.lines_of(connection, [change.order.id]),
        quantities=change.quantities,
        trigger=change.trigger,
        within=change.within,
        freed=held,
        free_days=[
            Freed(each.row.location_id, each.row.work_day, each.row.units_committed) for each in change.standing
        ],
    )


def _common(
    change: Change, parcels: Sequence[Parcel], snapshot: Snapshot
) -> tuple[list[tuple[Standing, Parcel]], tuple[Parcel, ...]]:
    """Return the work that a plan has, too, and the parcels that are new in it."""
    held = change.order.status == OrderStatus.ON_HOLD
    kept, new, work = [], [], [each for each in change.standing if each.row.withheld == held]
    for parcel in parcels:
        same = next((each for each in work if each.is_in(parcel, snapshot)), None)
        if same:
            work.remove(same)
            kept.append((same, parcel))
        else:
            new.append(parcel)
    return kept, tuple(new)


def _missing(change: Change, decided: Decided | None) -> Counter[str]:
    missing = Counter(change.quantities)
    for parcel in decided.plan.parcels if decided else ():
        missing.subtract({share.sku: share.quantity for share in parcel.shares})
    return +missing
