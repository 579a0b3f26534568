"""Where returned goods are worth most, less the way there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.planning.disposition import Goods, Spot, choose, worth
from domain.planning.problem import Line

PRICE = 1000
UNITS = st.integers(1, 50)
THERE = st.integers(0, 500)
PACE = st.floats(0, 40)


def goods(units: int = 1, *, waiting: int = 0) -> Goods:
    return Goods(line=Line(sku="pen", quantity=units), price=PRICE, currency="EUR", waiting=waiting)


def spot(code: str, available: int = 0, sold_a_day: float = 0.0) -> Spot:
    return Spot(code=code, available=available, sold_a_day=sold_a_day)


@pytest.mark.parametrize(
    ("available", "sold_a_day", "expected"),
    [(0, 0.0, 500), (0, 1000.0, 1000), (44, 1.0, 750), (89, 1.0, 500), (500, 1.0, 500)],
)
def test_a_unit_loses_up_to_half_its_price_while_it_sits(available: int, sold_a_day: float, expected: int) -> None:
    assert worth(goods(), spot("A", available, sold_a_day)) == expected


@given(units=UNITS, available=THERE, more=THERE, pace=PACE, faster=PACE)
def test_worth_falls_with_what_lies_there_and_rises_with_the_pace(
    units: int, available: int, more: int, pace: float, faster: float
) -> None:
    found = worth(goods(units), spot("A", available, pace))
    one_by_one = sum(worth(goods(), spot("A", available + n, pace)) for n in range(units))
    assert abs(found - one_by_one) <= units
    assert units * PRICE // 2 <= found <= units * PRICE
    assert worth(goods(units), spot("A", available + more, pace)) <= found
    assert worth(goods(units), spot("A", available, pace + faster)) >= found


def test_goods_go_to_the_best_of_those_that_can_be_reached_if_that_is_more_than_they_bring_here() -> None:
    here, others = spot("HERE"), [spot("NEAR", 0, 1.0), spot("FAR", 0, 5.0), spot("ISLAND", 0, 50.0)]
    for costs, best in (
        ({"NEAR": 100, "FAR": 450}, "NEAR"),
        ({"NEAR": 300, "FAR": 100}, "FAR"),
        ({"NEAR": 495, "FAR": 499}, "HERE"),
        ({}, "HERE"),
    ):
        choice = choose(goods(), here, others, costs.get)
        assert (choice.best.spot.code, choice.moves) == (best, best != "HERE")
    held = choose(goods(waiting=1), here, others, {"NEAR": 0}.get)
    assert (held.moves, held.waits) == (False, 1)
    sent = choose(goods(waiting=1), spot("HERE", 0, 50.0), [spot("IDLE")], {"IDLE": 9}.get, leaves=True)
    assert sent.other is not None
    assert (sent.other.spot.code, sent.moves) == ("IDLE", False)
