"""What becomes of goods that may be sold again: on the shelf where they are, or to where they are worth more.

A unit is worth its price when it is sold at once and half of it once it has sat for SITS_AFTER_DAYS, in proportion in
between. How long it sits follows from what a location sells a day and what lies there already.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from domain.planning.costs import SITS_AFTER_DAYS
from domain.planning.plan import plan_deliveries
from domain.planning.policy import Policy
from domain.planning.problem import Line, Network, Problem

MOST_CONSIDERED = 10
"""The way is priced to so many locations, those where the goods are worth most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A location that sells an item: what it has of it besides the goods in question, and sells of it a day."""

    code: str
    available: int
    sold_a_day: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Goods:
    """Units of an item that came back, all sellable; `price` of one in minor units, `waiting` units orders wait for."""

    line: Line
    price: int
    currency: str
    waiting: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """What goods are worth at a location, and what the way there costs, in minor units."""

    spot: Spot
    worth: int
    cost: int = 0

    @property
    def gain(self) -> int:
        """Return what is left of the worth."""
        return self.worth - self.cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Where goods are best sold, what they are worth where they are, and the best of the other locations, if any.

    `waits` units orders wait for, where that is why the goods stay.
    """

    best: Weighed
    here: Weighed
    other: Weighed | None = None
    waits: int = 0

    @property
    def moves(self) -> bool:
        """Tell whether the goods go elsewhere."""
        return self.best is not self.here


def choose(
    goods: Goods, here: Spot, others: Sequence[Spot], cost_to: Callable[[str], int | None], *, leaves: bool = False
) -> Choice:
    """Return where goods are worth most, less what it costs to bring them there.

    `cost_to` says what the way to a location costs, None where there is none. What orders wait for stays: it is sold.
    With `leaves`, the best of the other locations is looked for even where the goods are worth less there.
    """
    staying = Weighed(spot=here, worth=worth(goods, here))
    if goods.waiting and not leaves:
        return Choice(best=staying, here=staying, waits=goods.waiting)
    there = [Weighed(spot=spot, worth=worth(goods, spot)) for spot in others]
    dearer = [each for each in there if leaves or each.worth > staying.worth]
    dearer.sort(key=lambda each: (-each.worth, each.spot.code))
    weighed = [
        replace(each, cost=cost) for each in dearer[:MOST_CONSIDERED] if (cost := cost_to(each.spot.code)) is not None
    ]
    other = max(weighed, key=lambda each: each.gain, default=None)
    return Choice(best=other if other and other.gain > staying.gain else staying, here=staying, other=other)


def worth(goods: Goods, spot: Spot) -> int:
    """Return what goods are worth at a location, in minor units: what lies there already is sold before them."""
    units, rate, last = goods.line.quantity, spot.sold_a_day, SITS_AFTER_DAYS
    soon = min(units, max(0, int(rate * last) - spot.available)) if rate > 0 else 0
    days = soon * spot.available + soon * (soon + 1) / 2
    lost = (days / rate / last if rate > 0 else 0.0) + (units - soon)
    return round(goods.price * (units - lost / 2))


def way_cost(network: Network, goods: Goods, source: str, target: str, *, policy: Policy, now: datetime) -> int | None:
    """Return what it costs to send goods from one location to another by the ratings of a policy; None: no way.

    The fences of a policy are about shoppers' orders, and keep no transfer back.
    """
    to = network.sites[network.position_by_code[target]]
    available = np.zeros((len(network.sites), 1), dtype=np.int64)
    available[network.position_by_code[source]] = goods.line.quantity
    problem = Problem(
        network=network,
        lines=(goods.line,),
        available=available,
        now=now,
        currency=goods.currency,
        country=to.country,
        destination=to.position,
        policy=replace(policy, fences=()),
    )
    return min((plan.cost for plan in plan_deliveries(problem).plans if not plan.missing), default=None)
