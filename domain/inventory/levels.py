"""Levels change here: locked in one order, never below zero, each change in the ledger and in the feed."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import orjson

from domain.errors import IdempotencyConflict, InvalidInput, NotFound, OutOfStock
from domain.inventory.read import stock_levels
from domain.inventory.rows import MOST, Movement, StockRow, enter, tell
from domain.planning.problem import Missing
from domain.text import check_optional_text, check_text
from domain.transaction import Connection
from domain.vocabulary import MovementReason

Key = tuple[str, UUID]
Deltas = tuple[int, int]
"""On hand, reserved."""

LONGEST_KEY = 200
OURS = frozenset({MovementReason.RESERVED, MovementReason.RELEASED})
"""Reasons that only orders give."""


async def move(
    connection: Connection, movements: Sequence[Movement], *, now: datetime, within_available: bool = False
) -> list[StockRow]:
    """Apply movements in the caller's transaction; return the levels they changed, by SKU and location.

    Raise OutOfStock, and change nothing, where a level does not exist or would fall below zero; with
    `within_available` also where more would be reserved than is on hand and not kept as safety stock.
    """
    deltas: dict[Key, Deltas] = {}
    for movement in movements:
        on_hand, reserved = deltas.get((movement.sku, movement.location_id), (0, 0))
        key = movement.sku, movement.location_id
        deltas[key] = on_hand + movement.on_hand_delta, reserved + movement.reserved_delta
    if not deltas:
        return []
    levels = await lock(connection, list(deltas))
    missing = [
        Missing(sku=key[0], quantity=short)
        for key, delta in sorted(deltas.items())
        if (short := _short(levels.get(key), delta, within_available=within_available)) > 0
    ]
    if missing:
        what = ", ".join(f"{line.quantity} of {line.sku}" for line in missing)
        raise OutOfStock(message=f"There is too little: {what}.", missing=missing)
    if any(levels[key].on_hand + on_hand > MOST for key, (on_hand, _) in deltas.items()):
        raise InvalidInput(message=f"No level may pass {MOST}.", path=("delta",))
    changed = await _apply(connection, deltas, now=now)
    await enter(connection, movements, now=now)
    await tell(connection, changed, now=now)
    return changed


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


def _short(level: StockRow | None, delta: Deltas, *, within_available: bool) -> int:
    on_hand, reserved = delta
    if level is None:
        return max(-on_hand, abs(reserved), 1)
    after, held = level.on_hand + on_hand, level.reserved + reserved
    over = held - max(after - level.safety_stock, 0) if within_available and reserved > 0 else 0
    return max(-after, -held, over)


async def _apply(connection: Connection, deltas: Mapping[Key, Deltas], *, now: datetime) -> list[StockRow]:
    changed = await connection.fetch(
        """
        UPDATE stock s
           SET on_hand = s.on_hand + d.on_hand, reserved = s.reserved + d.reserved,
               version = s.version + 1, updated_at = $5
          FROM unnest($1::text[], $2::uuid[], $3::int[], $4::int[]) AS d(sku, location_id, on_hand, reserved)
         WHERE s.sku = d.sku AND s.location_id = d.location_id
        RETURNING s.*, greatest(s.on_hand - s.reserved - s.safety_stock, 0) AS available
        """,
        [sku for sku, _ in deltas],
        [location_id for _, location_id in deltas],
        [on_hand for on_hand, _ in deltas.values()],
        [reserved for _, reserved in deltas.values()],
        now,
        record_class=StockRow,
    )
    return sorted(changed, key=lambda row: (row.sku, row.location_id))


async def adjust_stock(
    connection: Connection,
    *,
    sku: str,
    location_id: UUID,
    delta: int,
    reason: MovementReason,
    note: str | None,
    idempotency_key: str,
    now: datetime,
) -> StockRow:
    """Change what is on hand, as a person says; return the level. The same key and input changes it once.

    Raise NotFound, InvalidInput or IdempotencyConflict.
    """
    _check_adjustment(delta, reason, note)
    check_text(idempotency_key, path=("idempotencyKey",), longest=LONGEST_KEY)
    await _check_known(connection, sku, location_id)
    said = hashlib.sha256(orjson.dumps([sku, str(location_id), delta, reason, note])).digest()
    if await _is_first(connection, idempotency_key, said, now=now):
        await _create(connection, sku, location_id, now=now)
        movement = Movement(sku=sku, location_id=location_id, reason=reason, on_hand_delta=delta, note=note)
        try:
            await move(connection, [movement], now=now)
        except OutOfStock as fact:
            message = f"There are {fact.missing[0].quantity} fewer than that on hand."
            raise InvalidInput(message=message, path=("delta",)) from None
    return (await stock_levels(connection, [(sku, location_id)]))[0]


def _check_adjustment(delta: int, reason: MovementReason, note: str | None) -> None:
    if delta == 0 or abs(delta) > MOST:
        raise InvalidInput(message=f"A change is 1 to {MOST} more or fewer.", path=("delta",))
    if reason in OURS:
        raise InvalidInput(message=f"{reason} is what orders do to stock.", path=("reason",))
    if note:
        check_optional_text(note, path=("note",))


async def _check_known(connection: Connection, sku: str, location_id: UUID) -> None:
    known = await connection.fetchrow(
        "SELECT EXISTS (SELECT FROM item WHERE sku = $1) AS item, EXISTS (SELECT FROM location WHERE id = $2) AS place",
        check_text(sku, path=("sku",)),
        location_id,
    )
    if not (known and known["item"]):
        raise NotFound(message=f"There is no item {sku!r}.", path=("sku",))
    if not known["place"]:
        raise NotFound(message="There is no such location.", path=("locationId",))


async def _is_first(connection: Connection, key: str, said: bytes, *, now: datetime) -> bool:
    """Take the key for this input; say whether nobody had. Another transaction that holds it is waited for."""
    scope = "adjustStock"
    first: bool | None = await connection.fetchval(
        """
        INSERT INTO idempotency (scope, key, input_hash, result, created_at) VALUES ($1, $2, $3, '', $4)
        ON CONFLICT (scope, key) DO NOTHING RETURNING true
        """,
        scope,
        key,
        said,
        now,
    )
    if first:
        return True
    known = await connection.fetchval("SELECT input_hash FROM idempotency WHERE scope = $1 AND key = $2", scope, key)
    if known != said:
        message = "This key was used before, with another input."
        raise IdempotencyConflict(message=message, path=("idempotencyKey",))
    return False


async def _create(connection: Connection, sku: str, location_id: UUID, *, now: datetime) -> None:
    await connection.execute(
        """
        INSERT INTO stock (sku, location_id, on_hand, version, updated_at) VALUES ($1, $2, 0, 0, $3)
        ON CONFLICT (sku, location_id) DO NOTHING
        """,
        sku,
        location_id,
        now,
    )
