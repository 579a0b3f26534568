"""A decision is kept in at most 8 KB, however many were considered."""

from dataclasses import replace

import orjson
import pytest

from domain.decided import decide
from domain.decisions import new_decisions
from domain.ids import least_id, new_id
from domain.planning.explain import read
from domain.planning.problem import Problem
from domain.policies import Facts, LineFacts, Policies
from domain.vocabulary import FulfillmentMethod, RoutingTrigger
from tests.domain.carts import MONDAY, STORE, problem


def cart(lines: int, sites: int, code: str) -> Problem:
    """Every place has all but one of the lines, so that two parcels are needed."""
    places = [replace(STORE, code=f"{code}{n:04}") for n in range(sites)]
    return problem([[int(line != n % lines) for line in range(lines)] for n in range(sites)], [1] * lines, sites=places)


def facts(asked: Problem) -> Facts:
    lines = tuple(LineFacts(sku=line.sku, quantity=line.quantity) for line in asked.lines)
    return Facts(channel="web", currency="EUR", country="DE", postal_code="10115", tags=(), lines=lines)


@pytest.mark.parametrize(("lines", "sites", "code"), [(2, 3, "A"), (10, 200, "a-place-with-a-long-code-" * 2)])
def test_a_decision_is_kept_in_8_kb_with_its_parcels_and_the_candidates_that_fit(
    lines: int, sites: int, code: str
) -> None:
    asked = cart(lines, sites, code)
    decided = decide(asked, FulfillmentMethod.DELIVERY, Policies(), facts(asked)).best
    assert decided
    (row,) = new_decisions(new_id(MONDAY), decided, RoutingTrigger.PLACED, now=MONDAY)
    told = orjson.dumps(row.told)
    assert len(told) <= 8192
    kept = orjson.loads(told)
    assert [parcel[0] for parcel in kept["parcels"]] == [parcel.location_code for parcel in decided.plan.parcels]
    why = read(kept["why"])
    assert why.considered == sites
    assert [each.location_code for each in why.candidates if each.chosen] == sorted(
        parcel.location_code for parcel in decided.plan.parcels
    )


def test_the_ids_of_a_moment_are_no_less_than_its_least() -> None:
    assert least_id(MONDAY) <= new_id(MONDAY)
    assert least_id(MONDAY).hex[:12] == new_id(MONDAY).hex[:12]
