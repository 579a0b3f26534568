"""The cheapest cover of lines by parcels, exact for up to ten lines.

A set of lines is an integer whose bit `l` stands for line `l`. A leg is one location with one carrier service.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from domain.errors import InvalidInput

MOST_LINES = 10
# More than any cost, and small enough that it fits into 64 bits together with the number of a leg.
IMPOSSIBLE = 1 << 44
# Costs are multiplied by this, and each parcel adds 1: of covers that cost the same, the one with fewer parcels wins.
SCALE = 16
PRUNE_ABOVE = 20_000
REFERENCES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What each leg charges, in minor units; the earlier of two legs wins a tie.

    A parcel with the lines T at leg j costs `fixed[j]`, plus `per_line[j, l]` for each line l of T (IMPOSSIBLE where
    the leg cannot serve it), plus `tariffs[tariff[j], T]`, with a column for each of the `2 ** lines` sets of lines.
    """

    fixed: NDArray[np.int64]
    per_line: NDArray[np.int64]
    tariff: NDArray[np.int64]
    tariffs: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """The lines that one leg takes in one parcel, ascending, and what that costs, in minor units."""

    leg: int
    lines: tuple[int, ...]
    cost: int


def require_solvable(count: int) -> None:
    """Raise InvalidInput unless there are 1 to 10 lines."""
    if not 1 <= count <= MOST_LINES:
        raise InvalidInput(
            message=f"A cart has 1 to {MOST_LINES} different items; this one has {count}.", path=["lines"]
        )


def solve(rates: Rates, *, most_parcels: int | None = None, prune_above: int = PRUNE_ABOVE) -> tuple[Take, ...]:
    """Return the cheapest parcels that cover every line, ordered by leg; empty where no legs together can.

    Of covers that cost the same, fewer parcels win, then earlier legs. `most_parcels` limits the parcels; `prune_above`
    is the size of the table from which dominated legs are dropped first, which changes the time it takes and nothing
    else. Raise InvalidInput for more than 10 lines.
    """
    lines = rates.per_line.shape[1]
    require_solvable(lines)
    if not rates.fixed.size:
        return ()
    legs = np.arange(rates.fixed.size)
    if legs.size << lines > prune_above:
        legs = _undominated(rates)
    costs, owners = _cheapest_legs(rates, legs)
    scaled = np.where(costs < IMPOSSIBLE, costs * SCALE + 1, IMPOSSIBLE * SCALE)
    layers = _layers(scaled, lines, most_parcels)
    if layers[-1][-1] >= IMPOSSIBLE * SCALE:
        return ()
    chosen = _trace(scaled, owners, layers)
    return tuple(
        sorted(
            (Take(leg=int(owners[take]), lines=_members(take), cost=int(costs[take])) for take in chosen),
            key=lambda take: (take.leg, take.lines),
        ),
    )


def _undominated(rates: Rates) -> NDArray[np.int64]:
    """Return the legs, ascending, less those that a strong leg undercuts for every set of lines they can serve."""
    legs = np.arange(rates.fixed.size)
    fixed, tariff, per_line = rates.fixed, rates.tariff, np.ascontiguousarray(rates.per_line.T)
    weakness = fixed + per_line.sum(axis=0) + (rates.tariffs.sum(axis=1) >> per_line.shape[0])[tariff]
    for _ in range(REFERENCES):
        reference = int(legs[weakness.argmin()])
        mine, theirs = rates.tariffs[rates.tariff[reference]], rates.tariffs
        # How much more the reference pays for carriage, at worst, by tariff; what a tariff cannot carry is no matter.
        carriage = np.where(theirs < IMPOSSIBLE, mine - theirs, -IMPOSSIBLE)[:, 1:].max(axis=1)
        items = np.maximum(rates.per_line[reference][:, np.newaxis] - per_line, 0).sum(axis=0)
        gap = items + (rates.fixed[reference] - fixed) + carriage[tariff]
        # A leg that comes before the reference wins a tie, and so has to be strictly dearer to be dropped.
        kept = np.flatnonzero(gap >= (legs > reference))
        weakness[legs == reference] = np.iinfo(np.int64).max
        legs, fixed, tariff, weakness = legs[kept], fixed[kept], tariff[kept], weakness[kept]
        per_line = per_line[:, kept]
        if not legs.size:
            break
    return legs


