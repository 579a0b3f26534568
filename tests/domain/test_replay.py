"""A decision that was kept is made again bit for bit, in another process, from what it was made of."""

import asyncio
import os
import pickle
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any, TypeAlias

import numpy as np
import orjson
import pytest

from domain.decided import Decided, decide
from domain.decisions import DecisionRow, explanation_of, keep, new_decisions, parcels_of
from domain.ids import new_id
from domain.planning.explain import MOST_BYTES
from domain.planning.network import make_network
from domain.planning.policy import PRESETS, Fence, Policy
from domain.planning.problem import Committed, DayCapacity, Line, Point, Problem, Site
from domain.policies import Facts, LineFacts, Policies, save, versions
from domain.transaction import Database, open_pool
from domain.vocabulary import FenceKind, FulfillmentMethod, LocationKind, RoutingTrigger, ServiceLevel
from tests.domain.carts import ALWAYS, BIKE, EVENING, MONDAY, POST, SHOP, STORE

DECISIONS = 50
Kept: TypeAlias = tuple[str, int, int, float, Any]
AGAIN = """
import pickle, sys
from tests.domain.test_replay import decided, told
recorded = pickle.load(sys.stdin.buffer)
sys.stdout.buffer.write(pickle.dumps([told(decided(problem, method, policy)) for problem, method, policy in recorded]))
"""


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    """An empty database."""
    pool = await open_pool(dsn)
    yield Database(pool)
    await pool.close()


def somewhere(random: Random) -> Point:
    return Point(latitude=random.uniform(52.3, 52.7), longitude=random.uniform(13.2, 13.7))


def site(random: Random, number: int) -> Site:
    """A place that may be far, may be open round the clock, and may be able to do little a day."""
    capacity = tuple(DayCapacity(weekday=day, orders=random.choice([1, 4]), units=9) for day in range(1, 8))
    return replace(
        STORE,
        code=f"L{number:03}",
        kind=random.choice(list(LocationKind)),
        position=somewhere(random),
        openings=random.choice([ALWAYS, SHOP]),
        handling=timedelta(minutes=random.choice([0, 45, 120])),
        tags=frozenset(tag for tag in ("cold", "large") if random.random() < 0.7),
        capacity=capacity if random.random() < 0.3 else (),
    )


def cart(random: Random) -> Problem:
    """A cart of few lines or of many, of which some may have to be divided, at a moment of the next weeks."""
    count, lines = random.choice([5, 20, 60]), random.choice([1, 1, 2, 3, 4, 5, 6, 8, 10, 11])
    numbers = np.random.default_rng(random.randrange(1 << 32))
    sites = [site(random, number) for number in range(count)]
    acceptance = dict(zip([each.code for each in sites], numbers.random(count).tolist(), strict=True))
    return Problem(
        network=make_network(1, sites, (POST, EVENING, BIKE), acceptance),
        lines=[
            Line(sku=f"S{n}", quantity=random.choice([1, 2, 6]), grams=random.choice([80, 900])) for n in range(lines)
        ],
        available=(numbers.random((count, lines)) < random.choice([0, *[0.6] * 9]))
        * numbers.integers(1, 6, (count, lines)),
        now=MONDAY + timedelta(minutes=random.randrange(30_000)),
        currency="EUR",
        country="DE",
        destination=somewhere(random),
        blocked=numbers.random((count, lines)) < 0.1 if random.random() < 0.3 else None,
        levels=random.choice([(ServiceLevel.STANDARD,), tuple(ServiceLevel)]),
        tags=frozenset({"cold"}),
        committed=Committed(
            first=MONDAY.date(), orders=numbers.integers(0, 4, (count, 9)), units=numbers.integers(0, 9, (count, 9))
        ),
        idle_days=numbers.integers(0, 200, (count, lines)),
    )


def decided(problem: Problem, method: FulfillmentMethod, policy: Policy) -> Decided:
    lines = tuple(LineFacts(sku=line.sku, quantity=line.quantity) for line in problem.lines)
    facts = Facts(channel="web", currency="EUR", country="DE", postal_code="10115", tags=(), lines=lines)
    outcome = decide(problem, method, Policies([policy]), facts)
    found = outcome.best or outcome.refused
    assert found
    return found


def told(found: Decided) -> Kept:
    """Return what is kept of a decision, but for what tells it from another: its ids, its moment, the time it took."""
    (row,) = new_decisions(new_id(MONDAY), found, RoutingTrigger.PLACED, now=MONDAY)
    return row.policy_name, row.policy_version, row.cost, row.gap, orjson.loads(orjson.dumps(row.told))


async def saved(database: Database) -> Sequence[Policy]:
    """Return a second version of each preset, with fences, as it is read back."""
    fences = (Fence(kind=FenceKind.TAGS, tags=("order:cold",)), Fence(kind=FenceKind.STOCK, limit=Decimal(1)))
    async with database.transaction() as connection:
        for preset in PRESETS.values():
            for some in ((), fences):
                await save(connection, replace(preset, fences=some), activate=False, now=MONDAY)
        found = await versions(connection, [(name, number) for name in PRESETS for number in (2, 3)])
    return [version.policy for version in found]


async def elsewhere(recorded: Sequence[tuple[Problem, FulfillmentMethod, Policy]]) -> Sequence[Kept]:
    """Return what a process that knows nothing yet, and puts sets in another order, decides on the same."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", AGAIN, env={**os.environ, "PYTHONHASHSEED": "1"}, stdin=PIPE, stdout=PIPE
    )
    answer, _ = await process.communicate(pickle.dumps(recorded))
    assert process.returncode == 0
    replayed: Sequence[Kept] = pickle.loads(answer)  # noqa: S301 - our own process wrote it
    return replayed


async def test_a_decision_that_was_kept_is_made_again_bit_for_bit(database: Database) -> None:
    random, policies = Random(20), await saved(database)  # noqa: S311 - a choice of tests, not of secrets
    methods = list(FulfillmentMethod)
    recorded = [(cart(random), random.choice(methods), random.choice(policies)) for _ in range(DECISIONS)]
    made = [decided(*each) for each in recorded]
    rows = []
    for order_id, found in zip(sorted(new_id(MONDAY) for _ in made), made, strict=True):
        rows += new_decisions(order_id, found, RoutingTrigger.PLACED, now=MONDAY)
    async with database.transaction() as connection:
        await keep(connection, rows)
        kept: list[DecisionRow] = await connection.fetch(
            "SELECT *, 'EUR' AS currency FROM routing_decision ORDER BY order_id", record_class=DecisionRow
        )
        found_versions = await versions(connection, [(row.policy_name, row.policy_version) for row in kept])
    policy_of = {(each.policy.name, each.policy.version): each.policy for each in found_versions}
    replayed = await elsewhere(
        [
            (problem, method, policy_of[row.policy_name, row.policy_version])
            for (problem, method, _), row in zip(recorded, kept, strict=True)
        ]
    )
    assert [(row.policy_name, row.policy_version, row.cost, row.gap, row.told) for row in kept] == replayed
    assert all(len(orjson.dumps(row.told)) <= MOST_BYTES for row in kept)
    for row, found in zip(kept, made, strict=True):
        assert [replace(parcel, cost=0) for parcel in found.plan.parcels] == parcels_of(row)
        assert explanation_of(row).cost == found.plan.cost
    assert {bool(row.told["parcels"]) for row in kept} == {True, False}
    assert {row.gap > 0 for row in kept} == {True, False}
