"""What people say of a level: that so many came, went or broke, or how many they counted."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from domain.errors import InvalidInput, NotFound, OutOfStock, VersionConflict
from domain.idempotency import answered
from domain.ids import new_id
from domain.inventory.foresight import foresee
from domain.inventory.levels import Key, create, lock, move
from domain.inventory.read import stock_levels
from domain.inventory.rows import MOST, Movement, StockRow
from domain.text import check_optional_text, check_text
from domain.transaction import Connection
from domain.vocabulary import MovementReason

OnShortage: TypeAlias = Callable[[Connection, Sequence[Key]], Awaitable[None]]
"""Sees to the work that holds more of a level than is on hand, in the transaction that found it out."""

OURS = frozenset({MovementReason.RESERVED, MovementReason.RELEASED})
"""Reasons that only orders give."""


async def adjust_stock(  # noqa: PLR0913 - a person says as much
    connection: Connection,
    *,
    sku: str,
    location_id: UUID,
    delta: int,
    reason: MovementReason,
    note: str | None,
    idempotency_key: str,
    on_shortage: OnShortage | None = None,
    now: datetime,
) -> StockRow:
    """Change what is on hand, as a person says; return the level. The same key and input changes it once.

    Fewer for DAMAGED are damaged from then on, more were not damaged after all. Raise NotFound, InvalidInput or
    IdempotencyConflict.
    """
    _check_adjustment(delta, reason, note)
    await _check_known(connection, sku, location_id)
    said = [sku, location_id, delta, reason, note]
    adjustment = str(new_id(now))
    if await answered(connection, "adjustStock", idempotency_key, said, adjustment, now=now) == adjustment:
        await _foresee(connection, (sku, location_id), delta=delta)
        await create(connection, [(sku, location_id)], now=now)
        movement = Movement(sku=sku, location_id=location_id, reason=reason, on_hand_delta=delta, note=note)
        await _correct(connection, movement, on_shortage, now=now)
    return (await stock_levels(connection, [(sku, location_id)]))[0]


async def count_stock(
    connection: Connection,
    *,
    sku: str,
    location_id: UUID,
    on_hand: int,
    expected_version: int | None = None,
    on_shortage: OnShortage | None = None,
    now: datetime,
) -> StockRow:
    """Set what is on hand to what was counted; return the level. Nothing is written where the count agrees.

    Raise NotFound, InvalidInput, or VersionConflict where the count would change a level that is not at
    `expected_version`; one that does not exist yet is at 0.
    """
    if not 0 <= on_hand <= MOST:
        raise InvalidInput(message=f"This is a number from 0 to {MOST}.", path=("onHand",))
    await _check_known(connection, sku, location_id)
    key = sku, location_id
    await _foresee(connection, key, on_hand=on_hand)
    await create(connection, [key], now=now)
    level = (await lock(connection, [key]))[key]
    if level.version and level.on_hand == on_hand:
        return level
    if expected_version not in {None, level.version}:
        message = f"The level has changed: it is at version {level.version}."
        raise VersionConflict(message=message, path=("expectedVersion",), current_version=level.version)
    difference = on_hand - level.on_hand
    reason = MovementReason.COUNTED
    movement = Movement(sku=sku, location_id=location_id, reason=reason, on_hand_delta=difference)
    await _correct(connection, movement, on_shortage, now=now)
    return (await stock_levels(connection, [key]))[0]


async def _foresee(connection: Connection, key: Key, *, on_hand: int | None = None, delta: int = 0) -> None:
    if await connection.fetchval(_LACKS, *key, on_hand, delta):
        await foresee(connection, [key])


_LACKS = "SELECT coalesce($3::int, on_hand + $4::int) < reserved FROM stock WHERE sku = $1 AND location_id = $2"


async def _correct(
    connection: Connection, movement: Movement, on_shortage: OnShortage | None, *, now: datetime
) -> None:
    """Take what was said as the truth, also where less is on hand than is reserved."""
    try:
        (level,) = await move(connection, [movement], now=now)
    except OutOfStock as fact:
        what = "damaged" if movement.on_hand_delta > 0 else "on hand"
        message = f"There are {fact.missing[0].quantity} fewer than that {what}."
        raise InvalidInput(message=message, path=("delta",)) from None
    except InvalidInput as fact:
        raise InvalidInput(message=fact.message, path=("delta",)) from None
    if on_shortage and level.on_hand < level.reserved:
        await on_shortage(connection, [(level.sku, level.location_id)])


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
