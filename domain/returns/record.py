"""How what happens to returns is written: on their rows, in their timeline and the order's, in the feed."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain import feed, orders
from domain.errors import NotFound
from domain.machine import check_step
from domain.money import to_decimal
from domain.network import Networks
from domain.orders import OrderRow
from domain.returns.moves import NEXT, SENTENCES
from domain.returns.reading import ReturnRow, returns, visible
from domain.transaction import Connection
from domain.viewer import Viewer
from domain.vocabulary import OrderStatus, ReturnStatus, UpdateKind

REFUNDED = frozenset({ReturnStatus.INSPECTED, ReturnStatus.CLOSED})
"""What is told then tells the refund, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Who writes, when, and on which transaction; the caller has locked the order, or the return that has none."""

    connection: Connection
    networks: Networks
    viewer: Viewer
    now: datetime

    async def lock(self, return_id: UUID) -> tuple[ReturnRow, OrderRow | None]:
        """Lock a return's order and the return, and return both; NotFound where there is none."""
        order_id = await self.connection.fetchval("SELECT order_id FROM customer_return WHERE id = $1", return_id)
        order = await orders.taken(self.connection, order_id) if order_id else None
        await self.connection.execute("SELECT FROM customer_return WHERE id = $1 FOR NO KEY UPDATE", return_id)
        rows = await returns(self.connection, [return_id])
        if not rows:
            raise NotFound(message="There is no such return.", path=("id",))
        return rows[0], order

    async def take(self, return_id: UUID) -> tuple[ReturnRow, OrderRow | None]:
        """Do as `lock`; NotFound also where the viewer may not know of the return."""
        row, order = await self.lock(return_id)
        if not visible(row, self.viewer):
            raise NotFound(message="There is no such return.", path=("id",))
        return row, order

    async def write(
        self, row: ReturnRow, order: OrderRow | None, status: ReturnStatus, *, why: str = "", what: str = ""
    ) -> ReturnRow:
        """Write a status, and tell it; one that is not new is told to the feed only."""
        check_step(NEXT, ReturnStatus(row.status), status)
        await self.connection.execute(
            """
            UPDATE customer_return SET status = $2::text, version = version + 1,
                   expires_at = CASE WHEN $2::text IN ('REQUESTED', 'APPROVED') THEN expires_at END
             WHERE id = $1
            """,
            row.id,
            status,
        )
        (changed,) = await returns(self.connection, [row.id])
        if status != row.status or what:
            await self.say(changed, order, SENTENCES[status], why=why, what=what)
        await self.tell(changed, order)
        return changed

    async def say(
        self, row: ReturnRow, order: OrderRow | None, sentence: str, *, why: str = "", what: str = ""
    ) -> None:
        """Tell the timelines of a return and its order a sentence; {place} is where it was received."""
        place = row.received_location_id
        name = (await self.networks.current(self.connection)).locations[place].name if place else ""
        refund = f"{to_decimal(row.refund, row.currency)} {row.currency}"
        message = sentence.format(number=row.number, place=name, why=why, what=what, refund=refund)
        kind, at = UpdateKind.RETURN_STATUS_CHANGED, (place if "{place}" in sentence else None)
        await self.connection.execute(
            """
            INSERT INTO return_timeline (return_id, at, kind, message, actor, location_id)
            VALUES ($1, $2, $3, $4, $5, $6)
            """,
            row.id,
            self.now,
            kind,
            message,
            self.viewer.name,
            at,
        )
        if order:
            told = orders.Told(order_id=order.id, channel=order.channel, location_ids=())
            step = orders.Step(kind=kind, status=OrderStatus(order.status), message=message, location_id=at)
            await orders.note(self.connection, [orders.entry(told, step, actor=self.viewer.name, now=self.now)])

    async def tell(self, row: ReturnRow, order: OrderRow | None) -> None:
        """Tell the feed of a return as it now stands."""
        places = {place for place in (row.announced_location_id, row.received_location_id) if place}
        refund = (str(to_decimal(row.refund, row.currency)), row.currency) if row.status in REFUNDED else None
        fact = feed.Fact(
            kind=UpdateKind.RETURN_STATUS_CHANGED,
            at=self.now,
            order_id=row.order_id,
            return_id=row.id,
            location_ids=sorted(places),
            channel=order.channel if order else None,
            status=row.status,
            refund=refund,
        )
        await feed.record(self.connection, [fact])
