"""Counted levels in bulk: new ones are copied, others staged and merged as sets; what changed is written, and told."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from uuid import UUID

from domain.feed import LEVELS_A_ROW
from domain.ids import new_id
from domain.inventory import fresh
from domain.inventory.foresight import foresee
from domain.inventory.fresh import Counted
from domain.inventory.levels import Key
from domain.inventory.rows import run_of
from domain.inventory.waiting import wake
from domain.transaction import Connection


@dataclass(slots=True, kw_only=True)
class Merged:
    """How many levels were made and how many changed, and those that now hold less than is reserved of them."""

    created: int = 0
    updated: int = 0
    short: list[Key] = field(default_factory=list)


async def merge(connection: Connection, rows: Sequence[Counted], *, now: datetime, again: bool = False) -> Merged:
    """Make and count levels in the caller's transaction, in runs that are their entries in the ledger and in the feed.

    Every SKU and location has to be there, and each level but once among the rows, which are in the order of the key.
    Where somebody else makes one of the levels meanwhile, Postgres says so (a unique violation) and the transaction may
    be done `again` as a whole.
    """
    await connection.execute(_PLAN)
    counted = all(on_hand is not None for _, _, on_hand, _ in rows)  # else the level is there
    if counted and not again and await fresh.are_new(connection, rows):
        await fresh.create(connection, rows, _ids_from(*_run_ids(now)), now=now)
        on_sale = {sku for sku, _, on_hand, safety_stock in rows if (on_hand or 0) > (safety_stock or 0)}
        await wake(connection, on_sale, now=now)
        return Merged(created=len(rows))
    await connection.execute(_STAGE)
    await connection.copy_records_to_table("staged_level", schema_name="pg_temp", records=rows, columns=_STAGED)
    found = await connection.fetchrow(_COMPARE)
    short = list(zip(found["short_skus"] or (), found["short_places"] or (), strict=True))
    await foresee(connection, short, [(sku, location_id) for sku, location_id, _, _ in rows] if short else ())
    merged = Merged()
    if found["fresh"]:
        merged.created = await _write(connection, _CREATE, merged, now=now)
    if found["changed"] or merged.created < found["fresh"]:  # somebody made the others since
        merged.updated = await _write(connection, _COUNT, merged, now=now)
    return merged


async def _write(connection: Connection, statement: str, merged: Merged, *, now: datetime) -> int:
    """Execute one of the statements below; return how many levels it wrote."""
    written = await connection.fetchrow(statement, now, LEVELS_A_ROW, *_run_ids(now))
    merged.short += zip(written["short_skus"] or (), written["short_places"] or (), strict=True)
    await wake(connection, written["waited_for"] or (), now=now)
    levels: int = written["levels"]
    return levels


def _run_ids(now: datetime) -> tuple[bytes, int]:
    """Return the halves of the first of a transaction's runs' ids, to count on from."""
    first = run_of(new_id(now)).bytes
    return first[:8], int.from_bytes(first[8:], signed=True)


def _ids_from(high: bytes, low: int) -> Iterator[UUID]:
    return (UUID(bytes=high + (low + (number << 8)).to_bytes(8, signed=True)) for number in count())


_STAGED = ("sku", "location_id", "on_hand", "safety_stock")

# Nothing is known yet of a staging table, and a connection keeps its plans, also those that it made when `stock` was
# small: none may be to read the whole of it.
_PLAN = """
SET LOCAL enable_seqscan = off;
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off;
"""
# To sort 150,000 levels takes 18 MB and to hand them on 15, which with the usual 4 MB goes by way of the disk.
_STAGE = """
CREATE TEMPORARY TABLE IF NOT EXISTS staged_level (sku text, location_id uuid, on_hand int, safety_stock int)
    ON COMMIT DELETE ROWS;
