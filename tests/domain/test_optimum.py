"""The planner against HiGHS: the same cost, on random carts with stepped tariffs and a limit of parcels."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from highspy import Highs, HighsModelStatus, HighsVarType
from numpy.typing import NDArray

from domain.planning.proof import prove
from domain.planning.rates import IMPOSSIBLE, Cover, Rates, Tariff
from domain.planning.search import bound, search
from domain.planning.solve import cheapest, exactly, tabulate
from tests.domain.test_solve import rates_of

CARTS = 300
NOBODY_PAYS = 1_000_000


def random_cart(seed: int, lines: int, legs: int, *, heaviest: int = 15_000) -> Rates:
    """Rates of real size in cents: four kinds of location, three tariffs with three steps, stock at half the places."""
    random = np.random.default_rng(seed)
    amounts = random.integers(300, 700, (3, 1)) * np.array([10, 15, 19]) // 10
    return Rates(
        fixed=random.integers(100, 400, legs),
        able=random.random((legs, lines)) < 0.5,
        group=random.integers(0, 12, legs),
        per_line=random.integers(20, 200, (12, lines)),
        tariff=np.arange(12) % 3,
        tariffs=tuple(
            Tariff(weights=np.array([2000, 5000, heaviest]), amounts=np.array([*steps, IMPOSSIBLE]))
            for steps in amounts
        ),
        grams=random.integers(100, 4000, lines),
    )


def parcels_of(rates: Rates) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Every set of lines as one parcel (sets, lines), and what it costs at the leg that is cheapest for it (sets,)."""
    lines = rates.grams.size
    members = (np.arange(1, 1 << lines)[:, np.newaxis] >> np.arange(lines) & 1).astype(np.bool_)
    charges = members @ rates.per_line[rates.group].T + rates.fixed
    carriage = np.array([tariff.charge(members @ rates.grams) for tariff in rates.tariffs])
    able = (members @ (~rates.able).T.astype(np.int64)) == 0
    costs = np.where(able, charges + carriage[rates.tariff[rates.group]].T, IMPOSSIBLE)
    return members, costs.min(axis=1)


def least(rates: Rates, most_parcels: int) -> int | None:
    """What HiGHS finds to be the least cost of parcels that hold each line once; None where there are none."""
    members, costs = parcels_of(rates)
    # One parcel more holds everything at a price that nobody pays, so that there always is a solution.
    members = np.vstack([members[costs < IMPOSSIBLE], np.ones((1, rates.grams.size), dtype=np.bool_)])
    costs = np.append(costs[costs < IMPOSSIBLE], NOBODY_PAYS)
    highs, count, none = Highs(), costs.size, np.zeros(0, dtype=np.int32)
    highs.silent()
    highs.setOptionValue("mip_rel_gap", 0.0)
    highs.addCols(count, costs.astype(float), np.zeros(count), np.ones(count), 0, none, none, np.zeros(0))
    kinds = np.full(count, HighsVarType.kInteger.value, dtype=np.uint8)
    highs.changeColsIntegrality(count, np.arange(count, dtype=np.int32), kinds)
    for holds in members.T:
        (these,) = np.nonzero(holds)
        highs.addRow(1, 1, these.size, these.astype(np.int32), np.ones(these.size))
    highs.addRow(0, most_parcels, count, np.arange(count, dtype=np.int32), np.ones(count))
    highs.run()
    assert highs.getModelStatus() == HighsModelStatus.kOptimal
    found = round(highs.getInfo().objective_function_value)
    return found if found < NOBODY_PAYS else None


