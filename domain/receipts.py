"""Stock that suppliers are expected to bring: incoming until it is received.

Who changes a receipt locks it first, and stock after.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain import inventory
from domain.errors import InvalidInput, NotFound
from domain.idempotency import answered
from domain.ids import new_id
from domain.imports import ImportOutcome, OnRowError, check_each
from domain.inventory import MOST, Movement
from domain.paging import Listing
from domain.text import check_code
from domain.transaction import Connection, Database, Row
from domain.viewer import Viewer
from domain.vocabulary import MovementReason


class ReceiptRow(Row):
    """A receipt as Postgres holds it; more may be received than was expected."""

    id: UUID
    reference: str
    location_id: UUID
    sku: str
    quantity: int
    received: int
    expected_at: datetime


class _ChangedRow(ReceiptRow):
    more: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptRecord:
    """A row about what a supplier is to bring; its reference, location and item tell it from others."""

    reference: str
    location_code: str
    sku: str
    quantity: int
    expected_at: datetime


async def receipts(connection: Connection, ids: Sequence[UUID]) -> list[ReceiptRow]:
    """Return the receipts of these ids, those that exist, in no order."""
    rows: list[ReceiptRow] = await connection.fetch(
        "SELECT * FROM receipt WHERE id = ANY ($1)", ids, record_class=ReceiptRow
    )
    return rows


def listing(
    *, skus: Sequence[str] | None = None, location_ids: Sequence[UUID] | None = None, reference: str | None = None
) -> Listing[ReceiptRow]:
    """Return the receipts of these items and locations as a list to page through, those expected first first."""
    listed = Listing(
        source="receipt", columns="*", key=[("expected_at", "timestamptz"), ("id", "uuid")], row=ReceiptRow
    )
    listed.where_given("sku = ANY (?)", skus)
    listed.where_given("location_id = ANY (?::uuid[])", location_ids)
    listed.where_given("reference = ?", reference)
    return listed


async def expect_receipts(
    database: Database, rows: Sequence[ReceiptRecord], *, on_error: OnRowError, now: datetime
) -> ImportOutcome:
    """Take rows about what is expected, in one transaction; what a row changes, what is incoming follows."""
    outcome = ImportOutcome()
    checked = check_each(
        rows, key=lambda row: (row.reference, row.location_code, row.sku), check=_check, outcome=outcome
    )
    usable = [(number, rows[number]) for number, _ in checked]
    try:
        async with database.transaction() as connection:
            places = await inventory.find_places(connection, usable, outcome)
            if not outcome.rejects(on_error):
                await _write(connection, rows, places, outcome, now=now)
    except InvalidInput as fact:  # more than a level holds: nothing was written
        for number in places:
            outcome.fail(number, InvalidInput(message=fact.message, path=("quantity",)))
    return outcome


async def _write(
    connection: Connection,
    rows: Sequence[ReceiptRecord],
    places: Mapping[int, UUID],
    outcome: ImportOutcome,
    *,
    now: datetime,
) -> None:
    columns = (
        [new_id(now) for _ in places],
        [rows[number].reference for number in places],
        list(places.values()),
        [rows[number].sku for number in places],
        [rows[number].quantity for number in places],
        [rows[number].expected_at for number in places],
    )
    made: list[ReceiptRow] = await connection.fetch(_CREATE, *columns, record_class=ReceiptRow)
    changed: list[_ChangedRow] = await connection.fetch(_CHANGE, *columns, record_class=_ChangedRow)
    expected = [_expected(row, row.quantity) for row in made]
    expected += [_expected(row, row.more) for row in changed if row.more]
    await inventory.create(connection, [(each.sku, each.location_id) for each in expected], now=now)
    await inventory.move(connection, expected, now=now)
    outcome.created, outcome.updated = len(made), len(changed)
    outcome.unchanged = len(places) - len(made) - len(changed)


def _check(row: ReceiptRecord) -> None:
    check_code(row.reference, path=("reference",))
    check_code(row.location_code, path=("locationCode",))
    check_code(row.sku, path=("sku",))
    _check_quantity(row.quantity)


def _check_quantity(quantity: int) -> None:
    if not 1 <= quantity <= MOST:
        raise InvalidInput(message=f"This is a number from 1 to {MOST}.", path=("quantity",))


def _expected(row: ReceiptRow, more: int) -> Movement:
    return Movement(sku=row.sku, location_id=row.location_id, reason=MovementReason.RECEIVED, incoming_delta=more)


_SAID = """
    unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::int[], $6::timestamptz[])
        AS w(id, reference, location_id, sku, quantity, expected_at)
"""
_CREATE = f"""
INSERT INTO receipt (id, reference, location_id, sku, quantity, expected_at)
SELECT w.id, w.reference, w.location_id, w.sku, w.quantity, w.expected_at FROM {_SAID}
 ORDER BY w.reference COLLATE "C", w.location_id, w.sku COLLATE "C"
ON CONFLICT (reference, location_id, sku) DO NOTHING
RETURNING *
"""  # noqa: S608 - of parts that are ours

# What was expected is read by the very statement that locks it: units that are received meanwhile are counted in.
_CHANGE = f"""
WITH held AS MATERIALIZED (
    SELECT r.id, r.quantity AS before, w.quantity, w.expected_at
      FROM receipt r JOIN {_SAID} USING (reference, location_id, sku)
     WHERE (r.quantity, r.expected_at) <> (w.quantity, w.expected_at)
     ORDER BY r.reference COLLATE "C", r.location_id, r.sku COLLATE "C"
       FOR NO KEY UPDATE OF r
)
UPDATE receipt r SET quantity = h.quantity, expected_at = h.expected_at FROM held h WHERE r.id = h.id
RETURNING r.*, greatest(r.quantity - r.received, 0) - greatest(h.before - r.received, 0) AS more
"""  # noqa: S608 - of parts that are ours


async def receive_receipt(
    connection: Connection, receipt_id: UUID, quantity: int, *, idempotency_key: str, viewer: Viewer, now: datetime
) -> ReceiptRow:
    """Take in `quantity` more units of what was expected, or more than that. The same key and input does it once.

    Raise NotFound, InvalidInput or IdempotencyConflict.
    """
    row: ReceiptRow | None = await connection.fetchrow(
        "SELECT * FROM receipt WHERE id = $1 FOR NO KEY UPDATE", receipt_id, record_class=ReceiptRow
    )
    if row is None or not viewer.works_at(row.location_id):
        raise NotFound(message="There is no such receipt.", path=("id",))
    _check_quantity(quantity)
    new = str(new_id(now))
    said = [receipt_id, quantity]
    if await answered(connection, "receiveReceipt", idempotency_key, said, new, now=now) != new:
        return row
    if row.received + quantity > MOST:
        raise InvalidInput(message=f"Nobody receives more than {MOST}.", path=("quantity",))
    after: ReceiptRow = await connection.fetchrow(
        "UPDATE receipt SET received = received + $2 WHERE id = $1 RETURNING *",
        receipt_id,
        quantity,
        record_class=ReceiptRow,
    )
    movement = Movement(
        sku=row.sku,
        location_id=row.location_id,
        reason=MovementReason.RECEIVED,
        on_hand_delta=quantity,
        incoming_delta=-min(quantity, max(row.quantity - row.received, 0)),
        note=f"Receipt {row.reference}.",
    )
    await inventory.move(connection, [movement], now=now)
    return after
