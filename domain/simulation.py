"""Simulation: what routing would decide for a cart, and why; nothing is kept and nothing is reserved."""

from dataclasses import dataclass, replace
from datetime import datetime

from domain.availability import InStock
from domain.decided import Basis
from domain.errors import NoFulfillmentOption
from domain.network import Snapshot
from domain.options import OptionsRequest, consider
from domain.planning.explain import Explanation, explain
from domain.planning.policy import Policy
from domain.planning.problem import Plan
from domain.policies import Policies, checked
from domain.transaction import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """The plan that an order would have, what it was chosen by, and why."""

    plan: Plan
    basis: Basis
    explanation: Explanation


async def simulate(
    connection: Connection,
    snapshot: Snapshot,
    request: OptionsRequest,
    policy: Policy | None,
    *,
    stock: InStock | None = None,
    now: datetime,
) -> Simulation:
    """Return what would be decided for the best of what is asked for, under the policies in force or under another.

    The other decides whether its condition holds or not. Raises InvalidInput for a cart or a policy that cannot be
    used, and NoFulfillmentOption where there is no plan for the whole cart.
    """
    policies = Policies([replace(checked(policy), condition="")]) if policy else None
    found = await consider(connection, snapshot, request, policies=policies, stock=stock, now=now)
    best = next((each for each in found.decided if not (each.plan.missing or found.unknown)), None)
    if best is None or best.basis is None or best.decision is None:
        raise NoFulfillmentOption(message="No location can fulfil this cart.", unavailable=found.unavailable)
    return Simulation(plan=best.plan, basis=best.basis, explanation=explain(best.decision))
