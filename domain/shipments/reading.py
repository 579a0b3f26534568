"""How shipments are read."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from domain.shipments.moves import FAILED
from domain.text import UNUSABLE
from domain.transaction import Connection, Row
from domain.viewer import Viewer
from domain.vocabulary import Role


class ShipmentRow(Row):
    """A parcel as Postgres holds it."""

    id: UUID
    number: int
    order_id: UUID
    assignment_id: UUID
    location_id: UUID
    carrier: str
    carrier_service_code: str
    status: str
    grams: int
    expected_latest: datetime
    created_at: datetime
    tracking_number: str | None
    tracking_url: str | None
    label_key: str | None
    replaced_at: datetime | None
    written_off: bool


class ShipmentLineRow(Row):
    """What a parcel holds of a line of the order."""

    shipment_id: UUID
    order_line_id: UUID
    sku: str
    quantity: int


class TrackingEventRow(Row):
    """What was said to have happened to a parcel."""

    shipment_id: UUID
    at: datetime
    status: str
    description: str | None


class LabelRow(Row):
    """What is printed and stuck on a parcel."""

    media_type: str
    content: bytes


def visible(row: ShipmentRow, viewer: Viewer) -> bool:
    """Say whether a viewer may see a parcel of an order that it may see: a store only its own."""
    return viewer.role is Role.STOREFRONT or viewer.works_at(row.location_id)


def astray(row: ShipmentRow) -> bool:
    """Say whether a parcel will not arrive, and nothing has been done about it yet."""
    return row.status in FAILED and row.replaced_at is None


async def shipments(connection: Connection, ids: Sequence[UUID]) -> list[ShipmentRow]:
    """Return those of the shipments that exist, in any order."""
    rows: list[ShipmentRow] = await connection.fetch(
        "SELECT * FROM shipment WHERE id = ANY ($1::uuid[])", ids, record_class=ShipmentRow
    )
    return rows


async def shipments_of_orders(connection: Connection, order_ids: Sequence[UUID]) -> list[ShipmentRow]:
    """Return the shipments of orders, each order's in the order they were made."""
    rows: list[ShipmentRow] = await connection.fetch(
        "SELECT * FROM shipment WHERE order_id = ANY ($1::uuid[]) ORDER BY order_id, number",
        order_ids,
        record_class=ShipmentRow,
    )
    return rows


async def came_back(connection: Connection, ids: Sequence[UUID]) -> set[UUID]:
    """Return which parcels cannot be given up, as units of theirs came back, or are announced to: they did arrive.

    Nobody says in which parcel a unit came: those after the first of an order may have to stand for what came back.
    """
    rows = await connection.fetch(
        """
        SELECT DISTINCT held.shipment_id
          FROM (SELECT h.*, sum(h.quantity) OVER (PARTITION BY h.order_line_id ORDER BY s.number) AS so_far
                  FROM shipment_line h JOIN shipment s ON s.id = h.shipment_id
                 WHERE s.id = ANY ($1::uuid[])) held
          JOIN order_line l ON l.id = held.order_line_id
         WHERE l.fulfilled - held.so_far < (
               SELECT coalesce(sum(b.quantity), 0)
                 FROM return_line b JOIN customer_return r ON r.id = b.return_id
                WHERE b.order_line_id = l.id AND r.shipment_id IS NULL AND r.status NOT IN ('DECLINED', 'CANCELLED'))
        """,
        ids,
    )
    return {row["shipment_id"] for row in rows}


async def lost_of_orders(connection: Connection, order_ids: Sequence[UUID]) -> list[ShipmentRow]:
    """Return the parcels of orders that will not arrive, and can all be given up, each order's in their order."""
    rows = [row for row in await shipments_of_orders(connection, order_ids) if astray(row)]
    back = await came_back(connection, [row.id for row in rows]) if rows else set[UUID]()
    return [row for row in rows if row.id not in back]


async def shipments_of_assignments(connection: Connection, assignment_ids: Sequence[UUID]) -> list[ShipmentRow]:
    """Return the shipments of assignments, each assignment's in the order they were made."""
    rows: list[ShipmentRow] = await connection.fetch(
        "SELECT * FROM shipment WHERE assignment_id = ANY ($1::uuid[]) ORDER BY assignment_id, number",
        assignment_ids,
        record_class=ShipmentRow,
    )
    return rows


async def newest(connection: Connection, tracking_number: str, carrier: str | None) -> ShipmentRow | None:
    """Return the newest shipment of that number, of that carrier where one is named."""
    if UNUSABLE.search(tracking_number + (carrier or "")):
        return None
    row: ShipmentRow | None = await connection.fetchrow(
        """
        SELECT * FROM shipment WHERE tracking_number = $1 AND carrier = coalesce($2, carrier)
         ORDER BY created_at DESC, number DESC LIMIT 1
        """,
        tracking_number,
        carrier,
        record_class=ShipmentRow,
    )
    return row


async def lines_of(connection: Connection, shipment_ids: Sequence[UUID]) -> list[ShipmentLineRow]:
    """Return what shipments hold, each shipment's by SKU."""
    rows: list[ShipmentLineRow] = await connection.fetch(
        "SELECT * FROM shipment_line WHERE shipment_id = ANY ($1::uuid[]) ORDER BY shipment_id, sku",
        shipment_ids,
        record_class=ShipmentLineRow,
    )
    return rows


async def events_of(connection: Connection, shipment_ids: Sequence[UUID]) -> list[TrackingEventRow]:
    """Return what happened to shipments, each shipment's oldest first."""
    rows: list[TrackingEventRow] = await connection.fetch(
        "SELECT * FROM tracking_event WHERE shipment_id = ANY ($1::uuid[]) ORDER BY shipment_id, at, status",
        shipment_ids,
        record_class=TrackingEventRow,
    )
    return rows


async def label(connection: Connection, key: str) -> LabelRow | None:
    """Return the label that a key opens, of a parcel to a shopper or from one."""
    row: LabelRow | None = await connection.fetchrow(
        """
        SELECT l.media_type, l.content FROM shipment s JOIN shipment_label l ON l.shipment_id = s.id
         WHERE s.label_key = $1
        UNION ALL
        SELECT l.media_type, l.content FROM customer_return r JOIN return_label l ON l.return_id = r.id
         WHERE r.label_key = $1
        """,
        key,
        record_class=LabelRow,
    )
    return row
