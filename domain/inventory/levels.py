"""Levels change here: locked in one order, never below zero, each change in the ledger and in the feed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.errors import InvalidInput, OutOfStock
from domain.inventory.rows import MOST, Movement, StockRow, enter, tell
from domain.inventory.waiting import wake
from domain.planning.problem import Missing
from domain.transaction import Connection

Key = tuple[str, UUID]


@dataclass(slots=True)
class _Delta:
    """What movements come to for one level."""

    on_hand: int = 0
    reserved: int = 0
    incoming: int = 0
    damaged: int = 0

    def add(self, movement: Movement) -> None:
        self.on_hand += movement.on_hand_delta
        self.reserved += movement.reserved_delta
        self.incoming += movement.incoming_delta
        self.damaged += movement.damaged_delta


async def move(
    connection: Connection,
    movements: Sequence[Movement],
    *,
    now: datetime,
    within_available: bool = False,
    channel: str | None = None,
) -> list[StockRow]:
    """Apply movements in the caller's transaction; return the levels they changed, by SKU and location.

    Raise OutOfStock, and change nothing, where a level does not exist or would fall below zero; with
    `within_available` also where more would be reserved than is on hand and not kept as safety stock or, for a
    `channel`, held back from it.
    """
    if not movements:
        return []
    levels = await lock(connection, list({(movement.sku, movement.location_id) for movement in movements}))
    movements = [movement.within(_on_hand(levels, movement)) for movement in movements]
    deltas: dict[Key, _Delta] = {}
    for movement in movements:
        deltas.setdefault((movement.sku, movement.location_id), _Delta()).add(movement)
    kept = await _kept(connection, levels, channel) if within_available else {}
    missing = [
        Missing(sku=key[0], quantity=short)
        for key, delta in sorted(deltas.items())
        if (short := _short(levels.get(key), delta, kept.get(key))) > 0
    ]
    if missing:
        what = ", ".join(f"{line.quantity} of {line.sku}" for line in missing)
        raise OutOfStock(message=f"There is too little: {what}.", missing=missing)
    for key, delta in deltas.items():
        level = levels[key]
        if max(level.on_hand + delta.on_hand, level.incoming + delta.incoming, level.damaged + delta.damaged) > MOST:
            raise InvalidInput(message=f"No level may pass {MOST}.")
    changed = await _apply(connection, deltas, now=now)
    await enter(connection, movements, now=now)
    await tell(connection, changed, now=now)
    risen = {sku for (sku, _), delta in deltas.items() if delta.on_hand > delta.reserved}
    await wake(connection, {level.sku for level in changed if level.available > 0 and level.sku in risen}, now=now)
    return changed


def _on_hand(levels: Mapping[Key, StockRow], movement: Movement) -> int:
    level = levels.get((movement.sku, movement.location_id))
    return level.on_hand if level else 0


async def lock(connection: Connection, keys: Sequence[Key]) -> Mapping[Key, StockRow]:
    """Lock levels until the transaction ends, in the one order that everybody locks in; return those that exist."""
    rows = await connection.fetch(
        """
        SELECT s.*, greatest(s.on_hand - s.reserved - s.safety_stock, 0) AS available
          FROM stock s JOIN unnest($1::text[], $2::uuid[]) AS k(sku, location_id) USING (sku, location_id)
         ORDER BY s.sku COLLATE "C", s.location_id FOR UPDATE OF s
        """,
        [sku for sku, _ in keys],
        [location_id for _, location_id in keys],
        record_class=StockRow,
    )
    return {(row.sku, row.location_id): row for row in rows}


async def _kept(connection: Connection, levels: Mapping[Key, StockRow], channel: str | None) -> dict[Key, int]:
    """Return how many units of each level may not be reserved."""
    kept = {key: level.safety_stock for key, level in levels.items()}
    if channel is not None:
        rows = await connection.fetch(
            """
            SELECT k.sku, k.location_id, held_back($3, k.sku, k.location_id)
              FROM unnest($1::text[], $2::uuid[]) AS k(sku, location_id)
            """,
            [sku for sku, _ in levels],
            [location_id for _, location_id in levels],
            channel,
        )
        for sku, location_id, units in rows:
            kept[sku, location_id] += units
    return kept


def _short(level: StockRow | None, delta: _Delta, kept: int | None) -> int:
    """Return how much a level lacks, where `kept` units of it may not be reserved, or None where all may."""
    if level is None:
        return max(-delta.on_hand, abs(delta.reserved), 1)
    after, held = level.on_hand + delta.on_hand, level.reserved + delta.reserved
    over = 0 if kept is None or delta.reserved <= 0 else held - max(after - kept, 0)
    return max(-after, -held, -(level.incoming + delta.incoming), -(level.damaged + delta.damaged), over)


async def _apply(connection: Connection, deltas: Mapping[Key, _Delta], *, now: datetime) -> list[StockRow]:
    changed = await connection.fetch(
        """
        UPDATE stock s
           SET on_hand = s.on_hand + d.on_hand, reserved = s.reserved + d.reserved,
               incoming = s.incoming + d.incoming, damaged = s.damaged + d.damaged,
               version = s.version + 1, updated_at = $7
          FROM unnest($1::text[], $2::uuid[], $3::int[], $4::int[], $5::int[], $6::int[])
               AS d(sku, location_id, on_hand, reserved, incoming, damaged)
         WHERE s.sku = d.sku AND s.location_id = d.location_id
        RETURNING s.*, greatest(s.on_hand - s.reserved - s.safety_stock, 0) AS available
        """,
        [sku for sku, _ in deltas],
        [location_id for _, location_id in deltas],
        [delta.on_hand for delta in deltas.values()],
        [delta.reserved for delta in deltas.values()],
        [delta.incoming for delta in deltas.values()],
        [delta.damaged for delta in deltas.values()],
        now,
        record_class=StockRow,
    )
    return sorted(changed, key=lambda row: (row.sku, row.location_id))


async def create(connection: Connection, keys: Collection[Key], *, now: datetime) -> None:
    """Make the levels that do not exist yet, empty and at version 0; whoever makes them moves them after."""
    await connection.execute(
        """
        INSERT INTO stock (sku, location_id, on_hand, version, updated_at)
        SELECT k.sku, k.location_id, 0, 0, $3 FROM unnest($1::text[], $2::uuid[]) AS k(sku, location_id)
         ORDER BY k.sku COLLATE "C", k.location_id
        ON CONFLICT (sku, location_id) DO NOTHING
        """,
        [sku for sku, _ in keys],
        [location_id for _, location_id in keys],
        now,
    )
