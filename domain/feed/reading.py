"""What the feed holds, in commit order.

A row is read only once every transaction that began before it has ended (`xid < pg_snapshot_xmin`). Reading by a
growing id alone loses rows: a transaction that took a lower id may commit later.
"""

from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from domain.feed.cursors import Cursor, CursorExpired
from domain.transaction import Connection, Row
from domain.vocabulary import UpdateKind

READ_AT_ONCE = 100
"""Rows; a row tells a run of facts, and decoding 100 full ones takes 9 ms, in which nobody else has a turn."""
PLACES_KNOWN = 10_000


class Update(NamedTuple):
    """A fact as the feed holds it."""

    cursor: Cursor
    kind: UpdateKind
    at: datetime
    order_id: UUID | None
    assignment_id: UUID | None
    location_ids: frozenset[UUID]
    channel: str | None
    sku: str | None
    status: str | None
    quantities: tuple[int, int, int] | None
    return_id: UUID | None = None
    refund: tuple[str, str] | None = None


class _FeedRow(Row):
    epoch: int
    xid: int
    id: int
    kind: str
    payload: dict[str, Any]
    at: datetime
    trimmed: str
    levels: dict[str, list[Any]] | None


async def read(connection: Connection, after: Cursor, limit: int = READ_AT_ONCE) -> list[Update]:
    """Return the updates of up to `limit` rows after the cursor, in commit order; none that a later read could precede.

    Raise CursorExpired where some of them are gone already.
    """
    # `feed.xid` is the column: `xid` alone would be the text above, and sort everything that is still to be read. The
    # index bounds the rows on both sides, so that those an open transaction holds back cost nothing, however many.
    rows = await connection.fetch(
        """
        SELECT epoch, xid::text::bigint AS xid, id, kind, payload, at, (SELECT trimmed FROM feed_epoch) AS trimmed,
               (SELECT jsonb_build_object('sku', r.skus, 'location', r.location_ids, 'on_hand', r.on_hand,
                                          'reserved', r.reserved, 'available', r.available)
                  FROM counted_run r WHERE r.id = feed.run_id) AS levels
          FROM feed
         WHERE (epoch, xid, id) > ($1, $2::text::xid8, $3)
           AND (epoch, xid) < ((SELECT epoch FROM feed_epoch), pg_snapshot_xmin(pg_current_snapshot()))
         ORDER BY feed.epoch, feed.xid, feed.id LIMIT $4
        """,
        after.epoch,
        str(after.xid),
        after.id,
        limit,
        record_class=_FeedRow,
    )
    if rows and Cursor.parse(rows[0].trimmed) > after:
        raise CursorExpired((await standing(connection)).oldest)
    return [update for row in rows for update in _updates(row) if update.cursor > after]


async def is_last(connection: Connection, after: Cursor) -> bool:
    """Say whether no row after the cursor is committed, not even one that an open transaction holds back."""
    last: bool = await connection.fetchval(
        "SELECT NOT EXISTS (SELECT FROM feed WHERE (epoch, xid, id) > ($1, $2::text::xid8, $3))",
        after.epoch,
        str(after.xid),
        after.id,
    )
    return last


def _updates(row: _FeedRow) -> list[Update]:
    """Return what a row tells, in order; the last fact has the row's own id, those before it the ids below."""
    payload, epoch, xid, at = row.payload, row.epoch, row.xid, row.at
    if levels := row.levels or payload.get("levels"):
        first = row.id - len(levels["sku"]) + 1
        kind = UpdateKind.STOCK_CHANGED
        quantities = zip(levels["on_hand"], levels["reserved"], levels["available"], strict=True)
        told = zip(levels["sku"], levels["location"], quantities, strict=True)
        return [
            Update(Cursor(epoch, xid, number), kind, at, None, None, _places(place), None, sku, None, units)
            for number, (sku, place, units) in enumerate(told, first)
        ]
    facts = payload["facts"]
    first = row.id - len(facts) + 1
    return [_update(Cursor(epoch, xid, number), at, fact) for number, fact in enumerate(facts, first)]


@lru_cache(maxsize=PLACES_KNOWN)
def _places(*locations: str) -> frozenset[UUID]:
    """Return locations; rows tell of the same few again and again."""
    return frozenset(map(UUID, locations))


def _update(cursor: Cursor, at: datetime, told: dict[str, Any]) -> Update:
    order, assignment, quantities = told.get("order"), told.get("assignment"), told.get("quantities")
    back, refund = told.get("return"), told.get("refund")
    return Update(
        cursor,
        UpdateKind(told["kind"]),
        at,
        order_id=UUID(order) if order else None,
        assignment_id=UUID(assignment) if assignment else None,
        location_ids=_places(*told.get("locations", ())),
        channel=told.get("channel"),
        sku=told.get("sku"),
        status=told.get("status"),
        quantities=tuple(quantities) if quantities else None,
        return_id=UUID(back) if back else None,
        refund=tuple(refund) if refund else None,
    )


class Standing(NamedTuple):
    """How far the feed reaches, both ways, and the next transaction's number."""

    oldest: Cursor
    """Everything after it is there."""
    newest: Cursor
    """Everything before it is committed and seen, and after it nothing is missed."""
    next_xid: int


async def standing(connection: Connection) -> Standing:
    """Return how far the feed reaches."""
    row = await connection.fetchrow(
        """
        SELECT epoch, trimmed, pg_snapshot_xmin(s.now)::text::bigint, pg_snapshot_xmax(s.now)::text::bigint
          FROM feed_epoch, pg_current_snapshot() AS s (now)
        """
    )
    if row is None:
        message = "The database holds no feed epoch: run `crossdock migrate`."
        raise LookupError(message)
    epoch, trimmed, everything, next_xid = row
    return Standing(
        oldest=max(Cursor.parse(trimmed), Cursor(epoch, 0, 0)),
        newest=Cursor(epoch, everything, 0),
        next_xid=next_xid,
    )
