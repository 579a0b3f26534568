"""What people tell of work: what they picked and what was collected, checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.assignments.reading import AssignmentLineRow
from domain.errors import InvalidInput
from domain.vocabulary import RejectReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """How many units of a line the shopper takes."""

    line_id: UUID
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Picked:
    """What was found of a line: `quantity` in all so far. With a `reason`, the rest will not be found."""

    line_id: UUID
    quantity: int
    reason: RejectReason | None = None


def check_collected(collected: Sequence[Collected], known: Mapping[UUID, AssignmentLineRow]) -> None:
    """Raise InvalidInput where this cannot be what the shopper takes."""
    for index, each in enumerate(collected):
        path, line = ("lines", str(index)), known.get(each.line_id)
        if line is None:
            raise InvalidInput(message="The assignment has no such line.", path=(*path, "lineId"))
        if each.line_id in {other.line_id for other in collected[:index]}:
            raise InvalidInput(message="A line is named twice.", path=(*path, "lineId"))
        if not 0 <= each.quantity <= line.picked:
            message = f"Of {line.sku}, 0 to {line.picked} can be collected."
            raise InvalidInput(message=message, path=(*path, "quantity"))
    if not any(each.quantity for each in collected):
        raise InvalidInput(message="A shopper who takes nothing collects nothing.", path=("lines",))


def short_of(line: AssignmentLineRow, picked: Picked) -> int:
    """Return how many units of a line are short once this is told of it."""
    return line.quantity - picked.quantity if picked.reason else line.short


def tells_nothing(line: AssignmentLineRow | None, picked: Picked) -> bool:
    """Say whether a report tells nothing new."""
    if line is None:
        return False
    same_reason = picked.reason is None or line.short_reason == picked.reason or picked.quantity == line.quantity
    return line.picked == picked.quantity and line.short == short_of(line, picked) and same_reason


def check_picked(picked: Sequence[Picked], known: Mapping[UUID, AssignmentLineRow]) -> None:
    """Raise InvalidInput where this cannot be what was found."""
    if not picked:
        raise InvalidInput(message="Name the lines that were picked.", path=("lines",))
    for index, each in enumerate(picked):
        _check_line(known.get(each.line_id), each, ("lines", str(index)))
        if each.line_id in {other.line_id for other in picked[:index]}:
            raise InvalidInput(message="A line is named twice.", path=("lines", str(index), "lineId"))


def _check_line(line: AssignmentLineRow | None, picked: Picked, path: tuple[str, ...]) -> None:
    if line is None:
        raise InvalidInput(message="The assignment has no such line.", path=(*path, "lineId"))
    most = line.quantity - line.short
    if not 0 <= picked.quantity <= most:
        message = f"Of {line.sku}, 0 to {most} can be picked."
        raise InvalidInput(message=message, path=(*path, "picked"))
