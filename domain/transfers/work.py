"""Stock that goes from one location to another: reserved at the source, then on its way, then there.

Who changes a transfer locks the order that waits for it first, then the transfer, and stock after.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain import inventory
from domain.errors import ActionNotAllowed, InvalidInput, NotFound
from domain.idempotency import answered
from domain.ids import new_id
from domain.inventory import MOST, Movement
from domain.network import Networks
from domain.orders import OrderRow
from domain.text import check_code
from domain.transaction import Connection
from domain.transfers.bound import hand_on, movement, say, seek_elsewhere, taken, waited_for
from domain.transfers.reading import (
    TransferAction,
    TransferLineRow,
    TransferRow,
    allowed_actions,
    lines_of,
    transfers,
    visible,
)
from domain.viewer import Viewer
from domain.vocabulary import MovementReason, OrderStatus, RoutingTrigger, TransferStatus

MOST_LINES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A quantity of an item."""

    sku: str
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTransfer:
    """A transfer as it is asked for. The same key and input make it once."""

    from_location_id: UUID
    to_location_id: UUID
    lines: Sequence[Line]
    expected_at: datetime | None
    idempotency_key: str


_S, _A, _R = TransferStatus, TransferAction, MovementReason
_TARGETS: Mapping[TransferAction, TransferStatus] = {
    _A.DISPATCH: _S.IN_TRANSIT,
    _A.RECEIVE: _S.RECEIVED,
    _A.CANCEL: _S.CANCELLED,
}


async def create_transfer(connection: Connection, wanted: NewTransfer, *, viewer: Viewer, now: datetime) -> TransferRow:
    """Ask for stock to go from one location to another, one of them the viewer's; reserve it at the source.

    Raise OutOfStock where the source has less to give, NotFound, InvalidInput or IdempotencyConflict.
    """
    ends = wanted.from_location_id, wanted.to_location_id
    if not any(viewer.works_at(end) for end in ends):
        raise NotFound(message="There is no such location.", path=("fromLocationId",))
    _check_lines(wanted.lines, least=1)
    said = [*ends, [[line.sku, line.quantity] for line in wanted.lines], wanted.expected_at]
    new = new_id(now)
    made = await answered(connection, "createTransfer", wanted.idempotency_key, said, new, now=now)
    if made != str(new):
        return (await transfers(connection, [UUID(made)]))[0]
    await _check_known(connection, wanted)
    row: TransferRow = await connection.fetchrow(
        """
        INSERT INTO transfer (id, number, from_location_id, to_location_id, status, expected_at, created_at, version)
        VALUES ($1, 'T' || nextval('transfer_number'), $2, $3, 'REQUESTED', $4, $5, 1) RETURNING *
        """,
        new,
        *ends,
        wanted.expected_at,
        now,
        record_class=TransferRow,
    )
    await connection.executemany(
        "INSERT INTO transfer_line (transfer_id, sku, position, quantity) VALUES ($1, $2, $3, $4)",
        [(new, line.sku, position, line.quantity) for position, line in enumerate(wanted.lines)],
    )
    movements = [movement(row, line.sku, _R.RESERVED, ends[0], reserved=line.quantity) for line in wanted.lines]
    await inventory.move(connection, movements, now=now, within_available=True)
    return row


def _check_lines(lines: Sequence[Line], *, least: int) -> None:
    if not 1 <= len(lines) <= MOST_LINES:
        raise InvalidInput(message=f"Name 1 to {MOST_LINES} items.", path=("lines",))
    for index, line in enumerate(lines):
        check_code(line.sku, path=("lines", str(index), "sku"))
        if not least <= line.quantity <= MOST:
            message = f"This is a number from {least} to {MOST}."
            raise InvalidInput(message=message, path=("lines", str(index), "quantity"))
        if line.sku in {other.sku for other in lines[:index]}:
            raise InvalidInput(message="An item is named twice.", path=("lines", str(index), "sku"))


