"""Stock and items as they are read."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from domain.ids import least_id
from domain.inventory.rows import EACH_LOCATION, HoldbackRow, ItemRow, MovementRow, StockRow, run_of
from domain.network import Snapshot
from domain.paging import Listing
from domain.transaction import Connection

EMPTY: Mapping[tuple[str, UUID], int] = MappingProxyType({})


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
    rows = await connection.fetch(
        "SELECT sku, location_id, on_hand - reserved - safety_stock FROM stock WHERE sku = ANY($1)", skus
    )
    quantities = np.zeros((len(snapshot.planner.sites), len(skus)), np.int64)
    columns = {sku: n for n, sku in enumerate(skus)}
    for sku, location_id, quantity in rows:
        site = snapshot.site_by_id.get(location_id)
        if site is not None:
            quantities[site, columns[sku]] = max(quantity + freed.get((sku, location_id), 0), 0)
    return await hold_back(connection, quantities, skus, snapshot, channel)


async def left_since(connection: Connection, skus: Sequence[str], moment: datetime) -> Mapping[tuple[str, UUID], int]:
    """Return by how many units less is available of each SKU at each location than before a moment, by the ledger.

    Negative where there is more.
    """
    rows = await connection.fetch(
        """
        SELECT sku, location_id, sum(reserved_delta - on_hand_delta)::int
          FROM (
               SELECT m.sku, m.location_id, m.on_hand_delta, m.reserved_delta
                 FROM stock s JOIN stock_movement m USING (sku, location_id)
                WHERE s.sku = ANY ($1) AND m.id >= $2 AND m.occurred_at >= $3
                UNION ALL
               SELECT c.sku, c.location_id, c.on_hand_delta, c.reserved_delta
                 FROM unnest($1::text[]) AS w(sku) CROSS JOIN LATERAL counted_movement() c
                WHERE c.of_skus @> ARRAY[w.sku] AND c.sku = w.sku AND c.run_id >= $2 AND c.occurred_at >= $3
               ) moved
         GROUP BY sku, location_id
        """,
        skus,
        least_id(moment),
        moment,
    )
    return {(sku, location_id): units for sku, location_id, units in rows}


async def hold_back(
    connection: Connection, quantities: NDArray[np.int64], skus: Sequence[str], snapshot: Snapshot, channel: str
) -> NDArray[np.int64]:
    """Return what is left of quantities, of the shape that `available` returns, without what a channel may not sell."""
    columns = {sku: n for n, sku in enumerate(skus)}
    kept = np.zeros_like(quantities)
    for row in await holdbacks(connection, channel, skus):
        everywhere = row.location_id == EACH_LOCATION
        sites: slice | int | None = slice(None) if everywhere else snapshot.site_by_id.get(row.location_id)
        if sites is not None:
            kept[sites, columns[row.sku]] = np.maximum(kept[sites, columns[row.sku]], row.units)
    sellable: NDArray[np.int64] = np.maximum(quantities - kept, 0)
    return sellable


async def holdbacks(connection: Connection, channel: str, skus: Sequence[str]) -> list[HoldbackRow]:
    """Return what a channel may not sell of these items, in no order."""
    rows: list[HoldbackRow] = await connection.fetch(
        "SELECT * FROM holdback WHERE channel = $1 AND sku = ANY ($2)", channel, skus, record_class=HoldbackRow
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
