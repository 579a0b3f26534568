"""What is asked of carriers, each outside any transaction: to carry a parcel, not to, and how it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from domain import orders
from domain.carriers import Carrier, Parcel, Refused
from domain.errands import Errand
from domain.network import Networks, Snapshot
from domain.places import Address
from domain.shipments.dispatch import BOOK, CANCEL, TRACK, Dispatch, happened
from domain.shipments.moves import FINAL
from domain.shipments.reading import ShipmentRow, lines_of, shipments
from domain.timers import set_timer
from domain.transaction import Connection, Database
from domain.vocabulary import ShipmentStatus

ASKED_UNTIL = timedelta(days=30)
"""After the promise: for so long a parcel that has not arrived is asked after."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bookings:
    """The carriers by their names, and the network they collect in."""

    networks: Networks
    carrier: Callable[[str], Carrier]

    def errands(self) -> Mapping[str, Errand]:
        """Return who sees to the timers that `Dispatch` sets."""
        return {BOOK: self.book, CANCEL: self.cancel, TRACK: self.track}

    async def book(self, database: Database, key: str, now: datetime) -> None:
        """Book a parcel that still waits for it, and keep its number and its label.

        One that was called off meanwhile may have been booked after that, by a try whose end nobody heard of.
        """
        async with database.reading() as connection:
            (row,) = await shipments(connection, [UUID(key)])
        if row.tracking_number:
            return
        if row.status == ShipmentStatus.CANCELLED:
            await self.cancel(database, key, now)
            return
        async with database.reading() as connection:
            parcel = await _parcel(connection, await self.networks.current(connection), row)
        carrier = self.carrier(row.carrier)
        try:
            booking = await carrier.book(parcel)
            label = await carrier.label(parcel, booking.tracking_number)
        except Refused as refusal:
            await self._say(database, row, now, f"{row.carrier} does not take parcel {{parcel}}: {refusal}")
            return
        async with database.transaction() as connection:
            await self._dispatch(connection, row, now).booked(row.id, booking, label)
            if carrier.polled_every:
                await set_timer(connection, TRACK, key, now + carrier.polled_every)

    async def cancel(self, database: Database, key: str, now: datetime) -> None:
        """Call off what was booked, or what a process that died may have booked, for a parcel that does not leave."""
        async with database.reading() as connection:
            (row,) = await shipments(connection, [UUID(key)])
        try:
            await self.carrier(row.carrier).cancel(row.id, row.tracking_number)
        except Refused as refusal:
            await self._say(database, row, now, f"{row.carrier} does not call off parcel {{parcel}}: {refusal}")

    async def track(self, database: Database, key: str, now: datetime) -> None:
        """Ask after a parcel, and again later until there is nothing more to be heard."""
        async with database.reading() as connection:
            (row,) = await shipments(connection, [UUID(key)])
        carrier = self.carrier(row.carrier)
        ended = row.status in FINAL or now >= row.expected_latest + ASKED_UNTIL
        if ended or row.tracking_number is None or carrier.polled_every is None:
            return
        reports = happened(await carrier.track(row.tracking_number), now=now)
        async with database.transaction() as connection:
            row = await self._dispatch(connection, row, now).take(row, reports)
            if row.status not in FINAL:
                await set_timer(connection, TRACK, key, now + carrier.polled_every)

    async def _say(self, database: Database, row: ShipmentRow, now: datetime, sentence: str) -> None:
        async with database.transaction() as connection:
            await self._dispatch(connection, row, now).say(row.id, sentence)

    def _dispatch(self, connection: Connection, row: ShipmentRow, now: datetime) -> Dispatch:
        return Dispatch(connection=connection, networks=self.networks, actor=row.carrier, now=now)


async def _parcel(connection: Connection, snapshot: Snapshot, row: ShipmentRow) -> Parcel:
    order = await orders.order(connection, row.order_id)
    assert order.ship_to is not None  # noqa: S101 - a delivery has an address
    recipient = Address.from_json(order.ship_to)
    place, service = snapshot.locations[row.location_id], snapshot.services[row.carrier_service_code]
    return Parcel(
        reference=row.id,
        number=row.number,
        carrier=row.carrier,
        service_code=service.code,
        service_name=service.name,
        sender=Address(
            name=place.address_name or place.name,
            lines=tuple(place.address_lines),
            postal_code=place.postal_code,
            city=place.city,
            region=place.region,
            country=place.country,
        ),
        recipient=replace(recipient, name=recipient.name or order.customer_name),
        grams=row.grams,
        contents={line.sku: line.quantity for line in await lines_of(connection, [row.id])},
    )
