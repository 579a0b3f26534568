"""What every resolver has at hand: the viewer, the way to Postgres, and loaders that read each thing once."""

from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self, TypeAlias, TypeVar
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
    reservations,
    shipments,
    transfers,
    webhooks,
)
from domain.availability import Stock
from domain.feed import Cursor, Feed
from domain.network import Networks, Snapshot
from domain.placement import Placement
from domain.promises import Promises
from domain.reservations import Terms
from domain.transaction import Connection, Database
from domain.viewer import Viewer
from domain.vocabulary import Role
from domain.webhooks import Targets

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")

Read: TypeAlias = Callable[[Connection, Sequence[K]], Awaitable[list[R]]]


class Loaders:
    """Batches of reads, each with a short read of its own; they remember, so they live no longer than one answer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.item = self._one(inventory.items, lambda row: row.sku)
        self.arrival = self._one(inventory.arrivals, lambda row: row.sku)
        self.level = self._one(inventory.stock_levels, lambda row: (row.sku, row.location_id))
        self.incoming = self._many(inventory.incoming, lambda row: row.sku)
        self.movement = self._one(inventory.movements, lambda row: row.id)
        self.transfer = self._one(transfers.transfers, lambda row: row.id)
        self.transfer_lines = self._many(transfers.lines_of, lambda row: row.transfer_id)
        self.receipt = self._one(receipts.receipts, lambda row: row.id)
        self.order = self._one(orders.orders, lambda row: row.id)
        self.order_by_number = self._one(orders.orders_by_number, lambda row: row.number)
        self.order_line = self._one(orders.lines, lambda row: row.id)
        self.order_lines = self._many(orders.lines_of, lambda row: row.order_id)
        self.timeline = self._many(orders.timeline_of, lambda row: row.order_id)
        self.assignment = self._one(assignments.assignments, lambda row: row.id)
        self.assignments = self._many(assignments.assignments_of, lambda row: row.order_id)
        self.assignment_line = self._one(assignments.lines, lambda row: row.id)
        self.shipment = self._one(shipments.shipments, lambda row: row.id)
        self.shipments = self._many(shipments.shipments_of_orders, lambda row: row.order_id)
        self.assignment_shipments = self._many(shipments.shipments_of_assignments, lambda row: row.assignment_id)
        self.shipment_lines = self._many(shipments.lines_of, lambda row: row.shipment_id)
        self.tracking_events = self._many(shipments.events_of, lambda row: row.shipment_id)
        self.reservation = self._one(reservations.reservations, lambda row: row.id)
        self.reservation_lines = self._many(reservations.lines_of, lambda row: row.reservation_id)
        self.decision = self._one(decisions.decisions, lambda row: (row.order_id, row.id))
        self.decisions = self._many(decisions.decisions_of, lambda row: row.order_id)
        self.policy = self._one(policies.versions, lambda each: (each.policy.name, each.policy.version))
        self.committed = self._one(capacity.committed_on, lambda row: (row.location_id, row.day))
        self.assignment_lines = self._many(assignments.lines_of, lambda row: row.assignment_id)
        self.api_key = self._one(api_keys.api_keys, lambda row: row.id)
        self.webhook = self._one(webhooks.webhooks, lambda row: row.id)
        self.dead_letters = self._many(webhooks.dead_letters, lambda row: row.webhook_id)

    def _one(self, read: Read[K, R], key: Callable[[R], K]) -> DataLoader[K, R | None]:
        async def load(keys: list[K]) -> list[R | None]:
            async with self._database.reading() as connection:
                found = {key(row): row for row in await read(connection, keys)}
            return [found.get(each) for each in keys]

        return DataLoader(load)

    def _many(self, read: Read[K, R], key: Callable[[R], K]) -> DataLoader[K, list[R]]:
        async def load(keys: list[K]) -> list[list[R]]:
            found: dict[K, list[R]] = {each: [] for each in keys}
            async with self._database.reading() as connection:
                for row in await read(connection, keys):
                    found[key(row)].append(row)
            return [found[each] for each in keys]

        return DataLoader(load)


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
    loaders: Loaders = field(init=False)
    _snapshot: Snapshot | None = None

    def __post_init__(self) -> None:
        self.loaders = Loaders(self.database)

    def refresh(self) -> None:
        """Forget what was read: the next update is a new answer."""
        self.loaders, self._snapshot = Loaders(self.database), None

    def shared(self, start: Cursor) -> Self:
        """Return the context of a subscription from there on, for all whose authority is the viewer's."""
        return replace(self, viewer=self.viewer.authority(), progress=Progress(passed=start))

    async def network(self) -> Snapshot:
        """Return the network, the same throughout one answer."""
        if self._snapshot is None:
            self._snapshot = await self.networks.current()
        return self._snapshot

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
