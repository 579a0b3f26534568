"""Items, levels and the ledger as Postgres holds them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self
from uuid import UUID

from domain.feed import Fact, record
from domain.ids import new_id
from domain.transaction import Connection, Row
from domain.vocabulary import MovementReason, UpdateKind

MOST = 1_000_000_000
"""The largest quantity of one item at one location."""
EACH_LOCATION = UUID(int=0)


class ItemRow(Row):
    """Something that is sold."""

    sku: str
    name: str
    weight_grams: int
    tags: list[str]
    barcodes: list[str]
    image_url: str | None


class StockRow(Row):
    """The level of one item at one location; `available` is what may be sold, never below 0."""

    sku: str
    location_id: UUID
    on_hand: int
    reserved: int
    safety_stock: int
    incoming: int
    damaged: int
    version: int
    updated_at: datetime
    available: int


class MovementRow(Row):
    """An entry of the ledger as Postgres holds it, or unfolds it from a run."""

    id: UUID
    sku: str
    location_id: UUID
    reason: str
    on_hand_delta: int
    reserved_delta: int
    order_id: UUID | None
    occurred_at: datetime
    note: str | None


class HoldbackRow(Row):
    """The last units of an item that a channel may not sell; EACH_LOCATION stands for each location."""

    channel: str
    sku: str
    location_id: UUID
    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """How much more is on hand, reserved and expected of an item at a location, and why.

    The ledger knows on hand and reserved; what is DAMAGED is on hand no more. Of what is `missing` no more leaves than
    is on hand when the level is locked.
    """

    sku: str
    location_id: UUID
    reason: MovementReason
    on_hand_delta: int = 0
    reserved_delta: int = 0
    incoming_delta: int = 0
    order_id: UUID | None = None
    note: str | None = None
    missing: bool = False

    def within(self, on_hand: int) -> Self:
        """Return what it comes to where so many are on hand."""
        if not self.missing:
            return self
        gone = min(-self.on_hand_delta, on_hand)
        return replace(self, on_hand_delta=-gone, reason=self.reason if gone else MovementReason.RELEASED)

    @property
    def damaged_delta(self) -> int:
        """Return how much more is damaged."""
        return -self.on_hand_delta if self.reason is MovementReason.DAMAGED else 0


def netted(movements: Sequence[Movement]) -> list[Movement]:
    """Return movements, where what an order gives up and what it takes at one level have become one, or none."""
    reserved: Counter[tuple[str, UUID, UUID | None]] = Counter()
    for movement in movements:
        if not movement.on_hand_delta:
            reserved[movement.sku, movement.location_id, movement.order_id] += movement.reserved_delta
    return [movement for movement in movements if movement.on_hand_delta] + [
        Movement(
            sku=sku,
            location_id=location_id,
            reason=MovementReason.RESERVED if units > 0 else MovementReason.RELEASED,
            reserved_delta=units,
            order_id=order_id,
        )
        for (sku, location_id, order_id), units in reserved.items()
        if units
    ]


def run_of(movement_id: UUID) -> UUID:
    """Return the id that the run of a movement has, where it is one of a run."""
    return UUID(int=movement_id.int >> 8 << 8)


async def enter(connection: Connection, movements: Iterable[Movement], *, now: datetime) -> None:
    """Write movements to the ledger, those of what is on hand or reserved."""
    rows = [
        {
            "id": new_id(now),
            "sku": movement.sku,
            "location_id": movement.location_id,
            "reason": movement.reason,
            "on_hand_delta": movement.on_hand_delta,
            "reserved_delta": movement.reserved_delta,
            "order_id": movement.order_id,
            "occurred_at": now,
            "note": movement.note,
        }
        for movement in movements
        if movement.on_hand_delta or movement.reserved_delta
    ]
    if rows:
        await connection.execute(
            "INSERT INTO stock_movement SELECT * FROM jsonb_populate_recordset(NULL::stock_movement, $1)", rows
        )


async def tell(connection: Connection, levels: Iterable[StockRow], *, now: datetime) -> None:
    """Record levels, as they now are, in the feed."""
    facts = [
        Fact(
            kind=UpdateKind.STOCK_CHANGED,
            at=now,
            sku=level["sku"],
            location_ids=(level["location_id"],),
            quantities=(level["on_hand"], level["reserved"], level["available"]),
        )
        for level in levels
    ]
    await record(connection, facts)
