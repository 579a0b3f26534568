"""What a simulation says of a plan of many lines: how far it may be from the cheapest, proven by HiGHS."""

from dataclasses import replace

import numpy as np

from domain.decided import Basis
from domain.planning.explain import explain
from domain.planning.plan import decide_deliveries
from domain.planning.problem import Problem
from domain.simulation import Simulation, proven
from tests.domain.carts import POST, STORE, WAREHOUSE, problem

LINES = 14


def cart(*, wanted: int = 1) -> Problem:
    """Twelve places have half of the lines each, some of them a warehouse, which is cheaper."""
    stock = np.random.default_rng(2).integers(0, 2, (12, LINES))
    stock[0] = 1
    places = [replace(WAREHOUSE if n % 4 else STORE, code=f"L{n:02}") for n in range(12)]
    return problem(stock.tolist(), [wanted] * LINES, sites=places, services=[POST], grams=300)


def simulated(asked: Problem) -> Simulation:
    (decision,) = decide_deliveries(asked)
    assert decision.plan
    assert decision.cover
    basis = Basis(policy_name="cheapest", policy_version=1, gap=decision.cover.gap, micros=1)
    return Simulation(plan=decision.plan, basis=basis, explanation=explain(decision), decision=decision)


async def test_a_plan_of_many_lines_is_proven_where_it_is_simulated() -> None:
    found = simulated(cart())
    assert found.basis.gap > 0
    known = await proven(found)
    assert known.basis.gap == known.explanation.gap < found.basis.gap
    assert replace(known, basis=found.basis, explanation=found.explanation) == found, "it tells of the same plan"


async def test_nothing_is_proven_of_lines_that_were_divided() -> None:
    divided = simulated(cart(wanted=3))
    assert divided.basis.gap > 0
    assert await proven(divided) is divided
