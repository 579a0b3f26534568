"""The state machines: each state with each action, held against the tables that the README shows."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from domain import orders, shipments
from domain.assignments import MOVES, AssignmentRow, Desk, Picked, allowed_actions, assignments
from domain.assignments.moves import ENDS_DAY, EVENTS, Event
from domain.cancelling import CancelledLine, Cancelling
from domain.carriers import TrackingReport
from domain.errors import ActionNotAllowed
from domain.holding import Holding
from domain.ids import new_id
from domain.machine import Stock
from domain.order_actions import RULES
from domain.order_actions import allowed_actions as order_actions
from domain.places import Address
from domain.rerouting import Rerouting
from domain.shipments import Dispatch, ShipmentRow
from domain.shipments.moves import FINAL, REPORTED, SENTENCES, edges
from domain.shipments.moves import MOVES as PARCELS
from domain.viewer import Viewer
from domain.vocabulary import (
    AssignmentAction,
    AssignmentStatus,
    FulfillmentMethod,
    OrderAction,
    OrderStatus,
    RejectReason,
    Role,
    ShipmentStatus,
)
from schema.paging import uuid_of
from tests.api.house import House

OFFICE = Viewer(role=Role.OPERATIONS, name="Olga", expires_at=datetime.max.replace(tzinfo=UTC))
A, S = AssignmentAction, AssignmentStatus
UNITS = 3
NEVER = {
    FulfillmentMethod.DELIVERY: {S.READY_FOR_PICKUP, S.COLLECTED, S.NOT_COLLECTED},
    FulfillmentMethod.PICKUP: {S.HANDED_OVER},
}


@dataclass(kw_only=True)
class Bench:
    """An order of three pens at the store SM, all of it one assignment."""

    house: House
    order_id: UUID
    work_id: UUID
    line_id: UUID
    order_line_id: UUID
    connection: asyncpg.Connection | None = None

    @property
    def now(self) -> datetime:
        return self.house.now

    def acting(self, kind: type[Any]) -> Any:
        networks = self.house.gateway.networks
        return kind(connection=self.connection, networks=networks, viewer=OFFICE, now=self.now)

    async def force(self, status: AssignmentStatus, *, picked: int) -> AssignmentRow:
        await self.connection.execute(
            """
            UPDATE assignment SET status = $2::text, withheld = $2::text = 'HELD', reject_reason = 'OTHER',
                   assignee = 'Olga', collect_by = $3, deadline = $3 WHERE id = $1
            """,
            self.work_id,
            status,
            self.now,
        )
        await self.connection.execute("UPDATE assignment_line SET picked = $2 WHERE id = $1", self.line_id, picked)
        hold = "ON_HOLD" if status is S.HELD else "ROUTED" if picked == 0 else "IN_FULFILLMENT"
        await self.connection.execute("UPDATE customer_order SET status = $2 WHERE id = $1", self.order_id, hold)
        return await self.work()

    async def work(self) -> AssignmentRow:
        return (await assignments(self.connection, [self.work_id]))[0]

    async def levels(self) -> tuple[int, int, int]:
        """Return what is on hand and reserved of pens at SM, and how many units its days have taken on."""
        place = uuid_of(self.house.ids["SM"], "Location")
        row = await self.connection.fetchrow(
            """
            SELECT on_hand, reserved, (SELECT sum(units) FROM committed_work WHERE location_id = $1)::int
              FROM stock WHERE location_id = $1 AND sku = 'pen'
            """,
            place,
        )
        return row[0], row[1], row[2]

    async def told(self) -> tuple[int, int]:
        """Return how often the feed has told of parcels, and how many entries the order's timeline has."""
        row = await self.connection.fetchrow(
            """
            SELECT (SELECT count(*) FROM feed WHERE kind = 'SHIPMENT_STATUS_CHANGED'),
                   (SELECT count(*) FROM timeline WHERE order_id = $1)
            """,
            self.order_id,
        )
        return row[0], row[1]


@asynccontextmanager
async def undone(bench: Bench) -> AsyncIterator[Bench]:
    """Yield a bench in a transaction that is undone in the end."""
    async with bench.house.gateway.database.pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            yield replace(bench, connection=connection)
        finally:
            await transaction.rollback()


