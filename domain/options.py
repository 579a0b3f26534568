"""What the network can promise for a cart: the planner run, priced and signed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from domain import capacity, inventory, places
from domain.availability import InStock, sellable
from domain.cart import CartLine, cart_value, line_facts, merged, wanted_lines
from domain.decided import Basis, Decided, Outcome, decide, ranked
from domain.errors import InvalidInput
from domain.inventory import ItemRow
from domain.network import Snapshot
from domain.places import Address
from domain.planning.plan import rank
from domain.planning.problem import Line, Missing, Plan, Point, Problem, Unavailable
from domain.policies import Facts, Policies
from domain.preorders import preorders
from domain.promises import Promise, Promises
from domain.text import check_code, check_codes
from domain.transaction import Connection
from domain.vocabulary import FulfillmentMethod, RatingKind, ServiceLevel, UnavailabilityCode

MOST_PICKUP_LOCATIONS = 50
LONGEST_AHEAD = timedelta(days=366)


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionsRequest:
    """A cart, where it shall go, and which ways there are of interest."""

    lines: tuple[CartLine, ...]
    currency: str
    destination: Address | None = None
    near: Point | None = None
    methods: tuple[FulfillmentMethod, ...] = tuple(FulfillmentMethod)
    levels: tuple[ServiceLevel, ...] = tuple(ServiceLevel)
    within_km: float | None = 50.0
    pickup_locations: int = 5
    channel: str = "web"
    tags: tuple[str, ...] = ()
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A plan that can be had, and the token to have it with."""

    token: str
    promise: Promise


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What can be had, best first, and why the rest cannot."""

    options: tuple[Option, ...]
    unavailable: tuple[Unavailable, ...]
    computed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """What was decided for a cart, best first; `unknown` are its lines whose items nobody knows.

    `target` is where the destination lies; `problem` is None where no item is known.
    """

    request: OptionsRequest
    target: Point | None
    unknown: tuple[CartLine, ...]
    problem: Problem | None = None
    decided: tuple[Decided, ...] = ()
    unavailable: tuple[Unavailable, ...] = ()


async def fulfillment_options(
    connection: Connection,
    snapshot: Snapshot,
    promises: Promises,
    request: OptionsRequest,
    *,
    stock: InStock | None = None,
    now: datetime,
) -> Options:
    """Return what the network can promise for a cart at `now`, from what is in stock by memory, or else by Postgres.

    Nothing is reserved.

    Raises InvalidInput for an empty or oversized cart, a quantity below 1 and a destination that is no address.
    """
    found = await consider(connection, snapshot, request, stock=stock, now=now)
    decided = found.decided
    if not decided and found.problem and FulfillmentMethod.DELIVERY in request.methods:
        plans = rank(await preorders(connection, snapshot, found.problem))
        decided = tuple(Decided(plan=plan, basis=None) for plan in plans)
    missing = tuple(Missing(sku=line.sku, quantity=line.quantity) for line in found.unknown)
    promised = [
        _promise(replace(each.plan, missing=each.plan.missing + missing), each.basis, found, promises, now)
        for each in decided
    ]
    return Options(
        options=tuple(Option(token=promises.sign(promise), promise=promise) for promise in promised),
        unavailable=found.unavailable,
        computed_at=stock.as_of if stock else now,
    )


async def consider(
    connection: Connection,
    snapshot: Snapshot,
    request: OptionsRequest,
    *,
    policies: Policies | None = None,
    stock: InStock | None = None,
    now: datetime,
) -> Considered:
    """Return what is decided for a cart under the policies in force, or under others; see `fulfillment_options`."""
    _check(request, now=now)
    request = replace(request, lines=merged(request.lines))
    target = await places.resolve(connection, request.destination) if request.destination else None
    items = {row.sku: row for row in await inventory.items(connection, [x.sku for x in request.lines])}
    known = [line for line in request.lines if line.sku in items]
    unknown = tuple(line for line in request.lines if line.sku not in items)
    found = Considered(request=request, target=target, unknown=unknown)
    if known:
        skus = [line.sku for line in known]
        available = await sellable(connection, stock, skus, snapshot, request.channel)
        problem = _problem(snapshot, request, wanted_lines(known, items), available, target, now)
        # What is to be known of another moment's days may not be in memory.
        read = stock.work.committed_from if stock and request.at is None else capacity.committed_from
        committed = await read(connection, snapshot, problem.now)
        if policies and RatingKind.MARKDOWN in policies.ratings:
            await snapshot.sitting.read(connection, skus, snapshot.site_by_id, now=now)
        idle_days = snapshot.idle_days(skus, now=now, policies=policies)
        problem = replace(problem, committed=committed, idle_days=idle_days)
        outcomes = _outcomes(problem, request, policies or snapshot.policies, _facts(request, items))
        reasons = tuple(reason for outcome in outcomes for reason in outcome.unavailable)
        found = replace(found, problem=problem, decided=ranked(outcomes), unavailable=reasons)
    return replace(found, unavailable=(*_unknown(unknown, request.methods), *found.unavailable))


def _check(request: OptionsRequest, *, now: datetime) -> None:
    if not 1 <= request.pickup_locations <= MOST_PICKUP_LOCATIONS:
        message = f"Ask for 1 to {MOST_PICKUP_LOCATIONS} pickup locations."
        raise InvalidInput(message=message, path=("pickupLocations",))
    if request.within_km is not None and not 0 < request.within_km < math.inf:
        raise InvalidInput(message="withinKm is a number above 0.", path=("withinKm",))
    if request.at and abs(request.at - now) > LONGEST_AHEAD:
        raise InvalidInput(message=f"Plan within {LONGEST_AHEAD.days} days of the present.", path=("at",))
    check_code(request.channel, path=("channel",))
    check_codes(request.tags, path=("tags",))
    if request.destination:
        places.validate(request.destination, path=("destination",))
    if request.near:
        places.check_position(request.near, path=("near",))


def _problem(
    snapshot: Snapshot,
    request: OptionsRequest,
    lines: Sequence[Line],
    available: NDArray[np.int64],
    target: Point | None,
    now: datetime,
) -> Problem:
    return Problem(
        network=snapshot.planner,
        lines=lines,
        available=available,
        now=request.at or now,
        currency=request.currency,
        country=request.destination.country if request.destination else None,
        destination=target,
        levels=request.levels,
        within_km=request.within_km,
        pickup_limit=request.pickup_locations,
        cart_value=cart_value(request.lines),
        tags=frozenset(request.tags),
    )


def _facts(request: OptionsRequest, items: Mapping[str, ItemRow]) -> Facts:
    to = request.destination
    return Facts(
        channel=request.channel,
        currency=request.currency,
        country=to.country if to else None,
        postal_code=to.postal_code if to else None,
        tags=request.tags,
        lines=line_facts(request.lines, items),
    )


def _outcomes(problem: Problem, request: OptionsRequest, policies: Policies, facts: Facts) -> list[Outcome]:
    outcomes = []
    near = request.near or problem.destination
    if FulfillmentMethod.DELIVERY in request.methods:
        outcomes.append(decide(problem, FulfillmentMethod.DELIVERY, policies, facts))
    if FulfillmentMethod.PICKUP in request.methods and near is None:
        message = "Pickup stores are looked for near a destination or a position: neither could be placed on the map."
        code = UnavailabilityCode.DESTINATION_UNKNOWN
        reason = Unavailable(method=FulfillmentMethod.PICKUP, code=code, message=message)
        outcomes.append(Outcome(unavailable=(reason,)))
    elif FulfillmentMethod.PICKUP in request.methods:
        outcomes.append(decide(replace(problem, destination=near), FulfillmentMethod.PICKUP, policies, facts))
    return outcomes


def _unknown(lines: Sequence[CartLine], methods: Sequence[FulfillmentMethod]) -> list[Unavailable]:
    return [
        Unavailable(method=method, code=UnavailabilityCode.UNKNOWN_SKU, sku=line.sku, message=f"No item is {line.sku}.")
        for method in methods
        for line in lines
    ]


def _promise(plan: Plan, basis: Basis | None, found: Considered, promises: Promises, now: datetime) -> Promise:
    request = found.request
    expires_at = now + promises.ttl
    if plan.order_before and request.at is None:
        expires_at = min(expires_at, plan.order_before)
    destination = request.destination if plan.method is FulfillmentMethod.DELIVERY else None
    return Promise(
        lines=request.lines,
        plan=plan,
        basis=basis,
        currency=request.currency,
        channel=request.channel,
        tags=request.tags,
        postal_code=destination.postal_code if destination else None,
        country=destination.country if destination else None,
        position=found.target if destination else None,
        expires_at=expires_at.replace(microsecond=0),
        preview=request.at is not None,
    )
