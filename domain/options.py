"""What the network can promise for a cart: the planner run, priced and signed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from domain import inventory, places
from domain.availability import InStock, sellable
from domain.cart import CartLine, cart_value, merged, wanted_lines
from domain.errors import InvalidInput
from domain.inventory import ItemRow
from domain.network import Snapshot
from domain.places import Address
from domain.planning.plan import plan_deliveries, plan_pickups, rank
from domain.planning.problem import (
    Answer,
    Missing,
    Plan,
    Point,
    Problem,
    Unavailable,
)
from domain.preorders import preorders
from domain.promises import Promise, Promises
from domain.text import check_code, check_codes
from domain.transaction import Connection
from domain.vocabulary import FulfillmentMethod, ServiceLevel, UnavailabilityCode

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
    _check(request, now=now)
    request = replace(request, lines=merged(request.lines))
    target = await _target(connection, request)
    items = {row.sku: row for row in await inventory.items(connection, [x.sku for x in request.lines])}
    unknown = tuple(line for line in request.lines if line.sku not in items)
    answer = Answer()
    if items:
        skus = [line.sku for line in request.lines if line.sku in items]
        available = await sellable(connection, stock, skus, snapshot, request.channel)
        problem = _problem(snapshot, request, items, available, target, now)
        answer = _plan(problem, request, target)
        if not answer.plans and FulfillmentMethod.DELIVERY in request.methods:
            answer = replace(answer, plans=rank(await preorders(connection, snapshot, problem)))
    missing = tuple(Missing(sku=line.sku, quantity=line.quantity) for line in unknown)
    promised = [
        _promise(replace(plan, missing=plan.missing + missing), request, target, promises, now) for plan in answer.plans
    ]
    return Options(
        options=tuple(Option(token=promises.sign(promise), promise=promise) for promise in promised),
        unavailable=tuple(_unknown(unknown, request.methods)) + answer.unavailable,
        computed_at=stock.as_of if stock else now,
    )


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


async def _target(connection: Connection, request: OptionsRequest) -> Point | None:
    return await places.resolve(connection, request.destination) if request.destination else None


def _problem(
    snapshot: Snapshot,
    request: OptionsRequest,
    items: Mapping[str, ItemRow],
    available: NDArray[np.int64],
    target: Point | None,
    now: datetime,
) -> Problem:
    """Return the problem of those lines whose items are known, by SKU."""
    return Problem(
        network=snapshot.planner,
        lines=wanted_lines([line for line in request.lines if line.sku in items], items),
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


def _plan(problem: Problem, request: OptionsRequest, target: Point | None) -> Answer:
    plans: tuple[Plan, ...] = ()
    unavailable: tuple[Unavailable, ...] = ()
    near = request.near or target
    if FulfillmentMethod.DELIVERY in request.methods:
        answer = plan_deliveries(problem)
        plans, unavailable = plans + answer.plans, unavailable + answer.unavailable
    if FulfillmentMethod.PICKUP in request.methods and near is None:
        message = "Pickup stores are looked for near a destination or a position: neither could be placed on the map."
        code = UnavailabilityCode.DESTINATION_UNKNOWN
        unavailable = (*unavailable, Unavailable(method=FulfillmentMethod.PICKUP, code=code, message=message))
    elif FulfillmentMethod.PICKUP in request.methods:
        answer = plan_pickups(replace(problem, destination=near))
        plans, unavailable = plans + answer.plans, unavailable + answer.unavailable
    return Answer(plans=rank(plans), unavailable=unavailable)


def _unknown(lines: Sequence[CartLine], methods: Sequence[FulfillmentMethod]) -> list[Unavailable]:
    return [
        Unavailable(method=method, code=UnavailabilityCode.UNKNOWN_SKU, sku=line.sku, message=f"No item is {line.sku}.")
        for method in methods
        for line in lines
    ]


def _promise(plan: Plan, request: OptionsRequest, target: Point | None, promises: Promises, now: datetime) -> Promise:
    expires_at = now + promises.ttl
    if plan.order_before and request.at is None:
        expires_at = min(expires_at, plan.order_before)
    destination = request.destination if plan.method is FulfillmentMethod.DELIVERY else None
    return Promise(
        lines=request.lines,
        plan=plan,
        currency=request.currency,
        channel=request.channel,
        tags=request.tags,
        postal_code=destination.postal_code if destination else None,
        country=destination.country if destination else None,
        position=target if destination else None,
        expires_at=expires_at.replace(microsecond=0),
        preview=request.at is not None,
    )
