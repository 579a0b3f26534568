"""Shipments: parcels on their way to shoppers."""

from domain.shipments.booking import Bookings
from domain.shipments.dispatch import BOOK, CANCEL, TRACK, Dispatch, name
from domain.shipments.moves import MOVES, REPORTED
from domain.shipments.reading import (
    LabelRow,
    ShipmentLineRow,
    ShipmentRow,
    TrackingEventRow,
    astray,
    events_of,
    label,
    lines_of,
    shipments,
    shipments_of_assignments,
    shipments_of_orders,
    visible,
)

__all__ = [
    "BOOK",
    "CANCEL",
    "MOVES",
    "REPORTED",
    "TRACK",
    "Bookings",
    "Dispatch",
    "LabelRow",
    "ShipmentLineRow",
    "ShipmentRow",
    "TrackingEventRow",
    "astray",
    "events_of",
    "label",
    "lines_of",
    "name",
    "shipments",
    "shipments_of_assignments",
    "shipments_of_orders",
    "visible",
]
