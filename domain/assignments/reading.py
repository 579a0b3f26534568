"""How assignments are read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from domain.paging import Listing
from domain.transaction import Connection, Row
from domain.viewer import Viewer
from domain.vocabulary import Role


class AssignmentRow(Row):
    """An assignment as Postgres holds it."""

    id: UUID
    number: str
    order_id: UUID
    location_id: UUID
    status: str
    method: str
    carrier_service_code: str | None
    offered_at: datetime
    respond_by: datetime | None
    start_seconds: int | None
    deadline: datetime | None
    """When it expires unless it is answered or, once accepted, begun; None where it does not."""
    due_at: datetime
    arrives_latest: datetime
    assignee: str | None
    reject_reason: str | None
    pickup_attempts: int
    pickup_locked_until: datetime | None
    collect_by: datetime | None
    restocked_at: datetime | None
    """Since when nothing that was picked for work called off is missing from its shelf."""
    work_day: date | None
    units_committed: int
    withheld: bool
    begun_at: datetime | None
    """Since when it is picked."""
    version: int


class AssignmentLineRow(Row):
    """A line of an assignment."""

    id: UUID
    assignment_id: UUID
    order_line_id: UUID
    position: int
    sku: str
    quantity: int
    picked: int
    short: int
    short_reason: str | None


class AssignmentSort(StrEnum):
    """What a list of assignments is ordered by."""

    DUE_AT = "DUE_AT"
    OFFERED_AT = "OFFERED_AT"


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignmentFilter:
    """Which assignments; what is None narrows nothing."""

    location_ids: Sequence[UUID] | None = None
    status: Sequence[str] | None = None
    method: Sequence[str] | None = None
    due_before: datetime | None = None
    withheld: bool = False
    """Whether to list also what no location knows of."""


def listing(
    which: AssignmentFilter, *, sort: AssignmentSort = AssignmentSort.DUE_AT, descending: bool = False
) -> Listing[AssignmentRow]:
    """Return the list of assignments that a filter describes."""
    column = "due_at" if sort is AssignmentSort.DUE_AT else "offered_at"
    listed = Listing(
        source="assignment",
        columns="*",
        key=((column, "timestamptz"), ("id", "uuid")),
        row=AssignmentRow,
        descending=descending,
    )
    listed.where_given("location_id = ANY (?::uuid[])", which.location_ids)
    listed.where_given("status = ANY (?::text[])", which.status)
    listed.where_given("method = ANY (?::text[])", which.method)
    listed.where_given("due_at < ?", which.due_before)
    listed.where_given("withheld = ?", None if which.withheld else False)
    return listed


def visible(row: AssignmentRow, viewer: Viewer) -> bool:
    """Say whether a viewer may know of an assignment: a store of its own, once it was offered."""
    return viewer.works_at(row.location_id) and not (row.withheld and viewer.role is Role.STORE)


async def assignments(connection: Connection, ids: Sequence[UUID]) -> list[AssignmentRow]:
    """Return those of the assignments that exist, in any order."""
    rows: list[AssignmentRow] = await connection.fetch(
        "SELECT * FROM assignment WHERE id = ANY ($1::uuid[])", ids, record_class=AssignmentRow
    )
    return rows


async def assignments_of(connection: Connection, order_ids: Sequence[UUID]) -> list[AssignmentRow]:
    """Return the assignments of orders, each order's in the order they were offered."""
    rows: list[AssignmentRow] = await connection.fetch(
        "SELECT * FROM assignment WHERE order_id = ANY ($1::uuid[]) ORDER BY order_id, offered_at, number",
        order_ids,
        record_class=AssignmentRow,
    )
    return rows


async def lines_of(connection: Connection, assignment_ids: Sequence[UUID]) -> list[AssignmentLineRow]:
    """Return the lines of assignments, each assignment's in their place."""
    rows: list[AssignmentLineRow] = await connection.fetch(
        "SELECT * FROM assignment_line WHERE assignment_id = ANY ($1::uuid[]) ORDER BY assignment_id, position",
        assignment_ids,
        record_class=AssignmentLineRow,
    )
    return rows


async def lines(connection: Connection, ids: Sequence[UUID]) -> list[AssignmentLineRow]:
    """Return those of the lines that exist, in any order."""
    rows: list[AssignmentLineRow] = await connection.fetch(
        "SELECT * FROM assignment_line WHERE id = ANY ($1::uuid[])", ids, record_class=AssignmentLineRow
    )
    return rows
