"""Placing an order: check it, plan it, commit it, and plan again where somebody was faster."""

import hashlib
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from domain import feed, inventory, orders, places, routing
from domain.errors import (
    DomainError,
    IdempotencyConflict,
    InvalidInput,
    NoFulfillmentOption,
    OptionExpired,
    OutOfStock,
)
from domain.ids import new_id
from domain.network import Networks, Snapshot
from domain.options import CartLine, Promise, Promises, cart_value, merged
from domain.orders import OrderRow
from domain.placement.batcher import Batcher, Rows
from domain.places import Address
from domain.planning.problem import Line, Missing, Plan, Point, Problem, Unavailable
from domain.text import check_code, check_codes, check_optional_text, check_text
from domain.transaction import Connection, Database
from domain.vocabulary import FulfillmentMethod, OrderStatus, ServiceLevel, UnavailabilityCode, UpdateKind

MOST_TRIES = 4
"""The first plan, and three more for who lost a race for stock."""
KEY_LENGTH = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """What a shop asks to be placed; prices in minor units of `currency`.

    Either `token` names the option the shopper chose, or `method` (and `level`, `pickup_location_id`) is the wish.
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
    method: FulfillmentMethod | None = None
    level: ServiceLevel | None = None
    ship_to: Address | None = None
    pickup_location_id: UUID | None = None

    def digest(self) -> bytes:
        """Return what tells this input from another under the same key."""
        return hashlib.sha256(orjson.dumps(self)).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """An order that was checked: what is left to do is to find its plan and to commit it."""

    order: NewOrder
    lines: tuple[CartLine, ...]
    method: FulfillmentMethod
    levels: tuple[ServiceLevel, ...]
    target: Point | None = None
    pickup_code: str | None = None
    promise: Promise | None = None


@dataclass(slots=True)
class Placement:
    """Places orders. One for each process."""

    database: Database
    networks: Networks
    promises: Promises
    batcher: Batcher

    async def place(self, order: NewOrder, *, actor: str, now: datetime) -> OrderRow:
        """Place an order and return it, or raise why not.

        The same key with the same input returns the order that the first call made. Raises InvalidInput,
        OptionExpired, OutOfStock, NoFulfillmentOption and IdempotencyConflict.
        """
        _check(order)
        try:
            return await self._place(order, actor=actor, now=now)
        except DomainError:
            # What this key was answered first outlives what has changed since.
            if placed := await self._placed_before(order, now=now):
                return placed
            raise

    async def _place(self, order: NewOrder, *, actor: str, now: datetime) -> OrderRow:
        if order.token:
            # What a token names does not cease to exist, and the commit checks the rest.
            promise = self.promises.verify(order.token, now=now)
            snapshot = await self.networks.knowing([parcel.location_code for parcel in promise.plan.parcels])
            wanted = _chosen(order, promise, snapshot)
        else:
            snapshot = await self.networks.current()
            wanted = _wished(order, snapshot)
        if order.ship_to and wanted.target is None:
            async with self.database.reading() as connection:
                wanted = replace(wanted, target=await places.resolve(connection, order.ship_to))
        lost: set[tuple[str, UUID]] = set()
        for _ in range(MOST_TRIES):
            plan = await self._plan(snapshot, wanted, lost, now=now)
            verdict = await self.batcher.commit(_rows(snapshot, wanted, plan, actor=actor, now=now))
            if verdict.order:
                return verdict.order
            if verdict.name == "REPLAYED" and (placed := await self._placed_before(order, now=now)):
                return placed
            if verdict.name == "NUMBER_TAKEN" and order.number:
                raise InvalidInput(message=f"There is an order {order.number} already.", path=("number",))
            lost.update(verdict.short)
        raise OutOfStock(message="Others were faster.", missing=_missing(wanted, lost))

    async def _placed_before(self, order: NewOrder, *, now: datetime) -> OrderRow | None:
        async with self.database.reading() as connection:
            known = await connection.fetchrow(
                """
                SELECT input_hash, result FROM idempotency
                 WHERE scope = 'placeOrder' AND key = $1 AND created_at >= $2
                """,
                order.idempotency_key,
                now - self.batcher.remembered,
            )
            if known is None:
                return None
            if not secrets.compare_digest(known["input_hash"], order.digest()):
                message = "This key was used before with another order."
                raise IdempotencyConflict(message=message, path=("idempotencyKey",))
            return await orders.order(connection, UUID(known["result"]))

    async def _plan(self, snapshot: Snapshot, wanted: _Wanted, lost: set[tuple[str, UUID]], *, now: datetime) -> Plan:
        promise = wanted.promise
        if promise and not promise.preview and not lost:
            return promise.plan
        async with self.database.reading() as connection:
            problem = await _problem(connection, snapshot, wanted, lost, now=now)
        plan, unavailable = routing.best(problem, wanted.method)
        if promise is None:
            if plan is None or plan.missing:
                raise _refusal(wanted, plan, unavailable)
            return plan
        if promise.preview and not lost:
            if plan is None or _shape(plan) != _shape(promise.plan):
                raise OptionExpired(message="What was planned ahead no longer holds.", path=("optionToken",))
        elif plan is None or plan.missing:
            raise OutOfStock(message="The promise can no longer be kept.", missing=_missing(wanted, lost))
        return replace(plan, price=promise.plan.price)


def _check(order: NewOrder) -> None:
    check_text(order.idempotency_key, path=("idempotencyKey",), longest=KEY_LENGTH)
    check_code(order.channel, path=("channel",))
    if order.number is not None:
        check_code(order.number, path=("number",))
    check_codes(order.tags, path=("tags",))
    check_text(order.customer_name, path=("customer", "name"))
    check_optional_text(order.customer_email or "", path=("customer", "email"))
    check_optional_text(order.customer_phone or "", path=("customer", "phone"))
    if order.ship_to:
        places.validate(order.ship_to, path=("shipTo",))
    wish = order.method is FulfillmentMethod.DELIVERY or (order.method is None and order.token is None)
    if wish and not order.token and order.ship_to is None:
        raise InvalidInput(message="A delivery needs an address.", path=("shipTo",))
    if order.method is FulfillmentMethod.DELIVERY and order.pickup_location_id:
        raise InvalidInput(message="A delivery has no pickup location.", path=("pickupLocationId",))


def _chosen(order: NewOrder, promise: Promise, snapshot: Snapshot) -> _Wanted:
    """Return what an order by token wants: what the token's plan covers."""
    lines = merged(order.lines)
    _agree(order, lines, promise, snapshot)
    covered: Counter[str] = Counter()
    for parcel in promise.plan.parcels:
        for share in parcel.shares:
            covered[share.sku] += share.quantity
    return _Wanted(
        order=order,
        lines=tuple(replace(line, quantity=covered[line.sku]) for line in lines if covered[line.sku]),
        method=promise.plan.method,
        levels=(promise.plan.level,) if promise.plan.level else (),
        target=promise.position,
        pickup_code=promise.plan.pickup_code,
        promise=promise,
    )


