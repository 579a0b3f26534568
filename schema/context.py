"""What every resolver has at hand: the viewer, the way to Postgres, and loaders that read each thing once."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Generic, Self, TypeAlias, TypeVar
from uuid import UUID

import strawberry
from strawberry.dataloader import DataLoader

from domain import (
    api_keys,
    assignments,
    capacity,
    decisions,
    inventory,
    orders,
    policies,
    receipts,
    reconsidering,
    reservations,
    returns,
    shipments,
    transfers,
    webhooks,
)
from domain.availability import Stock
from domain.decisions import DecisionRow
from domain.feed import Cursor, Feed
from domain.network import Networks, Snapshot
from domain.placement import Placement
from domain.planning.explain import Explanation
from domain.promises import Promises
from domain.reservations import Terms
from domain.transaction import Connection, Database
from domain.viewer import Viewer
from domain.vocabulary import Role
from domain.webhooks import Targets

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")
A = TypeVar("A")

Read: TypeAlias = Callable[[Connection, Sequence[K]], Awaitable[list[R]]]


class _Batch(Generic[K, A]):
    """A loader of `Loaders`, made when it is first used: an answer needs few of them."""

    def __init__(self, load: Callable[[Connection, Sequence[K]], Awaitable[list[A]]]) -> None:
        self._load = load

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, loaders: "Loaders", owner: type) -> DataLoader[K, A]:
        database = loaders.database  # and not what holds this loader: nothing waits for a search for cycles

        async def load(keys: list[K]) -> list[A]:
            async with database.reading() as connection:
                return await self._load(connection, keys)

        loader = DataLoader(load)
        loaders.__dict__[self._name] = loader  # which is found before this is asked again
        return loader


def _one(read: Read[K, R], key: Callable[[R], K]) -> _Batch[K, R | None]:
    """Return a loader of the row of each key."""

    async def load(connection: Connection, keys: Sequence[K]) -> list[R | None]:
        found = {key(row): row for row in await read(connection, keys)}
        return [found.get(each) for each in keys]

    return _Batch(load)


def _many(read: Read[K, R], key: Callable[[R], K]) -> _Batch[K, list[R]]:
    """Return a loader of the rows of each key."""

    async def load(connection: Connection, keys: Sequence[K]) -> list[list[R]]:
        found: dict[K, list[R]] = {each: [] for each in keys}
        for row in await read(connection, keys):
            found[key(row)].append(row)
        return [found[each] for each in keys]

    return _Batch(load)


class Loaders:
    """Batches of reads, each with a short read of its own; they remember, so they live no longer than one answer."""

    item = _one(inventory.items, lambda row: row.sku)
    arrival = _one(inventory.arrivals, lambda row: row.sku)
    level = _one(inventory.stock_levels, lambda row: (row.sku, row.location_id))
    incoming = _many(inventory.incoming, lambda row: row.sku)
    movement = _one(inventory.movements, lambda row: row.id)
    transfer = _one(transfers.transfers, lambda row: row.id)
    transfer_lines = _many(transfers.lines_of, lambda row: row.transfer_id)
    receipt = _one(receipts.receipts, lambda row: row.id)
    order = _one(orders.orders, lambda row: row.id)
    order_by_number = _one(orders.orders_by_number, lambda row: row.number)
    order_line = _one(orders.lines, lambda row: row.id)
    order_lines = _many(orders.lines_of, lambda row: row.order_id)
    timeline = _many(orders.timeline_of, lambda row: row.order_id)
    assignment = _one(assignments.assignments, lambda row: row.id)
    assignment_line = _one(assignments.lines, lambda row: row.id)
    shipment = _one(shipments.shipments, lambda row: row.id)
    assignment_shipments = _many(shipments.shipments_of_assignments, lambda row: row.assignment_id)
    shipment_lines = _many(shipments.lines_of, lambda row: row.shipment_id)
    tracking_events = _many(shipments.events_of, lambda row: row.shipment_id)
    customer_return = _one(returns.returns, lambda row: row.id)
    order_returns = _many(returns.returns_of_orders, lambda row: row.order_id)
    return_line = _one(returns.lines, lambda row: row.id)
    return_lines = _many(returns.lines_of, lambda row: row.return_id)
    return_timeline = _many(returns.timeline_of, lambda row: row.return_id)
    return_policy = _one(returns.policies, lambda row: row.id)
    reservation = _one(reservations.reservations, lambda row: row.id)
    reservation_lines = _many(reservations.lines_of, lambda row: row.reservation_id)
    decision = _one(decisions.decisions, lambda row: (row.order_id, row.id))
    policy = _one(policies.versions, lambda each: (each.policy.name, each.policy.version))
    committed = _one(capacity.committed_on, lambda row: (row.location_id, row.day))
    assignment_lines = _many(assignments.lines_of, lambda row: row.assignment_id)
    api_key = _one(api_keys.api_keys, lambda row: row.id)
    webhook = _one(webhooks.webhooks, lambda row: row.id)
    dead_letters = _many(webhooks.dead_letters, lambda row: row.webhook_id)
    lost = _many(shipments.lost_of_orders, lambda row: row.order_id)

    # Last, as each hides the module of its name.
    assignments = _many(assignments.assignments_of, lambda row: row.order_id)
    shipments = _many(shipments.shipments_of_orders, lambda row: row.order_id)
    decisions = _many(decisions.decisions_of, lambda row: row.order_id)

    def __init__(self, database: Database) -> None:
        self.database = database
        self._alike: dict[Hashable, DataLoader[Any, Any]] = {}

    def alike(self, question: Hashable, load: Callable[[list[K]], Awaitable[list[A]]], most: int) -> DataLoader[K, A]:
        """Return the loader for things of which the same question is asked, at most so many at once."""
        if question not in self._alike:
            self._alike[question] = DataLoader(load, max_batch_size=most)
        return self._alike[question]


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far a subscription has come."""

    passed: Cursor | None = None
    """Everything up to here was told, or is not wanted: where to go on, before `after`; None before it began."""
    telling: Cursor | None = None
    """Of the update that is being told, None between two."""
    subject: Hashable = None
    """What the update that is being told is about, where the newest about it may stand for the older ones."""


