"""Routing policies, and what they would decide."""

from domain import policies, simulation
from schema.context import Info
from schema.options import FulfillmentOptionsInput
from schema.routing import (
    RoutingPolicy,
    RoutingPolicyInput,
    RoutingPolicyResult,
    RoutingSimulation,
    SimulateRoutingResult,
)


async def routing_policies(info: Info) -> list[RoutingPolicy]:
    async with info.context.database.reading() as connection:
        return [RoutingPolicy.of(version) for version in await policies.newest(connection)]


async def save_routing_policy(info: Info, input: RoutingPolicyInput) -> RoutingPolicyResult:
    context, policy = info.context, input.value(await info.context.network())
    async with context.database.transaction() as connection:
        version = await policies.save(connection, policy, activate=input.activate, now=context.now())
    return RoutingPolicy.of(version)


async def simulate_routing(
    info: Info, input: FulfillmentOptionsInput, policy: RoutingPolicyInput | None = None
) -> SimulateRoutingResult:
    context, request, now = info.context, input.value(), info.context.now()
    snapshot, stock = await context.network(), await context.stock.current(now=now)
    given = policy.value(snapshot) if policy else None
    async with context.database.reading() as connection:
        found = await simulation.simulate(connection, snapshot, request, given, stock=stock, now=now)
    found = await simulation.proven(found)
    active = None if given else await context.loaders.policy.load((found.basis.policy_name, found.basis.policy_version))
    return RoutingSimulation.of(found, snapshot, request.currency, RoutingPolicy.of(active) if active else None)
