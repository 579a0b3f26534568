"""Simulation: what routing would decide for a cart, and why; nothing is kept and nothing is reserved."""

from asyncio import to_thread
from dataclasses import dataclass, replace
from datetime import datetime

from domain.availability import InStock
from domain.decided import Basis
from domain.errors import NoFulfillmentOption
from domain.network import Snapshot
from domain.options import OptionsRequest, consider
from domain.planning.explain import Explanation, explain
from domain.planning.plan import Decision
from domain.planning.policy import Policy
from domain.planning.problem import Plan
from domain.planning.proof import can_prove, prove
from domain.policies import Policies, checked
from domain.transaction import Connection

SECONDS = 2.0
"""A proof is given up after so long; somebody waits for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """The plan that an order would have, what it was chosen by, and why; `decision` is what that was told from."""

    plan: Plan
    basis: Basis
    explanation: Explanation
    decision: Decision


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
    return Simulation(plan=best.plan, basis=best.basis, explanation=explain(best.decision), decision=best.decision)


async def proven(simulation: Simulation) -> Simulation:
    """Return the simulation with the gap that HiGHS proves in SECONDS, where it is installed and knows better.

    Of a plan that is proven the cheapest already, or whose lines had to be divided, it is returned as it is.
    """
    legs, cover = simulation.decision.legs, simulation.decision.cover
    if not (legs and cover and cover.gap and legs.lots.whole.size == legs.lots.line.size and can_prove()):
        return simulation
    most = simulation.decision.ground.problem.policy.most_parcels
    found = await to_thread(prove, legs.rates, cover, most_parcels=most, seconds=SECONDS)
    gap = replace(cover, bound=found.bound).gap
    return replace(
        simulation,
        basis=replace(simulation.basis, gap=gap),
        explanation=replace(simulation.explanation, gap=gap),
    )
