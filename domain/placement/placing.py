"""Placing an order: check it, plan it, commit it, and plan again where somebody was faster."""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import numpy as np

from domain import capacity, inventory, orders, places, reservations
from domain.cart import cart_value, line_facts, wanted_lines
from domain.decided import Decided, Outcome, decide
from domain.errors import (
    DomainError,
    IdempotencyConflict,
    InvalidInput,
    NoFulfillmentOption,
    OutOfStock,
    ReservationExpired,
)
from domain.network import Networks, Snapshot
from domain.orders import OrderRow
from domain.placement.batcher import Batcher
from domain.placement.rows import rows
from domain.placement.wanted import NewOrder, Wanted, check, chosen, wished
from domain.planning.problem import Missing, Problem
from domain.policies import Facts
from domain.promised import Lost, kept, no_room
from domain.promises import Promise, Promises
from domain.transaction import Connection, Database
from domain.vocabulary import UnavailabilityCode

MOST_TRIES = 20
"""The first plan, and more for who lost a race for stock, or for room in one day after the other."""


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
        OptionExpired, ReservationExpired, OutOfStock, NoFulfillmentOption and IdempotencyConflict.
        """
        check(order)
        try:
            return await self._place(order, actor=actor, now=now)
        except DomainError:
            # What this key was answered first outlives what has changed since.
            if placed := await self._placed_before(order, now=now):
                return placed
            raise

    async def _place(self, order: NewOrder, *, actor: str, now: datetime) -> OrderRow:
        promise = await self._promise(order, now=now)
        if promise:
            # What a token names does not cease to exist, and the commit checks the rest.
            plan = promise.plan
            codes = [parcel.location_code for parcel in plan.parcels] + ([plan.pickup_code] if plan.pickup_code else [])
            snapshot = await self.networks.knowing(codes)
            wanted = chosen(order, promise, snapshot)
        else:
            snapshot = await self.networks.current()
            wanted = wished(order, snapshot)
        if order.ship_to and wanted.target is None:
            async with self.database.reading() as connection:
                wanted = replace(wanted, target=await places.resolve(connection, order.ship_to))
        lost = Lost()
        for _ in range(MOST_TRIES):
            decided = await self._decided(snapshot, wanted, lost, now=now)
            verdict = await self.batcher.commit(rows(snapshot, wanted, decided, actor=actor, now=now))
            if verdict.order:
                return verdict.order
            if verdict.name == "REPLAYED" and (placed := await self._placed_before(order, now=now)):
                return placed
            if verdict.name == "NUMBER_TAKEN" and order.number:
                raise InvalidInput(message=f"There is an order {order.number} already.", path=("number",))
            if verdict.name == "RESERVATION_EXPIRED":
                raise ReservationExpired(message="It holds nothing any more.", path=("reservationId",))
            lost.pairs.update(verdict.short)
            if verdict.name == "NO_CAPACITY":
                lost.room, snapshot = True, await self.networks.current()
        if lost.pairs:
            raise OutOfStock(message="Others were faster.", missing=_missing(wanted, lost))
        raise NoFulfillmentOption(message="Others were faster.", unavailable=[no_room(wanted.method)])

    async def _promise(self, order: NewOrder, *, now: datetime) -> Promise | None:
        if order.reservation_id is not None:
            async with self.database.reading() as connection:
                return await reservations.promised(connection, self.promises, order.reservation_id)
        return None if order.token is None else self.promises.verify(order.token, now=now)

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

    async def _decided(self, snapshot: Snapshot, wanted: Wanted, lost: Lost, *, now: datetime) -> Decided:
        """Return what to commit. Its plan leaves out only what may wait for stock."""
        promise, may_wait = wanted.promise, wanted.order.allow_backorder
        whole = promise is not None and not (may_wait and promise.plan.missing)
        if promise and not lost and (wanted.order.reservation_id or (whole and not promise.preview)):
            return Decided(plan=promise.plan, basis=promise.basis)
        async with self.database.reading() as connection:
            if promise and not (may_wait and lost):
                decided = await kept(connection, snapshot, promise, lost, now=now)
                if whole:
                    return decided
            problem, facts = await _problem(connection, snapshot, wanted, lost, now=now)
        outcome = decide(problem, wanted.method, snapshot.policies, facts)
        best = outcome.best
        if best and not best.plan.missing:
            decided = best
        elif may_wait:
            decided = _waiting(problem, wanted, outcome, snapshot, facts)
        else:
            raise _refusal(wanted, outcome)
        return replace(decided, plan=replace(decided.plan, price=promise.plan.price)) if promise else decided


async def _problem(
    connection: Connection, snapshot: Snapshot, wanted: Wanted, lost: Lost, *, now: datetime
) -> tuple[Problem, Facts]:
    skus = [line.sku for line in wanted.lines]
    items = {row.sku: row for row in await inventory.items(connection, skus)}
    for index, line in enumerate(wanted.order.lines):
        if line.sku in skus and line.sku not in items:
            raise InvalidInput(message=f"No item is {line.sku}.", path=("lines", str(index), "sku"))
    available = await inventory.available(connection, skus, snapshot, wanted.order.channel)
    for sku, location_id in lost.pairs:
        available[snapshot.site_by_id[location_id], skus.index(sku)] = 0
    order, promise = wanted.order, wanted.promise
    facts = Facts(
        channel=order.channel,
        currency=order.currency,
        country=order.ship_to.country if order.ship_to else None,
        postal_code=order.ship_to.postal_code if order.ship_to else None,
        tags=order.tags,
        lines=line_facts(wanted.lines, items),
    )
    problem = Problem(
        network=snapshot.planner,
        lines=wanted_lines(wanted.lines, items),
        available=available,
        now=now,
        currency=order.currency,
        country=order.ship_to.country if order.ship_to else None,
        destination=wanted.target,
        levels=wanted.levels,
        pickup_codes=(wanted.pickup_code,) if wanted.pickup_code else None,
        cart_value=cart_value(wanted.lines),
        tags=frozenset(order.tags),
        promised_latest=promise.plan.latest if promise and not promise.preview else None,
        committed=await capacity.committed_from(connection, snapshot, now),
        idle_days=snapshot.idle_days(skus, now=now),
    )
    return problem, facts


def _waiting(problem: Problem, wanted: Wanted, outcome: Outcome, snapshot: Snapshot, facts: Facts) -> Decided:
    """Return what of a plan can be done now, the rest waiting; the refusal where more stock would not help either."""
    plenty = np.full_like(problem.available, max(line.quantity for line in problem.lines))
    someday = decide(replace(problem, available=plenty), wanted.method, snapshot.policies, facts).best
    if someday is None or someday.plan.missing:
        raise _refusal(wanted, outcome)
    if outcome.best:
        return outcome.best
    everything = tuple(Missing(sku=line.sku, quantity=line.quantity) for line in problem.lines)
    nothing = replace(someday.plan, parcels=(), missing=everything, cost=0)
    return replace(outcome.refused, plan=nothing) if outcome.refused else Decided(plan=nothing, basis=None)


def _missing(wanted: Wanted, lost: Lost) -> list[Missing]:
    skus = {sku for sku, _ in lost.pairs}
    return [Missing(sku=x.sku, quantity=x.quantity) for x in wanted.lines if not skus or x.sku in skus]


def _refusal(wanted: Wanted, outcome: Outcome) -> DomainError:
    """Return OutOfStock where for some level stock alone is the reason, else NoFulfillmentOption."""
    best, unavailable = outcome.best, outcome.unavailable
    short = UnavailabilityCode.OUT_OF_STOCK
    stockless = [
        [reason for reason in unavailable if reason.level is level]
        for level in {reason.level for reason in unavailable}
        if all(reason.code is short for reason in unavailable if reason.level is level)
    ]
    if stockless:
        skus = {reason.sku for reason in stockless[0]} if stockless else set()
        missing = (
            best.plan.missing
            if best
            else [Missing(sku=x.sku, quantity=x.quantity) for x in wanted.lines if not skus or x.sku in skus]
        )
        return OutOfStock(message="Not everything is in stock.", missing=missing)
    return NoFulfillmentOption(message="No location can fulfil this order.", unavailable=unavailable)
