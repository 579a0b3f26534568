"""Why a plan is as it is: the values that are kept of a decision, and their JSON of at most 8 KB."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from domain.planning.costs import Legs
from domain.planning.ground import Ground
from domain.planning.plan import Decision
from domain.planning.rates import IMPOSSIBLE, Cover
from domain.planning.solve import exactly
from domain.vocabulary import FenceKind, RatingKind

MOST_BYTES = 8192
MOST_CANDIDATES = 20
MOST_STOPPED = 5
"""So many of the candidates may be locations that were stopped."""
MOST_ALTERNATIVES = 3
FEW_LEGS = 300
"""Below this, to price all legs is quicker than to choose those that need a price."""

SENTENCES: Mapping[FenceKind, str] = {
    FenceKind.STOCK: "It has nothing of what is wanted.",
    FenceKind.STATUS: "It takes no work.",
    FenceKind.SERVICE: "It offers nothing that would serve this wish, or nothing for this weight.",
    FenceKind.COUNTRY: "It lies in a country that is not asked.",
    FenceKind.DISTANCE: "It is too far away.",
    FenceKind.TAGS: "Its tags do not fit.",
    FenceKind.CARRIER_CUTOFF: "The carrier collects there too late.",
    FenceKind.OPENING_HOURS: "It is not open in time.",
    FenceKind.CAPACITY: "It has its hands full.",
    FenceKind.MAX_PARCELS: "It cannot send everything in one parcel.",
    FenceKind.PRESELECTED: "It is not among the locations to choose from.",
    FenceKind.BLOCKED: "It is not to be asked.",
    FenceKind.PROMISE: "What was promised cannot be kept from there.",
}


class Stop(NamedTuple):
    """The fence that kept a location out, with what was found there and what would have been allowed."""

    fence: FenceKind
    message: str
    actual: str | None = None
    limit: str | None = None


class Candidate(NamedTuple):
    """A location that was considered.

    `ratings` are what it would be charged, were it to ship all it can, in minor units; `total` is their sum, and `rank`
    its place among those that could ship as much, from 1. All three are empty where a fence `stopped` it.
    """

    location_code: str
    ratings: Mapping[RatingKind, int]
    chosen: bool = False
    stopped: Stop | None = None
    total: int | None = None
    rank: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """The best plan with just so many parcels; `cost` in minor units."""

    parcel_count: int
    cost: int
    location_codes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A decision, told. `cost` is that of the plan, in minor units; `ratings` what it consists of.

    `gap` is 0 where the plan is proven the cheapest, else how far from the proven bound it may be (0.01 is 1 %).
    `candidates` are the best of `considered` locations, the chosen ones first; `stopped` counts the others by fence.
    """

    cost: int
    ratings: Mapping[RatingKind, int]
    gap: float
    considered: int
    stopped: Mapping[FenceKind, int]
    candidates: Sequence[Candidate]
    alternatives: Sequence[Alternative]


def explain(decision: Decision) -> Explanation:
    """Return how a decision came about: the best candidates, some that were stopped, and how many by which fence.

    Of a pickup for which something is fetched, those are told that it might come from.
    """
    if decision.fetched:
        return _fetched(decision, explain(decision.fetched))
    ground, legs, cover = decision.ground, decision.legs, decision.cover
    sites, stops = _stopped_at(ground)
    nearest = _nearest(ground, sites, stops)
    stopped = [_stopped(ground, *stop) for stop in zip(sites[nearest].tolist(), stops[nearest].tolist(), strict=True)]
    most = MOST_CANDIDATES - len(stopped)
    rated = _open(ground, legs, cover, most=most) if legs and cover else []
    by_fence: dict[FenceKind, int] = {}
    for screen, count in zip(ground.screens, np.bincount(stops, minlength=len(ground.screens)).tolist(), strict=True):
        by_fence[screen.kind] = by_fence.get(screen.kind, 0) + count
    return Explanation(
        cost=decision.plan.cost if decision.plan else 0,
        ratings=_charged(legs, cover) if legs and cover else {},
        gap=cover.gap if cover else 0.0,
        considered=len(ground.problem.network.sites),
        stopped={kind: count for kind, count in by_fence.items() if count},
        candidates=rated + stopped,
        alternatives=_alternatives(decision),
    )


def _fetched(decision: Decision, told: Explanation) -> Explanation:
    """Return the explanation of a pickup: of what is there, and, as it is `told`, of what is fetched."""
    legs, cover = decision.legs, decision.cover
    cost = decision.plan.cost if decision.plan else 0
    if legs is None or cover is None:
        return replace(told, cost=cost)
    (store,), own = _open(decision.ground, legs, cover, most=1), _charged(legs, cover)
    code = store.location_code
    others = [candidate for candidate in told.candidates if candidate.location_code != code]
    return replace(
        told,
        cost=cost,
        ratings={
            kind: own.get(kind, 0) + told.ratings.get(kind, 0) for kind in RatingKind if kind in {*own, *told.ratings}
        },
        candidates=[store, *others],
        alternatives=[
            Alternative(
                parcel_count=each.parcel_count + 1,
                cost=each.cost + sum(own.values()),
                location_codes=(code, *each.location_codes),
            )
            for each in told.alternatives
        ],
    )


