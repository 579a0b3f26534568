"""What is decided for a wish: the planner, run under the policy that is in force for it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter_ns

from domain.planning.plan import Decision, decide_deliveries, decide_pickups, plan_deliveries, rank
from domain.planning.policy import Policy
from domain.planning.problem import Plan, Problem, Unavailable
from domain.policies import Facts, Policies
from domain.vocabulary import FulfillmentMethod


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What a plan was chosen by.

    `gap` is how far from the proven bound its cost may be (0.01 is 1 %), `micros` the microseconds that deciding took,
    for all levels and locations that were asked together.
    """

    policy_name: str
    policy_version: int
    gap: float
    micros: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decided:
    """A plan and what it was chosen by; `decision` tells how, and is None for what was promised before."""

    plan: Plan
    basis: Basis | None
    decision: Decision | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """All that was decided for a wish, with or without a plan, and the reasons for what is left out."""

    decisions: tuple[tuple[Decision, Basis], ...] = ()
    unavailable: tuple[Unavailable, ...] = ()

    @property
    def ranked(self) -> tuple[Decided, ...]:
        """What has a plan, best first."""
        return ranked([self])

    @property
    def best(self) -> Decided | None:
        """What has the best plan, if anything has one."""
        return next(iter(self.ranked), None)

    @property
    def refused(self) -> Decided | None:
        """What was decided first, as a plan that leaves everything out, if anything was decided."""
        for decision, basis in self.decisions:
            method = FulfillmentMethod.PICKUP if decision.level is None else FulfillmentMethod.DELIVERY
            nothing = Plan(method=method, level=decision.level, parcels=(), price=0, cost=0)
            return Decided(plan=nothing, basis=basis, decision=decision)
        return None


def ranked(outcomes: Iterable[Outcome]) -> tuple[Decided, ...]:
    """Return what has a plan, of several methods, best first."""
    found = {
        id(decision.plan): Decided(plan=decision.plan, basis=basis, decision=decision)
        for outcome in outcomes
        for decision, basis in outcome.decisions
        if decision.plan
    }
    return tuple(found[id(plan)] for plan in rank(each.plan for each in found.values()))


def decide(problem: Problem, method: FulfillmentMethod, policies: Policies, facts: Facts) -> Outcome:
    """Return what is decided for a delivery at each level asked for, or for a pickup at each location asked.

    Which policy decides is asked for each level. Raises InvalidInput for a cart of no lines or of more than 100.
    """
    if method is FulfillmentMethod.PICKUP:
        facts = replace(facts, method=method, country=None, postal_code=None)
        return _outcome(_run(decide_pickups, problem, policies.policy_for(facts)))
    if problem.destination is None:
        return Outcome(unavailable=plan_deliveries(problem).unavailable)
    runs = (
        _run(decide_deliveries, replace(problem, levels=levels), policy)
        for policy, levels in policies.by_level(replace(facts, method=method), problem.levels)
    )
    return _outcome([each for run in runs for each in run])


def _run(
    planner: Callable[[Problem], Sequence[Decision]], problem: Problem, policy: Policy
) -> list[tuple[Decision, Basis]]:
    start = perf_counter_ns()
    decisions = planner(replace(problem, policy=policy))
    micros = (perf_counter_ns() - start) // 1000
    return [(decision, _basis(decision, policy, micros)) for decision in decisions]


def _basis(decision: Decision, policy: Policy, micros: int) -> Basis:
    cover = decision.fetched.cover if decision.fetched else decision.cover
    gap = cover.gap if cover else 0.0
    return Basis(policy_name=policy.name, policy_version=policy.version, gap=gap, micros=micros)


def _outcome(decisions: Sequence[tuple[Decision, Basis]]) -> Outcome:
    return Outcome(
        decisions=tuple(decisions),
        unavailable=tuple(reason for decision, _ in decisions for reason in decision.unavailable),
    )
