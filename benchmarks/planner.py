"""How long the planner takes to decide, beside HiGHS on the same problems, and how many decisions a core makes.

Networks of 500 and 2,000 locations all over Germany: one in twenty a warehouse that has six of ten items, else stores,
hubs and drop shippers that have three of ten. Two carriers go into three zones, with three weight steps each.
`solve` is the cover alone, `decision` all of it: fences, costs, solve, dates and explanation.
"""

import argparse
import os
import statistics
import time as clock
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from domain.planning.explain import explain
from domain.planning.network import make_network
from domain.planning.plan import Decision, decide_deliveries
from domain.planning.policy import PRESETS
from domain.planning.problem import Line, Opening, Point, Problem, Service, Site, Tariff, Zone
from domain.planning.proof import prove
from domain.planning.rates import Cover, Rates
from domain.planning.search import search
from domain.planning.solve import MOST_EXACT, cheapest, tabulate
from domain.vocabulary import LocationKind, LocationService, LocationStatus, ServiceLevel

SIZES = ((5, 500), (8, 2000), (10, 2000), (20, 2000))
POLICIES = ("cheapest", "weighted-penalties")
BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 23, 8, tzinfo=BERLIN)
OTHERS = (LocationKind.STORE, LocationKind.STORE, LocationKind.MICRO_HUB, LocationKind.DROP_SHIPPER)


def somewhere(random: np.random.Generator) -> Point:
    return Point(latitude=float(random.uniform(47.5, 54.5)), longitude=float(random.uniform(7, 14)))


def site(number: int, random: np.random.Generator) -> Site:
    kind = LocationKind.WAREHOUSE if number % 20 == 0 else OTHERS[number % 4]
    opens, closes, days = (540, 1200, 6) if kind is LocationKind.STORE else (0, 1440, 7)
    return Site(
        code=f"L{number:04}",
        kind=kind,
        status=LocationStatus.ACTIVE,
        country="DE",
        position=somewhere(random),
        time_zone=BERLIN,
        services=frozenset({LocationService.SHIP}),
        openings=tuple(Opening(weekday=day, opens=opens, closes=closes) for day in range(1, days + 1)),
        handling=timedelta(hours=1 + number % 2),
    )


def carrier(code: str, factor: float) -> Service:
    zones = (("near", 150, (1, 1), 390), ("far", 400, (1, 2), 460), ("national", 1200, (2, 3), 520))
    steps = ((5000, 1.0), (10_000, 1.4), (31_500, 1.9))
    return Service(
        code=code,
        carrier=code,
        name=code,
        level=ServiceLevel.STANDARD,
        countries=frozenset({"DE"}),
        currency="EUR",
        cutoff=time(16),
        deliver_by=time(18),
        max_grams=31_500,
        zones=tuple(Zone(name=name, max_km=km, transit_days=days) for name, km, days, _ in zones),
        tariffs=tuple(
            Tariff(zone=name, max_grams=grams, amount=round(amount * factor * more))
            for name, _, _, amount in zones
            for grams, more in steps
        ),
        shopper_price=495,
        co2_grams_per_km=0.9,
    )


def problems(lines: int, locations: int, *, policy: str, count: int) -> list[Problem]:
    """Return carts, each to another place, a minute after the one before, over other stock."""
    random = np.random.default_rng(lines * locations)
    network = make_network(
        1, [site(number, random) for number in range(locations)], [carrier("post", 1.0), carrier("dash", 1.05)]
    )
    chance = np.where(network.kinds == 0, 0.6, 0.3)[:, np.newaxis]
    return [
        Problem(
            network=network,
            lines=[
                Line(sku=f"S{line}", quantity=int(random.integers(1, 4)), grams=int(random.integers(50, 700)))
                for line in range(lines)
            ],
            available=(random.random((locations, lines)) < chance) * random.integers(3, 40, (locations, lines)),
            now=NOW + timedelta(minutes=minute),
            currency="EUR",
            country="DE",
            destination=somewhere(random),
            levels=(ServiceLevel.STANDARD,),
            policy=PRESETS[policy],
        )
        for minute in range(count)
    ]


def decide(problem: Problem) -> Decision:
    (decision,) = decide_deliveries(problem)
    explain(decision)
    return decision


def solve(rates: Rates) -> Cover:
    return cheapest(tabulate(rates)) if rates.grams.size <= MOST_EXACT else search(rates)