async def ordered(house: House) -> dict[FulfillmentMethod, Bench]:
    """Place an order of pens of each method at a store whose days have room for so many."""
    capacity = ", ".join(f"{{weekday: {day}, orders: 50, units: 50}}" for day in range(1, 8))
    save = f'mutation {{ saveLocation(input: {{code: "SM", capacity: [{capacity}]}}) {{ __typename }} }}'
    assert (await house.ask(Role.ADMIN, save))["__typename"] == "Location"
    pickup = {"method": "PICKUP", "pickupLocationId": house.ids["SM"]}
    placed = {
        FulfillmentMethod.DELIVERY: await house.place("delivery", [("pen", UNITS)], level="SAME_DAY"),
        FulfillmentMethod.PICKUP: await house.place("pickup", [("pen", UNITS)], **pickup),
    }
    return {method: await benched(house, order) for method, order in placed.items()}


async def benched(house: House, order: dict[str, Any]) -> Bench:
    (work,) = await house.work(order["id"])
    return Bench(
        house=house,
        order_id=uuid_of(order["id"], "Order"),
        work_id=uuid_of(work["id"], "Assignment"),
        line_id=uuid_of(work["lines"][0]["id"], "AssignmentLine"),
        order_line_id=uuid_of(order["lines"][0]["id"], "OrderLine"),
    )


async def collect(on: Bench) -> object:
    order = await orders.order(on.connection, on.order_id)
    return await on.acting(Desk).collect(on.work_id, order.pickup_code or "")


STEPS: Mapping[AssignmentAction, Callable[[Bench], Awaitable[object]]] = {
    A.ACCEPT: lambda on: on.acting(Desk).accept(on.work_id),
    A.REJECT: lambda on: on.acting(Desk).reject(on.work_id, RejectReason.OTHER),
    A.START_PICKING: lambda on: on.acting(Desk).start_picking(on.work_id),
    A.REPORT_PICKED: lambda on: on.acting(Desk).report_picked(
        on.work_id, [Picked(line_id=on.line_id, quantity=UNITS - 1, reason=RejectReason.OUT_OF_STOCK)]
    ),
    A.PACK: lambda on: on.acting(Desk).pack(on.work_id),
    A.HAND_OVER: lambda on: on.acting(Desk).hand_over(on.work_id),
    A.MARK_READY: lambda on: on.acting(Desk).mark_ready(on.work_id),
    A.COLLECT: collect,
    A.RESTOCK: lambda on: on.acting(Desk).restock(on.work_id),
}
BEFALLS: Mapping[Event, Callable[[Bench], Awaitable[object]]] = {
    Event.CALL_OFF: lambda on: on.acting(Cancelling).cancel(on.order_id),
    Event.EXPIRE: lambda on: on.acting(Desk).expire(on.work_id),
    Event.LACK: lambda on: on.acting(Desk).lose(on.work_id, "pen", UNITS),
    Event.CLOSE: lambda on: on.acting(Desk).shut(on.work_id),
    Event.GIVE_UP: lambda on: on.acting(Desk).give_up(on.work_id),
}


def moved(stock: Stock, picked: int) -> tuple[int, int]:
    """Return how much more is on hand and reserved at the location after a step."""
    return {
        Stock.STAYS: (0, 0),
        Stock.FREED: (0, -UNITS),
        Stock.RELEASED: (0, picked - UNITS),
        Stock.CORRECTED: (-1, -1),
        Stock.LEFT: (-UNITS, -UNITS),
        Stock.RETURNED: (0, -UNITS),
    }[stock]


async def test_each_action_moves_an_assignment_from_each_state_as_its_table_says(house: House) -> None:
    assert set(STEPS) == set(MOVES)
    for method, order in (await ordered(house)).items():
        for status in set(AssignmentStatus) - NEVER[method]:
            picked = 0 if status in {S.HELD, S.OFFERED, S.ACCEPTED} else UNITS
            for action, move in MOVES.items():
                async with undone(order) as on:
                    row = await on.force(status, picked=picked)
                    before, told = await on.levels(), (method, status, action)
                    legal = status in move.sources and move.method in {None, method}
                    assert (action in allowed_actions(row, OFFICE)) == legal, told
                    if not legal and status != move.target:
                        with pytest.raises(ActionNotAllowed) as refused:
                            await STEPS[action](on)
                        assert refused.value.status == status, told
                        assert refused.value.allowed_actions == allowed_actions(row, OFFICE), told
                        assert (await on.levels(), (await on.work()).version) == (before, row.version), told
                        continue
                    await STEPS[action](on)
                    after, now = await on.work(), await on.levels()
                    assert after.status == (move.target or status), told
                    assert legal == (after.version > row.version), told  # a step already taken has no effect
                    expected = moved(move.stock, picked) if legal else (0, 0)
                    assert (now[0] - before[0], now[1] - before[1]) == expected, told
                    ended = legal and move.target in ENDS_DAY
                    assert now[2] - before[2] == (-UNITS if ended else 0), told