async def _check_known(connection: Connection, wanted: NewTransfer) -> None:
    ends = {"fromLocationId": wanted.from_location_id, "toLocationId": wanted.to_location_id}
    found = await connection.fetch("SELECT id FROM location WHERE id = ANY ($1)", list(ends.values()))
    for field, end in ends.items():
        if end not in {row["id"] for row in found}:
            raise NotFound(message="There is no such location.", path=(field,))
    if wanted.from_location_id == wanted.to_location_id:
        raise InvalidInput(message="A transfer leads from one location to another.", path=("toLocationId",))
    known = {row.sku for row in await inventory.items(connection, [line.sku for line in wanted.lines])}
    for index, line in enumerate(wanted.lines):
        if line.sku not in known:
            raise InvalidInput(message=f"There is no item {line.sku!r}.", path=("lines", str(index), "sku"))


async def dispatch_transfer(connection: Connection, transfer_id: UUID, *, viewer: Viewer, now: datetime) -> TransferRow:
    """Let it leave the source: it is on hand there no more, and expected at the target.

    Raise OutOfStock where less than that is on hand after all, NotFound or, also for an order on hold,
    ActionNotAllowed.
    """
    row, lines, order = await _take(connection, transfer_id, viewer)
    if row.status == _S.IN_TRANSIT:
        return row
    _may(_A.DISPATCH, row, viewer)
    if order and order.status == OrderStatus.ON_HOLD:
        message = "It cannot be dispatched: the order that waits for it is on hold."
        raise ActionNotAllowed(message=message, path=("id",), status=row.status)
    await inventory.create(connection, [(line.sku, row.to_location_id) for line in lines], now=now)
    source, target = row.from_location_id, row.to_location_id
    left = [
        movement(row, line.sku, _R.TRANSFERRED_OUT, source, on_hand=-line.quantity, reserved=-line.quantity)
        for line in lines
    ]
    expected = [movement(row, line.sku, _R.TRANSFERRED_IN, target, incoming=line.quantity) for line in lines]
    await inventory.move(connection, [*left, *expected], now=now)
    if order and waited_for(lines):
        what = ", ".join(f"{units} x {sku}" for sku, units in waited_for(lines).items())
        await say(connection, order, f"{what} left for the store.", actor=viewer.name, now=now)
    return await _advance(connection, _A.DISPATCH, row)


async def receive_transfer(
    connection: Connection,
    networks: Networks,
    transfer_id: UUID,
    came: Sequence[Line],
    *,
    viewer: Viewer,
    now: datetime,
) -> TransferRow:
    """Take in what came, also less or more than was sent, and of what is left out nothing. It is said once.

    What an order waits for is reserved for it, and offered to the store; what of that did not come is sought elsewhere.
    Raise NotFound, ActionNotAllowed, or InvalidInput for an item that was not sent.
    """
    row, lines, order = await _take(connection, transfer_id, viewer)
    quantities = {line.sku: line.quantity for line in came}
    if row.status == _S.RECEIVED and all(line.received == quantities.get(line.sku, 0) for line in lines):
        return row
    _may(_A.RECEIVE, row, viewer)
    _check_came(came, lines)
    arrived = {sku: min(units, quantities.get(sku, 0)) for sku, units in waited_for(lines).items()}
    lost = {sku: units - arrived[sku] for sku, units in waited_for(lines).items() if units > arrived[sku]}
    if lost:
        await inventory.lock_items(connection, [line.sku for line in lines])
    movements = _received(row, lines, quantities)
    movements += [movement(row, sku, _R.RESERVED, row.to_location_id, reserved=arrived[sku]) for sku in arrived]
    await inventory.move(connection, movements, now=now)
    await connection.executemany(
        "UPDATE transfer_line SET received = $3 WHERE transfer_id = $1 AND sku = $2",
        [(row.id, line.sku, line.quantity) for line in came],
    )
    row = await _advance(connection, _A.RECEIVE, row)
    if order and any(arrived.values()):
        await hand_on(connection, networks, order, arrived, now=now)
    if order and lost:
        await _say_lost(connection, order, lost, "did not arrive at the store", viewer=viewer, now=now)
        await seek_elsewhere(connection, networks, order, lost, trigger=RoutingTrigger.SHORT_PICK, now=now)
    return row


