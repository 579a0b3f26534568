"""Routing policies."""

from domain import policies
from schema.context import Info
from schema.routing import RoutingPolicy, RoutingPolicyInput, RoutingPolicyResult


async def routing_policies(info: Info) -> list[RoutingPolicy]:
    async with info.context.database.reading() as connection:
        return [RoutingPolicy.of(version) for version in await policies.newest(connection)]


async def save_routing_policy(info: Info, input: RoutingPolicyInput) -> RoutingPolicyResult:
    context, policy = info.context, input.value(await info.context.network())
    async with context.database.transaction() as connection:
        version = await policies.save(connection, policy, activate=input.activate, now=context.now())
    return RoutingPolicy.of(version)
