"""What is to be placed: what shops send, checked, by token or by wish."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import orjson

from domain import places
from domain.cart import CartLine, merged
from domain.errors import InvalidInput, OutOfStock
from domain.network import Snapshot
from domain.places import Address
from domain.planning.problem import Point
from domain.promised import covered
from domain.promises import Promise
from domain.text import check_code, check_codes, check_optional_text, check_text
from domain.vocabulary import FulfillmentMethod, Payment, ServiceLevel

KEY_LENGTH = 255
OUR_NUMBERS = re.compile(r"CD\d+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """What a shop asks to be placed; prices in minor units of `currency`.

    Either `token` names the option the shopper chose, or `reservation_id` what was reserved from it, or `method` (and
    `level`, `pickup_location_id`) is the wish.
    """

    idempotency_key: str
    lines: tuple[CartLine, ...]
    currency: str
    customer_name: str
    customer_email: str | None = None
    customer_phone: str | None = None
    number: str | None = None
    channel: str = "web"
    tags: tuple[str, ...] = ()
    token: str | None = None
    reservation_id: UUID | None = None
    method: FulfillmentMethod | None = None
    level: ServiceLevel | None = None
    ship_to: Address | None = None
    pickup_location_id: UUID | None = None
    allow_backorder: bool = False
    payment: Payment = Payment.PREPAID
    hold: bool = False

    def digest(self) -> bytes:
        """Return what tells this input from another under the same key."""
        return hashlib.sha256(orjson.dumps(self, default=str)).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An order that was checked: what is left to do is to find its plan and to commit it."""

    order: NewOrder
    lines: tuple[CartLine, ...]
    method: FulfillmentMethod
    levels: tuple[ServiceLevel, ...]
    target: Point | None = None
    pickup_code: str | None = None
    promise: Promise | None = None


def check(order: NewOrder) -> None:
    """Raise InvalidInput where an order cannot be placed as it stands, whatever the network holds."""
    check_text(order.idempotency_key, path=("idempotencyKey",), longest=KEY_LENGTH)
    check_code(order.channel, path=("channel",))
    if order.number is not None and OUR_NUMBERS.fullmatch(check_code(order.number, path=("number",))):
        raise InvalidInput(message="Numbers like this one are made here.", path=("number",))
    check_codes(order.tags, path=("tags",))
    check_text(order.customer_name, path=("customer", "name"))
    check_optional_text(order.customer_email or "", path=("customer", "email"))
    check_optional_text(order.customer_phone or "", path=("customer", "phone"))
    if order.ship_to:
        places.validate(order.ship_to, path=("shipTo",))
    promised = order.token is not None or order.reservation_id is not None
    if order.token is not None and order.reservation_id is not None:
        raise InvalidInput(message="An order names an option or a reservation, not both.", path=("reservationId",))
    if not promised and order.method is not FulfillmentMethod.PICKUP and order.ship_to is None:
        raise InvalidInput(message="A delivery needs an address.", path=("shipTo",))
    if order.method is FulfillmentMethod.DELIVERY and order.pickup_location_id:
        raise InvalidInput(message="A delivery has no pickup location.", path=("pickupLocationId",))


def chosen(order: NewOrder, promise: Promise, snapshot: Snapshot) -> Wanted:
    """Return what an order by token wants: what the token's plan covers, or all of it where the rest may wait."""
    _check_payment(order, promise.plan.method)
    if not promise.plan.parcels and not order.allow_backorder:
        raise OutOfStock(message="All of it has yet to come.", missing=promise.plan.missing)
    lines = merged(order.lines)
    _agree(order, lines, promise, snapshot)
    return Wanted(
        order=order,
        lines=lines if order.allow_backorder else covered(lines, promise.plan),
        method=promise.plan.method,
        levels=(promise.plan.level,) if promise.plan.level else (),
        target=promise.position,
        pickup_code=promise.plan.pickup_code,
        promise=promise,
    )


def wished(order: NewOrder, snapshot: Snapshot) -> Wanted:
    """Return what an order by wish wants."""
    if order.method is None:
        raise InvalidInput(message="An order names an option, or the method it wishes for.", path=("method",))
    _check_payment(order, order.method)
    return Wanted(
        order=order,
        lines=merged(order.lines),
        method=order.method,
        levels=(order.level,) if order.level else tuple(ServiceLevel),
        pickup_code=_pickup_code(order, snapshot) if order.method is FulfillmentMethod.PICKUP else None,
    )


def _check_payment(order: NewOrder, method: FulfillmentMethod) -> None:
    if order.payment is Payment.ON_COLLECTION and method is not FulfillmentMethod.PICKUP:
        raise InvalidInput(message="Only what is picked up can be paid at the counter.", path=("payment",))


def _pickup_code(order: NewOrder, snapshot: Snapshot) -> str:
    location = snapshot.locations.get(order.pickup_location_id) if order.pickup_location_id else None
    if location is None:
        raise InvalidInput(message="A pickup names a location of ours.", path=("pickupLocationId",))
    if order.level:
        raise InvalidInput(message="A pickup has no service level.", path=("level",))
    return location.code


def _agree(order: NewOrder, lines: Sequence[CartLine], promise: Promise, snapshot: Snapshot) -> None:
    """Raise InvalidInput where the order contradicts its token."""
    plan, to = promise.plan, order.ship_to
    place = snapshot.locations.get(order.pickup_location_id) if order.pickup_location_id else None
    told = {line.sku: line for line in lines}
    priced = all(line.unit_price in {None, told[line.sku].unit_price} for line in promise.lines if line.sku in told)
    same_lines = {line.sku: line.quantity for line in promise.lines} == {x.sku: x.quantity for x in lines}
    for agrees, name, message in (
        (same_lines, "lines", "The option was for other lines."),
        (priced, "lines", "The option was for other prices."),
        (order.currency == promise.currency, "currency", f"The option was for {promise.currency}."),
        (order.channel == promise.channel, "channel", f"The option was for channel {promise.channel}."),
        (set(order.tags) == set(promise.tags), "tags", "The option was for other tags."),
        (order.method in {None, plan.method}, "method", f"The option was for {plan.method}."),
        (order.level in {None, plan.level}, "level", f"The option was for {plan.level or plan.method}."),
        (
            order.pickup_location_id is None or (place is not None and place.code == plan.pickup_code),
            "pickupLocationId",
            "The option was for another location.",
        ),
    ):
        if not agrees:
            raise InvalidInput(message=message, path=(name,))
    if plan.method is FulfillmentMethod.DELIVERY:
        if to is None:
            raise InvalidInput(message="A delivery needs an address.", path=("shipTo",))
        if (to.postal_code, to.country) != (promise.postal_code, promise.country):
            message = f"The option was for {promise.country} {promise.postal_code}."
            raise InvalidInput(message=message, path=("shipTo",))
