import itertools
from dataclasses import replace
from datetime import time, timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.planning.plan import plan_deliveries, plan_pickups
from domain.planning.problem import (
    Plan,
    Point,
    Problem,
)
from domain.vocabulary import (
    LocationKind,
    ServiceLevel,
)
from tests.domain.carts import (
    ALWAYS,
    BIKE,
    EVENING,
    MONDAY,
    POST,
    SHOP,
    STORE,
    only,
    pack,
    problem,
)


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    lines = draw(st.integers(1, 3))
    sites = [
        replace(
            STORE,
            code=f"L{index}",
            kind=draw(st.sampled_from(LocationKind)),
            position=Point(latitude=52.5, longitude=13.4 + index / 50),
            openings=draw(st.sampled_from((SHOP, ALWAYS))),
            handling=timedelta(minutes=draw(st.integers(0, 240))),
        )
        for index in range(draw(st.integers(1, 4)))
    ]
    shape = (len(sites), lines)
    cells = len(sites) * lines
    stock = np.array(draw(st.lists(st.integers(0, 4), min_size=cells, max_size=cells)), dtype=np.int64).reshape(shape)
    flags = np.array(draw(st.lists(st.integers(0, 5), min_size=cells, max_size=cells))).reshape(shape)
    express = replace(POST, code="express", level=ServiceLevel.STANDARD, cutoff=time(12), tariffs=POST.tariffs[:2])
    cart = problem(
        stock,
        [draw(st.integers(1, 4)) for _ in range(lines)],
        sites=sites,
        services=(POST, express, EVENING, BIKE),
        grams=draw(st.sampled_from((0, 900, 3000))),
        levels=tuple(ServiceLevel),
    )
    now = MONDAY + timedelta(minutes=draw(st.integers(0, 7 * 1440)))
    return replace(cart, now=now, blocked=flags == 0, within_km=50.0)


def best_cost(cart: Problem, plan: Plan) -> int:
    """The least cost of the plan's quantities, by trying every service at every site for every line's parcel."""
    quantities = [line.quantity for line in cart.lines]
    for missing in plan.missing:
        quantities[[line.sku for line in cart.lines].index(missing.sku)] -= missing.quantity
    wanted = [index for index, quantity in enumerate(quantities) if quantity]
    legs = [
        (row, tariffs)
        for row, site in enumerate(cart.network.sites)
        for service in cart.network.services
        if service.level is plan.level and (not service.location_kinds or site.kind in service.location_kinds)
        for tariffs in [[step for step in service.tariffs if step.zone in ("near", "city")]]
    ]
    assert cart.blocked is not None
    costs = []
    for owners in itertools.product(range(len(legs) * len(wanted)), repeat=len(wanted)):
        total = 0
        for owner in set(owners):
            row, tariffs = legs[owner // len(wanted)]
            lines = [line for line, of_line in zip(wanted, owners, strict=True) if of_line == owner]
            able = all(cart.available[row, line] >= quantities[line] and not cart.blocked[row, line] for line in lines)
            grams = sum(quantities[line] * cart.lines[line].grams for line in lines)
            amounts = [step.amount for step in tariffs if step.max_grams >= grams]
            kind = cart.network.sites[row].kind
            total += amounts[0] + pack(kind, sum(quantities[line] for line in lines)) if able and amounts else 10**9
        costs.append(total)
    return min(costs)


@settings(max_examples=60, deadline=None)
@given(cart=problems())
def test_every_line_is_shared_out_or_missing_and_no_place_gives_what_it_has_not(cart: Problem) -> None:
    assert cart.blocked is not None
    for answer in (plan_deliveries(cart), plan_pickups(cart)):
        for plan in answer.plans:
            given_out = {line.sku: 0 for line in cart.lines}
            for parcel in plan.parcels:
                row = cart.network.position_by_code[parcel.location_code]
                for share in parcel.shares:
                    column = [line.sku for line in cart.lines].index(share.sku)
                    given_out[share.sku] += share.quantity
                    assert 0 < share.quantity <= cart.available[row, column]
                    assert not cart.blocked[row, column]
                assert cart.now <= parcel.ready_at <= parcel.due_at <= parcel.arrives_earliest <= parcel.arrives_latest
            for missing in plan.missing:
                given_out[missing.sku] += missing.quantity
            assert given_out == {line.sku: line.quantity for line in cart.lines}
            assert plan.order_before is None or plan.order_before >= cart.now


@settings(max_examples=25, deadline=None)
@given(cart=problems())
def test_a_standard_delivery_costs_what_trying_everything_finds(cart: Problem) -> None:
    small = replace(cart, levels=[ServiceLevel.STANDARD])
    for plan in plan_deliveries(small).plans:
        skus = [share.sku for parcel in plan.parcels for share in parcel.shares]
        if len(skus) == len(set(skus)):  # no line comes in lots
            assert plan.cost == best_cost(small, plan)


@settings(max_examples=40, deadline=None)
@given(cart=problems())
def test_each_level_has_a_complete_plan_or_a_reason(cart: Problem) -> None:
    answer = plan_deliveries(cart)
    complete = {plan.level for plan in answer.plans if not plan.missing}
    told = {reason.level for reason in answer.unavailable}
    assert complete | told == set(ServiceLevel)
    assert not complete & told


@settings(max_examples=40, deadline=None)
@given(cart=problems(), minutes=st.integers(0, 2880))
def test_the_same_problem_has_the_same_answer_and_a_plan_holds_until_its_last_moment(
    cart: Problem, minutes: int
) -> None:
    answer = plan_deliveries(cart)
    assert plan_deliveries(cart) == answer
    later = cart.now + timedelta(minutes=minutes)
    for plan in answer.plans:
        if plan.order_before is None or later > plan.order_before:
            continue
        again = plan_deliveries(replace(cart, now=later, promised_latest=plan.latest, levels=[plan.level]))
        assert only(again).cost <= plan.cost
        assert only(again).latest <= plan.latest