def dump(explanation: Explanation, *, most: int = MOST_BYTES) -> bytes:
    """Return the JSON of an explanation, which leaves out candidates from the last where it would pass `most` bytes."""
    for count in range(len(explanation.candidates), -1, -1):
        told = orjson.dumps(_json(replace(explanation, candidates=explanation.candidates[:count])))
        if len(told) <= most:
            return told
    return orjson.dumps(_json(replace(explanation, candidates=(), alternatives=())))


def load(told: bytes | str) -> Explanation:
    """Return the explanation of a JSON that `dump` made."""
    return read(orjson.loads(told))


def read(told: Mapping[str, Any]) -> Explanation:
    """Return the explanation of such a JSON, read."""
    return Explanation(
        cost=told["cost"],
        ratings=_ratings(told["ratings"]),
        gap=told["gap"],
        considered=told["considered"],
        stopped={FenceKind(kind): count for kind, count in told["stopped"].items()},
        candidates=[_candidate(each) for each in told["candidates"]],
        alternatives=[
            Alternative(parcel_count=len(codes), cost=cost, location_codes=tuple(codes))
            for cost, codes in told["alternatives"]
        ],
    )


def _json(told: Explanation) -> dict[str, Any]:
    return {
        "cost": told.cost,
        "ratings": _named(told.ratings),
        "gap": told.gap,
        "considered": told.considered,
        "stopped": _named(told.stopped),
        "candidates": [
            [each.location_code, each.chosen, _named(each.ratings), each.total, each.rank, *_fence(each.stopped)]
            for each in told.candidates
        ],
        "alternatives": [[each.cost, each.location_codes] for each in told.alternatives],
    }


def _named(counts: Mapping[RatingKind, int] | Mapping[FenceKind, int]) -> dict[str, int]:
    return {kind.value: count for kind, count in counts.items()}


def _fence(stop: Stop | None) -> list[str | None]:
    return [stop.fence, stop.actual, stop.limit] if stop else []


def _candidate(told: Sequence[Any]) -> Candidate:
    code, chosen, ratings, total, rank, *stop = told
    return Candidate(
        location_code=code,
        chosen=chosen,
        stopped=_stop(FenceKind(stop[0]), stop[1], stop[2]) if stop else None,
        ratings=_ratings(ratings),
        total=total,
        rank=rank,
    )


def _stop(fence: FenceKind, actual: str | None, limit: str | None) -> Stop:
    return Stop(fence, SENTENCES[fence], actual, limit)


def _ratings(told: Mapping[str, int]) -> dict[RatingKind, int]:
    return {RatingKind(kind): cost for kind, cost in told.items()}


def _open(ground: Ground, legs: Legs, cover: Cover, *, most: int) -> list[Candidate]:
    """Return the sites of open legs, those of the cover first and then by rank: those of the cover, and `most` in all.

    The rank is by how many lots a site's best leg can take, and then by what it charges for them.
    """
    takes, of_leg = legs.rates.fits(), legs.at.sites
    counts = np.add.reduce(takes, axis=1, dtype=np.int16).astype(np.int64)
    senders = np.array([take.leg for take in cover.takes], dtype=np.int64)
    takers = np.zeros(ground.open.shape[1], dtype=np.bool_)
    takers[of_leg[senders]] = True
    rivals = _rivals(counts, takers, of_leg, most * len(ground.open))
    charges = legs.charges(rivals, takes.T.take(rivals, axis=1).T)
    sites, counts = of_leg[rivals], counts[rivals]
    totals = reduce(np.add, charges.values())
    order = (totals - counts * IMPOSSIBLE).argsort(kind="stable")
    ranked = order[_firsts(sites[order], takers.size)]
    taken = takers[sites[ranked]]
    chosen = taken.nonzero()[0]
    places = np.concatenate((chosen, (~taken).nonzero()[0][: max(most - chosen.size, 0)]))
    told = ranked[places]
    too_few = legs.lots.line.size if ground.problem.policy.most_parcels == 1 else 1
    known = ground.problem.network.sites
    prices = zip(*(amounts[told].tolist() for amounts in charges.values()), strict=True)
    columns = sites[told], taken[places], places + 1, counts[told], totals[told]
    candidates: list[Candidate] = []
    for site, taker, rank, count, total, amounts in zip(*(each.tolist() for each in columns), prices, strict=True):
        if count < too_few:
            candidates.append(Candidate(known[site].code, {}, taker, _too_little(ground, legs, site, count)))
        else:
            ratings = {kind: amount for kind, amount in zip(charges, amounts, strict=True) if amount}
            candidates.append(Candidate(known[site].code, ratings, taker, None, total, rank))
    return candidates


