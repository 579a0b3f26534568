"""What happens to parcels, as it is written: on their rows, in the feed, in the order's timeline."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from domain import feed, inventory, lateness, orders
from domain.carriers import Booking, Label, TrackingReport
from domain.errors import ActionNotAllowed, InvalidInput
from domain.ids import new_ids
from domain.network import Networks
from domain.orders import OrderRow
from domain.shipments.moves import FAILED, FINAL, MOVES, REPORTED, SENTENCES, after
from domain.shipments.parcels import Units, share_out
from domain.shipments.reading import ShipmentRow, events_of, shipments, shipments_of_assignments, shipments_of_orders
from domain.text import check_optional_text
from domain.timers import clear_timer, set_timer
from domain.transaction import Connection
from domain.vocabulary import OrderStatus, ShipmentStatus, UpdateKind

if TYPE_CHECKING:
    from domain.assignments.reading import AssignmentLineRow, AssignmentRow

BOOK = "book_shipment"
CANCEL = "cancel_shipment"
TRACK = "track_shipment"
RETURNED = "returned_to_sender"
"""The kind of the timers that let a parcel which could not be delivered come back as a return."""
CLOCKS_DIFFER = timedelta(days=1)
"""How far ahead of ours a carrier's clock, or its time zone, may be."""
KEY_BYTES = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """Who acts, when, and on which transaction."""

    connection: Connection
    networks: Networks
    actor: str
    now: datetime

    async def create(self, work: "AssignmentRow", lines: Sequence["AssignmentLineRow"]) -> None:
        """Make the parcels of an assignment that is packed; each is booked as soon as this is committed."""
        if work.carrier_service_code is None:
            return
        service = (await self.networks.current(self.connection)).services[work.carrier_service_code]
        grams = {row.sku: row.weight_grams for row in await inventory.items(self.connection, [x.sku for x in lines])}
        units = [Units(line.order_line_id, line.sku, line.picked, grams[line.sku]) for line in lines if line.picked]
        parcels = share_out(units, service.max_grams)
        sku_of = {each.order_line_id: each.sku for each in units}
        ids = new_ids(self.now, len(parcels))
        place = (work.order_id, work.id, work.location_id, service.carrier, service.code, ShipmentStatus.CREATED)
        await self.connection.executemany(
            """
            INSERT INTO shipment (id, order_id, assignment_id, location_id, carrier, carrier_service_code, status,
                                  grams, expected_latest, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            """,
            [
                (new, *place, parcel.grams, work.arrives_latest, self.now)
                for new, parcel in zip(ids, parcels, strict=True)
            ],
        )
        await self.connection.executemany(
            "INSERT INTO shipment_line (shipment_id, order_line_id, sku, quantity) VALUES ($1, $2, $3, $4)",
            [
                (new, line_id, sku_of[line_id], quantity)
                for new, parcel in zip(ids, parcels, strict=True)
                for line_id, quantity in parcel.quantities.items()
            ],
        )
        for new in ids:
            await set_timer(self.connection, BOOK, str(new), self.now)

    async def hand_over(self, assignment_id: UUID, order: OrderRow) -> None:
        """Let the parcels of an assignment go; what their carrier has told already counts from now on."""
        rows = await shipments_of_assignments(self.connection, [assignment_id])
        for row in rows:
            if row.status == ShipmentStatus.CREATED:
                await self._write(row, order, await self._reached(row, ShipmentStatus.HANDED_OVER))

    async def call_off(self, assignment_id: UUID, order: OrderRow) -> None:
        """Cancel the parcels of an assignment that have not left, and their bookings once this is committed."""
        for row in await shipments_of_assignments(self.connection, [assignment_id]):
            if ShipmentStatus.CANCELLED in MOVES[ShipmentStatus(row.status)]:
                await self._write(row, order, ShipmentStatus.CANCELLED)
                await clear_timer(self.connection, TRACK, str(row.id))
                await set_timer(self.connection, CANCEL, str(row.id), self.now)

    async def booked(self, shipment_id: UUID, booking: Booking, label: Label) -> None:
        """Note what a carrier answered; a parcel that was called off meanwhile is called off with the carrier, too."""
        (row,) = await shipments(self.connection, [shipment_id])
        order = await orders.taken(self.connection, row.order_id)
        row = await self._number(shipment_id, booking)
        if row.status == ShipmentStatus.CANCELLED:
            await set_timer(self.connection, CANCEL, str(shipment_id), self.now)
            return
        await self.connection.execute(
            """
            INSERT INTO shipment_label (shipment_id, media_type, content) VALUES ($1, $2, $3)
            ON CONFLICT (shipment_id) DO UPDATE SET media_type = excluded.media_type, content = excluded.content
            """,
            shipment_id,
            label.media_type,
            label.content,
        )
        await self.tell(row, order, f"{row.carrier} carries parcel {name(row)}.")
        await self._tell_work(row, order)

    async def _tell_work(self, row: ShipmentRow, order: OrderRow) -> None:
        """Tell those who follow the location's work that the label is there to be printed."""
        status: str = await self.connection.fetchval("SELECT status FROM assignment WHERE id = $1", row.assignment_id)
        fact = orders.work_fact(
            order, assignment_id=row.assignment_id, location_id=row.location_id, status=status, now=self.now
        )
        await feed.record(self.connection, [fact])

    async def _number(self, shipment_id: UUID, booking: Booking) -> ShipmentRow:
        row: ShipmentRow = await self.connection.fetchrow(
            """
            UPDATE shipment SET tracking_number = $2, tracking_url = $3,
                   label_key = CASE WHEN status <> 'CANCELLED' THEN $4 END
             WHERE id = $1 RETURNING *
            """,
            shipment_id,
            booking.tracking_number,
            booking.tracking_url,
            secrets.token_urlsafe(KEY_BYTES),
            record_class=ShipmentRow,
        )
        return row

    async def say(self, shipment_id: UUID, sentence: str) -> None:
        """Tell the order's timeline something of a parcel; {parcel} is its number."""
        (row,) = await shipments(self.connection, [shipment_id])
        order = await orders.taken(self.connection, row.order_id)
        await self.tell(row, order, sentence.replace("{parcel}", name(row)))

    async def take(self, row: ShipmentRow, reports: Sequence[TrackingReport]) -> ShipmentRow:
        """Take what was said of a parcel; raises ActionNotAllowed and InvalidInput."""
        check_reports(reports, row.status, now=self.now)
        order = await orders.taken(self.connection, row.order_id)
        await self.connection.executemany(
            """
            INSERT INTO tracking_event (shipment_id, at, status, description) VALUES ($1, $2, $3, $4)
            ON CONFLICT DO NOTHING
            """,
            [(row.id, each.at, each.status, each.description) for each in reports],
        )
        (row,) = await shipments(self.connection, [row.id])
        if row.status == ShipmentStatus.CREATED or row.status in FINAL:
            return row
        reached = await self._reached(row, ShipmentStatus.HANDED_OVER)
        if reached == row.status:
            return row
        row = await self._write(row, order, reached)
        if reached in FINAL:
            await clear_timer(self.connection, TRACK, str(row.id))
        if reached is ShipmentStatus.DELIVERED and row.replaced_at and not await self.recognise(order):
            await self.tell(row, order, f"What parcel {name(row)} held was sent again meanwhile.")
        await orders.settle(self.connection, order, actor=self.actor, now=self.now)
        return (await shipments(self.connection, [row.id]))[0]

    async def recognise(self, order: OrderRow) -> bool:
        """Count what parcels held that were given up and arrived after all, as far as it was cancelled; say if any."""
        found = False
        for row in await shipments_of_orders(self.connection, [order.id]):
            given_up = row.status == ShipmentStatus.DELIVERED and row.replaced_at
            if given_up and await self.connection.fetchval(_RECOGNISE, row.id, self.now):
                await self.tell(
                    row, order, f"What parcel {name(row)} held was given up, and counts as fulfilled again."
                )
                found = True
        return found

    async def _missed(self, row: ShipmentRow, order: OrderRow) -> bool:
        """Say whether a parcel cannot arrive, or did not, as its order was promised."""
        if row.status != ShipmentStatus.DELIVERED or order.promised_latest is None:
            return row.status in FAILED
        arrived = [e.at for e in await events_of(self.connection, [row.id]) if e.status == ShipmentStatus.DELIVERED]
        return min(arrived) > order.promised_latest

    async def _reached(self, row: ShipmentRow, begin: ShipmentStatus) -> ShipmentStatus:
        events = await events_of(self.connection, [row.id])
        return after(begin, [ShipmentStatus(event.status) for event in events])

    async def _write(self, row: ShipmentRow, order: OrderRow, status: ShipmentStatus) -> ShipmentRow:
        """Write a status, and tell it to the feed and, where it has a sentence, to the order's timeline."""
        changed: ShipmentRow = await self.connection.fetchrow(
            """
            UPDATE shipment SET status = $2, label_key = CASE WHEN NOT $3 THEN label_key END
             WHERE id = $1 RETURNING *
            """,
            row.id,
            status,
            status in FINAL,
            record_class=ShipmentRow,
        )
        if status in FINAL:  # nobody prints it again, and it says where somebody lives
            await self.connection.execute("DELETE FROM shipment_label WHERE shipment_id = $1", row.id)
        if status is ShipmentStatus.RETURNED_TO_SENDER:
            await set_timer(self.connection, RETURNED, str(row.id), self.now)
        sentence = SENTENCES.get(status, "").format(parcel=name(row), carrier=row.carrier)
        await self.tell(changed, order, sentence)
        if await self._missed(changed, order):
            await lateness.mark(self.connection, [order.id], now=self.now)
        return changed

    async def tell(self, row: ShipmentRow, order: OrderRow, sentence: str) -> None:
        """Tell the feed that a parcel has changed, and the order's timeline how, where there is a sentence for it."""
        told = orders.Told(order_id=order.id, channel=order.channel, location_ids=(row.location_id,))
        kind, status = UpdateKind.SHIPMENT_STATUS_CHANGED, OrderStatus(order.status)
        step = orders.Step(kind=kind, status=status, message=sentence, location_id=row.location_id)
        if sentence:
            await orders.note(self.connection, [orders.entry(told, step, actor=self.actor, now=self.now)])
        await feed.record(self.connection, [orders.fact(told, step, now=self.now)])


