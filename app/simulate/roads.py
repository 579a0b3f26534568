"""What happens between locations and shoppers: carriers bring parcels, vans bring stock."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID

from app.simulate.town import OFFICE, Town
from domain import inventory, transfers
from domain.carriers import TrackingReport
from domain.errors import ActionNotAllowed, OutOfStock
from domain.shipments import Dispatch, ShipmentRow
from domain.transaction import Connection
from domain.transfers import TransferRow
from domain.vocabulary import MovementReason, ShipmentStatus, TransferStatus

ASTRAY, FAILED, LATE, TOLD_TWICE = 0.02, 0.03, 0.02, 0.05
"""The shares of parcels that go astray, need a second try or come a day late, and of reports that are repeated."""
FOUND, FOUND_AFTER = 0.5, timedelta(days=2)
"""The share of lost parcels that are delivered in the end, whatever was done about them, and how late."""
TRANSFERRED_WITHIN = timedelta(hours=20)


@dataclass(frozen=True, slots=True)
class Roads:
    """Those who drive."""

    town: Town

    async def act(self) -> None:
        """Tell of parcels what happened to them, and move what locations send each other."""
        async with self.town.database.reading() as connection:
            parcels = await connection.fetch(_UNDER_WAY, record_class=ShipmentRow)
            moving = await connection.fetch(_MOVING, record_class=TransferRow)
        await asyncio.gather(*map(self._carry, parcels), *map(self._move, moving))

    async def _carry(self, parcel: ShipmentRow) -> None:
        if parcel.status == ShipmentStatus.HANDED_OVER:
            await self._report(parcel, ShipmentStatus.IN_TRANSIT)
            return
        random = self.town.chance("parcel", parcel.number)
        arrives = parcel.expected_latest - timedelta(hours=random.uniform(0, 6))
        if parcel.status == ShipmentStatus.LOST:
            if self.town.chance("found", parcel.number).random() < FOUND and arrives + FOUND_AFTER <= self.town.now:
                await self._report(parcel, ShipmentStatus.DELIVERED)
            return
        second = random.random() < FAILED
        arrives += timedelta(days=1) * (random.random() < LATE)
        if random.random() < ASTRAY and arrives <= self.town.now:
            await self._report(parcel, random.choice((ShipmentStatus.LOST, ShipmentStatus.RETURNED_TO_SENDER)))
        elif second and parcel.status == ShipmentStatus.IN_TRANSIT and arrives <= self.town.now:
            await self._report(parcel, ShipmentStatus.DELIVERY_FAILED)
        elif arrives + timedelta(days=1) * second <= self.town.now:
            await self._report(parcel, ShipmentStatus.DELIVERED)

    async def _report(self, parcel: ShipmentRow, status: ShipmentStatus) -> None:
        town = self.town
        told = [TrackingReport(status=status, at=town.now)]

        def tell(connection: Connection) -> Awaitable[object]:
            dispatch = Dispatch(connection=connection, networks=town.networks, actor=parcel.carrier, now=town.now)
            return dispatch.take(parcel, told)

        for _ in range(1 + (town.chance("parcel", parcel.number, status).random() < TOLD_TWICE)):
            await town.transact(tell)

    async def _move(self, transfer: TransferRow) -> None:
        """Send or receive; what was called off at the same moment stays where it is, and so does what is not there."""
        try:
            await self.town.transact(partial(self._drive, transfer))
        except ActionNotAllowed:
            return
        except OutOfStock:
            await self.town.transact(partial(self._turn_back, transfer))

    async def _drive(self, transfer: TransferRow, connection: Connection) -> None:
        if transfer.status == TransferStatus.REQUESTED:
            await transfers.dispatch_transfer(connection, transfer.id, viewer=OFFICE, now=self.town.now)
        elif (transfer.expected_at or transfer.created_at + TRANSFERRED_WITHIN) <= self.town.now:
            sent = await transfers.lines_of(connection, [transfer.id])
            came = [transfers.Line(sku=line.sku, quantity=line.quantity) for line in sent]
            await transfers.receive_transfer(
                connection, self.town.networks, transfer.id, came, viewer=OFFICE, now=self.town.now
            )

    async def _turn_back(self, transfer: TransferRow, connection: Connection) -> None:
        await transfers.cancel_transfer(connection, self.town.networks, transfer.id, viewer=OFFICE, now=self.town.now)

    async def deliver(self, sku: str, location_id: UUID, quantity: int) -> None:
        """Let a supplier bring stock."""
        bring = partial(
            inventory.adjust_stock,
            sku=sku,
            location_id=location_id,
            delta=quantity,
            reason=MovementReason.RECEIVED,
            note=None,
            idempotency_key=f"{sku} {location_id} {self.town.now}",
            now=self.town.now,
        )
        await self.town.transact(bring)


_UNDER_WAY = """
SELECT * FROM shipment
 WHERE status IN ('HANDED_OVER', 'IN_TRANSIT', 'OUT_FOR_DELIVERY', 'DELIVERY_FAILED', 'LOST')
   AND tracking_number IS NOT NULL
 ORDER BY number
"""
_MOVING = """
SELECT * FROM transfer t
 WHERE status IN ('REQUESTED', 'IN_TRANSIT')
   AND NOT EXISTS (SELECT FROM customer_order o WHERE o.id = t.order_id AND o.status = 'ON_HOLD')
 ORDER BY created_at, id
"""
