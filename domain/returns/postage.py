"""Parcels that carriers bring back: what is asked of carriers, each outside any transaction, and what they tell."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from domain import inventory, orders
from domain.carriers import Booking, Carrier, Label, Parcel, Refused, TrackingReport
from domain.errands import Errand
from domain.network import Networks, Snapshot
from domain.orders import OrderRow
from domain.places import Address
from domain.returns.desk import BOOK, CANCEL, TRACK
from domain.returns.moves import HERE
from domain.returns.reading import ReturnRow, lines_of, returns
from domain.returns.record import Record
from domain.shipments import FINAL, SENTENCES, after, check_reports, happened
from domain.shortage import SYSTEM
from domain.timers import set_timer
from domain.transaction import Connection, Database
from domain.vocabulary import ReturnStatus, ShipmentStatus

UNDER_WAY = frozenset({ReturnStatus.APPROVED, ReturnStatus.IN_TRANSIT})
"""The goods may still come with the carrier."""
ASKED_FOR = timedelta(days=90)
"""After a return was asked for, its parcel is asked after for so long."""
KEY_BYTES = 24


class Post(Record):
    """Who tells, when, and on which transaction."""

    __slots__ = ()

    async def booked(self, return_id: UUID, booking: Booking, label: Label, *, ask_at: datetime | None) -> None:
        """Note what a carrier answered, and ask after the parcel at a moment.

        What comes another way, or not at all, is called off with the carrier, too.
        """
        row, order = await self.lock(return_id)
        wanted = row.status == ReturnStatus.APPROVED
        await self.connection.execute(
            "UPDATE customer_return SET tracking_number = $2, tracking_url = $3, label_key = $4 WHERE id = $1",
            row.id,
            booking.tracking_number,
            booking.tracking_url,
            secrets.token_urlsafe(KEY_BYTES) if wanted else None,
        )
        if not wanted:
            await set_timer(self.connection, CANCEL, str(row.id), self.now)
            return
        await self.connection.execute(
            """
            INSERT INTO return_label (return_id, media_type, content) VALUES ($1, $2, $3)
            ON CONFLICT (return_id) DO UPDATE SET media_type = excluded.media_type, content = excluded.content
            """,
            row.id,
            label.media_type,
            label.content,
        )
        what = f"{row.carrier} brings return {row.number} back in parcel {booking.tracking_number}."
        await self.say(row, order, "{what}", what=what)
        await self.write(row, order, ReturnStatus(row.status))
        if ask_at:
            await set_timer(self.connection, TRACK, str(row.id), ask_at)

    async def note(self, return_id: UUID, sentence: str) -> None:
        """Tell the timelines what a carrier says."""
        row, order = await self.lock(return_id)
        await self.say(row, order, "{what}", what=sentence)

    async def hear(self, row: ReturnRow, reports: Sequence[TrackingReport]) -> ReturnRow:
        """Take what was said of a parcel, any number of times; it may move the return, which staff has to receive.

        Raise ActionNotAllowed and InvalidInput.
        """
        check_reports(reports, row.parcel_status or row.status, now=self.now)
        row, order = await self.lock(row.id)
        if row.parcel_status is None:
            return row
        known = ShipmentStatus(row.parcel_status)
        begin = ShipmentStatus.HANDED_OVER if known is ShipmentStatus.CREATED else known
        told = sorted(reports, key=lambda each: each.at)
        reached = after(begin, [each.status for each in told]) if told else known
        if reached is known:
            return row
        await self.connection.execute("UPDATE customer_return SET parcel_status = $2 WHERE id = $1", row.id, reached)
        if row.status not in HERE:
            sentence = SENTENCES.get(reached, "").format(parcel=row.tracking_number, carrier=row.carrier)
            if sentence and reached is not ShipmentStatus.IN_TRANSIT:
                await self.say(row, order, "{what}", what=sentence)
            if row.status == ReturnStatus.APPROVED:
                return await self.write(row, order, ReturnStatus.IN_TRANSIT)
        return row


@dataclass(frozen=True, slots=True, kw_only=True)
class Postage:
    """The carriers by their names, and the network that they bring to."""

    networks: Networks
    carrier: Callable[[str], Carrier]

    def errands(self) -> Mapping[str, Errand]:
        """Return who sees to the timers that returns by carrier set."""
        return {BOOK: self.book, CANCEL: self.cancel, TRACK: self.track}

    async def book(self, database: Database, key: str, now: datetime) -> None:
        """Book the parcel of an approved return that still waits for it, and keep its number and its label.

        One that needs it no more may have been booked after that, by a try whose end nobody heard of.
        """
        async with database.reading() as connection:
            (row,) = await returns(connection, [UUID(key)])
        if row.tracking_number or not row.carrier or not row.order_id:
            return
        if row.status != ReturnStatus.APPROVED:
            await self.cancel(database, key, now)
            return
        async with database.reading() as connection:
            order = await orders.order(connection, row.order_id)
            parcel = await _parcel(connection, await self.networks.current(connection), row, order)
        carrier = self.carrier(row.carrier)
        try:
            booking = await carrier.book(parcel)
            label = await carrier.label(parcel, booking.tracking_number)
        except Refused as refusal:
            await self._note(database, row, now, f"{row.carrier} does not take return {row.number}: {refusal}")
            return
        ask_at = now + carrier.polled_every if carrier.polled_every else None
        async with database.transaction() as connection:
            await self._post(connection, row, now).booked(row.id, booking, label, ask_at=ask_at)

    async def cancel(self, database: Database, key: str, now: datetime) -> None:
        """Call off what was booked, or what a process that died may have booked."""
        async with database.reading() as connection:
            (row,) = await returns(connection, [UUID(key)])
        try:
            await self.carrier(row.carrier or "").cancel(row.id, row.tracking_number)
        except Refused as refusal:
            await self._note(database, row, now, f"{row.carrier} does not call off return {row.number}: {refusal}")

    async def track(self, database: Database, key: str, now: datetime) -> None:
        """Ask after a parcel, and again later until the goods are here or nothing more is to be heard."""
        async with database.reading() as connection:
            (row,) = await returns(connection, [UUID(key)])
        carrier = self.carrier(row.carrier or "")
        ended = row.parcel_status in FINAL or row.status not in UNDER_WAY or now >= row.requested_at + ASKED_FOR
        if ended or row.tracking_number is None or carrier.polled_every is None:
            return
        reports = happened(await carrier.track(row.tracking_number), now=now)
        async with database.transaction() as connection:
            row = await self._post(connection, row, now).hear(row, reports)
            if row.parcel_status not in FINAL and row.status in UNDER_WAY:
                await set_timer(connection, TRACK, key, now + carrier.polled_every)

    async def _note(self, database: Database, row: ReturnRow, now: datetime, sentence: str) -> None:
        async with database.transaction() as connection:
            await self._post(connection, row, now).note(row.id, sentence)

    def _post(self, connection: Connection, row: ReturnRow, now: datetime) -> Post:
        viewer = replace(SYSTEM, name=row.carrier or SYSTEM.name)
        return Post(connection=connection, networks=self.networks, viewer=viewer, now=now)


async def _parcel(connection: Connection, snapshot: Snapshot, row: ReturnRow, order: OrderRow) -> Parcel:
    lines = await lines_of(connection, [row.id])
    grams = {item.sku: item.weight_grams for item in await inventory.items(connection, [line.sku for line in lines])}
    assert order.ship_to and row.announced_location_id  # noqa: S101, PT018 - nothing else comes by carrier
    sender = Address.from_json(order.ship_to)
    place = snapshot.locations[row.announced_location_id]
    service = snapshot.services[row.carrier_service_code or ""]
    return Parcel(
        reference=row.id,
        number=row.parcel_number or 0,
        carrier=service.carrier,
        service_code=service.code,
        service_name=service.name,
        sender=replace(sender, name=sender.name or order.customer_name),
        recipient=Address(
            name=place.address_name or place.name,
            lines=tuple(place.address_lines),
            postal_code=place.postal_code,
            city=place.city,
            region=place.region,
            country=place.country,
        ),
        grams=sum(grams[line.sku] * line.quantity for line in lines),
        contents={line.sku: line.quantity for line in lines},
    )
