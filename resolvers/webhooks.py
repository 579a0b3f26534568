"""Webhooks: who is told over HTTP."""

import strawberry

from domain import webhooks as registry
from domain.errors import InvalidInput
from domain.feed import Cursor as Place
from domain.feed import CursorExpired
from schema.context import Info
from schema.paging import uuid_of
from schema.scalars import Cursor
from schema.webhooks import Webhook, WebhookInput, WebhookResult


async def webhooks(info: Info) -> list[Webhook]:
    async with info.context.database.reading() as connection:
        return [Webhook.of(row) for row in await registry.all_webhooks(connection)]


async def save_webhook(info: Info, input: WebhookInput) -> WebhookResult:
    await info.context.targets.check(input.url)
    async with info.context.database.transaction() as connection:
        row = await registry.save_webhook(connection, input.value(), now=info.context.now())
    return Webhook.of(row, secret=row.secret if input.id is None else None)


async def delete_webhook(info: Info, id: strawberry.ID) -> WebhookResult:
    async with info.context.database.transaction() as connection:
        return Webhook.of(await registry.delete_webhook(connection, uuid_of(id, "Webhook")))


async def replay_webhook(info: Info, id: strawberry.ID, after: Cursor) -> WebhookResult:
    try:
        place = await info.context.feed.resume(Place.parse(after))
    except CursorExpired:
        raise InvalidInput(message="The updates do not reach back to this cursor.", path=("after",)) from None
    async with info.context.database.transaction() as connection:
        return Webhook.of(await registry.replay_webhook(connection, uuid_of(id, "Webhook"), place))