@dataclass(slots=True, kw_only=True)
class Context:
    """One operation's, or one update's, share of the process."""

    database: Database
    feed: Feed
    networks: Networks
    stock: Stock
    placement: Placement
    promises: Promises
    terms: Terms
    targets: Targets
    viewer: Viewer
    now: Callable[[], datetime]
    standing: Cursor
    """Where the updates stood when the operation came: whatever it reads is not older."""
    progress: Progress = field(default_factory=Progress)
    _loaders: Loaders | None = None
    _snapshot: Snapshot | None = None
    _finding: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def loaders(self) -> Loaders:
        """Return this answer's loaders, which are made once something is read."""
        if self._loaders is None:
            self._loaders = Loaders(self.database)
        return self._loaders

    def refresh(self) -> None:
        """Forget what was read: the next update is a new answer."""
        self._loaders = self._snapshot = None

    def shared(self, start: Cursor) -> Self:
        """Return the context of a subscription from there on, for all whose authority is the viewer's."""
        return replace(self, viewer=self.viewer.authority(), progress=Progress(passed=start), _loaders=None)

    async def network(self) -> Snapshot:
        """Return the network, the same throughout one answer, asked for once however many rows want it."""
        async with self._finding:
            if self._snapshot is None:
                self._snapshot = await self.networks.current()
        return self._snapshot

    async def why(self, row: DecisionRow) -> Explanation:
        """Return why a decision was taken so, found together with the others that are asked for."""

        async def explain(rows: list[DecisionRow]) -> list[Explanation]:
            return await reconsidering.explained(self.database, await self.network(), rows)

        return await self.loaders.alike("why", explain, reconsidering.AT_ONCE).load(row)

    def narrowed(self, location_id: UUID | None) -> list[UUID] | None:
        """Return the locations to list the work of: the one asked for, less what the viewer may not see; None: all."""
        if self.viewer.role in {Role.OPERATIONS, Role.ADMIN}:
            return None if location_id is None else [location_id]
        return [each for each in sorted(self.viewer.location_ids) if location_id in {None, each}]

    async def may_see_order(self, order_id: UUID) -> bool:
        """Say whether the viewer may see an order whose id it knows: a store only one that it has or had work of."""
        if self.viewer.role is not Role.STORE:
            return True
        return any(assignments.visible(row, self.viewer) for row in await self.loaders.assignments.load(order_id))


Info: TypeAlias = strawberry.Info[Context, None]
