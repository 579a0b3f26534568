"""What a cart could have once stock that is expected has come, for carts that nothing can be had of now."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import numpy as np

from domain.network import Snapshot
from domain.planning.plan import plan_deliveries
from domain.planning.problem import Missing, Plan, Problem
from domain.transaction import Connection


class _Coming(NamedTuple):
    sku: str
    location_id: UUID
    expected_at: datetime


async def preorders(connection: Connection, snapshot: Snapshot, problem: Problem) -> tuple[Plan, ...]:
    """Return plans of deliveries without parcels, all of each missing, that say when it would arrive.

    They are those that could be made at the moment by which the first of every item is expected, from where that is.
    None where an item is not expected at all.
    """
    skus = [line.sku for line in problem.lines]
    first: dict[str, _Coming] = {}
    for row in await connection.fetch(_COMING, skus):
        coming = _Coming(*row)
        first.setdefault(coming.sku, coming)
    if len(first) < len(skus):
        return ()
    available = np.zeros_like(problem.available)
    for column, line in enumerate(problem.lines):
        available[snapshot.site_by_id[first[line.sku].location_id], column] = line.quantity
    then = max(problem.now, *(coming.expected_at for coming in first.values()))
    return _without_parcels(plan_deliveries(replace(problem, now=then, available=available)).plans, problem)


def _without_parcels(plans: Sequence[Plan], problem: Problem) -> tuple[Plan, ...]:
    everything = tuple(Missing(sku=line.sku, quantity=line.quantity) for line in problem.lines)
    return tuple(
        replace(plan, parcels=(), missing=everything, cost=0, order_before=None, expected=(plan.earliest, plan.latest))
        for plan in plans
        if not plan.missing
    )


_COMING = """
SELECT sku, location_id, expected_at
  FROM (SELECT sku, location_id, expected_at FROM receipt WHERE sku = ANY ($1::text[]) AND received < quantity
         UNION ALL
        SELECT l.sku, t.to_location_id, t.expected_at
          FROM transfer_line l JOIN transfer t ON t.id = l.transfer_id
         WHERE l.sku = ANY ($1::text[]) AND t.status = 'IN_TRANSIT' AND l.quantity > l.bound
           AND t.expected_at IS NOT NULL) coming
 ORDER BY expected_at, location_id
"""
