"""What the network can sell of an item, and where."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from domain import inventory
from domain.availability.stock import InStock
from domain.errors import InvalidInput
from domain.inventory import StockRow
from domain.network import LocationRow, Snapshot
from domain.places import check_position
from domain.planning.network import distances_km
from domain.planning.problem import Point
from domain.transaction import Connection
from domain.vocabulary import LocationStatus

MOST_SKUS = 100
NEAREST = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundAt:
    """What one location can sell; the distance is None without a point to measure from."""

    location: LocationRow
    available: int
    distance_km: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the locations in reach can sell together, how many of them can, and the nearest (or fullest) of those.

    `reach` says of each site, in the planner's order, whether it is in reach.
    """

    sku: str
    available: int
    location_count: int
    nearest: Sequence[FoundAt]
    reach: NDArray[np.bool_] = field(repr=False, compare=False)

    def incoming(self, levels: Sequence[StockRow], snapshot: Snapshot) -> int:
        """Return how many units of the item, at these levels, are on their way to locations in reach."""
        sites = ((snapshot.site_by_id.get(level.location_id), level) for level in levels)
        return sum(level.incoming for site, level in sites if site is not None and self.reach[site])


async def sellable(
    connection: Connection, stock: InStock | None, skus: Sequence[str], snapshot: Snapshot, channel: str
) -> NDArray[np.int64]:
    """Return what each site may sell of each SKU through a channel, shape `(sites in the planner's order, skus)`.

    It is read from what is in stock by memory, and from Postgres where that is None.
    """
    if stock is None:
        return await inventory.available(connection, skus, snapshot, channel)
    return await inventory.hold_back(connection, stock.columns.units(skus, snapshot), skus, snapshot, channel)


async def availability(
    connection: Connection,
    snapshot: Snapshot,
    skus: Sequence[str],
    *,
    stock: InStock | None = None,
    channel: str,
    near: Point | None = None,
    within_km: float | None = None,
) -> list[Found]:
    """Return what active locations can sell of each SKU, 0 of one that nobody knows, in the order asked for."""
    if not 1 <= len(skus) <= MOST_SKUS:
        raise InvalidInput(message=f"Ask for 1 to {MOST_SKUS} items.", path=("skus",))
    if within_km is not None and not (near and 0 < within_km < math.inf):
        raise InvalidInput(message="withinKm is a number above 0, and goes with near.", path=("withinKm",))
    reach = np.array([site.status is LocationStatus.ACTIVE for site in snapshot.planner.sites], dtype=np.bool_)
    far = distances_km(snapshot.planner, check_position(near, path=("near",))) if near else None
    if far is not None and within_km is not None:
        reach &= far <= within_km
    locations, distinct = list(snapshot.locations.values()), list(dict.fromkeys(skus))
    quantities = await sellable(connection, stock, distinct, snapshot, channel) * reach[:, np.newaxis]
    found = {}
    for column, sku in enumerate(distinct):
        here = np.flatnonzero(quantities[:, column])
        order = far[here] if far is not None else -quantities[here, column]
        found[sku] = Found(
            sku=sku,
            reach=reach,
            available=int(quantities[:, column].sum()),
            location_count=len(here),
            nearest=[
                FoundAt(
                    location=locations[n],
                    available=int(quantities[n, column]),
                    distance_km=None if far is None else round(float(far[n]), 1),
                )
                for n in here[np.argsort(order, kind="stable")][:NEAREST]
            ],
        )
    return [found[sku] for sku in skus]