async def test_what_befalls_an_assignment_moves_it_as_its_table_says(house: House) -> None:
    assert set(BEFALLS) == set(EVENTS)
    for method, order in (await ordered(house)).items():
        for event, move in EVENTS.items():
            for status in move.sources - NEVER[method]:
                picked = 0 if status in {S.HELD, S.OFFERED, S.ACCEPTED} or event is Event.LACK else UNITS
                picked = 1 if status is S.PICKING and event is Event.CALL_OFF else picked
                async with undone(order) as on:
                    await on.force(status, picked=picked)
                    before, told = await on.levels(), (method, status, event)
                    await BEFALLS[event](on)
                    now = await on.levels()
                    assert (await on.work()).status == move.target, told
                    assert (now[0] - before[0], now[1] - before[1]) == moved(move.stock, picked), told
                    assert now[2] - before[2] == (-UNITS if move.target in ENDS_DAY else 0), told


async def replace_lost(on: Bench) -> object:
    found = await shipments.shipments_of_orders(on.connection, [on.order_id])
    if not found:
        raise ActionNotAllowed(message="There is no parcel.", status="", allowed_actions=[])
    return await on.acting(Rerouting).replace(found[0].id)


CHANGES: Mapping[OrderAction, Callable[[Bench], Awaitable[object]]] = {
    OrderAction.CANCEL: lambda on: on.acting(Cancelling).cancel(on.order_id),
    OrderAction.CANCEL_LINES: lambda on: on.acting(Cancelling).cancel_lines(
        on.order_id, [CancelledLine(line_id=on.order_line_id, quantity=1)]
    ),
    OrderAction.CHANGE_ADDRESS: lambda on: on.acting(Rerouting).change_address(
        on.order_id, Address(postal_code="10115", city="Berlin", country="DE", lines=("Torstr. 1",))
    ),
    OrderAction.HOLD: lambda on: on.acting(Holding).hold(on.order_id),
    OrderAction.RELEASE: lambda on: on.acting(Holding).release(on.order_id),
    OrderAction.REROUTE: lambda on: on.acting(Rerouting).reroute(on.order_id),
    OrderAction.REPLACE: replace_lost,
}
TAKEN = {(OrderStatus.CANCELLED, OrderAction.CANCEL), (OrderStatus.ON_HOLD, OrderAction.HOLD)}


async def send_a_parcel(on: Bench, status: ShipmentStatus) -> ShipmentRow:
    """Let the order want one pen more, which is in a parcel."""
    work, parcel = await on.work(), new_id(on.now)
    await on.connection.execute(
        "UPDATE order_line SET quantity = quantity + 1, fulfilled = 1 WHERE id = $1", on.order_line_id
    )
    await on.connection.execute(
        """
        INSERT INTO shipment (id, order_id, assignment_id, location_id, carrier, carrier_service_code, status, grams,
                              expected_latest, created_at)
        SELECT $1, order_id, id, location_id, 'CityCourier', carrier_service_code, $3, 10, due_at, due_at
          FROM assignment WHERE id = $2
        """,
        parcel,
        work.id,
        status,
    )
    await on.connection.execute(
        "INSERT INTO shipment_line (shipment_id, order_line_id, sku, quantity) VALUES ($1, $2, 'pen', 1)",
        parcel,
        on.order_line_id,
    )
    await on.connection.execute("INSERT INTO shipment_label VALUES ($1, 'application/pdf', 'a label')", parcel)
    await on.connection.execute("UPDATE customer_order SET status = 'PARTIALLY_FULFILLED' WHERE id = $1", on.order_id)
    return (await shipments.shipments(on.connection, [parcel]))[0]


