"""Where a parcel may go from where it stands: one table, which every report of a carrier is held against."""

from collections.abc import Iterable, Mapping

from domain.machine import Edge
from domain.vocabulary import ShipmentStatus

_S = ShipmentStatus
_UNDER_WAY = frozenset({_S.IN_TRANSIT, _S.OUT_FOR_DELIVERY, _S.DELIVERY_FAILED})
_ENDS = frozenset({_S.DELIVERED, _S.LOST, _S.RETURNED_TO_SENDER})
MOVES: Mapping[ShipmentStatus, frozenset[ShipmentStatus]] = {
    _S.CREATED: frozenset({_S.HANDED_OVER, _S.CANCELLED}),
    _S.HANDED_OVER: _UNDER_WAY | _ENDS,
    _S.IN_TRANSIT: _UNDER_WAY | _ENDS,
    _S.OUT_FOR_DELIVERY: _UNDER_WAY | _ENDS,
    _S.DELIVERY_FAILED: _UNDER_WAY | _ENDS,
    _S.LOST: _UNDER_WAY | _ENDS,
    _S.DELIVERED: frozenset(),
    _S.RETURNED_TO_SENDER: frozenset(),
    _S.CANCELLED: frozenset(),
}
"""What was lost may be found. What was delivered comes back as a return, and no late report undoes it."""

WITH_CARRIER = frozenset({_S.HANDED_OVER, _S.LOST}) | _UNDER_WAY


def edges() -> list[Edge]:
    """Return every step of a parcel, by whose doing."""
    doing = {_S.HANDED_OVER: "hand_over", _S.CANCELLED: "call_off"}
    return [
        Edge(source, target, doing.get(target, "report"))
        for source in ShipmentStatus
        for target in ShipmentStatus
        if target in MOVES[source]
    ]


REPORTED = frozenset({_S.HANDED_OVER}) | _UNDER_WAY | _ENDS
"""What a carrier may say has happened. HANDED_OVER is noted only: it is the location that hands over."""

FAILED = frozenset({_S.LOST, _S.RETURNED_TO_SENDER})
"""The shopper does not get it."""

FINAL = frozenset(status for status, targets in MOVES.items() if not targets)

SENTENCES: Mapping[ShipmentStatus, str] = {
    _S.IN_TRANSIT: "Parcel {parcel} is on its way with {carrier}.",
    _S.OUT_FOR_DELIVERY: "{carrier} brings parcel {parcel} today.",
    _S.DELIVERED: "{carrier} delivered parcel {parcel}.",
    _S.DELIVERY_FAILED: "{carrier} could not deliver parcel {parcel}.",
    _S.LOST: "{carrier} has lost parcel {parcel}.",
    _S.RETURNED_TO_SENDER: "{carrier} brings parcel {parcel} back to its sender.",
    _S.CANCELLED: "Parcel {parcel} was called off.",
}
"""That it was handed over is told of the assignment."""


def after(status: ShipmentStatus, reported: Iterable[ShipmentStatus]) -> ShipmentStatus:
    """Return where reports, in the order of their time, lead from a status; one that leads nowhere has no effect."""
    for each in reported:
        if each in MOVES[status]:
            status = each
    return status
