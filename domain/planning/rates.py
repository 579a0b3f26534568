"""What parcels cost, as the solver sees it: numbers only."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# More than any cost, and small enough that it fits into 64 bits together with the number of a leg.
IMPOSSIBLE = 1 << 44
# More than any weight on a tariff, in grams.
SPAN = 1 << 41


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tariff:
    """What carriage costs by weight: `amounts[step]`, in minor units, up to `weights[step]` grams, ascending.

    `amounts` has one more at the end, IMPOSSIBLE: what is too heavy. Tariffs are told apart by identity.
    """

    weights: NDArray[np.int64]
    amounts: NDArray[np.int64]

    def charge(self, grams: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return what parcels of these weights cost."""
        charged: NDArray[np.int64] = self.amounts[np.searchsorted(self.weights, grams)]
        return charged

    def times(self, factor: float) -> "Tariff":
        """Return the tariff at another rate; what is too heavy stays so."""
        amounts = np.where(self.amounts < IMPOSSIBLE, np.rint(self.amounts * factor).astype(np.int64), IMPOSSIBLE)
        return Tariff(weights=self.weights, amounts=amounts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What each leg charges, in minor units. A leg is one location with one carrier service; the earlier wins a tie.

    Leg `j` can take the lines `able[j]`. A parcel of the lines T costs `fixed[j]` and, as all legs of its `group[j]`
    do, `per_line[group, l]` for each line l of T and what `tariffs[tariff[group]]` says to their weight, the sum of
    `grams[l]`.
    """

    fixed: NDArray[np.int64]
    able: NDArray[np.bool_]
    group: NDArray[np.int64]
    per_line: NDArray[np.int64]
    tariff: NDArray[np.int64]
    tariffs: tuple[Tariff, ...]
    grams: NDArray[np.int64]

    def cost(self, leg: int, lines: list[int]) -> int:
        """Return what one parcel of these lines costs at a leg; IMPOSSIBLE or more where it cannot be."""
        if not self.able[leg, lines].all():
            return IMPOSSIBLE
        group = self.group[leg]
        carriage = self.tariffs[self.tariff[group]].charge(self.grams[lines].sum())
        return int(self.fixed[leg] + self.per_line[group, lines].sum() + carriage)

    def fits(self, lines: NDArray[np.int64] | None = None) -> NDArray[np.bool_]:
        """Return which of these lines, or of all, first come, each leg could take in one parcel (legs, lines)."""
        able, weights = (self.able, self.grams) if lines is None else (self.able[:, lines], self.grams[lines])
        joined = _joined(self.tariffs)
        if np.add.reduce(weights) > joined.lightest:
            most = joined.heaviest[self.tariff].take(self.group)
            able = able & (np.cumsum(able * weights, axis=1) <= most[:, np.newaxis])
        return able

    def fullest(self, lines: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Return which of these lines, first come, each leg could take in one parcel (legs, lines), and its cost."""
        able = self.fits(lines)
        costs = self.fixed + (able * self.per_line[:, lines].T[:, self.group].T).sum(axis=1)
        return able, costs + self.carriage(self.tariff[self.group], able @ self.grams[lines])

    def totals(self, legs: NDArray[np.int64], takes: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return what a parcel of each of these legs costs, for the lines it takes (legs, lines)."""
        groups = self.group[legs]
        costs = self.fixed[legs] + np.add.reduce(self.per_line.T.take(groups, axis=1) * takes.T, axis=0)
        totals: NDArray[np.int64] = costs + self.carriage(self.tariff[groups], takes @ self.grams)
        return totals

    def carriage(self, tariff: NDArray[np.int64], grams: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return what parcels of these weights cost by these tariffs, both of one shape."""
        steps, amounts, *_ = _joined(self.tariffs)
        places = steps.searchsorted(np.minimum(grams, SPAN - 1) + tariff * SPAN)
        charged: NDArray[np.int64] = amounts.take(places + tariff)
        return charged


class _Joined(NamedTuple):
    """The steps of all tariffs in one ascending row, in which each has a SPAN of its own, and the last of each.

    `lightest` is what every one of them carries.
    """

    steps: NDArray[np.int64]
    amounts: NDArray[np.int64]
    heaviest: NDArray[np.int64]
    lightest: int


@lru_cache(maxsize=256)
def _joined(tariffs: tuple[Tariff, ...]) -> _Joined:
    nothing = np.zeros(0, dtype=np.int64)
    heaviest = np.array([each.weights[-1] for each in tariffs], dtype=np.int64)
    return _Joined(
        steps=np.concatenate([nothing, *(each.weights + number * SPAN for number, each in enumerate(tariffs))]),
        amounts=np.concatenate([nothing, *(each.amounts for each in tariffs)]),
        heaviest=heaviest,
        lightest=int(heaviest.min(initial=SPAN)),
    )


class Take(NamedTuple):
    """The lines that one leg takes in one parcel, ascending, and what that costs, in minor units."""

    leg: int
    lines: tuple[int, ...]
    cost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """Parcels that take every line, by leg; none where no legs together can. No cover costs less than `bound`."""

    takes: tuple[Take, ...]
    bound: int

    @property
    def cost(self) -> int:
        """What the parcels cost together, in minor units."""
        return sum([take.cost for take in self.takes])

    @property
    def gap(self) -> float:
        """How far from the bound the cost may be, as a share of it; 0 where it is proven to be the least."""
        return (self.cost - self.bound) / self.cost if self.cost > self.bound else 0.0
