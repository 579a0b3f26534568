import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import InvalidInput
from domain.planning.solve import IMPOSSIBLE, Rates, Take, solve


def random_rates(seed: int, lines: int, legs: int, *, spread: int = 400) -> Rates:
    """Rates with stock at about half the places, three tariffs with weight steps, and many ties where spread is low."""
    random = np.random.default_rng(seed)
    per_line = random.integers(0, spread, (legs, lines))
    weights = random.integers(1, 10, lines)
    heavy = np.array([sum(weights[line] for line in range(lines) if sets >> line & 1) for sets in range(1 << lines)])
    tariffs = [np.where(heavy <= step, base, 2 * base) for step, base in ((6, spread), (12, spread + 50))]
    tariffs.append(np.where(heavy <= 15, spread // 2, IMPOSSIBLE))
    return Rates(
        fixed=random.integers(0, spread, legs),
        per_line=np.where(random.random((legs, lines)) < 0.5, per_line, IMPOSSIBLE),
        tariff=random.integers(0, 3, legs),
        tariffs=np.stack(tariffs),
    )


def charge(rates: Rates, leg: int, lines: tuple[int, ...]) -> int:
    fixed, carriage = rates.fixed[leg], rates.tariffs[rates.tariff[leg], sum(1 << line for line in lines)]
    return int(fixed + carriage + sum(rates.per_line[leg, line] for line in lines))


def partitions(lines: tuple[int, ...]) -> Iterator[list[tuple[int, ...]]]:
    """Every way to put the lines into parcels."""
    if not lines:
        yield []
        return
    first, rest = lines[0], lines[1:]
    for size in range(len(rest) + 1):
        for others in itertools.combinations(rest, size):
            for more in partitions(tuple(line for line in rest if line not in others)):
                yield [(first, *others), *more]


def cheapest(rates: Rates, most_parcels: int = 99) -> int | None:
    """The cost of the best cover, by trying every partition and every leg for each of its parcels."""
    legs, lines = rates.per_line.shape
    costs = (
        sum(min(charge(rates, leg, parcel) for leg in range(legs)) for parcel in parcels)
        for parcels in partitions(tuple(range(lines)))
        if len(parcels) <= most_parcels
    )
    best = min(costs, default=IMPOSSIBLE)
    return None if best >= IMPOSSIBLE else best


def assert_covers(rates: Rates, takes: tuple[Take, ...]) -> None:
    assert sorted(line for take in takes for line in take.lines) == list(range(rates.per_line.shape[1]))
    assert all(take.cost == charge(rates, take.leg, take.lines) for take in takes)


@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), lines=st.integers(1, 5), legs=st.integers(1, 7), spread=st.sampled_from((3, 400))
)
def test_the_cover_costs_what_trying_everything_finds(seed: int, lines: int, legs: int, spread: int) -> None:
    rates = random_rates(seed, lines, legs, spread=spread)
    takes = solve(rates)
    best = cheapest(rates)
    if best is None:
        assert takes == ()
        return
    assert_covers(rates, takes)
    assert sum(take.cost for take in takes) == best


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), lines=st.integers(1, 4), legs=st.integers(1, 6), parcels=st.integers(0, 4))
def test_the_best_cover_with_at_most_so_many_parcels_is_found_as_well(
    seed: int, lines: int, legs: int, parcels: int
) -> None:
    rates = random_rates(seed, lines, legs)
    takes = solve(rates, most_parcels=parcels)
    best = cheapest(rates, parcels)
    if best is None:
        assert takes == ()
        return
    assert_covers(rates, takes)
    assert len(takes) <= parcels
    assert sum(take.cost for take in takes) == best


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    lines=st.integers(1, 8),
    legs=st.integers(1, 300),
    spread=st.sampled_from((2, 20, 400)),
)
def test_dropping_dominated_legs_first_changes_nothing(seed: int, lines: int, legs: int, spread: int) -> None:
    rates = random_rates(seed, lines, legs, spread=spread)
    assert solve(rates, prune_above=0) == solve(rates, prune_above=1 << 40)


def test_ten_lines_over_many_locations_are_solved_exactly() -> None:
    rates = random_rates(7, 10, 400)
    sets = range(1 << 10)
    members = [tuple(line for line in range(10) if chosen >> line & 1) for chosen in sets]
    weights = np.array([[chosen >> line & 1 for chosen in sets] for line in range(10)])
    table = rates.fixed[:, None] + rates.per_line @ weights + rates.tariffs[rates.tariff]
    parcel = table.min(axis=0)
    best = np.zeros(1 << 10, dtype=np.int64)
    for chosen in sets[1:]:
        top, rest = members[chosen][-1], chosen
        best[chosen] = IMPOSSIBLE
        while rest:
            if rest >> top & 1:
                best[chosen] = min(best[chosen], parcel[rest] + best[chosen ^ rest])
            rest = (rest - 1) & chosen
    takes = solve(rates)
    assert_covers(rates, takes)
    assert sum(take.cost for take in takes) == best[-1]


def test_the_first_of_two_equal_locations_is_taken() -> None:
    rates = Rates(
        fixed=np.array([5, 3, 3]),
        per_line=np.array([[1, 1], [1, 1], [1, 1]]),
        tariff=np.array([0, 0, 0]),
        tariffs=np.zeros((1, 4), dtype=np.int64),
    )
    assert solve(rates) == (Take(leg=1, lines=(0, 1), cost=5),)


def test_fewer_parcels_win_where_the_cost_is_the_same() -> None:
    rates = Rates(
        fixed=np.array([0, 0, 0]),
        per_line=np.array([[10, IMPOSSIBLE], [IMPOSSIBLE, 10], [10, 10]]),
        tariff=np.array([0, 0, 0]),
        tariffs=np.zeros((1, 4), dtype=np.int64),
    )
    assert solve(rates) == (Take(leg=2, lines=(0, 1), cost=20),)


def test_a_cart_too_heavy_for_one_parcel_goes_in_two_from_the_same_place() -> None:
    rates = Rates(
        fixed=np.array([7]),
        per_line=np.array([[1, 1]]),
        tariff=np.array([0]),
        tariffs=np.array([[0, 5, 5, IMPOSSIBLE]]),
    )
    assert [take.lines for take in solve(rates)] == [(0,), (1,)]


def test_lines_that_no_leg_serves_have_no_cover() -> None:
    nowhere = Rates(
        fixed=np.array([0]),
        per_line=np.array([[0, IMPOSSIBLE]]),
        tariff=np.array([0]),
        tariffs=np.zeros((1, 4), dtype=np.int64),
    )
    nobody = Rates(
        fixed=np.zeros(0, dtype=np.int64),
        per_line=np.zeros((0, 2), dtype=np.int64),
        tariff=np.zeros(0, dtype=np.int64),
        tariffs=np.zeros((1, 4), dtype=np.int64),
    )
    assert solve(nowhere) == solve(nobody) == ()
    assert solve(nowhere, prune_above=0) == ()


@pytest.mark.parametrize("lines", [0, 11])
def test_no_lines_and_more_than_ten_are_invalid(lines: int) -> None:
    rates = Rates(
        fixed=np.zeros(1, dtype=np.int64),
        per_line=np.zeros((1, lines), dtype=np.int64),
        tariff=np.zeros(1, dtype=np.int64),
        tariffs=np.zeros((1, 1), dtype=np.int64),
    )
    with pytest.raises(InvalidInput) as raised:
        solve(rates)
    assert raised.value.path == ["lines"]