def _received(row: TransferRow, lines: Sequence[TransferLineRow], quantities: Mapping[str, int]) -> list[Movement]:
    target, came = row.to_location_id, {line.sku: quantities.get(line.sku, 0) for line in lines}
    return [
        movement(row, line.sku, _R.TRANSFERRED_IN, target, on_hand=came[line.sku], incoming=-line.quantity)
        for line in lines
    ]


def _check_came(came: Sequence[Line], lines: Sequence[TransferLineRow]) -> None:
    _check_lines(came, least=0)
    for index, line in enumerate(came):
        if line.sku not in {sent.sku for sent in lines}:
            message = f"No {line.sku} was sent; adjust the stock if it came."
            raise InvalidInput(message=message, path=("lines", str(index), "sku"))


async def cancel_transfer(
    connection: Connection, networks: Networks, transfer_id: UUID, *, viewer: Viewer, now: datetime
) -> TransferRow:
    """Call it off: what was reserved may be sold again, what is on its way is back on hand at the source.

    What an order waits for is sought elsewhere. Raise NotFound or ActionNotAllowed.
    """
    row, lines, order = await _take(connection, transfer_id, viewer)
    if row.status == _S.CANCELLED:
        return row
    _may(_A.CANCEL, row, viewer)
    lost = waited_for(lines)
    if lost:
        await inventory.lock_items(connection, [line.sku for line in lines])
    source, target = row.from_location_id, row.to_location_id
    if row.status == _S.REQUESTED:
        movements = [movement(row, line.sku, _R.RELEASED, source, reserved=-line.quantity) for line in lines]
    else:
        movements = [movement(row, line.sku, _R.TRANSFERRED_IN, source, on_hand=line.quantity) for line in lines]
        movements += [movement(row, line.sku, _R.TRANSFERRED_IN, target, incoming=-line.quantity) for line in lines]
    await inventory.move(connection, movements, now=now)
    row = await _advance(connection, _A.CANCEL, row)
    if order and lost:
        await _say_lost(connection, order, lost, "will not be sent to the store", viewer=viewer, now=now)
        await seek_elsewhere(connection, networks, order, lost, trigger=RoutingTrigger.REJECTED, now=now)
    return row


async def _say_lost(
    connection: Connection, order: OrderRow, lost: Mapping[str, int], what: str, *, viewer: Viewer, now: datetime
) -> None:
    goods = ", ".join(f"{units} x {sku}" for sku, units in lost.items())
    await say(connection, order, f"{goods} {what}.", actor=viewer.name, now=now)


async def _take(
    connection: Connection, transfer_id: UUID, viewer: Viewer
) -> tuple[TransferRow, list[TransferLineRow], OrderRow | None]:
    """Lock a transfer, after its order, and return it with its lines; NotFound where the viewer may not know of it."""
    found = await taken(connection, transfer_id)
    if found is None or not visible(found[0], viewer):
        raise NotFound(message="There is no such transfer.", path=("id",))
    row, order = found
    return row, await lines_of(connection, [transfer_id]), order


def _may(action: TransferAction, row: TransferRow, viewer: Viewer) -> None:
    allowed = allowed_actions(row, viewer)
    if action not in allowed:
        raise ActionNotAllowed(
            message=f"{action} cannot be done by {viewer.name}: the transfer is {row.status}.",
            path=("id",),
            status=row.status,
            allowed_actions=allowed,
        )


async def _advance(connection: Connection, action: TransferAction, row: TransferRow) -> TransferRow:
    after: TransferRow = await connection.fetchrow(
        "UPDATE transfer SET status = $2, version = version + 1 WHERE id = $1 RETURNING *",
        row.id,
        _TARGETS[action],
        record_class=TransferRow,
    )
    return after
