"""A good cover of more lines than can be solved exactly, and a bound that no cover undercuts.

Legs are added, dropped and swapped from several beginnings as if each line cost what it weighs. The best of what that
leads to is improved with the real tariffs: some parcels are taken apart, and their lines put together anew in the best
way there is, which the solver of few lines finds for what is left of them as bundles. With a fixed seed, and counted
rounds, the same problem has the same answer.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from domain.planning.groups import group
from domain.planning.rates import IMPOSSIBLE, Cover, Rates, Take, Tariff
from domain.planning.solve import cheapest, tabulate

SEED = 20_26
BEGINNINGS = 24
MOST_SWAPS = 12
STARTS = 3
MOST_ROUNDS = 200
PATIENCE = 6
MOST_BUNDLES = 10
MOST_REOPENED = 4
"""So many parcels are taken apart at once, at most."""
PASSES = 40
SHARES = (0.0, 0.5, 1.0)
"""How steep the straight lines are that stand for a tariff: from flat to through nothing."""
MOST_LEGS = 100
FULLEST_LEGS = 50
EACH_LEGS = 3
DEARER = IMPOSSIBLE >> 8
"""What each parcel costs more while the fewest parcels are looked for."""


def search(rates: Rates, *, most_parcels: int | None = None) -> Cover:
    """Return a good cover of all lines, with at most so many parcels; no parcels where none was found."""
    nothing = Cover(takes=(), bound=0)
    if not rates.able.any(axis=0).all():
        return nothing
    least, slack = bound(rates)
    legs = _promising(rates, slack)
    few = only(rates, legs)
    random = np.random.default_rng(SEED)
    found = [_from(few, takes, random, most_parcels) for takes in _beginnings(few)]
    takes = min((takes for takes in found if takes), key=_order, default=[])
    takes = [take._replace(leg=int(legs[take.leg])) for take in takes]
    return Cover(takes=tuple(takes), bound=min(least, _order(takes)[0])) if takes else nothing


def bound(rates: Rates) -> tuple[int, NDArray[np.int64]]:
    """Return what every cover costs at least, in minor units, and what it costs more if it uses a leg (legs,).

    Carriage is taken for the straight line, of three below each tariff, that gives the highest bound.
    """
    grams = rates.grams.astype(np.float64)
    found = []
    for share in SHARES:
        lines = [_below(tariff, share) for tariff in rates.tariffs]
        once, by_gram = (np.array(part)[rates.tariff] for part in zip(*lines, strict=True))
        per_line = rates.per_line + np.floor(by_gram[:, np.newaxis] * grams).astype(np.int64)
        found.append(_ascent(rates, rates.fixed + np.floor(once)[rates.group].astype(np.int64), per_line))
    return max(found, key=lambda each: each[0])


def _below(tariff: Tariff, share: float) -> tuple[float, float]:
    """Return a straight line that no parcel of the tariff is cheaper than: its height, and its slope by gram."""
    weights, amounts = tariff.weights, tariff.amounts[:-1]
    height = (1 - share) * float(amounts[0])
    return height, float(((amounts - height) / np.maximum(weights, 1)).min())


def _ascent(rates: Rates, fixed: NDArray[np.int64], per_line: NDArray[np.int64]) -> tuple[int, NDArray[np.int64]]:
    """Return the bound where carriage is no more than what is fixed, and by line: the dual ascent of Erlenkotter.

    Each line offers more and more, as long as all lines together offer no leg more than its parcel costs.
    """
    charges = np.ascontiguousarray(np.where(rates.able, per_line[rates.group], IMPOSSIBLE).T)
    left, offers = fixed.copy(), charges.min(axis=1)
    for _ in range(PASSES):
        raised = False
        for line, charge in enumerate(charges):
            taken = charge <= offers[line]
            beyond = int(charge[~taken].min(initial=IMPOSSIBLE))
            more = min(int(left[taken].min()), beyond - int(offers[line]))
            if more > 0:
                offers[line] += more
                left[taken] -= more
                raised = True
        if not raised:
            break
    return int(offers.sum()), left


def _promising(rates: Rates, slack: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the legs, ascending, that a cheap cover is likely to use, and for each line some that can take it.

    They are those that the bound says the least against, that take the most lines, or that are cheapest a line.
    """
    best = np.argsort(slack, kind="stable")
    able, costs = rates.fullest(np.arange(rates.able.shape[1]))
    count = able.sum(axis=1)
    fullest = np.lexsort((costs, -count))[:FULLEST_LEGS]
    least = np.argsort(np.where(count > 0, costs / np.maximum(count, 1), np.inf), kind="stable")[:FULLEST_LEGS]
    of_lines = (best[rates.able[best, line]][:EACH_LEGS] for line in range(rates.able.shape[1]))
    return np.unique(np.concatenate([best[:MOST_LEGS], fullest, least, *of_lines]))


