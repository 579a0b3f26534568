"""A small town's trade, act by act: what shoppers, stores, counters and carriers do, at random."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from uuid import UUID

from domain import backorders, inventory, orders, reservations, shipments, shortage, transfers
from domain.assignments import AssignmentLineRow, Desk, Picked, allowed_actions, assignments, lines_of
from domain.cancelling import CancelledLine, Cancelling
from domain.carriers import TrackingReport
from domain.cart import CartLine
from domain.errors import DomainError
from domain.holding import Holding
from domain.imports import OnRowError
from domain.inventory import ItemRecord, Key, SafetyStock, StockRecord, waiting
from domain.network import (
    CarrierServiceChange,
    LocationRecord,
    Networks,
    ZoneReach,
    import_carrier_services,
    import_locations,
)
from domain.network.carriers import CostStep
from domain.options import OptionsRequest, fulfillment_options
from domain.placement import Batcher, NewOrder, Placement
from domain.places import Address
from domain.planning.problem import Point
from domain.promises import Promises
from domain.receipts import ReceiptRecord, expect_receipts, receive_receipt
from domain.rerouting import Rerouting
from domain.returns import undelivered
from domain.shipments import Dispatch
from domain.timers import run_due
from domain.transaction import Connection, Database, open_pool
from domain.viewer import Viewer
from domain.vocabulary import (
    AssignmentAction,
    FulfillmentMethod,
    LocationKind,
    LocationService,
    MovementReason,
    RejectReason,
    Role,
    ServiceLevel,
    ShipmentStatus,
)
from tests.races.giving_back import deliver, give_back

NOON = datetime(2026, 3, 4, 11, 0, tzinfo=UTC)
SKUS = ("mug", "pen")
PLACES = {"WB": LocationKind.WAREHOUSE, "SM": LocationKind.STORE, "SN": LocationKind.STORE}
BERLIN = Address(postal_code="10115", city="Berlin", country="DE", position=Point(latitude=52.53, longitude=13.4))
BOSS = Viewer(role=Role.ADMIN, name="boss", expires_at=NOON + timedelta(days=999))
PARCEL = CarrierServiceChange(
    code="parcel",
    carrier="ParcelPost",
    name="Standard",
    level=ServiceLevel.STANDARD,
    countries=["DE"],
    currency="EUR",
    cutoff="16:00",
    deliver_by="18:00",
    collects=[1, 2, 3, 4, 5],
    delivers=[1, 2, 3, 4, 5, 6],
    max_grams=31500,
    zones=[ZoneReach(zone="near", max_km=150, transit_days=[1, 1])],
    cost=[CostStep(zone="near", max_grams=31500, amount=Decimal("3.90"))],
    shopper_price=Decimal("4.95"),
)
CHANGING = """
    assignment_line, assignment, order_line, customer_order, timeline, idempotency, feed, stock_movement, stock,
    counted_run, reservation_line, reservation, transfer_line, transfer, receipt, timer, committed_work,
    routing_decision, shipment, shipment_line, shipment_label, tracking_event, customer_return, return_line,
    return_label, return_timeline