async def test_each_action_on_an_order_is_allowed_in_each_state_as_its_table_says(house: House) -> None:
    assert set(CHANGES) == set(RULES) - {OrderAction.REQUEST_RETURN}
    order = (await ordered(house))[FulfillmentMethod.DELIVERY]
    sent = {OrderStatus.PARTIALLY_FULFILLED, OrderStatus.FULFILLED}
    states = [*((status, False) for status in OrderStatus), *((status, True) for status in sent)]
    for status, astray in states:
        for action, change in CHANGES.items():
            async with undone(order) as on:
                if astray:
                    await send_a_parcel(on, ShipmentStatus.LOST)
                await on.connection.execute("UPDATE customer_order SET status = $2 WHERE id = $1", on.order_id, status)
                row, told = await orders.order(on.connection, on.order_id), (status, astray, action)
                rule, allowed = RULES[action], order_actions(row, OFFICE, astray=astray)
                legal = status in rule.sources or (astray and status in rule.astray)
                assert (action in allowed) == legal, told
                if legal or (status, action) in TAKEN:
                    after: Any = await change(on)
                    assert after.version >= row.version + legal - (action is OrderAction.REROUTE), told
                    assert legal or after == row, told
                else:
                    with pytest.raises(ActionNotAllowed) as refused:
                        await change(on)
                    assert refused.value.allowed_actions in ([], allowed), told
                    assert await orders.order(on.connection, on.order_id) == row, told


async def test_each_role_is_offered_the_actions_that_are_its_own(house: House) -> None:
    benches = await ordered(house)
    async with undone(benches[FulfillmentMethod.DELIVERY]) as on:
        row, work = await orders.order(on.connection, on.order_id), await on.work()
    seen = {role: order_actions(row, replace(OFFICE, role=role), astray=False) for role in Role}
    assert seen == {role: [action for action, rule in RULES.items() if role in rule.roles
                           and row.status in rule.sources] for role in Role}  # fmt: skip
    assert seen[Role.STORE] == []
    mine = replace(OFFICE, role=Role.STORE, location_ids=frozenset({work.location_id}))
    assert allowed_actions(work, mine) == allowed_actions(work, OFFICE) == [A.ACCEPT, A.REJECT]
    for other in (replace(mine, location_ids=frozenset()), replace(OFFICE, role=Role.STOREFRONT)):
        assert allowed_actions(work, other) == []


REPORTS: Mapping[ShipmentStatus, Callable[[Dispatch, ShipmentRow], Awaitable[object]]] = {
    status: lambda dispatch, row, status=status: dispatch.take(row, [TrackingReport(status=status, at=dispatch.now)])
    for status in REPORTED - {ShipmentStatus.HANDED_OVER}
}
DOINGS: Mapping[ShipmentStatus, Callable[[Dispatch, ShipmentRow, orders.OrderRow], Awaitable[object]]] = {
    ShipmentStatus.HANDED_OVER: lambda dispatch, row, order: dispatch.hand_over(row.assignment_id, order),
    ShipmentStatus.CANCELLED: lambda dispatch, row, order: dispatch.call_off(row.assignment_id, order),
    **{status: lambda dispatch, row, _, report=report: report(dispatch, row) for status, report in REPORTS.items()},
}


async def test_each_doing_moves_a_parcel_from_each_state_as_its_table_says(house: House) -> None:
    assert set(DOINGS) == {edge.target for edge in edges()}
    order = (await ordered(house))[FulfillmentMethod.DELIVERY]
    for status in ShipmentStatus:
        for target, do in DOINGS.items():
            async with undone(order) as on:
                before, told = await send_a_parcel(on, status), (status, target)
                dispatch = Dispatch(
                    connection=on.connection, networks=house.gateway.networks, actor="CityCourier", now=on.now
                )
                levels, (facts, said) = await on.levels(), await on.told()
                await do(dispatch, before, await orders.order(on.connection, on.order_id))
                (row,) = await shipments.shipments(on.connection, [before.id])
                moves = target in PARCELS[status]
                assert row.status == (target if moves else status), told
                assert await on.levels() == levels, told
                new = moves and status != target
                more_facts, more_said = (now - then for now, then in zip(await on.told(), (facts, said), strict=True))
                assert more_facts == new, told
                assert more_said >= (new and target in SENTENCES), told
                assert new or more_said == 0, told
                label = await on.connection.fetchval("SELECT true FROM shipment_label WHERE shipment_id = $1", row.id)
                assert bool(label) == (not new or target not in FINAL), told


async def test_what_no_carrier_reports_is_refused_with_what_is_reported(house: House) -> None:
    async with undone((await ordered(house))[FulfillmentMethod.DELIVERY]) as on:
        row = await send_a_parcel(on, ShipmentStatus.HANDED_OVER)
        dispatch = Dispatch(connection=on.connection, networks=house.gateway.networks, actor="CityCourier", now=on.now)
        for status in set(ShipmentStatus) - REPORTED:
            with pytest.raises(ActionNotAllowed) as refused:
                await dispatch.take(row, [TrackingReport(status=status, at=on.now)])
            assert set(refused.value.allowed_actions) == REPORTED
