import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.planning.rates import IMPOSSIBLE, Cover, Rates, Tariff
from domain.planning.solve import Table, cheapest, exactly, tabulate

FREE = Tariff(weights=np.array([1 << 40]), amounts=np.array([0, IMPOSSIBLE]))


def random_rates(seed: int, lines: int, legs: int, *, spread: int = 400, alone: bool = False) -> Rates:
    """Rates with stock at about half the places, three tariffs with weight steps, and many ties where spread is low.

    Legs share the charges of one of six groups, or each has its own, `alone`.
    """
    random = np.random.default_rng(seed)
    groups = legs if alone else min(legs, 6)
    steps = ((6, 12), (12, 20), (15, 16))
    amounts = ((spread, 2 * spread), (spread + 50, 2 * spread + 100), (spread // 2, spread))
    return Rates(
        fixed=random.integers(0, spread, legs),
        able=random.random((legs, lines)) < 0.5,
        group=np.arange(legs) if alone else random.integers(0, groups, legs),
        per_line=random.integers(0, spread, (groups, lines)),
        tariff=random.integers(0, 3, groups),
        tariffs=tuple(
            Tariff(weights=np.array(weights), amounts=np.array([*charges, IMPOSSIBLE]))
            for weights, charges in zip(steps, amounts, strict=True)
        ),
        grams=random.integers(1, 10, lines),
    )


def rates_of(fixed: list[int], per_line: list[list[int | None]], tariff: Tariff = FREE) -> Rates:
    """Rates of legs that each have their own charges, None where a leg cannot take a line; each line is one gram."""
    return Rates(
        fixed=np.array(fixed, dtype=np.int64),
        able=np.array([[charge is not None for charge in row] for row in per_line], dtype=np.bool_),
        group=np.arange(len(fixed)),
        per_line=np.array([[charge or 0 for charge in row] for row in per_line], dtype=np.int64),
        tariff=np.zeros(len(fixed), dtype=np.int64),
        tariffs=(tariff,),
        grams=np.ones(len(per_line[0]), dtype=np.int64),
    )


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


def tried(rates: Rates, most_parcels: int = 99) -> int | None:
    """The cost of the best cover, by trying every partition and every leg for each of its parcels."""
    legs, lines = rates.able.shape
    costs = (
        sum(min(rates.cost(leg, list(parcel)) for leg in range(legs)) for parcel in parcels)
        for parcels in partitions(tuple(range(lines)))
        if len(parcels) <= most_parcels
    )
    best = min(costs, default=IMPOSSIBLE)
    return None if best >= IMPOSSIBLE else best


def assert_covers(rates: Rates, cover: Cover) -> None:
    assert sorted(line for take in cover.takes for line in take.lines) == list(range(rates.able.shape[1]))
    assert all(take.cost == rates.cost(take.leg, list(take.lines)) for take in cover.takes)
    assert cover.bound == cover.cost, "it is proven"


@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    lines=st.integers(1, 5),
    legs=st.integers(1, 7),
    spread=st.sampled_from((3, 400)),
    alone=st.booleans(),
)
def test_the_cover_costs_what_trying_everything_finds(
    seed: int, lines: int, legs: int, spread: int, *, alone: bool
) -> None:
    rates = random_rates(seed, lines, legs, spread=spread, alone=alone)
    cover = cheapest(tabulate(rates))
    best = tried(rates)
    if best is None:
        assert cover.takes == ()
        return
    assert_covers(rates, cover)
    assert cover.cost == best


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), lines=st.integers(1, 4), legs=st.integers(1, 6), parcels=st.integers(0, 4))
def test_the_best_cover_with_at_most_so_many_parcels_is_found_as_well(
    seed: int, lines: int, legs: int, parcels: int
) -> None:
    rates = random_rates(seed, lines, legs)
    cover = cheapest(tabulate(rates), most_parcels=parcels)
    best = tried(rates, parcels)
    if best is None:
        assert cover.takes == ()
        return
    assert_covers(rates, cover)
    assert len(cover.takes) <= parcels
    assert cover.cost == best


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), lines=st.integers(1, 5), legs=st.integers(1, 6))
def test_alternatives_have_just_so_many_parcels_and_the_best_of_them_is_the_best(
    seed: int, lines: int, legs: int
) -> None:
    rates = random_rates(seed, lines, legs)
    table = tabulate(rates)
    alternatives = exactly(table, lines)
    assert all(not cover.takes or len(cover.takes) == count for count, cover in enumerate(alternatives, 1))
    found = [cover.cost for cover in alternatives if cover.takes]
    assert found == [] or min(found) == cheapest(table).cost


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    lines=st.integers(1, 8),
    legs=st.integers(1, 300),
    spread=st.sampled_from((2, 20, 400)),
    alone=st.booleans(),
)
def test_every_way_to_the_table_gives_the_same_cover(
    seed: int, lines: int, legs: int, spread: int, *, alone: bool
) -> None:
    rates = random_rates(seed, lines, legs, spread=spread, alone=alone)
    ways = [(1 << 40, 0), (0, 1 << 40), (0, 0)]
    covers = [cheapest(tabulate(rates, dense_below=dense, prune_above=prune)) for dense, prune in ways]
    assert covers[0] == covers[1] == covers[2]


