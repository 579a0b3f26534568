"""What every import has in common: rows that fail are named, and never spoil the others unless the caller says so."""

from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import compress
from typing import TypeVar

from domain.errors import DomainError, InvalidInput
from domain.vocabulary import ErrorCode

R = TypeVar("R")
V = TypeVar("V")


ROWS_A_CALL = 10_000
"""A caller waits for its answer; who has more sends them in parts, or loads a file."""


class OnRowError(StrEnum):
    """What a row that fails means for the others."""

    SKIP_ROW = "SKIP_ROW"
    REJECT_ALL = "REJECT_ALL"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFailure:
    """Why a row was not taken; `row` counts from 0 in the order sent, `path` begins inside the row."""

    row: int
    message: str
    code: ErrorCode
    path: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class ImportOutcome:
    """How many rows made or changed something, how many said what was known, and which failed."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: list[RowFailure] = field(default_factory=list)

    def fail(self, row: int, error: DomainError) -> None:
        """Add the failure of a row."""
        self.failed.append(RowFailure(row=row, message=error.message, code=error.code, path=tuple(error.path)))

    def count(self, *, new: bool, changed: bool) -> None:
        """Count a row that did not fail."""
        if not changed:
            self.unchanged += 1
        elif new:
            self.created += 1
        else:
            self.updated += 1

    def failed_rows(self) -> frozenset[int]:
        """Return the numbers of the rows that failed."""
        return frozenset(failure.row for failure in self.failed)

    def rejects(self, on_error: OnRowError) -> bool:
        """Say whether nothing may be written, and then count nothing; order the failures by their rows."""
        self.failed.sort(key=lambda failure: failure.row)
        rejected = bool(self.failed) and on_error is OnRowError.REJECT_ALL
        if rejected:
            self.created = self.updated = self.unchanged = 0
        return rejected


def without(numbers: Collection[int], rows: list[R]) -> list[R]:
    """Return rows without those of these numbers."""
    if not numbers:
        return rows
    kept = bytearray(b"\1") * len(rows)
    for number in numbers:
        kept[number] = 0
    return list(compress(rows, kept))


def check_size(rows: Sequence[object]) -> None:
    """Raise InvalidInput where a call brings more than ROWS_A_CALL."""
    if len(rows) > ROWS_A_CALL:
        raise InvalidInput(message=f"These are {len(rows)} rows; {ROWS_A_CALL} are allowed in a call.", path=("rows",))


def check_each(
    rows: Sequence[R], *, key: Callable[[R], Hashable], check: Callable[[R], V], outcome: ImportOutcome
) -> list[tuple[int, V]]:
    """Return what `check` makes of each row, with the row's number.

    A row that it refuses fails, and so does one that is about the same thing as a row before it.
    """
    first: dict[Hashable, int] = {}
    checked = []
    for number, row in enumerate(rows):
        try:
            before = first.setdefault(key(row), number)
            if before != number:
                raise InvalidInput(message=f"Row {before} of this import is about the same thing.")
            checked.append((number, check(row)))
        except DomainError as error:
            outcome.fail(number, error)
    return checked
