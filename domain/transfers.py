"""Stock that goes from one location to another: reserved at the source, then on its way, then there.

Who changes a transfer locks it first, and stock after.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from domain import inventory
from domain.errors import ActionNotAllowed, InvalidInput, NotFound
from domain.idempotency import answered
from domain.ids import new_id
from domain.inventory import MOST, Movement
from domain.paging import Listing
from domain.text import check_code
from domain.transaction import Connection, Row
from domain.viewer import Viewer
from domain.vocabulary import MovementReason, TransferStatus

MOST_LINES = 100


class TransferAction(StrEnum):
    """What may be done with a transfer."""

    DISPATCH = "DISPATCH"
    RECEIVE = "RECEIVE"
    CANCEL = "CANCEL"


class TransferRow(Row):
    """A transfer as Postgres holds it."""

    id: UUID
    number: str
    from_location_id: UUID
    to_location_id: UUID
    status: str
    expected_at: datetime | None
    created_at: datetime
    version: int


class TransferLineRow(Row):
    """A line of a transfer; `received` is 0 until it is received."""

    transfer_id: UUID
    sku: str
    position: int
    quantity: int
    received: int


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


def visible(row: TransferRow, viewer: Viewer) -> bool:
    """Say whether the viewer works at either end."""
    return viewer.works_at(row.from_location_id) or viewer.works_at(row.to_location_id)


def allowed_actions(row: TransferRow, viewer: Viewer) -> list[TransferAction]:
    """Return what the viewer may do with a transfer as it stands: the source sends, the target receives."""
    allowed = {
        _A.DISPATCH: row.status == _S.REQUESTED and viewer.works_at(row.from_location_id),
        _A.RECEIVE: row.status == _S.IN_TRANSIT and viewer.works_at(row.to_location_id),
        _A.CANCEL: row.status in {_S.REQUESTED, _S.IN_TRANSIT} and visible(row, viewer),
    }
    return [action for action, may in allowed.items() if may]


async def transfers(connection: Connection, ids: Sequence[UUID]) -> list[TransferRow]:
    """Return the transfers of these ids, those that exist, in no order."""
    rows: list[TransferRow] = await connection.fetch(
        "SELECT * FROM transfer WHERE id = ANY ($1)", ids, record_class=TransferRow
    )
    return rows


async def lines_of(connection: Connection, ids: Sequence[UUID]) -> list[TransferLineRow]:
    """Return the lines of transfers, each transfer's in their place."""
    rows: list[TransferLineRow] = await connection.fetch(
        "SELECT * FROM transfer_line WHERE transfer_id = ANY ($1) ORDER BY transfer_id, position",
        ids,
        record_class=TransferLineRow,
    )
    return rows