def _wished(order: NewOrder, snapshot: Snapshot) -> _Wanted:
    if order.method is None:
        raise InvalidInput(message="An order names an option, or the method it wishes for.", path=("method",))
    return _Wanted(
        order=order,
        lines=merged(order.lines),
        method=order.method,
        levels=(order.level,) if order.level else tuple(ServiceLevel),
        pickup_code=_pickup_code(order, snapshot) if order.method is FulfillmentMethod.PICKUP else None,
    )


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


async def _problem(
    connection: Connection, snapshot: Snapshot, wanted: _Wanted, lost: set[tuple[str, UUID]], *, now: datetime
) -> Problem:
    skus = [line.sku for line in wanted.lines]
    grams = {row.sku: row.weight_grams for row in await inventory.items(connection, skus)}
    for index, line in enumerate(wanted.order.lines):
        if line.sku in skus and line.sku not in grams:
            raise InvalidInput(message=f"No item is {line.sku}.", path=("lines", str(index), "sku"))
    available = await inventory.available(connection, skus, snapshot, wanted.order.channel)
    for sku, location_id in lost:
        available[snapshot.site_by_id[location_id], skus.index(sku)] = 0
    order, promise = wanted.order, wanted.promise
    return Problem(
        network=snapshot.planner,
        lines=[Line(sku=line.sku, quantity=line.quantity, grams=grams[line.sku]) for line in wanted.lines],
        available=available,
        now=now,
        currency=order.currency,
        country=order.ship_to.country if order.ship_to else None,
        destination=wanted.target,
        levels=wanted.levels,
        pickup_codes=(wanted.pickup_code,) if wanted.pickup_code else None,
        cart_value=cart_value(wanted.lines),
        promised_latest=promise.plan.latest if promise and not promise.preview else None,
    )


