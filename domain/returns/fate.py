"""What becomes of a line that was inspected, as the disposition planner or the inspector says, and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain import inventory
from domain.errors import InvalidInput
from domain.money import to_decimal
from domain.network import Snapshot
from domain.orders import OrderRow
from domain.planning.disposition import Choice, Goods, Spot, Weighed, choose, way_cost
from domain.planning.problem import Line
from domain.policies import Facts
from domain.returns.demand import spots, waiting
from domain.returns.reading import ReturnLineRow, ReturnRow
from domain.transaction import Connection
from domain.vocabulary import Disposition, ItemCondition

UNSELLABLE: Mapping[ItemCondition, Disposition] = {
    ItemCondition.OPENED: Disposition.REFURBISH,
    ItemCondition.DAMAGED: Disposition.DISPOSE,
    ItemCondition.DEFECTIVE: Disposition.SEND_BACK,
}
"""What becomes of what is not NEW, where nobody says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What becomes of a line, and why; `target` is where it is sent, None where it stays."""

    disposition: Disposition
    why: str
    target: UUID | None = None


def given(condition: ItemCondition, wish: Disposition | None) -> Fate | None:
    """Return what becomes of something by its condition or by the inspector's word; None where that is to be found."""
    if wish is not None and wish is not Disposition.TRANSFER:
        return Fate(disposition=wish, why="The inspector chose it.")
    if wish is None and condition in UNSELLABLE:
        return Fate(disposition=UNSELLABLE[condition], why=f"It is {condition.lower()}.")
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fates:
    """Decides, for the goods of a return at the location that received it, which they have been booked into."""

    connection: Connection
    snapshot: Snapshot
    row: ReturnRow
    order: OrderRow | None
    now: datetime

    async def decide(self, line: ReturnLineRow, wish: Disposition | None, price: int) -> Fate:
        """Return what becomes of a line that may be sold; `price` is that of a unit, minor units, 0 where not known.

        Raise InvalidInput where a transfer is wished and there is nowhere to send it.
        """
        choice = await self._choice(line, price, leaves=wish is Disposition.TRANSFER)
        if choice is None:
            return self._stay(wish, "Orders, and what the location keeps, take all that is there.")
        if wish is Disposition.TRANSFER and choice.other is not None:
            return self._go(choice.other, f"The inspector chose it. {self._told(choice)}")
        return self._go(choice.best, self._told(choice)) if choice.moves else self._stay(wish, self._told(choice))

    def _stay(self, wish: Disposition | None, why: str) -> Fate:
        if wish is Disposition.TRANSFER:
            raise InvalidInput(message=f"It cannot be transferred: {why}", path=("lines",))
        return Fate(disposition=Disposition.RESTOCK, why=why)

    def _go(self, to: Weighed, why: str) -> Fate:
        return Fate(disposition=Disposition.TRANSFER, why=why, target=self.snapshot.id_by_code[to.spot.code])

    async def _choice(self, line: ReturnLineRow, price: int, *, leaves: bool) -> Choice | None:
        """Return where the goods are worth most; None where the location may give none of them away."""
        place = self.row.received_location_id
        assert place is not None  # noqa: S101 - what is inspected was received
        found = await spots(self.connection, self.snapshot, line.sku, now=self.now)
        levels = await inventory.lock(self.connection, [(line.sku, place)])
        here = self.snapshot.locations[place].code
        left = levels[line.sku, place].available - line.quantity
        if left < 0:
            return None
        (item,) = await inventory.items(self.connection, [line.sku])
        goods = Goods(
            line=Line(sku=line.sku, quantity=line.quantity, grams=item.weight_grams, tags=frozenset(item.tags)),
            price=price,
            currency=self.row.currency,
            waiting=await waiting(self.connection, line.sku),
        )
        sells = found.pop(place).sold_a_day if place in found else 0.0
        spot = Spot(code=here, available=left, sold_a_day=sells)
        return choose(goods, spot, list(found.values()), lambda to: self._cost(goods, here, to), leaves=leaves)

    def _cost(self, goods: Goods, here: str, to: str) -> int | None:
        """Return what the way costs by the ratings that route orders like this one."""
        facts = Facts(
            channel=self.order.channel if self.order else "",
            currency=goods.currency,
            country=self.snapshot.location(to).country,
            postal_code=None,
            tags=self.order.tags if self.order else (),
            lines=(),
        )
        policy = self.snapshot.policies.policy_for(facts)
        return way_cost(self.snapshot.planner, goods, here, to, policy=policy, now=self.now)

    def _told(self, choice: Choice) -> str:
        """Return why a choice was made, in a sentence."""
        here, other = choice.here, choice.other
        if choice.waits:
            return f"Orders wait for {choice.waits} of it."
        stays = f"Here it is worth {self._money(here.worth)}, with {_sells(here.spot)}"
        if other is None:
            return f"{stays}: nowhere else that can be reached is it worth more."
        name = self.snapshot.location(other.spot.code).name
        return (
            f"{stays}; at {name} {self._money(other.worth)}, with {_sells(other.spot)}, "
            f"less {self._money(other.cost)} for the way."
        )

    def _money(self, minor: int) -> str:
        return f"{to_decimal(minor, self.row.currency)} {self.row.currency}"


def _sells(spot: Spot) -> str:
    return f"{spot.available} there and {spot.sold_a_day:.2f} sold a day"