@pytest.mark.parametrize("alone", [False, True])
def test_ten_lines_over_many_locations_are_solved_exactly(*, alone: bool) -> None:
    rates = random_rates(7, 10, 60, alone=alone)
    sets = range(1 << 10)
    members = [[line for line in range(10) if chosen >> line & 1] for chosen in sets]
    parcel = np.array([min(rates.cost(leg, lines) for leg in range(60)) for lines in members])
    best = np.zeros(1 << 10, dtype=np.int64)
    for chosen in sets[1:]:
        top, rest = members[chosen][-1], chosen
        best[chosen] = IMPOSSIBLE
        while rest:
            if rest >> top & 1:
                best[chosen] = min(best[chosen], parcel[rest] + best[chosen ^ rest])
            rest = (rest - 1) & chosen
    cover = cheapest(tabulate(rates))
    assert_covers(rates, cover)
    assert cover.cost == best[-1]


def takes(table: Table) -> list[tuple[int, tuple[int, ...], int]]:
    return [(take.leg, take.lines, take.cost) for take in cheapest(table).takes]


def test_the_first_of_two_equal_locations_is_taken() -> None:
    assert takes(tabulate(rates_of([5, 3, 3], [[1, 1], [1, 1], [1, 1]]))) == [(1, (0, 1), 5)]


def test_fewer_parcels_win_where_the_cost_is_the_same() -> None:
    assert takes(tabulate(rates_of([0, 0, 0], [[10, None], [None, 10], [10, 10]]))) == [(2, (0, 1), 20)]


def test_a_cart_too_heavy_for_one_parcel_goes_in_two_from_the_same_place() -> None:
    light = Tariff(weights=np.array([1]), amounts=np.array([5, IMPOSSIBLE]))
    assert takes(tabulate(rates_of([7], [[1, 1]], light))) == [(0, (0,), 13), (0, (1,), 13)]


def test_lines_that_no_leg_serves_have_no_cover() -> None:
    nowhere = rates_of([0], [[0, None]])
    nobody = Rates(
        fixed=np.zeros(0, dtype=np.int64),
        able=np.zeros((0, 2), dtype=np.bool_),
        group=np.zeros(0, dtype=np.int64),
        per_line=np.zeros((0, 2), dtype=np.int64),
        tariff=np.zeros(0, dtype=np.int64),
        tariffs=(),
        grams=np.ones(2, dtype=np.int64),
    )
    assert takes(tabulate(nowhere)) == takes(tabulate(nobody)) == []
    assert takes(tabulate(nowhere, dense_below=0, prune_above=0)) == []


def test_a_tariff_at_another_rate_still_cannot_carry_what_is_too_heavy() -> None:
    tariff = Tariff(weights=np.array([5, 9]), amounts=np.array([100, 150, IMPOSSIBLE])).times(1.5)
    assert tariff.charge(np.array([5, 6, 9, 10])).tolist() == [150, 225, 225, IMPOSSIBLE]
