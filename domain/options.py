"""What the network can promise for a cart: the planner run, priced and signed."""

import hashlib
import hmac
import math
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from domain import inventory, places
from domain.availability import InStock, sellable
from domain.errors import InvalidInput, OptionExpired
from domain.money import MOST_MINOR_UNITS
from domain.network import Snapshot
from domain.places import Address
from domain.planning.plan import plan_deliveries, plan_pickups, rank
from domain.planning.problem import (
    Answer,
    Line,
    Missing,
    Parcel,
    Plan,
    Point,
    Problem,
    Share,
    Unavailable,
)
from domain.preorders import preorders
from domain.text import check_code, check_codes
from domain.transaction import Connection
from domain.vocabulary import FulfillmentMethod, ServiceLevel, UnavailabilityCode

MOST_LINES = 10
MOST_UNITS = 1_000_000
MOST_PICKUP_LOCATIONS = 50
LONGEST_AHEAD = timedelta(days=366)


@dataclass(frozen=True, slots=True, kw_only=True)
class CartLine:
    """A wanted quantity of one item; `unit_price` in minor units, None where the shop did not say."""

    sku: str
    quantity: int
    unit_price: int | None = None


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
class Promise:
    """What a token binds: the cart, whither it goes, and the plan that was shown."""

    lines: tuple[CartLine, ...]
    plan: Plan
    currency: str
    channel: str
    tags: tuple[str, ...]
    postal_code: str | None
    country: str | None
    position: Point | None
    """Where that is, as the plan took it."""
    expires_at: datetime
    preview: bool
    """Planned as of another moment than the present: it holds only if planning now gives the same."""


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


def merged(lines: Sequence[CartLine]) -> tuple[CartLine, ...]:
    """Return the cart with one line a SKU, in the order of first mention, or raise InvalidInput.

    Two lines of one SKU at different prices are not one line: they are refused.
    """
    if not lines:
        raise InvalidInput(message="The cart is empty.", path=("lines",))
    cart: dict[str, CartLine] = {}
    for index, line in enumerate(lines):
        path = ("lines", str(index))
        if not 1 <= line.quantity <= MOST_UNITS:
            raise InvalidInput(message=f"A quantity is 1 to {MOST_UNITS:,}.", path=(*path, "quantity"))
        known = cart.get(line.sku)
        if known and known.unit_price != line.unit_price:
            raise InvalidInput(message=f"{line.sku} stands in the cart at two prices.", path=(*path, "unitPrice"))
        quantity = line.quantity + (known.quantity if known else 0)
        if quantity > MOST_UNITS:
            raise InvalidInput(message=f"Together, that is more than {MOST_UNITS:,}.", path=(*path, "quantity"))
        cart[line.sku] = replace(line, quantity=quantity) if known else line
    if len(cart) > MOST_LINES:
        raise InvalidInput(message=f"A cart holds at most {MOST_LINES} different items.", path=("lines",))
    whole = tuple(cart.values())
    if (cart_value(whole) or 0) > MOST_MINOR_UNITS:
        raise InvalidInput(message="The cart is worth too much.", path=("lines",))
    return whole


async def fulfillment_options(
    connection: Connection,
    snapshot: Snapshot,
    promises: "Promises",
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
    grams = {row.sku: row.weight_grams for row in await inventory.items(connection, [x.sku for x in request.lines])}
    unknown = tuple(line for line in request.lines if line.sku not in grams)
    answer = Answer()
    if grams:
        skus = [line.sku for line in request.lines if line.sku in grams]
        available = await sellable(connection, stock, skus, snapshot, request.channel)
        problem = _problem(snapshot, request, grams, available, target, now)
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
    grams: Mapping[str, int],
    available: NDArray[np.int64],
    target: Point | None,
    now: datetime,
) -> Problem:
    """Return the problem of those lines whose items are known, by `grams`."""
    known = [line for line in request.lines if line.sku in grams]
    return Problem(
        network=snapshot.planner,
        lines=[Line(sku=line.sku, quantity=line.quantity, grams=grams[line.sku]) for line in known],
        available=available,
        now=request.at or now,
        currency=request.currency,
        country=request.destination.country if request.destination else None,
        destination=target,
        levels=request.levels,
        within_km=request.within_km,
        pickup_limit=request.pickup_locations,
        cart_value=cart_value(request.lines),
    )


def cart_value(lines: Sequence[CartLine]) -> int | None:
    """Return what the cart is worth, in minor units; None where a price is not known."""
    if any(line.unit_price is None for line in lines):
        return None
    return sum(line.quantity * (line.unit_price or 0) for line in lines)


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


def _promise(plan: Plan, request: OptionsRequest, target: Point | None, promises: "Promises", now: datetime) -> Promise:
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


