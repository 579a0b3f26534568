"""Keys for machines."""

import strawberry
from strawberry.types import get_object_definition

from domain import api_keys as registry
from domain.errors import InvalidInput
from domain.paging import Page
from schema.api_keys import ApiKey, ApiKeyInput, ApiKeyResult
from schema.context import Info
from schema.paging import Connection, connect, uuid_of


async def api_keys(info: Info, page: Page) -> Connection[ApiKey]:
    return await connect(info.context.database, registry.listing(), page, ApiKey.of)


async def issue_api_key(info: Info, input: ApiKeyInput) -> ApiKeyResult:
    for scope in sorted(set(input.scopes or ()) - _root_fields(info)):
        raise InvalidInput(message=f"There is no root field {scope}.", path=("input", "scopes"))
    context = info.context
    async with context.database.transaction() as connection:
        row, key = await registry.issue(connection, input.value(), by=context.viewer, now=context.now())
    return ApiKey.of(row, secret=key)


async def revoke_api_key(info: Info, id: strawberry.ID) -> ApiKeyResult:
    async with info.context.database.transaction() as connection:
        return ApiKey.of(await registry.revoke(connection, uuid_of(id, "ApiKey"), now=info.context.now()))


def _root_fields(info: Info) -> set[str]:
    roots = (info.schema.query, info.schema.mutation, info.schema.subscription)
    name_of = info.schema.config.name_converter.get_graphql_name
    return {name_of(field) for root in roots if root for field in get_object_definition(root, strict=True).fields}
