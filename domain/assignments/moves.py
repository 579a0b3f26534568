"""What may be done with an assignment when: one table, which every refusal and every list of actions is read from."""

from collections.abc import Mapping
from dataclasses import dataclass

from domain.assignments.reading import AssignmentRow, visible
from domain.viewer import Viewer
from domain.vocabulary import AssignmentAction, AssignmentStatus, FulfillmentMethod


@dataclass(frozen=True, slots=True)
class Move:
    """From which statuses a step may be taken, where it leads (None: it stays), and for which method (None: both)."""

    sources: frozenset[AssignmentStatus]
    target: AssignmentStatus | None
    method: FulfillmentMethod | None = None


_S, _A, _M = AssignmentStatus, AssignmentAction, FulfillmentMethod
MOVES: Mapping[AssignmentAction, Move] = {
    _A.ACCEPT: Move(frozenset({_S.OFFERED}), _S.ACCEPTED),
    _A.REJECT: Move(frozenset({_S.OFFERED, _S.ACCEPTED, _S.PICKING}), _S.REJECTED),
    _A.START_PICKING: Move(frozenset({_S.ACCEPTED}), _S.PICKING),
    _A.REPORT_PICKED: Move(frozenset({_S.PICKING}), None),
    _A.PACK: Move(frozenset({_S.PICKING}), _S.PACKED),
    _A.HAND_OVER: Move(frozenset({_S.PACKED}), _S.HANDED_OVER, _M.DELIVERY),
    _A.MARK_READY: Move(frozenset({_S.PACKED}), _S.READY_FOR_PICKUP, _M.PICKUP),
    _A.COLLECT: Move(frozenset({_S.READY_FOR_PICKUP}), _S.COLLECTED, _M.PICKUP),
    _A.RESTOCK: Move(frozenset({_S.CANCELLED, _S.NOT_COLLECTED}), None),
}

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


def allowed_actions(row: AssignmentRow, viewer: Viewer) -> list[AssignmentAction]:
    """Return what the viewer may do with an assignment as it stands."""
    if not visible(row, viewer) or row.restocked_at:
        return []
    return [
        action for action, move in MOVES.items() if row.status in move.sources and move.method in {None, row.method}
    ]