def _shape(plan: Plan) -> list[tuple[object, ...]]:
    return [(p.location_code, p.service_code, p.shares, p.arrives_latest) for p in plan.parcels]


def _missing(wanted: _Wanted, lost: set[tuple[str, UUID]]) -> list[Missing]:
    skus = {sku for sku, _ in lost}
    return [Missing(sku=x.sku, quantity=x.quantity) for x in wanted.lines if not skus or x.sku in skus]


def _refusal(wanted: _Wanted, plan: Plan | None, unavailable: Sequence[Unavailable]) -> DomainError:
    """Return OutOfStock where for some level stock alone is the reason, else NoFulfillmentOption."""
    short = UnavailabilityCode.OUT_OF_STOCK
    stockless = [
        [reason for reason in unavailable if reason.level is level]
        for level in {reason.level for reason in unavailable}
        if all(reason.code is short for reason in unavailable if reason.level is level)
    ]
    if plan or stockless:
        skus = {reason.sku for reason in stockless[0]} if stockless else set()
        missing = (
            plan.missing
            if plan
            else [Missing(sku=x.sku, quantity=x.quantity) for x in wanted.lines if not skus or x.sku in skus]
        )
        return OutOfStock(message="Not everything is in stock.", missing=missing)
    return NoFulfillmentOption(message="No location can fulfil this order.", unavailable=unavailable)


def _rows(snapshot: Snapshot, wanted: _Wanted, plan: Plan, *, actor: str, now: datetime) -> Rows:
    """Return the rows that placing this plan writes."""
    order, order_id = wanted.order, new_id(now)
    line_ids = {line.sku: new_id(now) for line in wanted.lines}
    offered = routing.Offered(order_id=order_id, method=plan.method, channel=order.channel)
    work = routing.offers(snapshot, plan.parcels, offered, line_ids, now=now)
    steps = (
        orders.Step(kind=UpdateKind.ORDER_PLACED, status=OrderStatus.RECEIVED, message=f"Placed by {actor}."),
        orders.Step(kind=UpdateKind.ORDER_ROUTED, status=OrderStatus.ROUTED, message=work.sentence),
    )
    told = orders.Told(order_id=order_id, channel=order.channel, location_ids=work.location_ids)
    facts = [*(orders.fact(told, step, now=now) for step in steps), *work.facts]
    lines = [
        {
            "id": line_ids[line.sku],
            "order_id": order_id,
            "position": position,
            "sku": line.sku,
            "quantity": line.quantity,
            "unit_price": line.unit_price or 0,
            "backordered": 0,
        }
        for position, line in enumerate(wanted.lines)
    ]
    tables: dict[str, list[dict[str, Any]]] = {
        "keys": [{"key": order.idempotency_key, "hash": order.digest().hex(), "order_id": order_id}],
        "reservations": [],
        "orders": [_order_row(snapshot, wanted, plan, order_id, now=now)],
        "lines": lines,
        "assignments": work.assignments,
        "assignmentLines": work.lines,
        "wants": work.wants,
        "entries": [orders.entry(told, step, actor=actor, now=now) for step in steps],
        "facts": [feed.as_row(fact) for fact in facts],
    }
    return Rows(order_id=order_id, key=order.idempotency_key, at=now, tables=tables)


def _order_row(snapshot: Snapshot, wanted: _Wanted, plan: Plan, order_id: UUID, *, now: datetime) -> dict[str, Any]:
    order, pickup = wanted.order, plan.pickup_code
    return {
        "id": order_id,
        "number": order.number,
        "status": OrderStatus.ROUTED,
        "channel": order.channel,
        "method": plan.method,
        "level": plan.level,
        "tags": order.tags,
        "placed_at": now,
        "updated_at": now,
        "promised_earliest": plan.earliest,
        "promised_latest": plan.latest,
        "customer_name": order.customer_name,
        "customer_email": order.customer_email,
        "customer_phone": order.customer_phone,
        "ship_to": replace(order.ship_to, position=wanted.target).as_json() if order.ship_to else None,
        "pickup_location_id": snapshot.id_by_code[pickup] if pickup else None,
        "pickup_code": f"{secrets.randbelow(10**6):06d}" if pickup else None,
        "currency": order.currency,
        "shipping_price": plan.price,
        "total": plan.price + (cart_value(wanted.lines) or 0),
        "version": 1,
        "allow_backorder": False,
    }
