"""How assignments move: one table, by whose doing, from where to where, with what for stock and for the day's capacity.

Every refusal, every list of actions, every status that is written and the diagrams of the README are read from it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from domain.assignments.reading import AssignmentLineRow, AssignmentRow, visible
from domain.machine import Edge, Stock, followers
from domain.viewer import Viewer
from domain.vocabulary import AssignmentAction, AssignmentStatus, FulfillmentMethod, Role


class Event(StrEnum):
    """What befalls an assignment without anybody's doing at its location."""

    CALL_OFF = "CALL_OFF"
    EXPIRE = "EXPIRE"
    LACK = "LACK"
    CLOSE = "CLOSE"
    GIVE_UP = "GIVE_UP"


_S, _A, _M = AssignmentStatus, AssignmentAction, FulfillmentMethod
STAFF = frozenset({Role.STORE, Role.OPERATIONS, Role.ADMIN})


@dataclass(frozen=True, slots=True)
class Move:
    """From which statuses a step may be taken, where it leads (None: it stays), and for which method (None: both).

    A STORE takes it at its own locations only. `stock` is what it does to the stock of the location.
    """

    sources: frozenset[AssignmentStatus]
    target: AssignmentStatus | None
    method: FulfillmentMethod | None = None
    stock: Stock = Stock.STAYS
    roles: frozenset[Role] = STAFF


_UNPACKED = frozenset({_S.OFFERED, _S.ACCEPTED, _S.PICKING})
_OPEN = _UNPACKED | {_S.HELD, _S.PACKED, _S.READY_FOR_PICKUP}
_NOBODY: frozenset[Role] = frozenset()
MOVES: Mapping[AssignmentAction, Move] = {
    _A.ACCEPT: Move(frozenset({_S.OFFERED}), _S.ACCEPTED),
    _A.REJECT: Move(_UNPACKED, _S.REJECTED, stock=Stock.FREED),
    _A.START_PICKING: Move(frozenset({_S.ACCEPTED}), _S.PICKING),
    _A.REPORT_PICKED: Move(frozenset({_S.PICKING}), None, stock=Stock.CORRECTED),
    _A.PACK: Move(frozenset({_S.PICKING}), _S.PACKED),
    _A.HAND_OVER: Move(frozenset({_S.PACKED}), _S.HANDED_OVER, _M.DELIVERY, Stock.LEFT),
    _A.MARK_READY: Move(frozenset({_S.PACKED}), _S.READY_FOR_PICKUP, _M.PICKUP),
    _A.COLLECT: Move(frozenset({_S.READY_FOR_PICKUP}), _S.COLLECTED, _M.PICKUP, Stock.LEFT),
    _A.RESTOCK: Move(frozenset({_S.CANCELLED, _S.NOT_COLLECTED}), None, stock=Stock.RETURNED),
}
EVENTS: Mapping[Event, Move] = {
    Event.CALL_OFF: Move(_OPEN, _S.CANCELLED, stock=Stock.RELEASED, roles=_NOBODY),
    Event.EXPIRE: Move(frozenset({_S.OFFERED, _S.ACCEPTED}), _S.EXPIRED, stock=Stock.FREED, roles=_NOBODY),
    Event.LACK: Move(_UNPACKED | {_S.HELD}, _S.REJECTED, stock=Stock.FREED, roles=_NOBODY),
    Event.CLOSE: Move(_UNPACKED, _S.REJECTED, stock=Stock.FREED, roles=_NOBODY),
    Event.GIVE_UP: Move(frozenset({_S.READY_FOR_PICKUP}), _S.NOT_COLLECTED, _M.PICKUP, roles=_NOBODY),
}
"""CALL_OFF: its order was cancelled, held, or goes another way. LACK: nothing of it was found, or counted."""

ENDS_DAY = frozenset({_S.REJECTED, _S.EXPIRED, _S.CANCELLED})
"""What gives its room in the location's day back."""


def edges() -> list[Edge]:
    """Return every step of an assignment."""
    steps: list[tuple[StrEnum, Move]] = [*MOVES.items(), *EVENTS.items()]
    return [
        Edge(source, move.target or source, name.lower())
        for name, move in steps
        for source in AssignmentStatus
        if source in move.sources
    ]


NEXT = followers(AssignmentStatus, edges())

SENTENCES: Mapping[AssignmentStatus, str] = {
    _S.ACCEPTED: "{place} accepted {number}.",
    _S.PICKING: "{place} began to pick {number}.",
    _S.PACKED: "{place} packed {number}.",
    _S.HANDED_OVER: "{place} handed {number} to the carrier.",
    _S.READY_FOR_PICKUP: "{number} is ready for pickup at {place}.",
    _S.COLLECTED: "The shopper collected {number} at {place}.",
    _S.REJECTED: "{place} rejected {number}: {reason}.",
    _S.EXPIRED: "{place} did not {reason} {number} in time.",
    _S.CANCELLED: "{number} at {place} was called off.",
    _S.NOT_COLLECTED: "Nobody collected {number} at {place} in time.",
}


def allowed_actions(
    row: AssignmentRow, viewer: Viewer, lines: Sequence[AssignmentLineRow] = ()
) -> list[AssignmentAction]:
    """Return what the viewer may do with an assignment as it stands: pack it, once none of `lines` is left to pick."""
    if not visible(row, viewer) or row.restocked_at:
        return []
    done = all(line.picked + line.short == line.quantity for line in lines)
    return [
        action
        for action, move in MOVES.items()
        if row.status in move.sources
        and move.method in {None, row.method}
        and viewer.role in move.roles
        and (done or action is not AssignmentAction.PACK)
    ]
