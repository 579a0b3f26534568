"""What the office does: it passes on what shoppers want changed, sees to what went wrong, and counts the shelves."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import TypeAlias
from uuid import UUID

from app.simulate.town import OFFICE, Town
from domain import inventory, shortage
from domain.cancelling import Cancelling
from domain.errors import DomainError
from domain.holding import Holding
from domain.places import Address
from domain.rerouting import Rerouting
from domain.transaction import Connection

SHARES = {"cancel": 0.03, "hold": 0.03, "move": 0.03, "reroute": 0.02}
"""Of how many orders something is wanted, at some moment."""
WANTED_WITHIN = timedelta(hours=36)
HELD_FOR = timedelta(hours=5)
GIVEN_UP_AFTER = timedelta(days=1)
"""For so long an order waits that nothing is done about."""
SENT_AGAIN, COUNTED = 0.5, 0.1
"""The shares of parcels gone astray that are sent again, and of moments at which a shelf is counted."""

Change: TypeAlias = Callable[[Town, Connection, UUID], Awaitable[object]]


@dataclass(slots=True, kw_only=True)
class Office:
    """Those who answer the telephone."""

    town: Town
    wanted: list[tuple[datetime, str, UUID]] = field(default_factory=list)

    def expect(self, order_id: UUID, random: Random, *, held: bool) -> None:
        """Note what will be wanted of an order that was just placed, mostly soon."""
        if held:
            self.wanted.append((self.town.now + HELD_FOR, "release", order_id))
        for what, share in SHARES.items():
            if random.random() < share:
                at = self.town.now + random.random() ** 3 * WANTED_WITHIN
                self.wanted.append((at, what, order_id))
                if what == "hold":
                    self.wanted.append((at + HELD_FOR, "release", order_id))

    async def act(self) -> None:
        """Do what is wanted by now; what comes too late is refused, and stays as it is."""
        now = self.town.now
        due = [(what, order_id) for at, what, order_id in self.wanted if at <= now]
        self.wanted = [each for each in self.wanted if each[0] > now]
        await asyncio.gather(*(self._change(what, order_id) for what, order_id in due))

    async def look_after(self) -> None:
        """See to parcels that do not arrive, to orders that are stuck, and to a shelf."""
        for parcel in await self.town.rows(_ASTRAY):
            again = self.town.chance("astray", parcel["number"]).random() < SENT_AGAIN
            if not (again and await self._change("replace", parcel["id"])):
                await self._change("cancel", parcel["order_id"])
        for order in await self.town.rows(_STUCK, self.town.now - GIVEN_UP_AFTER):
            await self._change("cancel", order["id"])
        random = self.town.chance("count", self.town.now)
        if random.random() < COUNTED:
            await self._count(random.choice(await self.town.rows(_RESERVED) or [None]))

    async def _change(self, what: str, key: UUID) -> bool:
        with suppress(DomainError):
            await self.town.transact(lambda connection: CHANGES[what](self.town, connection, key))
            return True
        return False

    async def _count(self, level: Mapping[str, object] | None) -> None:
        """Find one unit less than orders hold of something there is little of."""
        if level is None:
            return
        town = self.town

        async def settle(connection: Connection, keys: object) -> None:
            await shortage.settle(connection, town.networks, keys, viewer=OFFICE, now=town.now)  # type: ignore[arg-type]

        counted: dict[str, object] = {**level, "on_shortage": settle, "now": town.now}
        await town.transact(lambda connection: inventory.count_stock(connection, **counted))  # type: ignore[arg-type]


async def _move(town: Town, connection: Connection, order_id: UUID) -> None:
    city = town.chance("move", order_id).choice(town.network.country.cities[:3])
    there = Address(postal_code="20095", city=city.name, country=town.network.country.code, position=city.position)
    await Rerouting(connection=connection, networks=town.networks, viewer=OFFICE, now=town.now).change_address(
        order_id, there
    )


def _simple(doer: type, name: str) -> Change:
    def change(town: Town, connection: Connection, key: UUID) -> Awaitable[object]:
        desk = doer(connection=connection, networks=town.networks, viewer=OFFICE, now=town.now)
        made: Awaitable[object] = getattr(desk, name)(key)
        return made

    return change


CHANGES: Mapping[str, Change] = {
    "cancel": _simple(Cancelling, "cancel"),
    "hold": _simple(Holding, "hold"),
    "release": _simple(Holding, "release"),
    "move": _move,
    "reroute": _simple(Rerouting, "reroute"),
    "replace": _simple(Rerouting, "replace"),
}

_ASTRAY = """
SELECT id, order_id, number FROM shipment
 WHERE status IN ('LOST', 'RETURNED_TO_SENDER') AND replaced_at IS NULL ORDER BY number
"""
_STUCK = """
SELECT o.id FROM customer_order o
 WHERE o.updated_at <= $1 AND o.status IN ('BACKORDERED', 'UNROUTABLE', 'PARTIALLY_FULFILLED')
   AND NOT EXISTS (SELECT FROM assignment a WHERE a.order_id = o.id
                      AND a.status IN ('OFFERED', 'ACCEPTED', 'PICKING', 'PACKED', 'READY_FOR_PICKUP'))
 ORDER BY o.number
"""
_RESERVED = """
SELECT sku, location_id, reserved - 1 AS on_hand FROM stock
 WHERE reserved > 0 AND on_hand >= reserved ORDER BY on_hand - reserved, sku, location_id LIMIT 5
"""
