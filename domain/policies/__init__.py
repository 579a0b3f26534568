"""Routing policies: which is in force, and which of them decides on an order."""

from domain.policies.choice import Policies
from domain.policies.condition import LONGEST_CONDITION, Condition, Facts, LineFacts
from domain.policies.kept import PolicyRow, Version, active, checked, collect_within, newest, save, versions

__all__ = [
    "LONGEST_CONDITION",
    "Condition",
    "Facts",
    "LineFacts",
    "Policies",
    "PolicyRow",
    "Version",
    "active",
    "checked",
    "collect_within",
    "newest",
    "save",
    "versions",
]
