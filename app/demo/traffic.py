"""The demo's people: shoppers who order, and stores that work their orders off, over the API as everybody does."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from uuid import uuid4

import httpx

from app.demo import operations as say
from app.demo.caller import Caller, Json, calmly
from app.demo.carriers import price
from app.demo.cities import moved
from app.demo.goods import Good
from app.demo.network import DemoNetwork
from app.demo.returns import Returns

ANSWER_SECONDS = 10.0
SHOPPERS_AT_ONCE = 10
WORK_SECONDS = 1.0
WORK_AT_ONCE = 25
PEOPLE_LOOK = 0.3
"""The chance that a store does the next step of a piece of work, or a van arrives, in a given WORK_SECONDS."""
REJECTS, SHORT, PICKS_UP, KNOWS_PLACE, TWO_OF_IT = 0.03, 0.02, 0.3, 0.7, 0.15
RESTOCK_AFTER = 200
"""How many sold lines wait before the truck brings the oldest of them back."""
LEVELS = {"STANDARD": 5, "EXPRESS": 2, "NEXT_DAY": 2, "SAME_DAY": 2, "INSTANT": 2}
NAMES = ("Ada", "Grace", "Alan", "Edsger", "Barbara", "Tony", "Donald", "Frances", "Niklaus", "Radia")


@dataclass(slots=True, kw_only=True)
class Traffic:
    """Shoppers and stores, at a steady pace until they are cancelled; what goes wrong is logged and forgotten."""

    network: DemoNetwork
    shop: Caller
    stores: Caller
    office: Caller
    orders_per_second: float = 1.0
    random: Random = field(default_factory=Random)
    sold: deque[tuple[str, str, int]] = field(default_factory=deque)
    """Location id, SKU and quantity of what has left, the oldest first."""

    @property
    def _returns(self) -> Returns:
        return Returns(shop=self.shop, stores=self.stores, random=self.random)

    @classmethod
    async def run(
        cls, network: DemoNetwork, address: str, *, shop: str, stores: str, office: str, orders_per_second: float = 1.0
    ) -> None:
        """Shop and work at the gateway of that address for ever; the others are tokens."""
        for chatty in ("httpx", "httpcore"):
            logging.getLogger(chatty).setLevel(logging.WARNING)
        async with httpx.AsyncClient(base_url=address, timeout=ANSWER_SECONDS, trust_env=False) as http:
            traffic = cls(
                network=network,
                shop=Caller(http, shop),
                stores=Caller(http, stores),
                office=Caller(http, office),
                orders_per_second=orders_per_second,
            )
            await asyncio.gather(traffic._shopping(), traffic._working(), traffic._restocking())

    async def _shopping(self) -> None:
        shopping: set[asyncio.Task[None]] = set()
        while True:
            await asyncio.sleep(self.random.expovariate(self.orders_per_second))
            if len(shopping) < SHOPPERS_AT_ONCE:
                task = asyncio.create_task(calmly(self._order()))
                shopping.add(task)
                task.add_done_callback(shopping.discard)

    async def _order(self) -> None:
        goods = self.network.goods
        wanted = self.random.choices(goods, [good.demand for good in goods], k=self.random.choice((1, 1, 1, 2, 2, 3)))
        lines = [self._line(good) for good in {good.record.sku: good for good in wanted}.values()]
        country = self.network.country
        city = self.random.choices(country.cities, [city.population for city in country.cities])[0]
        address: dict[str, object] = {"postalCode": "10115", "city": city.name, "country": country.code}
        if self.random.random() < KNOWS_PLACE:
            at = moved(city.position, km=self.random.uniform(0, 7), bearing=self.random.uniform(0, 360))
            address["position"] = {"latitude": at.latitude, "longitude": at.longitude}
        cart = {"lines": lines, "currency": country.currency}
        found = await self.shop.ask(say.OPTIONS, input={**cart, "destination": address})
        option = self._choose([option for option in found["options"] if option["complete"]])
        if option is not None:
            await self.shop.ask(
                say.PLACE,
                input={
                    **cart,
                    "idempotencyKey": str(uuid4()),
                    "optionToken": option["token"],
                    "customer": {"name": self.random.choice(NAMES)},
                    "shipTo": address,
                },
            )

    def _line(self, good: Good) -> Json:
        quantity = 2 if self.random.random() < TWO_OF_IT else 1
        unit_price = price(Decimal(good.price), self.network.country.currency)
        return {"sku": good.record.sku, "quantity": quantity, "unitPrice": str(unit_price)}

    def _choose(self, options: Sequence[Json]) -> Json | None:
        pickups = [option for option in options if option["method"] == "PICKUP"]
        deliveries = [option for option in options if option["method"] == "DELIVERY"]
        if pickups and (not deliveries or self.random.random() < PICKS_UP):
            return self.random.choice(pickups)
        if deliveries:
            return self.random.choices(deliveries, [LEVELS[option["level"]] for option in deliveries])[0]
        return None

    async def _working(self) -> None:
        while True:
            await asyncio.sleep(WORK_SECONDS)
            for status, step in self._steps().items():
                await calmly(self._work_off(status, step))
            await calmly(self._drive())
            await calmly(self._returns.act())

    def _steps(self) -> Mapping[str, Callable[[Json], Awaitable[None]]]:
        return {
            "READY_FOR_PICKUP": self._collect,
            "PACKED": self._finish,
            "PICKING": self._pick,
            "ACCEPTED": self._start,
            "OFFERED": self._answer,
        }

    async def _work_off(self, status: str, step: Callable[[Json], Awaitable[None]]) -> None:
        found = await self.stores.ask(say.WORK, status=[status], first=WORK_AT_ONCE)
        for edge in found["edges"]:
            if self.random.random() < PEOPLE_LOOK:
                await calmly(step(edge["node"]))

    async def _drive(self) -> None:
        """Send to stores what they lack, and take it in there."""
        for edge in (await self.stores.ask(say.TRANSFERS))["edges"]:
            transfer = edge["node"]
            if self.random.random() > PEOPLE_LOOK:
                continue
            if transfer["status"] == "REQUESTED":
                await calmly(self.stores.ask(say.DISPATCH, id=transfer["id"]))
            else:
                await calmly(self.stores.ask(say.TAKE_IN, id=transfer["id"], lines=transfer["lines"]))

    async def _answer(self, work: Json) -> None:
        if self.random.random() < REJECTS:
            reason = self.random.choice(("OUT_OF_STOCK", "DAMAGED", "TOO_BUSY", "OTHER"))
            await self.stores.ask(say.REJECT, id=work["id"], reason=reason)
        else:
            await self.stores.ask(say.ACCEPT, id=work["id"])

    async def _start(self, work: Json) -> None:
        await self.stores.ask(say.START, id=work["id"])

    async def _pick(self, work: Json) -> None:
        if all(line["picked"] + line["short"] == line["quantity"] for line in work["lines"]):
            await self.stores.ask(say.PACK, id=work["id"])
        else:
            await self.stores.ask(say.REPORT, id=work["id"], lines=[self._found(line) for line in work["lines"]])

    def _found(self, line: Json) -> Json:
        if self.random.random() < SHORT:
            return {"lineId": line["id"], "picked": line["quantity"] - 1, "reason": "OUT_OF_STOCK"}
        return {"lineId": line["id"], "picked": line["quantity"]}

    async def _finish(self, work: Json) -> None:
        if work["method"] == "PICKUP":
            await self.stores.ask(say.READY, id=work["id"])
        else:
            await self.stores.ask(say.HAND_OVER, id=work["id"])
            self._note_sold(work)

    async def _collect(self, work: Json) -> None:
        order = await self.shop.ask(say.PICKUP_CODE, id=work["order"]["id"])
        await self.stores.ask(say.COLLECT, id=work["id"], code=order["pickupCode"])
        self._note_sold(work)
        await self._returns.perhaps(work["order"]["id"])

    def _note_sold(self, work: Json) -> None:
        self.sold.extend((work["location"]["id"], line["sku"], line["quantity"]) for line in work["lines"])

    async def _restocking(self) -> None:
        """Bring back what was sold, so that the demo can go on for days."""
        while True:
            await asyncio.sleep(WORK_SECONDS)
            while len(self.sold) > RESTOCK_AFTER:
                location_id, sku, quantity = self.sold.popleft()
                received = {"sku": sku, "locationId": location_id, "delta": quantity, "key": str(uuid4())}
                await calmly(self.office.ask(say.RECEIVE, **received))
