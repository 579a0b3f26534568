"""The carrier that is built in: the retailer's own vans, or any carrier whose interface nobody has connected."""

from asyncio import to_thread
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from domain.carriers.interface import Booking, Label, Parcel, TrackingReport
from domain.carriers.label import draw
from domain.carriers.sscc import sscc


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """Numbers parcels with SSCCs and draws their labels. What becomes of them is told with recordTracking."""

    polled_every: timedelta | None = None

    async def book(self, parcel: Parcel) -> Booking:
        """Return the SSCC of the parcel's own number."""
        return Booking(tracking_number=sscc(parcel.number))

    async def label(self, parcel: Parcel, tracking_number: str) -> Label:
        """Return a PDF of 100 x 150 mm."""
        return Label(media_type="application/pdf", content=await to_thread(draw, parcel, tracking_number))

    async def cancel(self, reference: UUID, tracking_number: str | None) -> None:
        """Do nothing: nobody was told."""

    async def track(self, tracking_number: str) -> list[TrackingReport]:  # noqa: ARG002 - nobody is asked
        """Return nothing: nobody knows."""
        return []
