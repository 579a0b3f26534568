"""Why an order by token was routed as it was: decided again once somebody asks, from what the books say of then."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from domain import inventory, orders, policies
from domain.cart import CartLine, wanted_lines
from domain.decisions import DecisionRow, explanation_of, parcels_of
from domain.network import Snapshot
from domain.orders import OrderRow
from domain.places import Address
from domain.planning.explain import Explanation, explain
from domain.planning.plan import decide_deliveries, decide_pickups
from domain.planning.policy import Policy
from domain.planning.problem import Parcel, Problem
from domain.transaction import Connection, Database
from domain.vocabulary import ServiceLevel


@dataclass(slots=True, kw_only=True)
class Why:
    """Why a decision came out so, found once for all who ask together."""

    row: DecisionRow
    _told: Explanation | None = None
    _finding: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def told(self, database: Database, snapshot: Snapshot) -> Explanation:
        """Return it; see `explained`."""
        async with self._finding:
            if self._told is None:
                self._told = await explained(database, snapshot, self.row)
        return self._told


async def explained(database: Database, snapshot: Snapshot, row: DecisionRow) -> Explanation:
    """Return why it was decided so.

    A token tells the parcels of its option and not what they were chosen from. That is decided again under the same
    version of the policy, with the stock that the ledger says there was, as if no location had been full; the network,
    safety stock, holdbacks and the order's address are those of now. Unless the same parcels come out, over the same
    distances and at the same cost, only what was chosen is told.
    """
    told, parcels = explanation_of(row), parcels_of(row)
    if row.told["why"] is not None or not parcels:
        return told
    async with database.reading() as connection:
        order = await orders.order(connection, row.order_id)
        of_policy = await policies.versions(connection, [(row.policy_name, row.policy_version)])
        problems = [await _problem(connection, snapshot, order, row, version.policy) for version in of_policy]
    for problem in problems:
        for decision in (decide_pickups if order.pickup_location_id else decide_deliveries)(problem):
            plan = decision.plan
            if plan and plan.cost == row.cost and _ways(plan.parcels) == _ways(parcels):
                return replace(explain(decision), gap=row.gap)
    return told


async def _problem(
    connection: Connection, snapshot: Snapshot, order: OrderRow, row: DecisionRow, policy: Policy
) -> Problem:
    taken = Counter[str]()
    for parcel in parcels_of(row):
        taken.update({share.sku: share.quantity for share in parcel.shares})
    cart = [
        CartLine(sku=line.sku, quantity=taken[line.sku])
        for line in await orders.lines_of(connection, [order.id])
        if taken[line.sku]
    ]
    skus = [line.sku for line in cart]
    items = {item.sku: item for item in await inventory.items(connection, skus)}
    left_since = await inventory.left_since(connection, skus, row.decided_at)
    address = Address.from_json(order.ship_to) if order.ship_to else None
    return Problem(
        network=snapshot.planner,
        lines=wanted_lines(cart, items),
        available=await inventory.available(connection, skus, snapshot, order.channel, left_since),
        now=row.decided_at,
        currency=order.currency,
        country=address.country if address else None,
        destination=address.position if address else None,
        levels=(ServiceLevel(order.level),) if order.level else (),
        pickup_codes=(snapshot.locations[order.pickup_location_id].code,) if order.pickup_location_id else None,
        policy=policy,
        tags=frozenset(order.tags),
    )


def _ways(parcels: Sequence[Parcel]) -> set[tuple[object, ...]]:
    """Return what goes from where, by which service, whither and how far."""
    return {
        (each.location_code, each.service_code, each.destination_code, each.distance_km, *each.shares)
        for each in parcels
    }
