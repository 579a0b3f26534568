"""Shipments: parcels on their way to shoppers."""

from domain.shipments.booking import Bookings
from domain.shipments.dispatch import BOOK, CANCEL, RETURNED, TRACK, Dispatch, check_reports, happened, name
from domain.shipments.moves import FINAL, MOVES, REPORTED, SENTENCES, after
from domain.shipments.reading import (
    LabelRow,
    ShipmentLineRow,
    ShipmentRow,
    TrackingEventRow,
    astray,
    came_back,
    events_of,
    label,
    lines_of,
    lost_of_orders,
    newest,
    shipments,
    shipments_of_assignments,
    shipments_of_orders,
    visible,
)

__all__ = [
    "BOOK",
    "CANCEL",
    "FINAL",
    "MOVES",
    "REPORTED",
    "RETURNED",
    "SENTENCES",
    "TRACK",
    "Bookings",
    "Dispatch",
    "LabelRow",
    "ShipmentLineRow",
    "ShipmentRow",
    "TrackingEventRow",
    "after",
    "astray",
    "came_back",
    "check_reports",
    "events_of",
    "happened",
    "label",
    "lines_of",
    "lost_of_orders",
    "name",
    "newest",
    "shipments",
    "shipments_of_assignments",
    "shipments_of_orders",
    "visible",
]