@dataclass(frozen=True, slots=True)
class Promises:
    """Signs promises (JSON with its HMAC-SHA256) and reads them back.

    The key is derived from the secret under a label of its own, so that neither an access token nor anything else
    signed with the same secret is ever taken for a promise.
    """

    secret: bytes
    ttl: timedelta = timedelta(minutes=15)

    @property
    def _key(self) -> bytes:
        return hmac.digest(self.secret, b"crossdock option token", hashlib.sha256)

    def _seal(self, body: bytes) -> bytes:
        return urlsafe_b64encode(hmac.digest(self._key, body, hashlib.sha256))

    def sign(self, promise: Promise) -> str:
        """Return the token of a promise."""
        claims = {
            "exp": int(promise.expires_at.timestamp()),
            "lines": [[line.sku, line.quantity, line.unit_price] for line in promise.lines],
            "currency": promise.currency,
            "channel": promise.channel,
            "tags": promise.tags,
            "to": [promise.postal_code, promise.country],
            "at": [promise.position.latitude, promise.position.longitude] if promise.position else None,
            "preview": promise.preview,
            "plan": _plan_as_json(promise.plan),
        }
        body = urlsafe_b64encode(orjson.dumps(claims))
        return b".".join((body, self._seal(body))).decode()

    def verify(self, token: str, *, now: datetime) -> Promise:
        """Return the promise of a token; OptionExpired once it is past, InvalidInput where we did not sign it."""
        promise = self.read(token)
        if now > promise.expires_at:
            raise OptionExpired(message="The option has expired: ask for options again.", path=("optionToken",))
        return promise

    def read(self, token: str) -> Promise:
        """Return the promise of a token, past or not; InvalidInput where we did not sign it."""
        body, _, seal = token.encode(errors="replace").partition(b".")
        if not hmac.compare_digest(seal, self._seal(body)):
            raise InvalidInput(message="This is not an option token of ours.", path=("optionToken",))
        claims = orjson.loads(urlsafe_b64decode(body))
        postal_code, country = claims["to"]
        return Promise(
            lines=tuple(CartLine(sku=sku, quantity=n, unit_price=price) for sku, n, price in claims["lines"]),
            plan=_plan_from_json(claims["plan"]),
            currency=claims["currency"],
            channel=claims["channel"],
            tags=tuple(claims["tags"]),
            postal_code=postal_code,
            country=country,
            position=Point(latitude=claims["at"][0], longitude=claims["at"][1]) if claims["at"] else None,
            expires_at=datetime.fromtimestamp(claims["exp"], UTC),
            preview=claims["preview"],
        )


def _plan_as_json(plan: Plan) -> dict[str, object]:
    """Return what a token says of its plan. A shopper can read it, so what the plan costs the retailer is left out."""
    return {
        "method": plan.method,
        "level": plan.level,
        "price": plan.price,
        "pickup": plan.pickup_code,
        "km": plan.distance_km,
        "before": plan.order_before and plan.order_before.isoformat(),
        "missing": [[missing.sku, missing.quantity] for missing in plan.missing],
        "expected": plan.expected and [moment.isoformat() for moment in plan.expected],
        "parcels": [
            [
                parcel.location_code,
                parcel.service_code,
                [[share.sku, share.quantity] for share in parcel.shares],
                [
                    moment.isoformat()
                    for moment in (parcel.ready_at, parcel.due_at, parcel.arrives_earliest, parcel.arrives_latest)
                ],
                parcel.distance_km,
                parcel.co2_grams,
            ]
            for parcel in plan.parcels
        ],
    }


def _plan_from_json(plan: dict[str, Any]) -> Plan:
    return Plan(
        method=FulfillmentMethod(plan["method"]),
        level=ServiceLevel(plan["level"]) if plan["level"] else None,
        price=plan["price"],
        cost=0,
        pickup_code=plan["pickup"],
        distance_km=plan["km"],
        order_before=datetime.fromisoformat(plan["before"]) if plan["before"] else None,
        missing=tuple(Missing(sku=sku, quantity=quantity) for sku, quantity in plan["missing"]),
        expected=_pair(plan["expected"]) if plan["expected"] else None,
        parcels=tuple(_parcel_from_json(*parcel) for parcel in plan["parcels"]),
    )


def _pair(moments: Sequence[str]) -> tuple[datetime, datetime]:
    earliest, latest = map(datetime.fromisoformat, moments)
    return earliest, latest


def _parcel_from_json(
    location: str,
    service: str | None,
    shares: list[tuple[str, int]],
    moments: list[str],
    km: float | None,
    co2: int | None,
) -> Parcel:
    ready_at, due_at, earliest, latest = map(datetime.fromisoformat, moments)
    return Parcel(
        location_code=location,
        service_code=service,
        shares=tuple(Share(sku=sku, quantity=quantity) for sku, quantity in shares),
        ready_at=ready_at,
        due_at=due_at,
        arrives_earliest=earliest,
        arrives_latest=latest,
        cost=0,
        distance_km=km,
        co2_grams=co2,
    )
