"""Stock and items as they are read."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from types import MappingProxyType
from typing import TypeAlias
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from domain.ids import least_id
from domain.inventory.rows import EACH_LOCATION, HoldbackRow, ItemRow, MovementRow, StockRow, run_of
from domain.network import Snapshot
from domain.paging import Listing
from domain.transaction import Connection

EMPTY: Mapping[tuple[str, UUID], int] = MappingProxyType({})
_Units: TypeAlias = tuple[str, UUID, int]
"""A SKU, a location, and how many units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What was available of items through a channel just before a moment."""

    skus: Sequence[str]
    channel: str
    moment: datetime


async def available(
    connection: Connection,
    skus: Sequence[str],
    snapshot: Snapshot,
    channel: str,
    freed: Mapping[tuple[str, UUID], int] = EMPTY,
) -> NDArray[np.int64]:
    """Return what each site may sell of each SKU through a channel, shape `(sites in the planner's order, skus)`.

    Units that are `freed` (by SKU and location) count as if they were not reserved any more.
    """
    quantities = _at_sites(await _unreserved(connection, skus), skus, snapshot, freed)
    return await hold_back(connection, quantities, skus, snapshot, channel)


async def available_before(
    connection: Connection, snapshot: Snapshot, asked: Sequence[Before]
) -> list[NDArray[np.int64]]:
    """Return what `available` would have returned for each that is asked, by the ledger; holdbacks are those of now."""
    skus = list({sku for each in asked for sku in each.skus})
    rows: dict[str, list[_Units]] = {sku: [] for sku in skus}
    left = await _left_since(connection, asked)  # first: what leaves meanwhile is missed, and not counted twice
    for row in await _unreserved(connection, skus):
        rows[row[0]].append(row)
    kept = await holdbacks(connection, list({each.channel for each in asked}), skus)
    found = []
    for each in asked:
        freed = {key: units for sku in each.skus for key, units in left.get((sku, each.moment), {}).items()}
        quantities = _at_sites(chain.from_iterable(rows[sku] for sku in each.skus), each.skus, snapshot, freed)
        held = [row for row in kept if row.channel == each.channel and row.sku in each.skus]
        found.append(_less(quantities, held, each.skus, snapshot))
    return found


async def _unreserved(connection: Connection, skus: Sequence[str]) -> list[_Units]:
    rows: list[_Units] = await connection.fetch(
        "SELECT sku, location_id, on_hand - reserved - safety_stock FROM stock WHERE sku = ANY($1)", skus
    )
    return rows


def _at_sites(
    rows: Iterable[_Units], skus: Sequence[str], snapshot: Snapshot, freed: Mapping[tuple[str, UUID], int]
) -> NDArray[np.int64]:
    quantities = np.zeros((len(snapshot.planner.sites), len(skus)), np.int64)
    columns = {sku: n for n, sku in enumerate(skus)}
    for sku, location_id, quantity in rows:
        site = snapshot.site_by_id.get(location_id)
        if site is not None:
            quantities[site, columns[sku]] = max(quantity + freed.get((sku, location_id), 0), 0)
    return quantities


async def _left_since(
    connection: Connection, asked: Sequence[Before]
) -> dict[tuple[str, datetime], dict[tuple[str, UUID], int]]:
    """Return, by SKU and moment, how many units less than before it are available at each location, by the ledger.

    Negative where there are more.
    """
    wanted = list({(sku, each.moment) for each in asked for sku in each.skus})
    rows = await connection.fetch(
        """
        SELECT sku, moment, location_id, sum(reserved_delta - on_hand_delta)::int
          FROM unnest($1::text[], $2::timestamptz[], $3::uuid[]) AS w(sku, moment, least)
         CROSS JOIN LATERAL (
               SELECT m.location_id, m.on_hand_delta, m.reserved_delta
                 FROM stock s JOIN stock_movement m USING (sku, location_id)
                WHERE s.sku = w.sku AND m.id >= w.least AND m.occurred_at >= w.moment
                UNION ALL
               SELECT c.location_id, c.on_hand_delta, c.reserved_delta
                 FROM counted_movement() c
                WHERE c.of_skus @> ARRAY[w.sku] AND c.sku = w.sku AND c.run_id >= w.least
                  AND c.occurred_at >= w.moment
               ) moved
         GROUP BY sku, moment, location_id
        """,
        [sku for sku, _ in wanted],
        [moment for _, moment in wanted],
        [least_id(moment) for _, moment in wanted],
    )
    left: dict[tuple[str, datetime], dict[tuple[str, UUID], int]] = {}
    for sku, moment, location_id, units in rows:
        left.setdefault((sku, moment), {})[sku, location_id] = units
    return left


async def hold_back(
    connection: Connection, quantities: NDArray[np.int64], skus: Sequence[str], snapshot: Snapshot, channel: str
) -> NDArray[np.int64]:
    """Return what is left of quantities, of the shape that `available` returns, without what a channel may not sell."""
    return _less(quantities, await holdbacks(connection, [channel], skus), skus, snapshot)


def _less(
    quantities: NDArray[np.int64], held: Iterable[HoldbackRow], skus: Sequence[str], snapshot: Snapshot
) -> NDArray[np.int64]:
    columns = {sku: n for n, sku in enumerate(skus)}
    kept = np.zeros_like(quantities)
    for row in held:
        everywhere = row.location_id == EACH_LOCATION
        sites: slice | int | None = slice(None) if everywhere else snapshot.site_by_id.get(row.location_id)
        if sites is not None:
            kept[sites, columns[row.sku]] = np.maximum(kept[sites, columns[row.sku]], row.units)
    sellable: NDArray[np.int64] = np.maximum(quantities - kept, 0)
    return sellable


async def holdbacks(connection: Connection, channels: Sequence[str], skus: Sequence[str]) -> list[HoldbackRow]:
    """Return what channels may not sell of these items, in no order."""
    rows: list[HoldbackRow] = await connection.fetch(
        "SELECT * FROM holdback WHERE channel = ANY ($1) AND sku = ANY ($2)", channels, skus, record_class=HoldbackRow
    )
    return rows


async def items(connection: Connection, skus: Collection[str]) -> list[ItemRow]:
    """Return the items of these SKUs, those that exist, in no order."""
    rows: list[ItemRow] = await connection.fetch(
        "SELECT * FROM item WHERE sku = ANY($1)", list(skus), record_class=ItemRow
    )
    return rows


async def stock_levels(connection: Connection, keys: Collection[tuple[str, UUID]]) -> list[StockRow]:
    """Return the levels of these items and locations, those that exist, in no order."""
    rows: list[StockRow] = await connection.fetch(
        """
        SELECT s.*, greatest(s.on_hand - s.reserved - s.safety_stock, 0) AS available
          FROM stock s JOIN unnest($1::text[], $2::uuid[]) AS k(sku, location_id) USING (sku, location_id)
        """,
        [sku for sku, _ in keys],
        [location_id for _, location_id in keys],
        record_class=StockRow,
    )
    return rows


async def incoming(connection: Connection, skus: Collection[str]) -> list[StockRow]:
    """Return the levels of these items that something is on its way to, in no order."""
    rows: list[StockRow] = await connection.fetch(
        """
        SELECT *, greatest(on_hand - reserved - safety_stock, 0) AS available
          FROM stock WHERE sku = ANY ($1) AND incoming > 0
        """,
        list(skus),
        record_class=StockRow,
    )
    return rows


def stock_listing(
    *, skus: Collection[str] | None = None, location_ids: Collection[UUID] | None = None
) -> Listing[StockRow]:
    """Return the levels of these items and locations as a list to page through, by SKU and location."""
    listing = Listing(
        source="stock",
        columns="*, greatest(on_hand - reserved - safety_stock, 0) AS available",
        key=[("sku", "text"), ("location_id", "uuid")],
        row=StockRow,
    )
    listing.where_given("sku = ANY(?)", None if skus is None else list(skus))
    listing.where_given("location_id = ANY(?)", None if location_ids is None else list(location_ids))
    return listing


def item_listing(
    *, skus: Collection[str] | None = None, barcode: str | None = None, tags: Collection[str] | None = None
) -> Listing[ItemRow]:
    """Return the items of these SKUs, with this barcode and with all of these tags, as a list by SKU."""
    listing = Listing(source="item", columns="*", key=[("sku", "text")], row=ItemRow)
    listing.where_given("sku = ANY (?)", None if skus is None else list(skus))
    listing.where_given("barcodes @> ARRAY[?]", barcode)
    listing.where_given("tags @> ?", None if tags is None else list(tags))
    return listing


async def movements(connection: Connection, ids: Collection[UUID]) -> list[MovementRow]:
    """Return the entries of the ledger with these ids, those that exist, in no order."""
    rows: list[MovementRow] = await connection.fetch(
        f"""
        SELECT {_MOVEMENT} FROM stock_movement WHERE id = ANY ($1)
        UNION ALL
        SELECT {_MOVEMENT} FROM counted_movement() WHERE run_id = ANY ($2) AND id = ANY ($1)
        """,  # noqa: S608 - our own text
        list(ids),
        [run_of(movement_id) for movement_id in ids],
        record_class=MovementRow,
    )
    return rows


_MOVEMENT = "id, sku, location_id, reason, on_hand_delta, reserved_delta, order_id, occurred_at, note"


def movement_listing(*, sku: str | None = None, location_ids: Collection[UUID] | None = None) -> Listing[MovementRow]:
    """Return the ledger of an item and of locations as a list to page through, newest first."""
    single, counted = "SELECT *, id AS run_id FROM stock_movement", "SELECT * FROM counted_movement() WHERE true"
    if sku is not None:
        counted += " AND of_skus @> ARRAY[$1::text]"
    if location_ids is not None:
        counted += f" AND of_locations && ${1 if sku is None else 2}::uuid[]"
    listing = Listing(
        source=f"({single}) movement",
        others=[f"({counted}) counted"],
        columns=f"run_id, {_MOVEMENT}",
        key=[("run_id", "uuid"), ("id", "uuid")],
        row=MovementRow,
        descending=True,
    )
    listing.where_given("sku = ?", sku)
    listing.where_given("location_id = ANY (?)", None if location_ids is None else list(location_ids))
    return listing