def _charged(legs: Legs, cover: Cover) -> dict[RatingKind, int]:
    """Return what the parcels of a cover are charged together, by rating; its first is not a SPLIT."""
    charged: dict[RatingKind, int] = {}
    for take in cover.takes:
        for kind, amount in legs.charged(take).items():
            charged[kind] = charged.get(kind, 0) + amount
    if legs.free and charged:
        charged[RatingKind.SPLIT] -= legs.free
    return {kind: amount for kind, amount in charged.items() if amount}


def _firsts(keys: NDArray[np.int64], span: int) -> NDArray[np.bool_]:
    """Tell of keys, from 0 to below `span`, which come for the first time."""
    first, places = np.empty(span, dtype=np.int64), np.arange(keys.size)
    first[keys[::-1]] = places[::-1]
    firsts: NDArray[np.bool_] = first[keys] == places
    return firsts


def _rivals(
    counts: NDArray[np.int64], takers: NDArray[np.bool_], of_leg: NDArray[np.int64], most: int
) -> NDArray[np.int64]:
    """Return the legs that need a price to rank those that are told: who takes fewer lots comes after them all.

    `counts` is how many lots each leg takes, `takers` which sites are chosen, `of_leg` the site of each leg. The sites
    to be told have no more than `most` legs.
    """
    if counts.size <= max(most, FEW_LEGS):
        return np.arange(counts.size)
    with_more = np.cumsum(np.bincount(counts)[::-1])
    least = with_more.size - 1 - int(with_more.searchsorted(most))
    return np.flatnonzero(counts >= counts[takers[of_leg]].min(initial=least))


def _too_little(ground: Ground, legs: Legs, site: int, count: int) -> Stop:
    """Return what stops an open leg that could take so many of the lots, which are too few."""
    if not count:
        return _stop(FenceKind.STOCK, f"{ground.given.stock[site].sum()} units", f"{legs.lots.quantity.min()} units")
    return _stop(FenceKind.MAX_PARCELS, f"{count} of {legs.lots.line.size} lines", "all in 1 parcel")


def _stopped_at(ground: Ground) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the sites of which nothing is left (stopped,), and which screen leaves nothing of each."""
    sites = (~np.logical_or.reduce(ground.open, axis=0)).nonzero()[0]
    strict = [
        place
        for place, screen in enumerate(ground.screens)
        if ground.open.size and not np.logical_and.reduce(screen.passes, axis=None)
    ]
    legs, goods = np.ones((len(ground.open), sites.size), dtype=np.bool_), np.ones((1, 1, 1), dtype=np.bool_)
    gone = []
    for place in strict[:-1]:
        passes = ground.screens[place].passes.take(sites, axis=1)
        if passes.shape[2] == 1:
            legs &= passes[..., 0]
        else:
            goods = goods & passes
        gone.append((place, ~np.logical_or.reduce(legs & np.logical_or.reduce(goods, axis=2), axis=0)))
    # What a screen leaves nothing of, those that follow leave nothing of, either; the last leaves nothing of any.
    stops = np.full(sites.size, strict[-1] if strict else 0)
    for place, nothing in reversed(gone):
        stops[nothing] = place
    return sites, stops


def _nearest(ground: Ground, sites: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return which of the stopped sites came closest to being asked: by the fence, and then by distance."""
    km = np.zeros(sites.size) if ground.given.km is None else ground.given.km.take(sites)
    return np.lexsort((km, -stops))[:MOST_STOPPED]


def _stopped(ground: Ground, site: int, place: int) -> Candidate:
    screen = ground.screens[place]
    actual, limit = screen.told(site)
    code = ground.problem.network.sites[site].code
    return Candidate(code, {}, stopped=_stop(screen.kind, actual, limit))


def _alternatives(decision: Decision) -> list[Alternative]:
    """Return the best plans with few parcels: all of them where they are known exactly, else that which was chosen.

    One that sends twice from one location is a plan only where that is cheaper than all with fewer parcels.
    """
    legs, cover = decision.legs, decision.cover
    if legs is None or cover is None:
        return []
    covers = exactly(decision.table, MOST_ALTERNATIVES) if decision.table else [cover]
    sites, site_of = decision.ground.problem.network.sites, legs.at.sites.item
    told: list[Alternative] = []
    for each in covers:
        codes = tuple([sites[site_of(take.leg)].code for take in each.takes])
        cost = each.cost - legs.free
        if codes and (len(set(codes)) == len(codes) or all(cost < other.cost for other in told)):
            told.append(Alternative(parcel_count=len(codes), cost=cost, location_codes=codes))
    return told
