"""The cheapest cover of lines by parcels, exact for up to MOST_EXACT lines.

A set of lines is an integer whose bit `l` stands for line `l`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from domain.planning.rates import IMPOSSIBLE, Cover, Rates, Take

MOST_EXACT = 12
# Costs are multiplied by this, and each parcel adds 1: of covers that cost the same, the one with fewer parcels wins.
SCALE = 16
NONE = IMPOSSIBLE * SCALE
# Up to this size a table of all groups is quicker than a list of all legs.
DENSE_BELOW = 50_000
PRUNE_ABOVE = 20_000
REFERENCES = 3
_BITS = np.exp2(np.arange(MOST_EXACT), dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """For each set of lines, what it costs as one parcel of its cheapest leg, and which leg that is; both (sets,).

    `scaled` are the costs times SCALE, and 1 for the parcel; NONE of the empty set, which needs none.
    """

    lines: int
    costs: NDArray[np.int64]
    owners: NDArray[np.int64]
    scaled: NDArray[np.int64]


def tabulate(rates: Rates, *, dense_below: int = DENSE_BELOW, prune_above: int = PRUNE_ABOVE) -> Table:
    """Return the cheapest leg of each set of 1 to MOST_EXACT lines.

    `dense_below` and `prune_above` are sizes of the problem at which another way is taken; they change the time it
    takes and nothing else.
    """
    legs, lines = rates.able.shape
    if not legs:
        costs = np.full(1 << lines, IMPOSSIBLE, dtype=np.int64)
        return Table(lines=lines, costs=costs, owners=np.zeros_like(costs), scaled=costs * SCALE)
    grams = _sums(rates.grams, lines)
    tariffs = rates.carriage(np.arange(len(rates.tariffs))[:, np.newaxis], grams)
    if rates.tariff.size << lines < dense_below:
        packed = _by_group(rates, _sums(rates.per_line, lines) + tariffs[rates.tariff])
    else:
        kept = np.arange(legs) if legs << lines <= prune_above else _undominated(rates, tariffs)
        packed = _by_leg(rates, kept, tariffs)
    costs, owners = np.divmod(packed, legs)
    costs = np.minimum(costs, IMPOSSIBLE)
    scaled = np.minimum(costs * SCALE + 1, NONE)
    scaled[0] = NONE
    return Table(lines=lines, costs=costs, owners=owners, scaled=scaled)


def cheapest(table: Table, *, most_parcels: int | None = None) -> Cover:
    """Return the cheapest parcels that cover every line, of which `most_parcels` may limit the number.

    Of covers that cost the same, fewer parcels win, then earlier legs.
    """
    if most_parcels is None:
        # Two parcels cost no less than the cheapest of all, twice.
        one = table.scaled.item(-1) <= 2 * int(np.minimum.reduce(table.scaled))
        return _trace(table, [None if one else _best(table)], 1)
    return min(
        exactly(table, min(most_parcels, table.lines)),
        key=lambda cover: (not cover.takes, cover.cost),
        default=Cover(takes=(), bound=0),
    )


def exactly(table: Table, most_parcels: int) -> list[Cover]:
    """Return the cheapest cover with just 1, 2, 3 ... parcels, up to that number and to that of the lines."""
    most = min(most_parcels, table.lines)
    # What one parcel takes of it is its own best cover; only more parcels have to be shared out.
    rest = table.scaled[: table.scaled.size >> 1]
    rests = [None, rest]
    while len(rests) < min(most, table.lines - 1):
        rests.append(rest := _with_one_more(table, rest))
    return [_trace(table, rests, count) for count in range(1, most + 1)]


def _by_group(rates: Rates, charges: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return cost x legs + leg of the cheapest leg of each set (sets,), from what each group charges (groups, sets).

    The cheapest leg of a group for a set is that of all its legs that can take the set, or more: a minimum over
    supersets, line by line.
    """
    legs, lines = rates.able.shape
    groups, sets = charges.shape
    cheapest = np.full(sets * groups, IMPOSSIBLE * legs, dtype=np.int64)
    takes = (rates.able.astype(np.float32) @ _BITS[:lines]).astype(np.int64)
    np.minimum.at(cheapest, takes * groups + rates.group, rates.fixed * legs + np.arange(legs))
    for line in range(lines):
        # All groups of a set lie side by side: long stretches are quicker.
        halves = cheapest.reshape(-1, 2, groups << line)
        np.minimum(halves[:, 0], halves[:, 1], out=halves[:, 0])
    packed: NDArray[np.int64] = (cheapest.reshape(sets, groups).T + charges * legs).min(axis=0)
    return packed