def only(rates: Rates, legs: NDArray[np.int64]) -> Rates:
    """Return what these legs alone charge."""
    first, number = group(rates.group[legs], len(rates.per_line))
    groups = rates.group[legs][first]
    return replace(
        rates,
        fixed=rates.fixed[legs],
        able=rates.able[legs],
        group=number,
        per_line=rates.per_line[groups],
        tariff=rates.tariff[groups],
    )


def _from(rates: Rates, takes: list[Take], random: np.random.Generator, most_parcels: int | None) -> list[Take]:
    """Return the cover that one beginning leads to."""
    if most_parcels is not None and len(takes) > most_parcels:
        dearer = replace(rates, fixed=rates.fixed + DEARER)
        takes = _improved(dearer, [_cheaper(take, -DEARER) for take in takes], random, None)
        takes = [_cheaper(take, DEARER) for take in takes]
        if len(takes) > most_parcels:
            return []
    return _improved(rates, takes, random, most_parcels)


def _cheaper(take: Take, amount: int) -> Take:
    return take._replace(cost=take.cost - amount)


def _beginnings(rates: Rates) -> list[list[Take]]:
    """Return the best of the greedy cover and those that adding, dropping and swapping legs leads to.

    Carriage is taken for a straight line below each tariff, flat at first, and then steeper.
    """
    places = {
        tuple(legs)
        for share in SHARES
        for charges, once in [_straight(rates, share)]
        for first in np.argsort(once + charges.sum(axis=1), kind="stable")[:BEGINNINGS].tolist()
        for legs in [_located(charges, once, first)]
    }
    charges, _ = _straight(rates, SHARES[-1])
    covers = [_greedy(rates), *(_assigned(rates, charges, list(legs)) for legs in sorted(places))]
    return sorted((cover for cover in covers if cover), key=_order)[:STARTS]


def _greedy(rates: Rates) -> list[Take]:
    """Return the cover that takes the parcel that is cheapest a line again and again."""
    left = np.arange(rates.able.shape[1])
    takes: list[Take] = []
    while left.size:
        able, costs = rates.fullest(left)
        count = able.sum(axis=1)
        leg = int(np.where(count > 0, costs / np.maximum(count, 1), np.inf).argmin())
        if not count[leg]:
            return []
        lines = left[able[leg]].tolist()
        takes.append(Take(leg=leg, lines=tuple(lines), cost=rates.cost(leg, lines)))
        left = left[~able[leg]]
    return takes


