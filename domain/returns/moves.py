"""What may be done with a return when, and by whom: one table, read by every refusal and every list of actions."""

from collections.abc import Mapping
from dataclasses import dataclass

from domain.errors import ActionNotAllowed
from domain.machine import Edge, Stock, followers
from domain.returns.reading import ReturnRow
from domain.viewer import Viewer
from domain.vocabulary import ReturnAction, ReturnStatus, Role


@dataclass(frozen=True, slots=True)
class Move:
    """From which statuses a step may be taken, where it leads in the end, and which roles may take it.

    `here`: a store takes it only where the goods are. `office`: from these statuses the office alone may take it.
    """

    sources: frozenset[ReturnStatus]
    target: ReturnStatus
    roles: frozenset[Role]
    here: bool = False
    office: frozenset[ReturnStatus] = frozenset()
    stock: Stock = Stock.STAYS


_S, _A, _R = ReturnStatus, ReturnAction, Role
_OFFICE = frozenset({_R.OPERATIONS, _R.ADMIN})
_STAFF = _OFFICE | {_R.STORE}
_SHOP = _OFFICE | {_R.STOREFRONT}
MOVES: Mapping[ReturnAction, Move] = {
    _A.APPROVE: Move(frozenset({_S.REQUESTED}), _S.APPROVED, _OFFICE),
    _A.DECLINE: Move(frozenset({_S.REQUESTED}), _S.DECLINED, _OFFICE),
    _A.RECEIVE: Move(frozenset({_S.APPROVED, _S.IN_TRANSIT}), _S.RECEIVED, _STAFF),
    _A.INSPECT: Move(frozenset({_S.RECEIVED}), _S.INSPECTED, _STAFF, here=True, stock=Stock.BACK),
    _A.CLOSE: Move(frozenset({_S.INSPECTED}), _S.CLOSED, _STAFF, here=True),
    _A.CANCEL: Move(frozenset({_S.REQUESTED, _S.APPROVED}), _S.CANCELLED, _SHOP, office=frozenset({_S.IN_TRANSIT})),
}

BY_ITSELF = (
    Edge(_S.APPROVED, _S.IN_TRANSIT, "tracking"),
    Edge(_S.REQUESTED, _S.RECEIVED, "at a counter"),
    Edge(_S.REQUESTED, _S.IN_TRANSIT, "undelivered"),
    Edge(_S.REQUESTED, _S.CANCELLED, "expire"),
    Edge(_S.APPROVED, _S.CANCELLED, "expire"),
)
"""What happens without an action: a carrier reports, goods are shown at a counter, not delivered, or never come."""


def edges() -> list[Edge]:
    """Return every step of a return; inspecting a part of it leaves it where it is."""
    steps = [
        Edge(source, move.target, action.lower())
        for action, move in MOVES.items()
        for source in ReturnStatus
        if source in move.sources | move.office
    ]
    return [*steps, *BY_ITSELF]


NEXT = followers(ReturnStatus, edges())
HERE = frozenset({_S.RECEIVED, _S.INSPECTED, _S.CLOSED})
"""The goods have come back."""

SENTENCES: Mapping[ReturnStatus, str] = {
    _S.REQUESTED: "Return {number} of {what} was requested.",
    _S.APPROVED: "Return {number} was approved.",
    _S.DECLINED: "Return {number} was declined: {why}.",
    _S.IN_TRANSIT: "Return {number} is on its way.",
    _S.RECEIVED: "{place} received return {number}.",
    _S.INSPECTED: "{place} inspected return {number}.",
    _S.CLOSED: "Return {number} was closed: {refund} to refund.",
    _S.CANCELLED: "Return {number} was cancelled{why}.",
}


def allowed_actions(row: ReturnRow, viewer: Viewer) -> list[ReturnAction]:
    """Return what the viewer may do with a return as it stands."""
    place = row.received_location_id
    return [
        action
        for action, move in MOVES.items()
        if viewer.role in move.roles
        and (row.status in move.sources or (row.status in move.office and viewer.role in _OFFICE))
        and (not move.here or (place is not None and viewer.works_at(place)))
    ]


def require(action: ReturnAction, row: ReturnRow, viewer: Viewer) -> None:
    """Raise ActionNotAllowed, with what is, where a viewer may not do this with a return as it stands."""
    allowed = allowed_actions(row, viewer)
    if action not in allowed:
        message = f"{action} cannot be done: the return is {row.status}."
        raise ActionNotAllowed(message=message, path=("id",), status=row.status, allowed_actions=allowed)
