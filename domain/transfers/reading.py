"""How transfers are read, and what may be done with them."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from domain.paging import Listing
from domain.transaction import Connection, Row
from domain.viewer import Viewer
from domain.vocabulary import Role, TransferStatus


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
    due_at: datetime | None
    """When it has to leave so that an order's promise is kept."""
    order_id: UUID | None
    """The order that waits for it."""
    carrier_service_code: str | None
    created_at: datetime
    version: int
    withheld: bool
    """Whether its order is on hold, before anybody was asked for it; read by `transfers` and `listing`."""


class TransferLineRow(Row):
    """A line of a transfer; `received` is 0 until it is received, `bound` is what of it an order waits for."""

    transfer_id: UUID
    sku: str
    position: int
    quantity: int
    received: int
    bound: int


_S, _A = TransferStatus, TransferAction
_WITHHELD = """status = 'REQUESTED' AND EXISTS (
    SELECT FROM customer_order o WHERE o.id = transfer.order_id AND o.status = 'ON_HOLD')"""
_COLUMNS = f"*, {_WITHHELD} AS withheld"


def visible(row: TransferRow, viewer: Viewer) -> bool:
    """Say whether the viewer works at either end; no store knows of what an order on hold would ask for."""
    works = viewer.works_at(row.from_location_id) or viewer.works_at(row.to_location_id)
    return works and not (viewer.role is Role.STORE and row.withheld)


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
        f"SELECT {_COLUMNS} FROM transfer WHERE id = ANY ($1)",  # noqa: S608 - our own names
        ids,
        record_class=TransferRow,
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
    *, location_ids: Sequence[UUID] | None = None, status: Sequence[TransferStatus] | None = None, withheld: bool
) -> Listing[TransferRow]:
    """Return the transfers from or to these locations as a list to page through, newest first.

    With `withheld`, also those that no location knows of.
    """
    listed = Listing(
        source="transfer",
        columns=_COLUMNS,
        key=[("created_at", "timestamptz"), ("id", "uuid")],
        row=TransferRow,
        descending=True,
    )
    if location_ids is not None:
        condition = "from_location_id = ANY (?::uuid[]) OR to_location_id = ANY (?::uuid[])"
        listed.where(condition, location_ids, location_ids)
    listed.where_given("status = ANY (?::text[])", status)
    if not withheld:
        listed.where(f"NOT ({_WITHHELD})")
    return listed
