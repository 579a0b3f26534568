"""The proof of a cover by HiGHS, where it is installed (`pip install crossdock[optimize]`)."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from domain.planning.rates import Cover, Rates, Take, Tariff
from domain.planning.search import bound, only

if TYPE_CHECKING:
    from highspy import Highs

HALF = 0.5
MOST_NODES = 10_000
"""The proof is given up after so many nodes, and not after some time, so that it ends the same each time."""


def can_prove() -> bool:
    """Tell whether HiGHS is installed."""
    return find_spec("highspy") is not None


def prove(
    rates: Rates,
    cover: Cover,
    *,
    most_parcels: int | None = None,
    most_nodes: int = MOST_NODES,
    seconds: float = np.inf,
) -> Cover:
    """Return the cover with the bound that HiGHS proves, or the better one that it found.

    Its model has one parcel a leg, and only legs that the cover's cost does not rule out. Where two parcels from one
    place may be cheaper than one, or too heavy for one, it would prove nothing, and the cover is returned as it is.
    `seconds` ends it as well, and then it may end otherwise the next time.
    """
    grams = int(rates.grams.sum())
    if not all(_merges(tariff, grams, int(rates.fixed.min(initial=0))) for tariff in rates.tariffs):
        return cover
    kept = np.arange(rates.fixed.size)
    if cover.takes:
        least, slack = bound(rates)
        kept = np.flatnonzero(least + slack <= cover.cost)
        rates = only(rates, kept)
    found = _solve(rates, most_parcels, {"mip_max_nodes": most_nodes, "time_limit": seconds})
    if found is None:
        return cover
    takes = []
    for leg in np.unique(found.legs).tolist():
        lines = found.lines[found.legs == leg].tolist()
        takes.append(Take(leg=int(kept[leg]), lines=tuple(lines), cost=rates.cost(leg, lines)))
    cost = sum(take.cost for take in takes)
    better = cover.takes if cover.takes and cover.cost <= cost else tuple(takes)
    return Cover(takes=better, bound=max(cover.bound, min(found.bound, cover.cost or cost, cost)))


def _merges(tariff: Tariff, grams: int, fixed: int) -> bool:
    """Tell whether one parcel is never dearer than two with the same lines, up to this weight together."""
    amounts, weights = tariff.amounts[:-1], tariff.weights
    together = tariff.charge(np.minimum(weights[:, np.newaxis] + weights, grams))
    return bool((together <= amounts[:, np.newaxis] + amounts + fixed).all())


class _Found(NamedTuple):
    """The lines that the best parcels take, as pairs (leg, line), and the proven bound, in minor units."""

    legs: NDArray[np.int64]
    lines: NDArray[np.int64]
    bound: int


def _solve(rates: Rates, most_parcels: int | None, limits: Mapping[str, float]) -> _Found | None:
    """Return what HiGHS finds. Its variables, all 0 or 1: each leg's parcel of each weight step, then what it takes."""
    from highspy import HighsModelStatus

    tariff_of = rates.tariff[rates.group]
    steps = np.array([tariff.weights.size for tariff in rates.tariffs])[tariff_of]
    owners = np.repeat(np.arange(steps.size), steps)
    weights = np.concatenate([rates.tariffs[place].weights for place in tariff_of])
    amounts = np.concatenate([rates.tariffs[place].amounts[:-1] for place in tariff_of])
    parcels = np.arange(owners.size)
    legs, lines = np.nonzero(rates.able)
    takes = np.arange(legs.size) + owners.size
    highs = _highs(np.concatenate([rates.fixed[owners] + amounts, rates.per_line[rates.group[legs], lines]]), limits)
    ones = np.ones(takes.size)
    # Each line is taken once; a leg sends one parcel, which bears what it takes; and it takes nothing without one.
    _add(highs, [(lines, takes, ones)], (1.0, 1.0))
    _add(highs, [(owners, parcels, np.ones(parcels.size))], (0.0, 1.0))
    heaviest = np.minimum(weights, rates.grams.sum())
    _add(highs, [(legs, takes, rates.grams[lines]), (owners, parcels, -heaviest)], (-np.inf, 0.0))
    bears = np.concatenate([parcels[owners == leg] for leg in legs]) if legs.size else parcels[:0]
    pairs = np.arange(takes.size)
    _add(highs, [(pairs, takes, ones), (np.repeat(pairs, steps[legs]), bears, -np.ones(bears.size))], (-np.inf, 0.0))
    if most_parcels is not None:
        _add(highs, [(np.zeros_like(parcels), parcels, np.ones(parcels.size))], (0.0, float(most_parcels)))
    highs.run()
    info = highs.getInfo()
    if highs.getModelStatus() is HighsModelStatus.kInfeasible or not np.isfinite(info.objective_function_value):
        return None
    taken = np.flatnonzero(np.array(highs.getSolution().col_value)[owners.size :] > HALF)
    return _Found(legs=legs[taken], lines=lines[taken], bound=int(np.ceil(info.mip_dual_bound - 1e-6)))


def _highs(costs: NDArray[np.int64], limits: Mapping[str, float]) -> "Highs":
    """Return a solver with a binary variable for each of these costs."""
    from highspy import Highs, HighsVarType

    highs = Highs()
    for option, value in {"output_flag": False, "threads": 1, "mip_rel_gap": 0.0, **limits}.items():
        highs.setOptionValue(option, value)
    none = np.zeros(0, dtype=np.int32)
    count = costs.size
    highs.addCols(count, costs.astype(float), np.zeros(count), np.ones(count), 0, none, none, np.zeros(0))
    kinds = np.full(count, HighsVarType.kInteger.value, dtype=np.uint8)
    highs.changeColsIntegrality(count, np.arange(count, dtype=np.int32), kinds)
    return highs


def _add(
    highs: "Highs",
    entries: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]],
    limits: tuple[float, float],
) -> None:
    """Add rows that all lie within the same limits, from entries by (row, column, value)."""
    rows, columns, values = (np.concatenate(part) for part in zip(*entries, strict=True))
    order = np.argsort(rows, kind="stable")
    count = int(rows.max(initial=-1)) + 1
    starts = np.searchsorted(rows[order], np.arange(count))
    highs.addRows(
        count,
        np.full(count, limits[0]),
        np.full(count, limits[1]),
        rows.size,
        starts.astype(np.int32),
        columns[order].astype(np.int32),
        values[order].astype(float),
    )
