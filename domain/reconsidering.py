"""Why an order by token was routed as it was: decided again once somebody asks, from what the books say of then."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from domain import inventory, orders, policies
from domain.cart import CartLine, wanted_lines
from domain.decisions import DecisionRow, explanation_of, parcels_of
from domain.inventory import Before, ItemRow
from domain.network import Snapshot
from domain.orders import OrderLineRow, OrderRow
from domain.places import Address
from domain.planning.explain import Explanation, explain
from domain.planning.plan import decide_deliveries, decide_pickups
from domain.planning.policy import Policy
from domain.planning.problem import Parcel, Problem
from domain.transaction import Connection, Database
from domain.vocabulary import ServiceLevel

AT_ONCE = 20
"""Of so many decisions the stock of then is held in memory together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A decision, the order and the lines that it was about, and the policy that it was taken under."""

    row: DecisionRow
    order: OrderRow
    cart: Sequence[CartLine]
    policy: Policy

    def before(self) -> Before:
        """Return which stock it was taken with."""
        skus = [line.sku for line in self.cart]
        return Before(skus=skus, channel=self.order.channel, moment=self.row.decided_at)

    def problem(self, snapshot: Snapshot, items: Mapping[str, ItemRow], available: NDArray[np.int64]) -> Problem:
        """Return what was decided."""
        order, place = self.order, self.order.pickup_location_id
        address = Address.from_json(order.ship_to) if order.ship_to else None
        return Problem(
            network=snapshot.planner,
            lines=wanted_lines(self.cart, items),
            available=available,
            now=self.row.decided_at,
            currency=order.currency,
            country=address.country if address else None,
            destination=address.position if address else None,
            levels=(ServiceLevel(order.level),) if order.level else (),
            pickup_codes=(snapshot.locations[place].code,) if place else None,
            policy=self.policy,
            tags=frozenset(order.tags),
        )


async def explained(database: Database, snapshot: Snapshot, rows: Sequence[DecisionRow]) -> list[Explanation]:
    """Return why each of at most AT_ONCE decisions was taken so, with as few statements as for one.

    A token tells the parcels of its option and not what they were chosen from. That is decided again under the same
    version of the policy, with the stock that the ledger says there was, as if no location had been full; the network,
    safety stock, holdbacks and the order's address are those of now. Unless the same parcels come out, over the same
    distances and at the same cost, only what was chosen is told.
    """
    untold = [row for row in rows if row.told["why"] is None and parcels_of(row)]
    problems: Mapping[DecisionRow, Problem] = {}
    if untold:
        async with database.reading() as connection:
            problems = await _problems(connection, snapshot, untold)
    found = []
    for row in rows:
        found.append(_again(row, problems[row]) if row in problems else explanation_of(row))
        await asyncio.sleep(0)  # others are answered between two
    return found


def _again(row: DecisionRow, problem: Problem) -> Explanation:
    for decision in (decide_pickups if problem.pickup_codes else decide_deliveries)(problem):
        plan = decision.plan
        if plan and plan.cost == row.cost and _ways(plan.parcels) == _ways(parcels_of(row)):
            return replace(explain(decision), gap=row.gap)
    return explanation_of(row)


async def _problems(
    connection: Connection, snapshot: Snapshot, rows: Sequence[DecisionRow]
) -> dict[DecisionRow, Problem]:
    """Return what was decided; leave out decisions under a policy that was never saved."""
    versions = await policies.versions(connection, list({(row.policy_name, row.policy_version) for row in rows}))
    of_name = {(each.policy.name, each.policy.version): each.policy for each in versions}
    ids = list({row.order_id for row in rows})
    of_id = {order.id: order for order in await orders.orders(connection, ids)}
    lines = await orders.lines_of(connection, ids)
    asked = [
        _Asked(
            row=row,
            order=of_id[row.order_id],
            cart=_cart(row, lines),
            policy=of_name[row.policy_name, row.policy_version],
        )
        for row in rows
        if (row.policy_name, row.policy_version) in of_name
    ]
    skus = {line.sku for each in asked for line in each.cart}
    items = {item.sku: item for item in await inventory.items(connection, skus)}
    available = await inventory.available_before(connection, snapshot, [each.before() for each in asked])
    return {each.row: each.problem(snapshot, items, units) for each, units in zip(asked, available, strict=True)}


def _cart(row: DecisionRow, lines: Sequence[OrderLineRow]) -> list[CartLine]:
    """Return what of its order's lines was decided on."""
    taken = Counter[str]()
    for parcel in parcels_of(row):
        taken.update({share.sku: share.quantity for share in parcel.shares})
    return [
        CartLine(sku=line.sku, quantity=taken[line.sku])
        for line in lines
        if line.order_id == row.order_id and taken[line.sku]
    ]


def _ways(parcels: Sequence[Parcel]) -> set[tuple[object, ...]]:
    """Return what goes from where, by which service, whither and how far."""
    return {
        (each.location_code, each.service_code, each.destination_code, each.distance_km, *each.shares)
        for each in parcels
    }