def _straight(rates: Rates, share: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what each leg would charge for each line (legs, lines) and for a parcel (legs,)."""
    lines = [_below(tariff, share) for tariff in rates.tariffs]
    height, slope = (np.array(part)[rates.tariff] for part in zip(*lines, strict=True))
    charges = (rates.per_line + slope[:, np.newaxis] * rates.grams)[rates.group]
    return np.asfortranarray(np.where(rates.able, charges, DEARER)), rates.fixed + height[rates.group]


def _located(charges: NDArray[np.float64], once: NDArray[np.float64], first: int) -> list[int]:
    """Return the legs, ascending, that no leg more, less or other makes cheaper for the lines, each at its cheapest."""
    chosen, cost = [first], float(once[first] + charges[first].sum())
    for _ in range(MOST_SWAPS):
        best = (cost, chosen)
        for without in [None, *chosen]:
            kept = [leg for leg in chosen if leg != without]
            least = charges[kept].min(axis=0, initial=DEARER)
            totals = once[kept].sum() + once + np.minimum(charges, least).sum(axis=1)
            leg = int(totals.argmin())
            dropped = float(once[kept].sum() + least.sum())
            best = min(best, (float(totals[leg]), [*kept, leg]), (dropped, kept) if kept else best)
        if best[0] >= cost:
            break
        cost, chosen = best
    return sorted(set(chosen))


def _assigned(rates: Rates, charges: NDArray[np.float64], legs: list[int]) -> list[Take]:
    """Return the parcels of these legs, each line at its cheapest; none where they cannot take them all."""
    of_line = np.array(legs)[charges[legs].argmin(axis=0)]
    if not rates.able[of_line, np.arange(of_line.size)].all():
        return []
    takes = []
    for leg in legs:
        left = np.flatnonzero(of_line == leg)
        while left.size:
            fits = rates.fits(left)[leg]
            lines = left[fits].tolist()
            takes.append(Take(leg=leg, lines=tuple(lines), cost=rates.cost(leg, lines)))
            left = left[~fits]
    return takes


def _improved(rates: Rates, takes: list[Take], random: np.random.Generator, most_parcels: int | None) -> list[Take]:
    """Return the cover after taking parcels apart and putting them together anew, until that no longer helps."""
    stale = rounds = 0
    while takes and stale < PATIENCE and rounds < MOST_ROUNDS:
        order = random.permutation(len(takes))
        size = min(int(random.integers(2, MOST_REOPENED + 1)), len(takes))
        reopened, kept = [takes[place] for place in order[:size]], [takes[place] for place in order[size:]]
        most = None if most_parcels is None else most_parcels - len(kept)
        better = _rebuilt(rates, _bundles(reopened, random), most)
        rounds += 1
        stale += 1
        if better and _order(better) < _order(reopened):
            takes, stale = kept + better, 0
    return sorted(takes)


def _bundles(takes: list[Take], random: np.random.Generator) -> list[list[int]]:
    """Return the lines of parcels in so many bundles at most: as many lines alone as may be, the rest as they are."""
    lines = [line for take in takes for line in take.lines]
    if len(lines) <= MOST_BUNDLES:
        return [[line] for line in lines]
    alone = set(random.permutation(lines)[: MOST_BUNDLES - len(takes)].tolist())
    rest = [[line for line in take.lines if line not in alone] for take in takes]
    return [[line] for line in sorted(alone)] + [bundle for bundle in rest if bundle]


def _rebuilt(rates: Rates, bundles: list[list[int]], most_parcels: int | None) -> list[Take]:
    """Return the cheapest parcels for these bundles of lines."""
    bundled = replace(
        rates,
        able=np.stack([rates.able[:, bundle].all(axis=1) for bundle in bundles], axis=1),
        per_line=np.stack([rates.per_line[:, bundle].sum(axis=1) for bundle in bundles], axis=1),
        grams=np.array([rates.grams[bundle].sum() for bundle in bundles]),
    )
    cover = cheapest(tabulate(bundled), most_parcels=most_parcels)
    return [
        take._replace(lines=tuple(sorted(line for place in take.lines for line in bundles[place])))
        for take in cover.takes
    ]


def _order(takes: list[Take]) -> tuple[int, int, list[tuple[int, tuple[int, ...]]]]:
    return sum(take.cost for take in takes), len(takes), sorted((take.leg, take.lines) for take in takes)
