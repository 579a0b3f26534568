"""Assignments: a location's share of an order."""

from domain.assignments.moves import MOVES, Move, allowed_actions
from domain.assignments.reading import (
    AssignmentFilter,
    AssignmentLineRow,
    AssignmentRow,
    AssignmentSort,
    assignments,
    assignments_of,
    lines,
    lines_of,
    listing,
    visible,
)
from domain.assignments.record import Record
from domain.assignments.told import Collected, Picked
from domain.assignments.work import COLLECTION, Desk

__all__ = [
    "COLLECTION",
    "MOVES",
    "AssignmentFilter",
    "AssignmentLineRow",
    "AssignmentRow",
    "AssignmentSort",
    "Collected",
    "Desk",
    "Move",
    "Picked",
    "Record",
    "allowed_actions",
    "assignments",
    "assignments_of",
    "lines",
    "lines_of",
    "listing",
    "visible",
]