def test_random_carts_cost_what_highs_finds() -> None:
    random, seen = np.random.default_rng(4), Counter[str]()
    for seed in range(CARTS):
        # HiGHS takes long over ten lines, so that there are fewer carts of many.
        lines, legs, most = 2 + int(9 * random.random() ** 3), int(random.integers(5, 301)), int(random.integers(1, 5))
        rates = random_cart(seed, lines, legs)
        cover, known = cheapest(tabulate(rates), most_parcels=most), least(rates, most)
        assert (cover.cost if cover.takes else None) == known, (seed, lines, legs, most)
        seen["none" if known is None else "split" if len(cover.takes) > 1 else "whole"] += 1
    assert min(seen["none"], seen["split"], seen["whole"]) > CARTS // 20, "there are all kinds of carts"


@pytest.mark.parametrize("seed", range(4))
def test_highs_proves_from_locations_and_weight_steps_what_the_table_says(seed: int) -> None:
    rates = random_cart(seed, 5, 12, heaviest=100_000)
    cover = cheapest(tabulate(rates), most_parcels=2)
    proven = prove(rates, Cover(takes=(), bound=0), most_parcels=2)
    if not cover.takes:
        assert proven.takes == ()
        return
    assert proven.cost == cover.cost == proven.bound


def test_a_proof_improves_a_poor_cover_and_leaves_a_good_one() -> None:
    rates = random_cart(3, 6, 20, heaviest=100_000)
    good, poor = cheapest(tabulate(rates)), exactly(tabulate(rates), 4)[-1]
    assert poor.cost > good.cost
    proven = prove(rates, replace(poor, bound=0))
    assert proven.cost == proven.bound == good.cost
    assert prove(rates, replace(good, bound=0)) == good


def test_a_proof_is_not_tried_where_two_parcels_from_one_place_may_be_cheaper_than_one() -> None:
    steep = Tariff(weights=np.array([1, 2]), amounts=np.array([1, 99, IMPOSSIBLE]))
    rates = rates_of([0], [[1, 1]], steep)
    cover = cheapest(tabulate(rates))
    assert len(cover.takes) == 2
    assert prove(rates, Cover(takes=cover.takes, bound=1)).bound == 1


@pytest.mark.parametrize(("lines", "legs", "most"), [(11, 60, None), (11, 60, 3), (18, 40, None), (40, 30, None)])
def test_more_than_ten_lines_are_covered_the_same_way_each_time_and_no_bound_is_passed(
    lines: int, legs: int, most: int | None
) -> None:
    rates = random_cart(lines, lines, legs)
    cover = search(rates, most_parcels=most)
    assert sorted(line for take in cover.takes for line in take.lines) == list(range(lines))
    assert all(take.cost == rates.cost(take.leg, list(take.lines)) for take in cover.takes)
    assert most is None or len(cover.takes) <= most
    assert 0 < bound(rates)[0] <= cover.bound + 1 <= cover.cost + 1
    assert search(rates, most_parcels=most) == cover


def test_a_search_over_few_lines_finds_what_is_exact_and_its_bound_stays_below() -> None:
    for seed in range(20):
        rates = random_cart(seed, 8, 40)
        exact = cheapest(tabulate(rates))
        found = search(rates)
        assert found.bound <= exact.cost
        assert found.cost == exact.cost


def test_a_search_among_many_locations_that_differ_in_each_line_is_as_good_as_exact() -> None:
    found = least = 0
    for seed in range(4):
        random, legs = np.random.default_rng(seed), 600
        rates = replace(
            random_cart(seed, 12, legs),
            fixed=random.integers(500, 1500, legs),
            able=random.random((legs, 12)) < 0.3,
            group=np.arange(legs),
            per_line=random.integers(1, 200, (legs, 12)),
            tariff=np.arange(legs) % 3,
        )
        found += search(rates).cost
        least += cheapest(tabulate(rates)).cost
    assert least <= found <= least * 1.001


def test_lines_that_nobody_has_are_not_searched_for() -> None:
    assert search(rates_of([1], [[1] * 11 + [None]])).takes == ()
    assert search(rates_of([1, 1], [[1] * 6 + [None] * 6, [None] * 6 + [1] * 6]), most_parcels=1).takes == ()
