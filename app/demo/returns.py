"""What comes back in the demo: parcels arrive, some shoppers change their minds, and stores see to what they bring."""

from dataclasses import dataclass
from random import Random

from app.demo import operations as say
from app.demo.caller import Caller, Json, calmly

ARRIVES, GOES_ON = 0.1, 0.15
"""The chances that a parcel arrives, and that the next step is taken with a return, at each look."""
COMES_BACK, BY_CARRIER = 0.06, 0.4
"""The shares of orders of which something comes back, and of that which a carrier brings."""
NEARBY = 3
CONDITIONS = {"NEW": 7, "OPENED": 2, "DAMAGED": 1, "DEFECTIVE": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Returns:
    """Carriers, shoppers and the counters of stores."""

    shop: Caller
    stores: Caller
    random: Random

    async def act(self) -> None:
        """Let parcels arrive, and take the next step with what comes back, or not yet."""
        for edge in (await self.stores.ask(say.PARCELS))["edges"]:
            if self.random.random() < ARRIVES:
                await calmly(self._deliver(edge["node"]))
        for edge in (await self.stores.ask(say.RETURNS))["edges"]:
            if self.random.random() < GOES_ON:
                await calmly(self._go_on(edge["node"]))

    async def _deliver(self, order: Json) -> None:
        for parcel in order["shipments"]:
            if parcel["trackingNumber"]:
                await self.stores.ask(say.TRACK, number=parcel["trackingNumber"], status="DELIVERED")
        await self.perhaps(order["id"])

    async def perhaps(self, order_id: str) -> None:
        """Let the shopper of an order that has come bring a unit of it back, or keep it all."""
        if self.random.random() > COMES_BACK:
            return
        found = await self.shop.ask(say.RETURN_OPTIONS, id=order_id)
        lines = [line["orderLine"]["id"] for line in found["lines"] if line["returnable"]]
        wish = "CARRIER" if self.random.random() < BY_CARRIER else "IN_STORE"
        ways = [option for option in found["options"] if option["method"] == wish] or found["options"]
        if not (lines and ways):
            return
        way = self.random.choice(ways[:NEARBY])
        line, place, key = self.random.choice(lines), way["location"]["id"], f"return of {order_id}"
        await self.shop.ask(say.REQUEST, id=order_id, line=line, method=way["method"], place=place, key=key)

    async def _go_on(self, back: Json) -> None:
        match back["status"], back["method"]:
            case "APPROVED", "CARRIER":
                await self.stores.ask(say.TRACK, number=back["trackingNumber"], status="IN_TRANSIT")
            case "RECEIVED", _:
                await self._inspect(back)
            case "INSPECTED", _:
                await self.stores.ask(say.CLOSE, id=back["id"])
            case _:
                await self.stores.ask(say.RECEIVE_RETURN, id=back["id"], place=back["announcedLocation"]["id"])

    async def _inspect(self, back: Json) -> None:
        (condition,) = self.random.choices(list(CONDITIONS), list(CONDITIONS.values()))
        seen = [{"lineId": line["id"], "condition": condition} for line in back["lines"]]
        await self.stores.ask(say.INSPECT, id=back["id"], lines=seen)