def listing(
    *, location_ids: Sequence[UUID] | None = None, status: Sequence[TransferStatus] | None = None
) -> Listing[TransferRow]:
    """Return the transfers from or to these locations as a list to page through, newest first."""
    listed = Listing(
        source="transfer",
        columns="*",
        key=[("created_at", "timestamptz"), ("id", "uuid")],
        row=TransferRow,
        descending=True,
    )
    if location_ids is not None:
        condition = "from_location_id = ANY (?::uuid[]) OR to_location_id = ANY (?::uuid[])"
        listed.where(condition, location_ids, location_ids)
    listed.where_given("status = ANY (?::text[])", status)
    return listed


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
    movements = [_movement(row, line, _R.RESERVED, ends[0], reserved=line.quantity) for line in wanted.lines]
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

    Raise OutOfStock where less than that is on hand after all, NotFound or ActionNotAllowed.
    """
    row, lines = await _take(connection, transfer_id, viewer)
    if row.status == _S.IN_TRANSIT:
        return row
    _may(_A.DISPATCH, row, viewer)
    await inventory.create(connection, [(line.sku, row.to_location_id) for line in lines], now=now)
    left = [
        _movement(row, line, _R.TRANSFERRED_OUT, row.from_location_id, on_hand=-line.quantity, reserved=-line.quantity)
        for line in lines
    ]
    expected = [_movement(row, line, _R.TRANSFERRED_IN, row.to_location_id, incoming=line.quantity) for line in lines]
    await inventory.move(connection, [*left, *expected], now=now)
    return await _advance(connection, _A.DISPATCH, row)


async def receive_transfer(
    connection: Connection, transfer_id: UUID, came: Sequence[Line], *, viewer: Viewer, now: datetime
) -> TransferRow:
    """Take in what came, also less or more than was sent, and of what is left out nothing. It is said once.

    Raise NotFound, ActionNotAllowed, or InvalidInput for an item that was not sent.
    """
    row, lines = await _take(connection, transfer_id, viewer)
    quantities = {line.sku: line.quantity for line in came}
    if row.status == _S.RECEIVED and all(line.received == quantities.get(line.sku, 0) for line in lines):
        return row
    _may(_A.RECEIVE, row, viewer)
    _check_lines(came, least=0)
    for index, line in enumerate(came):
        if line.sku not in {sent.sku for sent in lines}:
            message = f"No {line.sku} was sent; adjust the stock if it came."
            raise InvalidInput(message=message, path=("lines", str(index), "sku"))
    movements = [
        _movement(
            row,
            line,
            _R.TRANSFERRED_IN,
            row.to_location_id,
            on_hand=quantities.get(line.sku, 0),
            incoming=-line.quantity,
        )
        for line in lines
    ]
    await inventory.move(connection, movements, now=now)
    await connection.executemany(
        "UPDATE transfer_line SET received = $3 WHERE transfer_id = $1 AND sku = $2",
        [(row.id, line.sku, line.quantity) for line in came],
    )
    return await _advance(connection, _A.RECEIVE, row)


async def cancel_transfer(connection: Connection, transfer_id: UUID, *, viewer: Viewer, now: datetime) -> TransferRow:
    """Call it off: what was reserved may be sold again, what is on its way is back on hand at the source.

    Raise NotFound or ActionNotAllowed.
    """
    row, lines = await _take(connection, transfer_id, viewer)
    if row.status == _S.CANCELLED:
        return row
    _may(_A.CANCEL, row, viewer)
    source, target = row.from_location_id, row.to_location_id
    if row.status == _S.REQUESTED:
        movements = [_movement(row, line, _R.RELEASED, source, reserved=-line.quantity) for line in lines]
    else:
        movements = [_movement(row, line, _R.TRANSFERRED_IN, source, on_hand=line.quantity) for line in lines]
        movements += [_movement(row, line, _R.TRANSFERRED_IN, target, incoming=-line.quantity) for line in lines]
    await inventory.move(connection, movements, now=now)
    return await _advance(connection, _A.CANCEL, row)


async def _take(connection: Connection, transfer_id: UUID, viewer: Viewer) -> tuple[TransferRow, list[TransferLineRow]]:
    """Lock a transfer and return it with its lines; NotFound where the viewer may not know of it."""
    row = await connection.fetchrow(
        "SELECT * FROM transfer WHERE id = $1 FOR NO KEY UPDATE", transfer_id, record_class=TransferRow
    )
    if row is None or not visible(row, viewer):
        raise NotFound(message="There is no such transfer.", path=("id",))
    return row, await lines_of(connection, [transfer_id])


def _may(action: TransferAction, row: TransferRow, viewer: Viewer) -> None:
    allowed = allowed_actions(row, viewer)
    if action not in allowed:
        raise ActionNotAllowed(
            message=f"{action} cannot be done by {viewer.name}: the transfer is {row.status}.",
            path=("id",),
            status=row.status,
            allowed_actions=allowed,
        )


def _movement(
    row: TransferRow,
    line: Line | TransferLineRow,
    reason: MovementReason,
    location_id: UUID,
    *,
    on_hand: int = 0,
    reserved: int = 0,
    incoming: int = 0,
) -> Movement:
    return Movement(
        sku=line.sku,
        location_id=location_id,
        reason=reason,
        on_hand_delta=on_hand,
        reserved_delta=reserved,
        incoming_delta=incoming,
        note=f"Transfer {row.number}.",
    )


async def _advance(connection: Connection, action: TransferAction, row: TransferRow) -> TransferRow:
    after: TransferRow = await connection.fetchrow(
        "UPDATE transfer SET status = $2, version = version + 1 WHERE id = $1 RETURNING *",
        row.id,
        _TARGETS[action],
        record_class=TransferRow,
    )
    return after
