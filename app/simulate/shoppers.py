"""What shoppers do: they take an option, or wait for what is sold out."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random

from app.simulate.office import Office
from app.simulate.town import Town
from domain.cart import CartLine
from domain.errors import DomainError
from domain.options import OptionsRequest, fulfillment_options
from domain.placement import NewOrder
from domain.places import Address
from domain.vocabulary import FulfillmentMethod, ServiceLevel

PICKED_UP, WAITING, HELD = 0.25, 0.04, 0.03
"""The shares of orders that are collected in a store, that wait for what is sold out, and whose payment is checked."""
CITIES = 3


@dataclass(slots=True, kw_only=True)
class Shoppers:
    """Those who place `orders` orders, one each `every`."""

    town: Town
    office: Office
    orders: int
    every: timedelta
    begin: datetime
    placed: int = 0
    turned_away: int = 0

    @property
    def done(self) -> bool:
        """Say whether all orders are placed."""
        return self.placed == self.orders

    async def act(self) -> None:
        """Place what is due."""
        due = min(self.orders, (self.town.now - self.begin) // self.every) - self.placed
        await asyncio.gather(*(self._place(self.placed + n) for n in range(1, due + 1)))
        self.placed += due

    async def _place(self, number: int) -> None:
        town, random = self.town, self.town.chance("order", number)
        order = replace(await self._wish(number, random), hold=random.random() < HELD)
        try:
            made = await town.placement.place(order, actor="the shop", now=town.now)
        except DomainError:
            self.turned_away += 1
            return
        self.office.expect(made.id, random, held=order.hold)

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
