"""Fulfillment options."""

from domain import options
from schema.context import Info
from schema.options import FulfillmentOptions, FulfillmentOptionsInput


async def fulfillment_options(info: Info, input: FulfillmentOptionsInput) -> FulfillmentOptions:
    context, request = info.context, input.value()
    snapshot = await context.network()
    now = context.now()
    stock = await context.stock.current(now=now)
    async with context.database.reading() as connection:
        found = await options.fulfillment_options(connection, snapshot, context.promises, request, stock=stock, now=now)
    return FulfillmentOptions.of(found, snapshot)
