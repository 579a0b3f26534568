"""Which policy decides: the first of those in force whose condition holds."""

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

import structlog

from domain.errors import InvalidInput
from domain.planning.policy import Policy
from domain.policies.condition import Condition, Facts
from domain.policies.kept import FALLBACK, MOST_POLICIES
from domain.vocabulary import ServiceLevel

log = structlog.get_logger(__name__)


class Policies:
    """The policies in force, in the order in which they are asked; the last has no condition."""

    def __init__(self, policies: Iterable[Policy] = (FALLBACK,)) -> None:
        """Compile the conditions, those that are new to this process."""
        self._rules = [(policy, _rule(policy)) for policy in policies]
        self.ratings = frozenset(rating.kind for policy, _ in self._rules for rating in policy.ratings)
        self._named = {policy.name: policy for policy, _ in reversed(self._rules)}

    def named(self, name: str) -> Policy:
        """Return the policy of that name that is in force, the last where none is."""
        return self._named.get(name, FALLBACK)

    def policy_for(self, facts: Facts) -> Policy:
        """Return the policy that decides on an order; a condition that fails on it does not hold."""
        return next((policy for policy, rule in self._rules if rule.holds(facts)), FALLBACK)

    def by_level(self, facts: Facts, levels: Iterable[ServiceLevel]) -> list[tuple[Policy, list[ServiceLevel]]]:
        """Return which policies decide on an order's delivery at these levels, each with its levels, once each."""
        asked = list(dict.fromkeys(levels))
        if not any("level" in rule.variables for _, rule in self._rules):
            return [(self.policy_for(facts), asked)]
        found: dict[tuple[str, int], tuple[Policy, list[ServiceLevel]]] = {}
        for level in asked:
            policy = self.policy_for(replace(facts, level=level))
            found.setdefault((policy.name, policy.version), (policy, []))[1].append(level)
        return list(found.values())


class _Rule:
    """A policy's condition, compiled once for as long as the process lives, and whether it was seen to fail."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._failed = False
        self._condition: Condition | None = None
        try:
            self._condition = Condition(policy.condition)
        except InvalidInput as error:  # what was saved under other rules than ours
            self._tell(error)

    @property
    def variables(self) -> frozenset[str]:
        return self._condition.variables if self._condition else frozenset()

    def holds(self, facts: Facts) -> bool:
        try:
            return self._condition is not None and self._condition.holds(facts)
        except (TypeError, RuntimeError, LookupError, ArithmeticError, ValueError) as error:
            self._tell(error)
            return False

    def _tell(self, error: Exception) -> None:
        if not self._failed:
            self._failed = True
            policy = self._policy
            log.warning("condition_failed", policy=policy.name, version=policy.version, error=str(error))


@lru_cache(maxsize=2 * MOST_POLICIES)
def _rule(policy: Policy) -> _Rule:
    return _Rule(policy)
