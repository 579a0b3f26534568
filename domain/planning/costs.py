"""What a parcel costs the retailer: the carrier's tariff and the handling, in minor units of the currency."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domain.planning.problem import Service, Zone
from domain.planning.solve import IMPOSSIBLE
from domain.vocabulary import LocationKind

UNLIMITED = 2**40


@dataclass(frozen=True, slots=True, kw_only=True)
class Handling:
    """What a location's work on one parcel costs: once for the parcel and once for each unit, in minor units."""

    parcel: int
    unit: int


HANDLING: Mapping[LocationKind, Handling] = {
    LocationKind.WAREHOUSE: Handling(parcel=120, unit=25),
    LocationKind.STORE: Handling(parcel=260, unit=60),
    LocationKind.MICRO_HUB: Handling(parcel=200, unit=40),
    LocationKind.DROP_SHIPPER: Handling(parcel=220, unit=35),
}
"""The default handling costs, in minor units whatever the currency: a warehouse packs cheaper than a store."""


def limit_grams(service: Service, zone: Zone) -> int:
    """Return the weight of the heaviest parcel that the service carries into the zone, in grams; -1: none at all.

    A service without any tariff is free of charge; one with tariffs carries nothing into a zone that it does not price.
    """
    limit = UNLIMITED if service.max_grams is None else service.max_grams
    if not service.tariffs:
        return limit
    return min(limit, max((tariff.max_grams for tariff in service.tariffs if tariff.zone == zone.name), default=-1))


def tariff_amounts(service: Service, zone: Zone, grams: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return what the carrier charges for parcels of these weights, in minor units; IMPOSSIBLE where too heavy."""
    steps = sorted((tariff.max_grams, tariff.amount) for tariff in service.tariffs if tariff.zone == zone.name)
    weights = np.array([weight for weight, _ in steps] or [UNLIMITED], dtype=np.int64)
    amounts = np.array([*(amount for _, amount in steps or [(0, 0)]), IMPOSSIBLE], dtype=np.int64)
    charged = amounts[np.searchsorted(weights, grams)]
    return np.where(grams <= limit_grams(service, zone), charged, IMPOSSIBLE)


def handling_rates(kinds: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return what a parcel and what a unit costs at locations of these kinds (places in LocationKind), minor units."""
    rates = [HANDLING[kind] for kind in LocationKind]
    parcels = np.array([rate.parcel for rate in rates], dtype=np.int64)
    units = np.array([rate.unit for rate in rates], dtype=np.int64)
    return parcels[kinds], units[kinds]
