"""What shoppers do: they take an option, change their minds, and wait for what is sold out."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

from app.simulate.town import OFFICE, Town
from domain.cancelling import Cancelling
from domain.cart import CartLine
from domain.errors import DomainError
from domain.options import OptionsRequest, fulfillment_options
from domain.placement import NewOrder
from domain.places import Address
from domain.vocabulary import FulfillmentMethod, ServiceLevel

CANCELLED, PICKED_UP, WAITING = 0.03, 0.25, 0.04
"""The shares of orders that are called off, collected in a store, and placed for an item that is sold out."""
CITIES = 3
CHANGES_MIND_WITHIN = timedelta(hours=36)


@dataclass(slots=True, kw_only=True)
class Shoppers:
    """Those who place `orders` orders, one each `every`."""

    town: Town
    orders: int
    every: timedelta
    begin: datetime
    placed: int = 0
    turned_away: int = 0
    regrets: dict[UUID, datetime] = field(default_factory=dict)
    """When an order is called off."""

    @property
    def done(self) -> bool:
        """Say whether all orders are placed, and nobody will change their mind."""
        return self.placed == self.orders and not self.regrets

    async def act(self) -> None:
        """Place what is due, and call off what is regretted."""
        due = min(self.orders, (self.town.now - self.begin) // self.every) - self.placed
        await asyncio.gather(
            *(self._place(self.placed + n) for n in range(1, due + 1)), *map(self._call_off, self._sorry())
        )
        self.placed += max(due, 0)

    def _sorry(self) -> list[UUID]:
        return [order_id for order_id, at in self.regrets.items() if at <= self.town.now]

    async def _place(self, number: int) -> None:
        town, random = self.town, self.town.chance("order", number)
        order = await self._wish(number, random)
        try:
            made = await town.placement.place(order, actor="the shop", now=town.now)
        except DomainError:
            self.turned_away += 1
            return
        if random.random() < CANCELLED:
            self.regrets[made.id] = town.now + random.random() * CHANGES_MIND_WITHIN

    async def _wish(self, number: int, random: Random) -> NewOrder:
        town = self.town
        city = random.choice(town.network.country.cities[:CITIES])
        home = Address(postal_code="10115", city=city.name, country=town.network.country.code, position=city.position)
        order = {"idempotency_key": str(number), "number": f"S{number:05}", "customer_name": "Ada", "currency": "EUR"}
        if random.random() < WAITING:
            lines = self._cart([town.network.goods[-1].record.sku], random)
            wish = {"method": FulfillmentMethod.DELIVERY, "level": ServiceLevel.STANDARD, "allow_backorder": True}
            return NewOrder(**order, lines=lines, ship_to=home, **wish)  # type: ignore[arg-type]
        goods = random.choices(town.network.goods[:-1], [good.demand for good in town.network.goods[:-1]], k=3)
        lines = self._cart(sorted({good.record.sku for good in goods[: random.randint(1, 3)]}), random)
        method = FulfillmentMethod.PICKUP if random.random() < PICKED_UP else FulfillmentMethod.DELIVERY
        request = OptionsRequest(lines=lines, currency="EUR", destination=home, methods=(method,))
        async with town.database.reading() as connection:
            snapshot = await town.networks.current(connection)
            found = await fulfillment_options(connection, snapshot, town.promises, request, now=town.now)
        chosen = random.choice(found.options[:3]).token if found.options else None
        wish = {"token": chosen} if chosen else {"method": FulfillmentMethod.DELIVERY}
        return NewOrder(**order, lines=lines, ship_to=home, **wish)  # type: ignore[arg-type]

    def _cart(self, skus: Sequence[str], random: Random) -> tuple[CartLine, ...]:
        return tuple(CartLine(sku=sku, quantity=random.choice((1, 1, 2)), unit_price=1999) for sku in skus)

    async def _call_off(self, order_id: UUID) -> None:
        del self.regrets[order_id]
        await cancel(self.town, order_id)


async def cancel(town: Town, order_id: UUID) -> None:
    """Call off what is left of an order; one of which nothing is left stays as it is."""
    with suppress(DomainError):
        async with town.database.transaction() as connection:
            await Cancelling(connection=connection, networks=town.networks, viewer=OFFICE, now=town.now).cancel(
                order_id
            )
