"""How a promise is kept: by the plan that was shown or, where its stock went, by another that is as good."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from domain import capacity, inventory
from domain.cart import CartLine, cart_value, line_facts, wanted_lines
from domain.decided import Decided, decide
from domain.errors import DomainError, NoFulfillmentOption, OptionExpired, OutOfStock
from domain.network import Snapshot
from domain.planning.problem import Missing, Plan, Problem, Unavailable
from domain.policies import Facts
from domain.promises import Promise
from domain.transaction import Connection
from domain.vocabulary import FulfillmentMethod, UnavailabilityCode


@dataclass(slots=True, kw_only=True)
class Lost:
    """What others were faster to take: pairs (SKU, location id), and whether it was room in a location's day."""

    pairs: set[tuple[str, UUID]] = field(default_factory=set)
    room: bool = False

    def __bool__(self) -> bool:
        """Say whether anything was lost."""
        return self.room or bool(self.pairs)

    def refusal(self, promise: Promise) -> DomainError:
        """Return why a promise can no longer be kept."""
        message = "The promise can no longer be kept."
        if self.room and not self.pairs:
            return NoFulfillmentOption(message=message, unavailable=[no_room(promise.plan.method)])
        return OutOfStock(message=message, missing=missing(promise, self))


def no_room(method: FulfillmentMethod) -> Unavailable:
    """Return why nothing can be done where others have filled the day."""
    return Unavailable(method=method, code=UnavailabilityCode.NO_CAPACITY, message="Others have filled the day.")


def covered(lines: Sequence[CartLine], plan: Plan) -> tuple[CartLine, ...]:
    """Return what of a cart a plan covers."""
    shares: dict[str, int] = {}
    for parcel in plan.parcels:
        for share in parcel.shares:
            shares[share.sku] = shares.get(share.sku, 0) + share.quantity
    return tuple(
        line if shares[line.sku] == line.quantity else replace(line, quantity=shares[line.sku])
        for line in lines
        if shares.get(line.sku)
    )


async def kept(
    connection: Connection,
    snapshot: Snapshot,
    promise: Promise,
    lost: Lost,
    *,
    now: datetime,
) -> Decided:
    """Return what keeps a promise: the plan shown; where something of it was lost, another.

    The other has the same method, level and price and is no later; it is the best without what was lost. Raises
    OutOfStock or NoFulfillmentOption where there is none, and OptionExpired for what was planned as of another moment
    and would not be planned so at `now`.
    """
    if not lost and not promise.preview:
        return Decided(plan=promise.plan, basis=promise.basis)
    if not promise.plan.parcels:
        raise OptionExpired(message="What was planned ahead has yet to come.", path=("optionToken",))
    problem, facts = await _problem(connection, snapshot, promise, lost, now=now)
    best = decide(problem, promise.plan.method, snapshot.policies, facts).best
    if not lost and (best is None or _shape(best.plan) != _shape(promise.plan)):
        raise OptionExpired(message="What was planned ahead no longer holds.", path=("optionToken",))
    if best is None or best.plan.missing:
        raise lost.refusal(promise)
    return replace(best, plan=replace(best.plan, price=promise.plan.price, missing=promise.plan.missing))


def missing(promise: Promise, lost: Lost) -> list[Missing]:
    """Return what a promise that cannot be kept lacks: the lines of what was lost."""
    skus = {sku for sku, _ in lost.pairs}
    return [
        Missing(sku=line.sku, quantity=line.quantity)
        for line in covered(promise.lines, promise.plan)
        if line.sku in skus
    ]


async def _problem(
    connection: Connection,
    snapshot: Snapshot,
    promise: Promise,
    lost: Lost,
    *,
    now: datetime,
) -> tuple[Problem, Facts]:
    lines, shown = covered(promise.lines, promise.plan), promise.plan
    skus = [line.sku for line in lines]
    items = {row.sku: row for row in await inventory.items(connection, skus)}
    available = await inventory.available(connection, skus, snapshot, promise.channel)
    for sku, location_id in lost.pairs:
        available[snapshot.site_by_id[location_id], skus.index(sku)] = 0
    facts = Facts(
        channel=promise.channel,
        currency=promise.currency,
        country=promise.country,
        postal_code=promise.postal_code,
        tags=promise.tags,
        lines=line_facts(promise.lines, items),
    )
    problem = Problem(
        network=snapshot.planner,
        lines=wanted_lines(lines, items),
        available=available,
        now=now,
        currency=promise.currency,
        country=promise.country,
        destination=promise.position,
        levels=(shown.level,) if shown.level else (),
        pickup_codes=(shown.pickup_code,) if shown.pickup_code else None,
        cart_value=cart_value(promise.lines),
        tags=frozenset(promise.tags),
        promised_latest=None if promise.preview else shown.latest,
        committed=await capacity.committed_from(connection, snapshot, now),
        idle_days=snapshot.idle_days(skus, now=now),
    )
    return problem, facts


def _shape(plan: Plan) -> list[tuple[object, ...]]:
    return [(p.location_code, p.service_code, p.shares, p.arrives_latest) for p in plan.parcels]
