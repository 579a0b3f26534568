"""How returns are read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.paging import Listing
from domain.text import UNUSABLE
from domain.transaction import Connection, Row
from domain.viewer import Viewer
from domain.vocabulary import Role


class ReturnRow(Row):
    """A return as Postgres holds it."""

    id: UUID
    number: str
    order_id: UUID | None
    shipment_id: UUID | None
    """The parcel that could not be delivered, where it is one that comes back."""
    status: str
    method: str
    announced_location_id: UUID | None
    received_location_id: UUID | None
    requested_at: datetime
    received_at: datetime | None
    currency: str
    price: int
    carrier: str | None
    carrier_service_code: str | None
    parcel_number: int | None
    parcel_status: str | None
    tracking_number: str | None
    tracking_url: str | None
    label_key: str | None
    expires_at: datetime | None
    """When it is called off, while nothing has come and nothing is known to be on its way; else None."""
    version: int
    refund: int
    """What the shopper gets back for all lines, less what the way back costs."""


class ReturnLineRow(Row):
    """A line of a return."""

    id: UUID
    return_id: UUID
    order_line_id: UUID | None
    position: int
    sku: str
    quantity: int
    reason: str
    deductions: dict[str, str]
    condition: str | None
    disposition: str | None
    explanation: str | None
    transfer_id: UUID | None
    refund: int
    currency: str
    transfer_to_id: UUID | None


class ReturnTimelineRow(Row):
    """What happened to a return, for people."""

    return_id: UUID
    at: datetime
    kind: str
    message: str
    actor: str | None
    location_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnFilter:
    """Which returns; what is None narrows nothing. `location_ids` is where it was announced or received."""

    status: Sequence[str] | None = None
    location_ids: Sequence[UUID] | None = None
    order_id: UUID | None = None


_COLUMNS = """
    r.*, greatest((SELECT coalesce(sum(l.refund), 0) FROM return_line l WHERE l.return_id = r.id) - r.price, 0)::bigint
         AS refund
"""
_LINES = """
    SELECT l.*, r.currency, t.to_location_id AS transfer_to_id
      FROM return_line l JOIN customer_return r ON r.id = l.return_id LEFT JOIN transfer t ON t.id = l.transfer_id
"""


def visible(row: ReturnRow, viewer: Viewer) -> bool:
    """Say whether a viewer may see a return whose id it knows: a store only one announced or received there."""
    places = (row.announced_location_id, row.received_location_id)
    return (
        viewer.role is Role.STOREFRONT
        or any(viewer.works_at(place) for place in places if place)
        or (viewer.role is not Role.STORE)
    )


def listing(which: ReturnFilter) -> Listing[ReturnRow]:
    """Return the list of returns that a filter describes, newest first."""
    listed = Listing(
        source="customer_return r",
        columns=_COLUMNS,
        key=(("requested_at", "timestamptz"), ("id", "uuid")),
        row=ReturnRow,
        descending=True,
    )
    listed.where_given("status = ANY (?::text[])", which.status)
    listed.where_given("order_id = ?", which.order_id)
    if which.location_ids is not None:
        condition = "announced_location_id = ANY (?::uuid[]) OR received_location_id = ANY (?::uuid[])"
        listed.where(condition, which.location_ids, which.location_ids)
    return listed


async def returns(connection: Connection, ids: Sequence[UUID]) -> list[ReturnRow]:
    """Return those of the returns that exist, in any order."""
    rows: list[ReturnRow] = await connection.fetch(
        f"SELECT {_COLUMNS} FROM customer_return r WHERE id = ANY ($1::uuid[])",  # noqa: S608 - our own columns
        ids,
        record_class=ReturnRow,
    )
    return rows


async def returns_of_orders(connection: Connection, order_ids: Sequence[UUID]) -> list[ReturnRow]:
    """Return the returns of orders, each order's oldest first."""
    rows: list[ReturnRow] = await connection.fetch(
        f"SELECT {_COLUMNS} FROM customer_return r WHERE order_id = ANY ($1::uuid[]) "  # noqa: S608 - our own columns
        "ORDER BY order_id, requested_at, id",
        order_ids,
        record_class=ReturnRow,
    )
    return rows


async def newest(connection: Connection, tracking_number: str, carrier: str | None) -> ReturnRow | None:
    """Return the newest return that comes in a parcel of that number, of that carrier where one is named."""
    if UNUSABLE.search(tracking_number + (carrier or "")):
        return None
    row: ReturnRow | None = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM customer_return r "  # noqa: S608 - our own columns
        "WHERE tracking_number = $1 AND carrier = coalesce($2, carrier) ORDER BY requested_at DESC, id DESC LIMIT 1",
        tracking_number,
        carrier,
        record_class=ReturnRow,
    )
    return row


async def lines_of(connection: Connection, return_ids: Sequence[UUID]) -> list[ReturnLineRow]:
    """Return the lines of returns, each return's in their place."""
    rows: list[ReturnLineRow] = await connection.fetch(
        f"{_LINES} WHERE l.return_id = ANY ($1::uuid[]) ORDER BY l.return_id, l.position",
        return_ids,
        record_class=ReturnLineRow,
    )
    return rows


async def lines(connection: Connection, ids: Sequence[UUID]) -> list[ReturnLineRow]:
    """Return those of the lines that exist, in any order."""
    rows: list[ReturnLineRow] = await connection.fetch(
        f"{_LINES} WHERE l.id = ANY ($1::uuid[])", ids, record_class=ReturnLineRow
    )
    return rows


async def timeline_of(connection: Connection, return_ids: Sequence[UUID]) -> list[ReturnTimelineRow]:
    """Return what happened to returns, oldest first."""
    rows: list[ReturnTimelineRow] = await connection.fetch(
        """
        SELECT return_id, at, kind, message, actor, location_id FROM return_timeline
         WHERE return_id = ANY ($1::uuid[]) ORDER BY return_id, at, id
        """,
        return_ids,
        record_class=ReturnTimelineRow,
    )
    return rows
