"""What comes back: shoppers change their minds, parcels find nobody, and counters see to all of it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import TypeVar

from app.simulate.town import OFFICE, Town
from domain import orders, returns
from domain.carriers import TrackingReport
from domain.errors import ReturnNotEligible
from domain.orders import OrderRow
from domain.returns import Inspected, Inspection, NewReturn, Post, ReturnRow, Wanted
from domain.returns.record import Record
from domain.transaction import Connection
from domain.vocabulary import ItemCondition, ReturnMethod, ReturnReason, ReturnStatus, ShipmentStatus

COMES_BACK, BY_CARRIER, CALLED_OFF = 0.15, 0.4, 0.05
"""The shares of orders of which a part comes back, of returns that a carrier brings, and of those thought better of."""
AT_THE_COUNTER = 0.2
"""How probable it is, at each step of the clock, that the next thing happens with a return."""
LATELY = timedelta(hours=2)
CONDITIONS = (*[ItemCondition.NEW] * 7, ItemCondition.OPENED, ItemCondition.DAMAGED, ItemCondition.DEFECTIVE)

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Counters:
    """Those who bring something back, and those who take it in."""

    town: Town

    async def act(self) -> None:
        """Ask to return what has just come, and take the next step with each return, or not yet."""
        async with self.town.database.reading() as connection:
            ended = await connection.fetch(_ENDED, self.town.now - LATELY, record_class=OrderRow)
            numbers = {row["id"]: row["number"] for row in await connection.fetch(_OPEN)}
            rows = await returns.returns(connection, list(numbers))
        brought = [order for order in ended if self.town.chance("back", order.number).random() < COMES_BACK]
        chances = [self.town.chance("return", numbers[row.id], row.status, self.town.now) for row in rows]
        moving = [pair for pair in zip(rows, chances, strict=True) if pair[1].random() < AT_THE_COUNTER]
        await asyncio.gather(*map(self._ask, brought), *(self._go_on(*pair) for pair in moving))

    async def _ask(self, order: OrderRow) -> None:
        """Ask to return a unit of each line that came."""
        random = self.town.chance("return", order.number)
        async with self.town.database.reading() as connection:
            lines = await orders.lines_of(connection, [order.id])
        wanted = NewReturn(
            order_id=order.id,
            lines=[
                Wanted(order_line_id=line.id, quantity=1, reason=random.choice(list(ReturnReason)))
                for line in lines
                if line.fulfilled
            ],
            method=ReturnMethod.CARRIER if random.random() < BY_CARRIER else ReturnMethod.IN_STORE,
            location_id=None,
            idempotency_key=f"return of {order.number}",
        )
        with suppress(ReturnNotEligible):  # no carrier brings back what was collected
            await self._transact(returns.Desk, lambda desk: desk.request(wanted))

    async def _go_on(self, row: ReturnRow, random: Random) -> None:
        match row.status:
            case ReturnStatus.RECEIVED:
                await self._inspect(row, random)
            case ReturnStatus.INSPECTED:
                await self._transact(returns.Desk, lambda desk: desk.close(row.id))
            case ReturnStatus.APPROVED if row.method == ReturnMethod.CARRIER:
                if row.tracking_number:
                    told = [TrackingReport(status=ShipmentStatus.IN_TRANSIT, at=self.town.now)]
                    await self._transact(Post, lambda post: post.hear(row, told))
            case ReturnStatus.APPROVED if random.random() < CALLED_OFF:
                await self._transact(returns.Desk, lambda desk: desk.cancel(row.id))
            case _:
                await self._receive(row, random)

    async def _receive(self, row: ReturnRow, random: Random) -> None:
        """Take it in where it was announced, else at any store that takes returns."""
        places = (await self.town.networks.current()).locations.values()
        counters = [place.id for place in places if returns.takes_returns(place)]
        announced = row.announced_location_id
        place = announced if announced and (row.shipment_id or announced in counters) else random.choice(counters)
        await self._transact(returns.Desk, lambda desk: desk.receive(row.id, place))

    async def _inspect(self, row: ReturnRow, random: Random) -> None:
        async with self.town.database.reading() as connection:
            lines = await returns.lines_of(connection, [row.id])
        seen = [Inspected(line_id=line.id, condition=random.choice(CONDITIONS)) for line in lines]
        await self._transact(Inspection, lambda inspection: inspection.inspect(row.id, seen))

    async def _transact(self, kind: type[R], act: Callable[[R], Awaitable[object]]) -> None:
        def step(connection: Connection) -> Awaitable[object]:
            return act(kind(connection=connection, networks=self.town.networks, viewer=OFFICE, now=self.town.now))

        await self.town.transact(step)


_ENDED = """
SELECT o.* FROM customer_order o
 WHERE o.status = 'COMPLETED' AND o.updated_at > $1
   AND NOT EXISTS (SELECT FROM customer_return r WHERE r.order_id = o.id)
 ORDER BY o.number
"""
_OPEN = """
SELECT r.id, o.number FROM customer_return r JOIN customer_order o ON o.id = r.order_id
 WHERE r.status NOT IN ('DECLINED', 'CLOSED', 'CANCELLED')
"""