def timed(work: Callable[[object], object], inputs: Sequence[object], rounds: int) -> tuple[float, float]:
    """Return the p50 and the p95 of the milliseconds that the work takes, after a round to warm up."""
    taken = []
    for number in range(-min(len(inputs), rounds), rounds):
        began = clock.perf_counter()
        work(inputs[number % len(inputs)])
        taken.append((clock.perf_counter() - began) * 1000)
    taken = sorted(taken[-rounds:])
    return taken[rounds // 2], taken[rounds * 95 // 100]


def compare(lines: int, locations: int, policy: str, *, rounds: int, proofs: int, seconds: float) -> None:
    carts = problems(lines, locations, policy=policy, count=20)
    rounds = rounds if lines <= MOST_EXACT else max(rounds // 10, 10)
    rates = [decision.legs.rates for decision in map(decide, carts) if decision.legs]
    solved, decided = timed(solve, rates, rounds), timed(decide, carts, rounds)
    taken, gaps = [], []
    for each in rates[:proofs]:
        ours = solve(each)
        began = clock.perf_counter()
        theirs = prove(each, Cover(takes=(), bound=0), seconds=seconds)
        taken.append((clock.perf_counter() - began) * 1000)
        if theirs.takes and theirs.bound == theirs.cost:
            gaps.append((ours.cost - theirs.cost) / theirs.cost)
    gap = f"{statistics.mean(gaps):.3%}" if gaps else "-"
    told = f"{statistics.median(taken):>10.0f}{f'{len(gaps)}/{len(taken)}':>9}{gap:>11}" if taken else ""
    size = f"{lines} x {locations}"
    figures = "".join(f"{figure:>9.3f}" for figure in (*solved, *decided))
    print(f"{policy:<20}{size:<12}{figures}{told}", flush=True)


def gaps(policy: str, *, carts: int, seconds: float) -> None:
    """Print how much dearer carts of 11 to 40 lines are than what HiGHS proves of them, knowing ours."""
    proven, bounds = [], []
    for number in range(carts):
        (cart,) = problems(11 + number * 29 // max(carts - 1, 1), 100, policy=policy, count=1)
        (decision,) = decide_deliveries(cart)
        assert decision.legs
        assert decision.cover
        cost = decision.cover.cost
        found = prove(decision.legs.rates, decision.cover, seconds=seconds)
        bounds.append((cost - found.bound) / cost)
        if found.bound == found.cost:
            proven.append((cost - found.cost) / found.cost)
    mean = f"mean gap {statistics.mean(proven):.3%}, at most {max(proven):.3%}" if proven else "no gap known"
    print(
        f"{policy:<20}11 to 40 lines x 100: {len(proven)} of {carts} proven in {seconds:.0f} s each, {mean};"
        f" to what is proven of all {statistics.mean(bounds):.3%}",
        flush=True,
    )


def a_second(work: Callable[[Problem], object], count: int) -> tuple[float, float]:
    """Return how many carts of 3 lines at 100 locations are decided a second of CPU, and of the clock."""
    carts = problems(3, 100, policy="cheapest", count=50)
    began, before = clock.process_time(), clock.perf_counter()
    for number in range(count):
        work(replace(carts[number % 50], now=NOW + timedelta(seconds=number)))
    return count / (clock.process_time() - began), count / (clock.perf_counter() - before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=300, help="decisions of each size; a tenth beyond ten lines")
    parser.add_argument("--proofs", type=int, default=5, help="problems of each size that HiGHS solves, too")
    parser.add_argument("--seconds", type=float, default=20, help="the most that HiGHS takes for one")
    chosen = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.1f}; milliseconds; HiGHS on one thread, {chosen.seconds:.0f} s at most\n")
    print(f"{'':<32}{'solve':>18}{'decision':>18}{'HiGHS':>10}{'':>9}{'mean gap':>11}")
    print(
        f"{'policy':<20}{'lines':<12}{'p50':>9}{'p95':>9}{'p50':>9}{'p95':>9}{'p50':>10}{'proven':>9}{'to HiGHS':>11}"
    )
    for policy in POLICIES:
        for lines, locations in SIZES:
            compare(lines, locations, policy, rounds=chosen.rounds, proofs=chosen.proofs, seconds=chosen.seconds)
    print()
    for policy in POLICIES:
        gaps(policy, carts=chosen.proofs * 4, seconds=chosen.seconds)
    print()
    for what, work in (("planned, as an option is", decide_deliveries), ("and explained, as an order is", decide)):
        rate, rate_by_clock = a_second(work, chosen.rounds * 10)
        print(f"100 locations, 3 lines, {what}: {rate:,.0f} a second of CPU, {rate_by_clock:,.0f} by the clock")
    print(f"load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