def _cheapest_legs(rates: Rates, legs: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return for each set of lines the cost of its cheapest leg and which leg that is, both of shape (sets,)."""
    count, lines = rates.per_line.shape
    per_line = np.ascontiguousarray(rates.per_line.T)
    # Every set that a leg can serve, grown line by line; a leg with few of the lines has few sets.
    owners, sets, costs = legs, np.zeros_like(legs), rates.fixed[legs]
    for line in range(lines):
        charges = per_line[line].take(owners)
        able = np.flatnonzero(charges < IMPOSSIBLE)
        costs = np.concatenate([costs, costs.take(able) + charges.take(able)])
        sets = np.concatenate([sets, sets.take(able) | 1 << line])
        owners = np.concatenate([owners, owners.take(able)])
    costs = costs + rates.tariffs[rates.tariff.take(owners), sets]
    # Cost and leg in one number: its minimum is the cheapest leg, and the first of those that tie.
    cheapest = np.full(1 << lines, IMPOSSIBLE * count, dtype=np.int64)
    np.minimum.at(cheapest, sets, costs * count + owners)
    return cheapest // count, cheapest % count


def _layers(costs: NDArray[np.int64], lines: int, most_parcels: int | None) -> list[NDArray[np.int64]]:
    """Return the cost of the best cover of each set: one array, or one for at most 0, 1, 2 ... parcels."""
    if most_parcels is None:
        return [_cover(costs, lines, None)]
    layers = [np.full(1 << lines, IMPOSSIBLE * SCALE)]
    layers[0][0] = 0
    for _ in range(min(most_parcels, lines)):
        layers.append(_cover(costs, lines, layers[-1]))
    return layers


def _cover(costs: NDArray[np.int64], lines: int, rest: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """Return the cost of each set's best cover; `rest` (itself if None) covers what the first parcel leaves."""
    best = np.zeros(1 << lines, dtype=np.int64)
    left = best if rest is None else rest
    for line in range(lines):
        half = 1 << line
        taken, others, starts = _splits(line)
        best[half : 2 * half] = np.minimum.reduceat(costs[half : 2 * half][taken] + left[others], starts)
    return best


def _trace(costs: NDArray[np.int64], owners: NDArray[np.int64], layers: Sequence[NDArray[np.int64]]) -> list[int]:
    """Return the sets of lines of the best cover's parcels."""
    chosen = []
    wanted, layer = costs.size - 1, len(layers) - 1
    while wanted:
        left = layers[max(layer - 1, 0)]
        line = wanted.bit_length() - 1
        half = 1 << line
        taken, others, starts = _splits(line)
        of_wanted = slice(starts[wanted - half], starts[wanted - half] + (1 << (wanted - half).bit_count()))
        takes = taken[of_wanted] + half
        ties = takes[costs[takes] + left[others[of_wanted]] == layers[layer][wanted]]
        take = int(min(ties, key=lambda take: (owners[take], -take)))
        chosen.append(take)
        wanted, layer = wanted - take, max(layer - 1, 0)
    return chosen


@lru_cache(maxsize=MOST_LINES)
def _splits(line: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return every split in two of every set of the lines below `line`, ordered by set, and where each set starts."""
    taken = others = np.zeros(1, dtype=np.int64)
    for lower in range(line):
        bit = 1 << lower
        taken, others = np.concatenate([taken, taken | bit, taken]), np.concatenate([others, others, others | bit])
    order = np.argsort(taken | others, kind="stable")
    taken, others = taken[order], others[order]
    return taken, others, np.searchsorted(taken | others, np.arange(1 << line))


def _members(lines: int) -> tuple[int, ...]:
    return tuple(line for line in range(MOST_LINES) if lines >> line & 1)
