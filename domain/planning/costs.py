"""What a parcel costs by each rating of a policy, in minor units of the currency, each kept apart."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domain.money import exponent
from domain.planning.fences import carries
from domain.planning.ground import Ground, Spots
from domain.planning.lots import Lots
from domain.planning.network import Offer
from domain.planning.policy import Rating
from domain.planning.problem import UNLIMITED
from domain.planning.rates import IMPOSSIBLE, Rates, Take, Tariff
from domain.planning.timetable import NEVER, limits, used
from domain.vocabulary import LocationKind, RatingKind

Amounts = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]

MOST_CHARGE = 2**33
"""What a rating charges at most, so that all of a cart's together stay far below IMPOSSIBLE."""
SITS_AFTER_DAYS = 90
"""Stock that has not been touched for so long is what a markdown wants to sell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handling:
    """What a location's work on one parcel costs: once for the parcel and once for each unit, in minor units."""

    parcel: int
    unit: int


HANDLING: Mapping[LocationKind, Handling] = {
    LocationKind.WAREHOUSE: Handling(parcel=120, unit=25),
    LocationKind.STORE: Handling(parcel=260, unit=60),
    LocationKind.MICRO_HUB: Handling(parcel=200, unit=40),
    LocationKind.DROP_SHIPPER: Handling(parcel=220, unit=35),
}
"""The default handling costs, in minor units whatever the currency: a warehouse packs cheaper than a store."""
_PARCELS = np.array([HANDLING[kind].parcel for kind in LocationKind], dtype=np.int64)
_UNITS = np.array([HANDLING[kind].unit for kind in LocationKind], dtype=np.int64)
_NOTHING = Tariff(weights=np.array([UNLIMITED]), amounts=np.array([0, IMPOSSIBLE]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Legs:
    """The open legs of a ground, by site and then by service, and what each charges for which lots.

    `at` is where they are in the ground. A parcel is charged `fixed[kind][leg]` once, and for each of its
    lots `by_lot[kind][lot, class_of[leg]]`; SHIPPING is what the tariff says to its weight. `rates` are the sums of it
    all, for the solver, to which each parcel is a SPLIT: the first of an order is not, so `free` of it is not charged.
    """

    at: Spots
    lots: Lots
    fixed: Mapping[RatingKind, Amounts]
    by_lot: Mapping[RatingKind, Amounts]
    class_of: Amounts
    free: int
    rates: Rates

    def charges(self, legs: Amounts, takes: NDArray[np.bool_]) -> dict[RatingKind, Amounts]:
        """Return what a parcel of each of these legs is charged by each rating, for the lots it takes (legs, lots).

        Each is alone, and so none is a SPLIT that is `free`.
        """
        charged = {kind: amounts[legs] for kind, amounts in self.fixed.items()}
        classes = self.class_of[legs]
        for kind, amounts in self.by_lot.items():
            _add(charged, kind, np.add.reduce(amounts.take(classes, axis=1) * takes.T, axis=0))
        charged[RatingKind.SHIPPING] = self.rates.carriage(self.at.lanes[legs], takes @ self.rates.grams)
        if self.free:
            charged[RatingKind.SPLIT] = charged[RatingKind.SPLIT] - self.free
        return charged

    def charged(self, take: Take) -> dict[RatingKind, int]:
        """Return what a parcel of a cover is charged by each rating; each is a SPLIT, too."""
        charged = {kind: amounts.item(take.leg) for kind, amounts in self.fixed.items()}
        for kind, amounts in self.by_lot.items():
            of_lots = amounts[:, self.class_of.item(take.leg)].tolist()
            charged[kind] = charged.get(kind, 0) + sum([of_lots[lot] for lot in take.lines])
        charged[RatingKind.SHIPPING] = take.cost - sum(charged.values())
        return charged


def price(ground: Ground, spots: Spots, lots: Lots) -> Legs:
    """Return what the legs at these spots of a ground charge for these lots, by the ratings of its policy."""
    problem = ground.problem
    minor = 10.0 ** exponent(problem.currency)
    sites = spots.sites
    at = _Places(ground=ground, spots=spots, lots=lots, kinds=problem.network.kinds[sites])
    fixed: dict[RatingKind, Amounts] = {}
    by_lot: dict[RatingKind, Amounts] = {}
    split, shipping = 0, 0.0
    alone = any(rating.kind in _BY_LEG_AND_LOT for rating in problem.policy.ratings)
    for rating in problem.policy.ratings:
        weight = float(rating.weight)
        if rating.kind is RatingKind.SHIPPING:
            shipping += weight
        elif rating.kind is RatingKind.SPLIT:
            split += int(_money(weight * minor))
            fixed[rating.kind] = np.full(sites.size, split)
        elif rating.kind is RatingKind.HANDLING:
            _add(fixed, rating.kind, _parcels(weight)[at.kinds])
            units = _UNITS[at.kinds] if alone else _UNITS
            _add(by_lot, rating.kind, _money(weight * units * lots.quantity[:, np.newaxis]))
        elif rating.kind in _BY_LEG_AND_LOT:
            _add(by_lot, rating.kind, _money(weight * minor * _BY_LEG_AND_LOT[rating.kind](at, rating)))
        else:
            _add(fixed, rating.kind, _money(weight * minor * _BY_LEG[rating.kind](at, rating)))
    if problem.opened_codes:
        opened = np.isin(sites, [problem.network.position_by_code.get(code, -1) for code in problem.opened_codes])
        fixed = {kind: np.where(opened, 0, amounts) for kind, amounts in fixed.items()}
    class_of = np.arange(sites.size) if alone else at.kinds
    return Legs(
        at=spots,
        lots=lots,
        fixed=fixed,
        by_lot=by_lot,
        class_of=class_of,
        free=0 if problem.opened_codes else split,
        rates=_rates(at, fixed, by_lot, shipping, alone=alone),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Places:
    """Where legs are, for the ratings."""

    ground: Ground
    spots: Spots
    lots: Lots
    kinds: Amounts

    @property
    def sites(self) -> Amounts:
        """The site of each leg."""
        return self.spots.sites


def _rates(
    at: _Places,
    fixed: Mapping[RatingKind, Amounts],
    by_lot: Mapping[RatingKind, Amounts],
    shipping: float,
    *,
    alone: bool,
) -> Rates:
    """Return the sums, for the legs of each kind of location on each lane, or for each leg `alone`."""
    ground, lots, lane_of = at.ground, at.lots, at.spots.lanes
    if alone:
        group, tariff = np.arange(lane_of.size), lane_of
        per_line = _sum(by_lot, (lots.quantity.size, lane_of.size)).T
    else:
        lanes, classes = _lanes_of_classes(1 if ground.offer is None else len(ground.offer.lanes))
        group, tariff = lane_of * len(LocationKind) + at.kinds, lanes
        per_line = _sum(by_lot, (lots.quantity.size, len(LocationKind))).take(classes, axis=1).T
    return Rates(
        fixed=_sum(fixed, at.sites.shape),
        able=lots.able,
        group=group,
        per_line=per_line,
        tariff=tariff,
        tariffs=_tariffs(ground.offer, shipping),
        grams=ground.given.grams[lots.line] * lots.quantity,
    )


def _sum(charges: Mapping[RatingKind, Amounts], shape: tuple[int, ...]) -> Amounts:
    """Return what all ratings charge together, all of one shape."""
    return reduce(np.add, charges.values()) if charges else np.zeros(shape, dtype=np.int64)


@lru_cache(maxsize=256)
def _parcels(weight: float) -> Amounts:
    """Return what each kind of location charges for the work on a parcel."""
    return _money(weight * _PARCELS)


@lru_cache(maxsize=256)
def _lanes_of_classes(lanes: int) -> tuple[Amounts, Amounts]:
    """Return the lane and the kind of location of each group, where every lane has a group for each kind."""
    kinds = len(LocationKind)
    return np.repeat(np.arange(lanes), kinds), np.tile(np.arange(kinds), lanes)


@lru_cache(maxsize=256)
def _tariffs(offer: Offer | None, shipping: float) -> tuple[Tariff, ...]:
    """Return the tariff of each lane, times the weight of SHIPPING."""
    if offer is None:
        return (_NOTHING,)
    return tuple(lane.tariff if shipping == 1 else lane.tariff.times(shipping) for lane in offer.lanes)


def _distance(at: _Places, _: Rating) -> Floats:
    return np.zeros(at.sites.size) if at.ground.given.km is None else at.ground.given.km[at.sites]


def _lateness(at: _Places, _: Rating) -> Floats:
    """Return how many hours later than the earliest of all legs each arrives."""
    legs, kinds, promised = at.ground.together()
    latest = [promise.latest for _, promise in promised if promise]
    first = min(latest, default=at.ground.problem.now)
    hours = np.array([(moment - first).total_seconds() / 3600 for moment in latest])
    late = np.zeros(at.ground.open.shape)
    np.put(late, legs, hours.take(kinds))
    return late[at.spots.rows, at.sites]


def _co2(at: _Places, _: Rating) -> Floats:
    """Return the kg of CO2 of the way from each leg."""
    if at.ground.offer is None or at.ground.given.km is None:
        return np.zeros(at.sites.size)
    per_km = np.array([service.co2_grams_per_km for service in at.ground.offer.services])
    return per_km[at.spots.rows] * at.ground.given.km[at.sites] / 1000


def _load(at: _Places, _: Rating) -> Floats:
    """Return the square of the share that is used of the day on which each leg would begin."""
    problem, starts = at.ground.problem, at.ground.given.timetable.starts
    shares = np.zeros(len(problem.network.sites))
    if starts is not None:
        limited = problem.network.limited[starts[problem.network.limited] != NEVER]
        days = starts[limited]
        most_orders, most_units = limits(problem.network, problem.policy.capacity_share, limited, days)
        orders, units = used(problem.committed, limited, days)
        shares[limited] = np.maximum(orders / np.maximum(most_orders, 1), units / np.maximum(most_units, 1))
    return np.minimum(shares[at.sites], 1.0) ** 2


def _rejection(at: _Places, _: Rating) -> Floats:
    refused: Floats = 1 - at.ground.problem.network.acceptance[at.sites]
    return refused


def _preference(at: _Places, rating: Rating) -> Floats:
    network = at.ground.problem.network
    preferred = np.array([kind in rating.location_kinds for kind in LocationKind], dtype=np.bool_)[at.kinds]
    for tag in rating.tags:
        preferred |= carries(network, tag)[at.sites]
    return (~preferred).astype(np.float64)


def _stock_balance(at: _Places, _: Rating) -> Floats:
    """Return which share of what each leg's site has of an item each lot would take (lots, legs)."""
    there, taken = at.ground.given.stock.T.take(at.sites, axis=1)[at.lots.line], at.lots.quantity[:, np.newaxis]
    return taken / np.maximum(there, taken)


def _markdown(at: _Places, rating: Rating) -> Floats:
    """Return how many units of each lot would be fresh, a unit that sat for some time in part (lots, legs)."""
    problem = at.ground.problem
    if problem.idle_days is None:
        return np.zeros((at.lots.line.size, at.sites.size))
    fresh = 1 - np.clip(problem.idle_days[at.sites].T[at.lots.line], 0, SITS_AFTER_DAYS) / SITS_AFTER_DAYS
    asked = np.array([not rating.tags or not line.tags.isdisjoint(rating.tags) for line in problem.lines])
    units: Floats = fresh * (at.lots.quantity * asked[at.lots.line])[:, np.newaxis]
    return units


_BY_LEG: Mapping[RatingKind, Callable[[_Places, Rating], Floats]] = {
    RatingKind.DISTANCE: _distance,
    RatingKind.LATENESS: _lateness,
    RatingKind.CO2: _co2,
    RatingKind.LOAD: _load,
    RatingKind.REJECTION: _rejection,
    RatingKind.PREFERENCE: _preference,
}
_BY_LEG_AND_LOT: Mapping[RatingKind, Callable[[_Places, Rating], Floats]] = {
    RatingKind.STOCK_BALANCE: _stock_balance,
    RatingKind.MARKDOWN: _markdown,
}


def _add(charges: dict[RatingKind, Amounts], kind: RatingKind, amounts: Amounts) -> None:
    charges[kind] = charges[kind] + amounts if kind in charges else amounts


def _money(amounts: Floats | float) -> Amounts:
    """Return amounts in whole minor units, none so large that a cart's would come near to IMPOSSIBLE."""
    money: Amounts = np.rint(np.minimum(np.maximum(amounts, 0), MOST_CHARGE)).astype(np.int64)
    return money
