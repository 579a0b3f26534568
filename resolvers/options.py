"""Fulfillment options."""

from domain import options
from schema.context import Info
from schema.options import FulfillmentOptions, FulfillmentOptionsInput


async def fulfillment_options(info: Info, input: FulfillmentOptionsInput) -> FulfillmentOptions:
    context, request = info.context, input.value()
    snapshot = await context.network()
    async with context.database.reading() as connection:
        found = await options.fulfillment_options(connection, snapshot, context.promises, request, now=context.now())
    return FulfillmentOptions.of(found, snapshot)