def _by_leg(rates: Rates, kept: NDArray[np.int64], tariffs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the same from those legs alone, each with every set it can take; `tariffs` by set (tariffs, sets)."""
    legs, lines = rates.able.shape
    # Every set that a leg can take, grown line by line; a leg with few of the lines has few sets.
    owners, sets, costs = kept, np.zeros_like(kept), rates.fixed[kept]
    for line in range(lines):
        more = np.flatnonzero(rates.able[:, line].take(owners))
        charges = rates.per_line[:, line].take(rates.group).take(owners.take(more))
        costs = np.concatenate([costs, costs.take(more) + charges])
        sets = np.concatenate([sets, sets.take(more) | 1 << line])
        owners = np.concatenate([owners, owners.take(more)])
    costs = costs + tariffs[rates.tariff[rates.group].take(owners), sets]
    cheapest = np.full(1 << lines, IMPOSSIBLE * legs, dtype=np.int64)
    np.minimum.at(cheapest, sets, costs * legs + owners)
    return cheapest


def _undominated(rates: Rates, tariffs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the legs, ascending, less those that a strong leg undercuts for every set of lines they can take."""
    legs, fixed, tariff = np.arange(rates.fixed.size), rates.fixed, rates.tariff[rates.group]
    per_line = np.where(rates.able.T, rates.per_line[rates.group].T, IMPOSSIBLE)
    weakness = fixed + per_line.sum(axis=0) + (tariffs.sum(axis=1) >> len(per_line))[tariff]
    for _ in range(REFERENCES):
        place = int(weakness.argmin())
        reference = int(legs[place])
        mine = tariffs[tariff[place]]
        # How much more the reference pays for carriage, at worst, by tariff; what a tariff cannot carry is no matter.
        carriage = np.where(tariffs < IMPOSSIBLE, mine - tariffs, -IMPOSSIBLE)[:, 1:].max(axis=1)
        items = np.maximum(per_line[:, place : place + 1] - per_line, 0).sum(axis=0)
        gap = items + (fixed[place] - fixed) + carriage[tariff]
        # A leg that comes before the reference wins a tie, and so has to be strictly dearer to be dropped.
        kept = np.flatnonzero(gap >= (legs > reference))
        weakness[place] = np.iinfo(np.int64).max
        legs, fixed, tariff, weakness = legs[kept], fixed[kept], tariff[kept], weakness[kept]
        per_line = per_line[:, kept]
    return legs


def _best(table: Table) -> NDArray[np.int64]:
    """Return what the best cover of each set without the last line costs (sets / 2,)."""
    best = np.full(1 << (table.lines - 1), NONE)
    best[0] = 0
    for line in range(table.lines - 1):
        half = 1 << line
        taken, others, starts = _splits(line)
        best[half : 2 * half] = np.minimum.reduceat(table.scaled[half + taken] + best[others], starts)
    return best


def _with_one_more(table: Table, rest: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the same of covers whose first parcel leaves what costs `rest`, by sets."""
    best = np.full_like(rest, NONE)
    if best.size > 1:
        taken, others, starts = _all_splits(table.lines - 1)
        best[1:] = np.minimum.reduceat(table.scaled[taken] + rest[others], starts)
    return best


def _trace(table: Table, rests: Sequence[NDArray[np.int64] | None], layers: int) -> Cover:
    """Return the best cover; its first parcel leaves what the last layer of `rests` covers, and so on, to the first.

    None is what covers nothing, so that the parcel takes all. Where there are as many layers as lines, each takes one.
    """
    wanted, left = table.costs.size - 1, layers
    takes: list[Take] = []
    while wanted:
        if wanted.bit_count() == left:
            chosen = _first(table, 1 << wanted.bit_length() - 1, None)
        else:
            chosen = _first(table, wanted, rests[left - 1])
        if not chosen:
            return Cover(takes=(), bound=0)
        takes.append(Take(table.owners.item(chosen), _listed(chosen), table.costs.item(chosen)))
        wanted -= chosen
        left = max(left - 1, 1)
    takes.sort()
    return Cover(takes=tuple(takes), bound=sum([take.cost for take in takes]))


def _first(table: Table, wanted: int, rest: NDArray[np.int64] | None) -> int:
    """Return the set with the last line that the best cover of a set takes as one parcel; 0 where there is no cover."""
    whole = table.scaled.item(wanted)
    if rest is None:
        return wanted if whole < NONE else 0
    sets, others = _parts(wanted)
    costs = table.scaled.take(sets) + rest.take(others)
    least = costs.item(costs.argmin())
    if least >= NONE or least == whole:
        # Where one parcel is the cheapest, whatever ties with it has more.
        return wanted if least < NONE else 0
    ties = sets[costs == least]
    return int(ties[(table.owners[ties] * table.costs.size - ties).argmin()] if ties.size > 1 else ties[0])


@lru_cache(maxsize=1 << MOST_EXACT)
def _listed(chosen: int) -> tuple[int, ...]:
    """Return the lines of a set."""
    return tuple(line for line in range(chosen.bit_length()) if chosen >> line & 1)


@lru_cache(maxsize=MOST_EXACT)
def _members(lines: int) -> NDArray[np.float64]:
    """Return which lines each set holds, 1 or 0 (lines, sets)."""
    return (np.arange(1 << lines) >> np.arange(lines)[:, np.newaxis] & 1).astype(np.float64)


def _sums(amounts: NDArray[np.int64], lines: int) -> NDArray[np.int64]:
    """Return amounts by line (..., lines) summed by set: whole numbers, exact in floats, which are quicker."""
    return (amounts.astype(np.float64) @ _members(lines)).astype(np.int64)


@lru_cache(maxsize=1 << MOST_EXACT)
def _parts(whole: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return every part of a set that holds its last line, and what each leaves."""
    half = 1 << whole.bit_length() - 1
    taken, others, starts = _splits(whole.bit_length() - 1)
    start = starts.item(whole - half)
    of_whole = slice(start, start + (1 << (whole - half).bit_count()))
    return taken[of_whole] + half, others[of_whole]


@lru_cache(maxsize=MOST_EXACT)
def _splits(line: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return every split in two of every set of the lines below `line`, ordered by set, and where each set starts."""
    taken = others = np.zeros(1, dtype=np.int64)
    for lower in range(line):
        bit = 1 << lower
        taken, others = np.concatenate([taken, taken | bit, taken]), np.concatenate([others, others, others | bit])
    order = np.argsort(taken | others, kind="stable")
    taken, others = taken[order], others[order]
    return taken, others, np.searchsorted(taken | others, np.arange(1 << line))


@lru_cache(maxsize=MOST_EXACT)
def _all_splits(lines: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the same of every set of these lines but the empty one; the first of the two holds the set's last line."""
    nothing = np.zeros(0, dtype=np.int64)
    taken, others, starts = [nothing], [nothing], [nothing]
    for line in range(lines):
        first, second, begins = _splits(line)
        starts.append(begins + sum(map(len, taken)))
        taken.append((1 << line) + first)
        others.append(second)
    return np.concatenate(taken), np.concatenate(others), np.concatenate(starts)