SET LOCAL work_mem = '32MB';
"""

_COMPARE = """
SELECT count(*) FILTER (WHERE sku IS NULL) AS fresh,
       count(*) FILTER (WHERE changed) AS changed,
       array_agg(sku) FILTER (WHERE changed AND on_hand < reserved) AS short_skus,
       array_agg(location_id) FILTER (WHERE changed AND on_hand < reserved) AS short_places
  FROM (SELECT s.sku, s.location_id, s.reserved, coalesce(w.on_hand, s.on_hand) AS on_hand,
               s.on_hand <> w.on_hand OR s.safety_stock <> w.safety_stock AS changed
          FROM pg_temp.staged_level w LEFT JOIN stock s USING (sku, location_id)) level
"""

_WRITE = """
, run AS (
    INSERT INTO counted_run (
        id, occurred_at, skus, location_ids, on_hand_deltas, on_hand, reserved, available)
    SELECT encode($3::bytea || int8send($4::bigint + (c.run << 8)), 'hex')::uuid, $1,
           array_agg(c.sku), array_agg(c.location_id), array_agg(c.delta), array_agg(c.on_hand),
           array_agg(c.reserved), array_agg(c.available)
      FROM (SELECT *, (row_number() OVER () - 1) / $2::int AS run FROM changed) c GROUP BY c.run
    RETURNING id
), told AS (
    INSERT INTO feed (epoch, kind, keys, payload, at, run_id)
    SELECT e.epoch, 'STOCK_CHANGED', '{}', '{}', $1, run.id FROM run, feed_epoch e ORDER BY run.id
)
SELECT count(*) AS levels,
       array_agg(sku) FILTER (WHERE on_hand < reserved) AS short_skus,
       array_agg(location_id) FILTER (WHERE on_hand < reserved) AS short_places,
       array_agg(sku) FILTER (WHERE available > 0 AND sku IN (SELECT l.sku FROM order_line l WHERE l.backordered > 0))
           AS waited_for
  FROM changed
"""

_CREATE = f"""
WITH changed AS MATERIALIZED (
    SELECT w.sku, w.location_id, w.on_hand, n.safety_stock, 0 AS reserved, w.on_hand AS delta,
           greatest(w.on_hand - n.safety_stock, 0) AS available
      FROM pg_temp.staged_level w
     CROSS JOIN LATERAL (SELECT coalesce(w.safety_stock, 0) AS safety_stock) n
     WHERE NOT EXISTS (SELECT FROM stock k WHERE k.sku = w.sku AND k.location_id = w.location_id)
     ORDER BY w.sku COLLATE "C", w.location_id
), written AS (
    INSERT INTO stock (sku, location_id, on_hand, safety_stock, updated_at)
    SELECT sku, location_id, on_hand, safety_stock, $1 FROM changed
) {_WRITE}
"""  # noqa: S608 - our own text

# What was on hand is read by the very statement that locks it: a movement that ends meanwhile is counted in.
_COUNT = f"""
WITH changed AS MATERIALIZED (
    SELECT s.sku, s.location_id, n.on_hand, n.safety_stock, s.reserved, n.on_hand - s.on_hand AS delta,
           greatest(n.on_hand - s.reserved - n.safety_stock, 0) AS available
      FROM pg_temp.staged_level w JOIN stock s USING (sku, location_id)
     CROSS JOIN LATERAL (SELECT coalesce(w.on_hand, s.on_hand) AS on_hand,
                                coalesce(w.safety_stock, s.safety_stock) AS safety_stock) n
     WHERE (s.on_hand, s.safety_stock) <> (n.on_hand, n.safety_stock)
     ORDER BY s.sku COLLATE "C", s.location_id
       FOR UPDATE OF s
), written AS (
    UPDATE stock s
       SET on_hand = c.on_hand, safety_stock = c.safety_stock, version = s.version + 1, updated_at = $1
      FROM changed c
     WHERE s.sku = c.sku AND s.location_id = c.location_id
) {_WRITE}
"""  # noqa: S608 - our own text