_RECOGNISE = """
WITH held AS (
    SELECT l.order_line_id, l.quantity, bool_and(o.cancelled >= l.quantity) OVER () AS cancelled
      FROM shipment_line l JOIN order_line o ON o.id = l.order_line_id
     WHERE l.shipment_id = $1
), counted AS (
    UPDATE order_line o SET fulfilled = o.fulfilled + h.quantity, cancelled = o.cancelled - h.quantity
      FROM held h WHERE o.id = h.order_line_id AND h.cancelled
), written AS (
    UPDATE shipment s SET replaced_at = NULL, written_off = false
     WHERE s.id = $1 AND EXISTS (SELECT FROM held h WHERE h.cancelled)
    RETURNING s.order_id
)
UPDATE customer_order o SET version = version + 1, updated_at = $2
  FROM written w WHERE o.id = w.order_id RETURNING true
"""


def check_reports(reports: Sequence[TrackingReport], status: str, *, now: datetime) -> None:
    """Raise ActionNotAllowed or InvalidInput where this cannot have happened to a parcel of that status."""
    for each in reports:
        if each.status not in REPORTED:
            raise ActionNotAllowed(
                message=f"No carrier reports {each.status}.",
                path=("status",),
                status=status,
                allowed_actions=[status for status in ShipmentStatus if status in REPORTED],
            )
        if each.at > now + CLOCKS_DIFFER:
            raise InvalidInput(message="This has not happened yet.", path=("at",))
        check_optional_text(each.description or "", path=("description",))


def happened(reports: Sequence[TrackingReport], *, now: datetime) -> list[TrackingReport]:
    """Return what can have happened by now: a carrier that is asked may tell what it expects, too."""
    return [each for each in reports if each.at <= now + CLOCKS_DIFFER]


def name(row: ShipmentRow) -> str:
    """Return what people call a parcel."""
    return row.tracking_number or f"no. {row.number}"
