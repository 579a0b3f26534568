"""What is asked of a carrier, and in which values.

An implementation is called outside every transaction, may be called again after a crash, and must then not book twice:
`Parcel.reference` is the same on every try.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from domain.places import Address
from domain.vocabulary import ShipmentStatus


class Refused(Exception):
    """The carrier does not take this parcel, and asking again will not help; the text says why."""


class Unreachable(Exception):
    """The carrier did not answer, or not sensibly: it may be asked again; the text says what happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """What is to be carried. `number` counts the parcels of this installation, `contents` is the units of each SKU."""

    reference: UUID
    number: int
    carrier: str
    service_code: str
    service_name: str
    sender: Address
    recipient: Address
    grams: int
    contents: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """The carrier's number of a parcel, and the page on which a shopper follows it."""

    tracking_number: str
    tracking_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What is printed and stuck on a parcel."""

    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingReport:
    """What a carrier says has happened to a parcel, and when."""

    status: ShipmentStatus
    at: datetime
    description: str | None = None


class Carrier(Protocol):
    """Whoever carries parcels. Each call raises Unreachable where it may be tried again, Refused where it may not."""

    @property
    def polled_every(self) -> timedelta | None:
        """Return how often `track` is worth asking; None where the carrier tells by itself."""

    async def book(self, parcel: Parcel) -> Booking:
        """Order the transport of a parcel, once for each reference: asked again, answer the same."""

    async def label(self, parcel: Parcel, tracking_number: str) -> Label:
        """Return the label of a parcel that is booked."""

    async def cancel(self, reference: UUID, tracking_number: str | None) -> None:
        """Call the transport off; one that was never booked, or is called off already, is fine."""

    async def track(self, tracking_number: str) -> list[TrackingReport]:
        """Return what has happened to a parcel so far."""