"""


@dataclass(slots=True, kw_only=True)
class Trade:
    """Who trades: each act does one thing, chosen by its `Random`, and takes a refusal for an answer."""

    database: Database
    networks: Networks
    promises: Promises
    placement: Placement
    locations: dict[str, UUID]
    now: datetime = NOON
    placed: list[UUID] = field(default_factory=list)
    """The orders that were acknowledged."""
    lowered: set[Key] = field(default_factory=set)
    """The levels of which somebody said, at least once, that there is less to sell."""
    done: int = 0

    async def begin(self, quantities: Sequence[int]) -> None:
        """Forget everything but the network, and stock each item at each location."""
        await self.settle()
        async with self.database.transaction() as connection:
            await connection.execute(f"TRUNCATE {CHANGING}")
        pairs = [(sku, code) for sku in SKUS for code in PLACES]
        rows = [
            StockRecord(sku=sku, location_code=code, on_hand=quantity)
            for (sku, code), quantity in zip(pairs, quantities, strict=True)
        ]
        await inventory.import_stock(self.database, rows, on_error=OnRowError.REJECT_ALL, now=NOON)
        self.now, self.placed, self.lowered = NOON, [], set()

    async def settle(self) -> None:
        """Wait until nobody commits any more, and all who hold a connection know whether it lives."""
        if self.placement.batcher._committing:
            await self.placement.batcher._committing
        await asyncio.sleep(0.005)
        await self.database.pool.expire_connections()

    def key(self) -> str:
        self.done += 1
        return f"act {self.done}"

    async def act(self, name: str, seed: int) -> None:
        """Do one of ACTS; what is refused with a reason is an answer."""
        with suppress(DomainError):
            await ACTS[name](self, Random(seed))  # noqa: S311 - what happens is random, not secret

    async def place(self, order: NewOrder) -> None:
        self.placed.append((await self.placement.place(order, actor="shop", now=self.now)).id)

    async def order(self, random: Random) -> None:
        may_wait = random.random() < 0.5
        wish = {"method": FulfillmentMethod.DELIVERY, "allow_backorder": may_wait, "hold": random.random() < 0.2}
        await self.place(self._order(_cart(random), **wish))

    def _order(self, lines: tuple[CartLine, ...], **more: object) -> NewOrder:
        who = {"currency": "EUR", "customer_name": "Ada", "ship_to": BERLIN}
        return NewOrder(idempotency_key=self.key(), lines=lines, **who, **more)  # type: ignore[arg-type]

    async def _token(self, lines: tuple[CartLine, ...], random: Random) -> str | None:
        """Return an option to have these delivered, or picked up at a store, also of what others send there."""
        snapshot = await self.networks.current()
        methods = (random.choice(list(FulfillmentMethod)),)
        request = OptionsRequest(lines=lines, currency="EUR", destination=BERLIN, methods=methods)
        async with self.database.reading() as connection:
            found = await fulfillment_options(connection, snapshot, self.promises, request, now=self.now)
        return random.choice(found.options).token if found.options else None

    async def order_option(self, random: Random) -> None:
        lines = _cart(random)
        if token := await self._token(lines, random):
            await self.place(self._order(lines, token=token))

    async def reserve(self, random: Random) -> None:
        if token := await self._token(_cart(random), random):
            async with self.database.transaction() as connection:
                await self._holding(connection).reserve(token, idempotency_key=self.key())

    def _holding(self, connection: Connection) -> reservations.Holding:
        terms = reservations.Terms(usual=timedelta(minutes=15), longest=timedelta(hours=1))
        return reservations.Holding(
            connection=connection, networks=self.networks, promises=self.promises, terms=terms, now=self.now
        )

    async def _any(self, random: Random, query: str) -> UUID | None:
        async with self.database.reading() as connection:
            found = [UUID(str(row[0])) for row in await connection.fetch(query)]  # a plain one, as from a client
        return random.choice(found) if found else None

    async def order_reserved(self, random: Random) -> None:
        if chosen := await self._any(random, "SELECT id FROM reservation ORDER BY id"):
            async with self.database.reading() as connection:
                promise = await reservations.promised(connection, self.promises, chosen)
            await self.place(self._order(promise.lines, reservation_id=chosen))

    async def release(self, random: Random) -> None:
        if chosen := await self._any(random, "SELECT id FROM reservation ORDER BY id"):
            async with self.database.transaction() as connection:
                await reservations.release(connection, chosen, now=self.now)

    async def wait(self, random: Random) -> None:
        """Let time pass, and see to what falls due, as every process does."""
        self.now += timedelta(minutes=random.choice((0, 0, 5, 20)))
        handlers = {
            waiting.TIMER: backorders.handler(self.networks),
            reservations.TIMER: reservations.expire,
            shipments.RETURNED: undelivered.handler(self.networks),
        }
        for _ in range(5):
            await run_due(self.database, handlers, now=self.now)

    async def work(self, random: Random) -> None:
        """Take a step with some assignment: the one that leads on, or any other."""
        if (chosen := await self._any(random, "SELECT id FROM assignment ORDER BY id")) is None:
            return
        async with self.database.transaction() as connection:
            desk = Desk(connection=connection, networks=self.networks, viewer=BOSS, now=self.now)
            actions = allowed_actions((await assignments(connection, [chosen]))[0], BOSS)
            steps = {
                AssignmentAction.ACCEPT: desk.accept,
                AssignmentAction.START_PICKING: desk.start_picking,
                AssignmentAction.PACK: desk.pack,
                AssignmentAction.HAND_OVER: desk.hand_over,
                AssignmentAction.MARK_READY: desk.mark_ready,
                AssignmentAction.RESTOCK: desk.restock,
            }
            action = random.choice(actions) if actions else None
            if action in steps:
                await steps[action](chosen)
            elif action is AssignmentAction.REPORT_PICKED:
                lines = await lines_of(connection, [chosen])
                await desk.report_picked(chosen, [_found(random, line) for line in lines])
            elif action is AssignmentAction.COLLECT:
                (row,) = await assignments(connection, [chosen])
                await desk.collect(chosen, (await orders.order(connection, row.order_id)).pickup_code or "")
            elif action is AssignmentAction.REJECT:
                await desk.reject(chosen, random.choice(list(RejectReason)))

    async def cancel(self, random: Random) -> None:
        """Call off some order, or a unit of it."""
        if (chosen := await self._any(random, "SELECT id FROM customer_order ORDER BY id")) is None:
            return
        async with self.database.transaction() as connection:
            cancelling = Cancelling(connection=connection, networks=self.networks, viewer=BOSS, now=self.now)
            if random.random() < 0.5:
                await cancelling.cancel(chosen)
            else:
                line = random.choice(await orders.lines_of(connection, [chosen]))
                await cancelling.cancel_lines(chosen, [CancelledLine(line_id=line.id, quantity=1)])

    async def change(self, random: Random) -> None:
        """Hold some order, release it, or send it another way."""
        if (chosen := await self._any(random, "SELECT id FROM customer_order ORDER BY id")) is None:
            return
        async with self.database.transaction() as connection:
            who = {"connection": connection, "networks": self.networks, "viewer": BOSS, "now": self.now}
            holding, rerouting = Holding(**who), Rerouting(**who)  # type: ignore[arg-type]
            match random.choice(("hold", "release", "release", "reroute", "block", "readdress")):
                case "hold":
                    await holding.hold(chosen)
                case "release":
                    await holding.release(chosen)
                case "reroute":
                    await rerouting.reroute(chosen)
                case "block":
                    await rerouting.reroute(chosen, block=random.sample(list(self.locations.values()), 1))
                case _:
                    street = random.choice(("Torstr. 1", "Torstr. 2"))
                    await rerouting.change_address(chosen, replace(BERLIN, lines=(street,)))

    async def lose(self, random: Random) -> None:
        """Lose some parcel, send it again or do without it, and perhaps deliver it after all."""
        if (chosen := await self._any(random, "SELECT id FROM shipment ORDER BY id")) is None:
            return
        order_id = await self._tell(chosen, ShipmentStatus.LOST)
        async with self.database.transaction() as connection:
            who = {"connection": connection, "networks": self.networks, "viewer": BOSS, "now": self.now}
            if random.random() < 0.5:
                await Rerouting(**who).replace(chosen)  # type: ignore[arg-type]
            else:
                await Cancelling(**who).cancel(order_id)  # type: ignore[arg-type]
        if random.random() < 0.5:
            await self._tell(chosen, ShipmentStatus.DELIVERED)

    async def _tell(self, shipment_id: UUID, status: ShipmentStatus) -> UUID:
        """Let a carrier tell of a parcel; return its order."""
        async with self.database.transaction() as connection:
            dispatch = Dispatch(connection=connection, networks=self.networks, actor="ParcelPost", now=self.now)
            (row,) = await shipments.shipments(connection, [shipment_id])
            return (await dispatch.take(row, [TrackingReport(status=status, at=self.now)])).order_id

    def _level(self, random: Random) -> Key:
        known = list(self.locations.values())
        return random.choice(SKUS), random.choice(known)

    async def _on_shortage(self, connection: Connection, keys: Sequence[Key]) -> None:
        await shortage.settle(connection, self.networks, keys, viewer=BOSS, now=self.now)

    async def adjust(self, random: Random) -> None:
        sku, location_id = self._level(random)
        reason = random.choice((MovementReason.ADJUSTED, MovementReason.DAMAGED, MovementReason.SOLD))
        self.lowered.add((sku, location_id))
        async with self.database.transaction() as connection:
            await inventory.adjust_stock(
                connection,
                sku=sku,
                location_id=location_id,
                delta=random.choice((-3, -1, 1, 3)),
                reason=reason,
                note=None,
                idempotency_key=self.key(),
                on_shortage=self._on_shortage,
                now=self.now,
            )

    async def count(self, random: Random) -> None:
        sku, location_id = self._level(random)
        self.lowered.add((sku, location_id))
        async with self.database.transaction() as connection:
            await inventory.count_stock(
                connection,
                sku=sku,
                location_id=location_id,
                on_hand=random.randint(0, 6),
                on_shortage=self._on_shortage,
                now=self.now,
            )

    async def keep(self, random: Random) -> None:
        sku, code = random.choice(SKUS), random.choice(list(PLACES))
        self.lowered.add((sku, self.locations[code]))
        rows = [SafetyStock(sku=sku, location_code=code, safety_stock=random.randint(0, 2))]
        await inventory.set_safety_stock(self.database, rows, now=self.now)

    async def transfer(self, random: Random) -> None:
        source, target = random.sample(list(self.locations.values()), 2)
        wanted = transfers.NewTransfer(
            from_location_id=source,
            to_location_id=target,
            lines=[transfers.Line(sku=random.choice(SKUS), quantity=random.randint(1, 3))],
            expected_at=None,
            idempotency_key=self.key(),
        )
        async with self.database.transaction() as connection:
            await transfers.create_transfer(connection, wanted, viewer=BOSS, now=self.now)

    async def move(self, random: Random) -> None:
        """Send, receive (also short or over) or call off some transfer."""
        if (chosen := await self._any(random, "SELECT id FROM transfer ORDER BY id")) is None:
            return
        async with self.database.transaction() as connection:
            match random.choice(list(transfers.TransferAction)):
                case transfers.TransferAction.DISPATCH:
                    await transfers.dispatch_transfer(connection, chosen, viewer=BOSS, now=self.now)
                case transfers.TransferAction.RECEIVE:
                    sent = await transfers.lines_of(connection, [chosen])
                    came = [transfers.Line(sku=x.sku, quantity=x.quantity + random.choice((-1, 0, 1))) for x in sent]
                    await transfers.receive_transfer(connection, self.networks, chosen, came, viewer=BOSS, now=self.now)
                case transfers.TransferAction.CANCEL:
                    await transfers.cancel_transfer(connection, self.networks, chosen, viewer=BOSS, now=self.now)

    async def expect(self, random: Random) -> None:
        row = ReceiptRecord(
            reference=f"delivery {random.randint(1, 2)}",
            location_code=random.choice(list(PLACES)),
            sku=random.choice(SKUS),
            quantity=random.randint(1, 4),
            expected_at=self.now + timedelta(days=2),
        )
        await expect_receipts(self.database, [row], on_error=OnRowError.REJECT_ALL, now=self.now)

    async def receive(self, random: Random) -> None:
        if chosen := await self._any(random, "SELECT id FROM receipt ORDER BY id"):
            async with self.database.transaction() as connection:
                await receive_receipt(
                    connection,
                    chosen,
                    random.randint(1, 3),
                    idempotency_key=self.key(),
                    viewer=BOSS,
                    now=self.now,
                )


ACTS: dict[str, Callable[[Trade, Random], Awaitable[None]]] = {
    act.__name__: act
    for act in (
        Trade.order,
        Trade.order_option,
        Trade.reserve,
        Trade.order_reserved,
        Trade.release,
        Trade.wait,
        Trade.work,
        Trade.cancel,
        Trade.change,
        Trade.lose,
        Trade.adjust,
        Trade.count,
        Trade.keep,
        Trade.transfer,
        Trade.move,
        Trade.expect,
        Trade.receive,
        deliver,
        give_back,
    )
}


def _cart(random: Random) -> tuple[CartLine, ...]:
    skus = random.sample(SKUS, random.randint(1, 2))
    return tuple(CartLine(sku=sku, quantity=random.randint(1, 4), unit_price=500) for sku in skus)


def _found(random: Random, line: AssignmentLineRow) -> Picked:
    most = line.quantity - line.short
    found = random.choice((most, most, random.randint(0, most)))
    reason = None if found == most else random.choice((RejectReason.OUT_OF_STOCK, RejectReason.DAMAGED))
    return Picked(line_id=line.id, quantity=found, reason=reason)


@asynccontextmanager
async def opened(dsn: str) -> AsyncIterator[Trade]:
    """Make the network and the items, and open for trade."""
    pool = await open_pool(dsn, size=4)
    database = Database(pool)
    places = [
        LocationRecord(
            code=code,
            name=code,
            kind=kind,
            latitude=52.5,
            longitude=13.4,
            country="DE",
            postal_code="10115",
            city="Berlin",
            time_zone="Europe/Berlin",
            services=[
                LocationService.SHIP,
                *([LocationService.PICKUP, LocationService.RETURN] if kind is LocationKind.STORE else []),
            ],
            capacity_per_day=4,
        )
        for code, kind in PLACES.items()
    ]
    all_or_none = OnRowError.REJECT_ALL
    await import_locations(database, places, on_error=all_or_none, now=NOON)
    await import_carrier_services(database, [PARCEL], on_error=all_or_none)
    items = [ItemRecord(sku=sku, name=sku, weight_grams=300) for sku in SKUS]
    await inventory.import_items(database, items, on_error=all_or_none, now=NOON)
    networks, promises = Networks(database), Promises(b"the secret of the town")
    placement = Placement(database, networks, promises, Batcher(database, timedelta(hours=24)))
    locations = (await networks.current()).id_by_code
    yield Trade(database=database, networks=networks, promises=promises, placement=placement, locations=dict(locations))
    await pool.close()
