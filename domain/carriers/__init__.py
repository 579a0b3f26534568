"""Carriers: what is asked of each of them, and the one that is built in."""

from domain.carriers.built_in import BuiltIn
from domain.carriers.interface import Booking, Carrier, Label, Parcel, Refused, TrackingReport, Unreachable
from domain.carriers.sscc import sscc

__all__ = ["Booking", "BuiltIn", "Carrier", "Label", "Parcel", "Refused", "TrackingReport", "Unreachable", "sscc"]
