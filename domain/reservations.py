"""Carts that hold their stock for a while: reserved from an option, until an order takes it over or time is up.

Whoever ends a reservation locks it first, so that it is placed, released or expired, once and by one only. Locks have
one order: the key or the timer, the reservation, its stock.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from domain import inventory
from domain.decided import Decided
from domain.duration import format_duration
from domain.errors import ActionNotAllowed, InvalidInput, NotFound, OutOfStock, ReservationExpired
from domain.idempotency import answered
from domain.ids import least_id, new_id
from domain.inventory import Movement
from domain.network import Networks, Snapshot
from domain.planning.problem import Plan
from domain.promised import Lost, kept, missing
from domain.promises import Promise, Promises
from domain.timers import Handler, clear_timer, set_timer
from domain.transaction import Connection, Row
from domain.vocabulary import MovementReason, ReservationStatus

TIMER = "reservation"
FORGETTING = "reservations"
KEPT = timedelta(days=30)
"""How long it is remembered what became of a cart."""
FORGET_EVERY = timedelta(hours=1)
FORGET_AT_ONCE = 1_000
MOST_TRIES = 4
"""The first plan, and three more for who lost a race for stock."""

Pair = tuple[str, UUID]


class ReservationRow(Row):
    """A reservation as Postgres holds it; `token` is that of the option whose plan it holds."""

    id: UUID
    status: str
    token: str
    created_at: datetime
    expires_at: datetime
    order_id: UUID | None


class ReservationLineRow(Row):
    """What a reservation holds of an item at a location."""

    reservation_id: UUID
    sku: str
    location_id: UUID
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """For how long carts are reserved: unless the shop says, and at most."""

    usual: timedelta
    longest: timedelta

    def check(self, ttl: timedelta | None) -> timedelta:
        """Return for how long to reserve, or raise InvalidInput."""
        if ttl is not None and not timedelta(0) < ttl <= self.longest:
            message = f"A cart is reserved for {format_duration(self.longest)} at most, and for more than nothing."
            raise InvalidInput(message=message, path=("ttl",))
        return self.usual if ttl is None else ttl


async def reservations(connection: Connection, ids: Sequence[UUID]) -> list[ReservationRow]:
    """Return the reservations of these ids, those that exist, in no order."""
    rows: list[ReservationRow] = await connection.fetch(
        "SELECT * FROM reservation WHERE id = ANY ($1)", ids, record_class=ReservationRow
    )
    return rows


async def lines_of(connection: Connection, ids: Sequence[UUID]) -> list[ReservationLineRow]:
    """Return what these reservations hold, or held, by SKU and location."""
    rows: list[ReservationLineRow] = await connection.fetch(
        'SELECT * FROM reservation_line WHERE reservation_id = ANY ($1) ORDER BY sku COLLATE "C", location_id',
        ids,
        record_class=ReservationLineRow,
    )
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """Who reserves: on which transaction, under which terms, and when."""

    connection: Connection
    networks: Networks
    promises: Promises
    terms: Terms
    now: datetime

    async def reserve(self, token: str, *, idempotency_key: str, ttl: timedelta | None = None) -> ReservationRow:
        """Reserve what an option covers, for `ttl` or the usual time, but no longer than its promise can be kept.

        The same key with the same input returns the first call's reservation. Raises InvalidInput, OptionExpired,
        OutOfStock and IdempotencyConflict.
        """
        lasts = self.terms.check(ttl)
        new = new_id(self.now)
        said = [token, ttl and ttl.total_seconds()]
        first = await answered(self.connection, "reserveCart", idempotency_key, said, new, now=self.now)
        if first != str(new):
            return (await reservations(self.connection, [UUID(first)]))[0]
        promise = self.promises.verify(token, now=self.now)
        if not promise.plan.parcels:
            raise OutOfStock(message="All of it has yet to come.", missing=promise.plan.missing)
        snapshot = await self.networks.current(self.connection)
        held = await self._hold(snapshot, promise)
        promise = replace(promise, plan=held.plan, basis=held.basis, preview=False)
        return await self._open(new, snapshot, promise, lasts)

    async def _hold(self, snapshot: Snapshot, promise: Promise) -> Decided:
        """Reserve the stock of the plan that keeps a promise; return what was decided."""
        lost = Lost()
        for _ in range(MOST_TRIES):
            decided = await kept(self.connection, snapshot, promise, lost, now=self.now)
            attempt = self.connection.transaction()  # what it locks it gives back, where it fails
            await attempt.start()
            wants = shares(snapshot, decided.plan)
            short = await self._short(wants, promise.channel)
            if not short:
                held = _movements(wants, MovementReason.RESERVED)
                await inventory.move(self.connection, held, now=self.now, within_available=True)
                await attempt.commit()
                return decided
            await attempt.rollback()
            lost.pairs |= short
        raise OutOfStock(message="Others were faster.", missing=missing(promise, lost))

    async def _short(self, wants: Counter[Pair], channel: str) -> set[Pair]:
        """Lock the levels of what is wanted; return where there is less than that for the channel, or no work done."""
        await inventory.lock(self.connection, list(wants))
        rows = await self.connection.fetch(
            """
            SELECT w.sku, w.location_id
              FROM unnest($1::text[], $2::uuid[], $3::int[]) AS w(sku, location_id, quantity)
              JOIN location l ON l.id = w.location_id
              LEFT JOIN stock s ON s.sku = w.sku AND s.location_id = w.location_id
             WHERE l.status <> 'ACTIVE'
                OR w.quantity + held_back($4, w.sku, w.location_id)
                   > coalesce(s.on_hand - s.reserved - s.safety_stock, 0)
            """,
            [sku for sku, _ in wants],
            [location_id for _, location_id in wants],
            list(wants.values()),
            channel,
        )
        return {(sku, location_id) for sku, location_id in rows}

    async def _open(self, new: UUID, snapshot: Snapshot, promise: Promise, lasts: timedelta) -> ReservationRow:
        until = _until(promise, self.now + lasts)
        row: ReservationRow = await self.connection.fetchrow(
            """
            INSERT INTO reservation (id, status, token, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)
            RETURNING *
            """,
            new,
            ReservationStatus.OPEN,
            self.promises.sign(promise),
            self.now,
            until,
            record_class=ReservationRow,
        )
        await self.connection.executemany(
            "INSERT INTO reservation_line (reservation_id, sku, location_id, quantity) VALUES ($1, $2, $3, $4)",
            [(new, *pair, quantity) for pair, quantity in shares(snapshot, promise.plan).items()],
        )
        await set_timer(self.connection, TIMER, str(new), until)
        return row

    async def extend(self, reservation_id: UUID, ttl: timedelta) -> ReservationRow:
        """Hold on for `ttl` from now, no longer than the promise can be kept, and never shorter than before.

        Raises NotFound, InvalidInput and, where it holds nothing any more, ReservationExpired.
        """
        promise = self.promises.read((await _known(self.connection, reservation_id)).token)
        until = _until(promise, self.now + self.terms.check(ttl))
        await set_timer(self.connection, TIMER, str(reservation_id), until)
        row: ReservationRow | None = await self.connection.fetchrow(
            """
            UPDATE reservation SET expires_at = greatest(expires_at, $3)
             WHERE id = $1 AND status = 'OPEN' AND expires_at > $2 RETURNING *
            """,
            reservation_id,
            self.now,
            until,
            record_class=ReservationRow,
        )
        if row is None:
            raise ReservationExpired(message="It holds nothing any more: reserve again.", path=("id",))
        return row


def shares(snapshot: Snapshot, plan: Plan) -> Counter[Pair]:
    """Return how much a plan takes of each item at each location."""
    wants: Counter[Pair] = Counter()
    for parcel in plan.parcels:
        for share in parcel.shares:
            wants[share.sku, snapshot.id_by_code[parcel.location_code]] += share.quantity
    return wants


def _until(promise: Promise, wished: datetime) -> datetime:
    """Return until when to hold: past `order_before` the promise could not be kept.

    One that moves with the clock is held for as long as its option was, or as it has not passed itself.
    """
    return min(wished, promise.plan.order_before or max(promise.plan.latest, promise.expires_at))


def _movements(wants: Counter[Pair], reason: MovementReason) -> list[Movement]:
    sign = 1 if reason is MovementReason.RESERVED else -1
    return [
        Movement(sku=sku, location_id=location_id, reason=reason, reserved_delta=sign * quantity)
        for (sku, location_id), quantity in wants.items()
    ]


async def _known(connection: Connection, reservation_id: UUID) -> ReservationRow:
    rows = await reservations(connection, [reservation_id])
    if not rows:
        raise NotFound(message="There is no such reservation.", path=("id",))
    return rows[0]


async def release(connection: Connection, reservation_id: UUID, *, now: datetime) -> ReservationRow:
    """Give back what a reservation holds. One that holds nothing stays as it is.

    Raises NotFound, and ActionNotAllowed where an order has taken it over.
    """
    await clear_timer(connection, TIMER, str(reservation_id))
    row = await _end(connection, reservation_id, ReservationStatus.RELEASED, now=now)
    if row is None:
        row = await _known(connection, reservation_id)
    if row.status == ReservationStatus.PLACED:
        message = "An order was placed from it: cancel the order."
        raise ActionNotAllowed(message=message, path=("id",), status=row.status)
    return row


async def expire(connection: Connection, key: str, now: datetime) -> None:
    """Give back what the reservation of a timer holds, if it is still open and past its time."""
    expires_at: datetime | None = await connection.fetchval(
        "SELECT expires_at FROM reservation WHERE id = $1 AND status = 'OPEN' FOR UPDATE", UUID(key)
    )
    if expires_at is not None and expires_at > now:
        await set_timer(connection, TIMER, key, expires_at)
    elif expires_at is not None:
        await _end(connection, UUID(key), ReservationStatus.EXPIRED, now=now)


def forgetting(remembered: timedelta) -> Handler:
    """Return what forgets, hour by hour, the carts that ended, and which no idempotency key answers with any more.

    `remembered` is for how long a key does; a day more leaves time to forget the key first.
    """
    return partial(_forget, max(KEPT, remembered + timedelta(days=1)))


async def _forget(kept_for: timedelta, connection: Connection, key: str, now: datetime) -> None:
    forgotten: int = await connection.fetchval(
        """
        WITH old AS (
            SELECT id FROM reservation WHERE id < $1 AND expires_at < $2 AND status <> 'OPEN'
             ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED
        ), lines AS (
            DELETE FROM reservation_line WHERE reservation_id IN (SELECT id FROM old)
        ), carts AS (
            DELETE FROM reservation WHERE id IN (SELECT id FROM old) RETURNING id
        )
        SELECT count(*) FROM carts
        """,
        least_id(now - kept_for),
        now - kept_for,
        FORGET_AT_ONCE,
    )
    await set_timer(connection, FORGETTING, key, now if forgotten == FORGET_AT_ONCE else now + FORGET_EVERY)


async def _end(
    connection: Connection, reservation_id: UUID, status: ReservationStatus, *, now: datetime
) -> ReservationRow | None:
    """Close a reservation that is open, and give its stock back; None where it is not open."""
    row: ReservationRow | None = await connection.fetchrow(
        "UPDATE reservation SET status = $2 WHERE id = $1 AND status = 'OPEN' RETURNING *",
        reservation_id,
        status,
        record_class=ReservationRow,
    )
    if row is not None:
        held = Counter(
            {(line.sku, line.location_id): line.quantity for line in await lines_of(connection, [reservation_id])}
        )
        await inventory.move(connection, _movements(held, MovementReason.RELEASED), now=now)
    return row


async def promised(connection: Connection, promises: Promises, reservation_id: UUID) -> Promise:
    """Return what a reservation was made for, to place it; InvalidInput where there is none of that id."""
    rows = await reservations(connection, [reservation_id])
    if not rows:
        raise InvalidInput(message="There is no such reservation.", path=("reservationId",))
    return promises.read(rows[0].token)
