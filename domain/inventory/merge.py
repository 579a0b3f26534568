"""Counted levels in bulk: copied into a staging table, merged as sets; only what changed is written, and told."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from domain.feed import LEVELS_A_ROW
from domain.ids import new_id
from domain.inventory.levels import Key
from domain.inventory.waiting import wake
from domain.transaction import Connection


class Counted(NamedTuple):
    """What a level is to be; None leaves things as they are. A level that does not exist needs `on_hand`."""

    sku: str
    location_id: UUID
    on_hand: int | None
    safety_stock: int | None


@dataclass(slots=True, kw_only=True)
class Merged:
    """How many levels were made and how many changed, and those that now hold less than is reserved of them."""

    created: int = 0
    updated: int = 0
    short: list[Key] = field(default_factory=list)


async def merge(connection: Connection, rows: Sequence[Counted], *, now: datetime) -> Merged:
    """Make and count levels in the caller's transaction, each with its entry in the ledger and in the feed.

    Every SKU and location has to be there, and each level but once among the rows.
    """
    await connection.execute(_STAGE)
    await connection.copy_records_to_table("staged_level", schema_name="pg_temp", records=rows, columns=Counted._fields)
    merged = Merged()
    # Who makes a level in the meantime makes it first: the count that follows sees it.
    made = await connection.fetchrow(_CREATE, now, LEVELS_A_ROW, *_ids(now))
    counted = await connection.fetchrow(_COUNT, now, LEVELS_A_ROW, *_ids(now))
    merged.created, merged.updated = made["levels"], counted["levels"]
    for written in (made, counted):
        merged.short += zip(written["short_skus"] or (), written["short_places"] or (), strict=True)
        await wake(connection, written["waited_for"] or (), now=now)
    return merged


def _ids(now: datetime) -> tuple[bytes, int]:
    """Return the halves of a new id, to count on from: ids that follow each other are quick to index."""
    first = new_id(now).bytes
    return first[:8], int.from_bytes(first[8:], signed=True)


# Nothing is known yet of a staging table, and a plan that reads the whole of `stock` would suit no part of a long file.
_STAGE = """
CREATE TEMPORARY TABLE IF NOT EXISTS staged_level (sku text, location_id uuid, on_hand int, safety_stock int)
    ON COMMIT DELETE ROWS;
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off;
"""

# A row of the feed tells a run of levels. It takes as many ids as it tells levels, and has the last of them.
_WRITE = """
, entered AS (
    INSERT INTO stock_movement (id, sku, location_id, reason, on_hand_delta, reserved_delta, occurred_at)
    SELECT encode($3::bytea || int8send($4::bigint + row_number() OVER ()), 'hex')::uuid,
           sku, location_id, 'COUNTED', delta, 0, $1
      FROM changed WHERE delta <> 0
), told AS (
    INSERT INTO feed (epoch, id, kind, keys, payload, at)
    SELECT e.epoch, r.id, 'STOCK_CHANGED', '{}', jsonb_build_object('levels', r.levels), $1
      FROM (SELECT max(c.id) AS id,
                   jsonb_build_object('sku', array_agg(c.sku), 'location', array_agg(c.location_id::text),
                                      'on_hand', array_agg(c.on_hand), 'reserved', array_agg(c.reserved),
                                      'available', array_agg(c.available)) AS levels
              FROM (SELECT *, nextval('feed_id') AS id, row_number() OVER () - 1 AS n FROM changed) c
             GROUP BY c.n / $2::int) r, feed_epoch e
)
SELECT count(*) AS levels,
       array_agg(sku) FILTER (WHERE on_hand < reserved) AS short_skus,
       array_agg(location_id) FILTER (WHERE on_hand < reserved) AS short_places,
       array_agg(sku) FILTER (WHERE available > 0 AND sku IN (SELECT l.sku FROM order_line l WHERE l.backordered > 0))
           AS waited_for
  FROM changed
"""

_CREATE = f"""
WITH changed AS (
    INSERT INTO stock AS s (sku, location_id, on_hand, safety_stock, updated_at)
    SELECT w.sku, w.location_id, w.on_hand, coalesce(w.safety_stock, 0), $1
      FROM pg_temp.staged_level w
     WHERE w.on_hand IS NOT NULL
       AND NOT EXISTS (SELECT FROM stock k WHERE k.sku = w.sku AND k.location_id = w.location_id)
     ORDER BY w.sku COLLATE "C", w.location_id
    ON CONFLICT (sku, location_id) DO NOTHING
    RETURNING s.sku, s.location_id, s.on_hand, s.reserved, s.on_hand AS delta,
              greatest(s.on_hand - s.reserved - s.safety_stock, 0) AS available
) {_WRITE}
"""  # noqa: S608 - our own text

# What was on hand is read by the very statement that locks it: a movement that ends meanwhile is counted in.
_COUNT = f"""
WITH held AS MATERIALIZED (
    SELECT s.sku, s.location_id, s.on_hand AS before,
           coalesce(w.on_hand, s.on_hand) AS on_hand, coalesce(w.safety_stock, s.safety_stock) AS safety_stock
      FROM pg_temp.staged_level w JOIN stock s USING (sku, location_id)
     WHERE (s.on_hand, s.safety_stock) <> (coalesce(w.on_hand, s.on_hand), coalesce(w.safety_stock, s.safety_stock))
     ORDER BY s.sku COLLATE "C", s.location_id
       FOR UPDATE OF s
), changed AS (
    UPDATE stock s
       SET on_hand = h.on_hand, safety_stock = h.safety_stock, version = s.version + 1, updated_at = $1
      FROM held h
     WHERE s.sku = h.sku AND s.location_id = h.location_id
    RETURNING s.sku, s.location_id, s.on_hand, s.reserved, s.on_hand - h.before AS delta,
              greatest(s.on_hand - s.reserved - s.safety_stock, 0) AS available
) {_WRITE}
"""  # noqa: S608 - our own text
