"""The network in columns, and what a kind of delivery finds in it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from domain.planning.problem import UNLIMITED, Network, Point, Service, Site, Zone
from domain.planning.rates import IMPOSSIBLE, Tariff
from domain.vocabulary import LocationKind, LocationService, LocationStatus, ServiceLevel

EARTH_RADIUS_KM = 6371.0088
WEEKDAYS = 8
"""Seven, numbered from 1."""


def make_network(
    revision: int, sites: Iterable[Site], services: Iterable[Service], acceptance: Mapping[str, float] | None = None
) -> Network:
    """Return the network of these sites and carrier services, sorted by code, with its columns.

    `acceptance` is that of the sites, by code; who is not in it has refused nothing.
    """
    ordered = tuple(sorted(sites, key=lambda site: site.code))
    offered = tuple(sorted(services, key=lambda service: service.code))
    keeping, schedules = _schedules(ordered)
    order_limits, unit_limits = _limits(ordered)
    degrees = [[site.position.latitude for site in ordered], [site.position.longitude for site in ordered]]
    positions = np.radians(np.array(degrees, dtype=np.float64))
    return Network(
        revision=revision,
        sites=ordered,
        services=offered,
        positions=positions,
        narrowing=np.cos(positions[0]),
        active=np.array([site.status is LocationStatus.ACTIVE for site in ordered], dtype=np.bool_),
        ships=np.array([LocationService.SHIP in site.services for site in ordered], dtype=np.bool_),
        hands_out=np.array([LocationService.PICKUP in site.services for site in ordered], dtype=np.bool_),
        fits=np.array([[_fits(service, site) for site in ordered] for service in offered], dtype=np.bool_).reshape(
            len(offered), len(ordered)
        ),
        kinds=np.array([list(LocationKind).index(site.kind) for site in ordered], dtype=np.int64),
        schedules=np.array(schedules, dtype=np.int64),
        keepers=tuple(ordered[place] for place in keeping),
        keeping=np.array(keeping, dtype=np.int64),
        limited=np.flatnonzero((np.minimum(order_limits, unit_limits) < UNLIMITED).any(axis=1)),
        order_limits=order_limits,
        unit_limits=unit_limits,
        acceptance=np.array([(acceptance or {}).get(site.code, 1.0) for site in ordered], dtype=np.float64),
        position_by_code={site.code: position for position, site in enumerate(ordered)},
    )


def _schedules(sites: Iterable[Site]) -> tuple[list[int], list[int]]:
    """Return the place of the first site of each schedule, and the schedule of each site."""
    numbers: dict[tuple[object, ...], int] = {}
    keeping: list[int] = []
    schedules = []
    for place, site in enumerate(sites):
        schedule = (site.time_zone, site.openings, site.closures, site.public_holidays, site.handling)
        schedules.append(numbers.setdefault(schedule, len(numbers)))
        if len(keeping) < len(numbers):
            keeping.append(place)
    return keeping, schedules


@lru_cache(maxsize=16)  # the methods of one cart ask for the same
def distances_km(network: Network, point: Point) -> NDArray[np.float64]:
    """Return the great-circle distance from each site to the point, in km (sites,), not to be written to."""
    position = np.radians([[point.latitude], [point.longitude]])
    north, east = np.square(np.sin((network.positions - position) / 2))
    haversine = north + np.cos(position[0]) * network.narrowing * east
    distances: NDArray[np.float64] = 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.minimum(haversine, 1.0)))
    distances.flags.writeable = False
    return distances


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """What one carrier service takes into one of its zones: parcels of up to `limit` grams, -1 for none at all."""

    service: Service
    zone: Zone
    limit: int
    tariff: Tariff


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Offer:
    """The carrier services of one level, into one country, in one currency.

    `lane_at[row, ring]` tells which lane of a service leads into a ring around the site, and the number of lanes where
    none does; the rings end at these distances in km, `ends`, ascending, and the last never. `open[row, site]` tells
    which sites ship with the service. `limits[lane]` is the heaviest parcel, in grams; the last, -1, is no lane's.
    `lightest` is what every lane takes.
    """

    services: tuple[Service, ...]
    lanes: tuple[Lane, ...]
    ends: NDArray[np.float64]
    lane_at: NDArray[np.int64]
    open: NDArray[np.bool_]
    limits: NDArray[np.int64]
    lightest: int

    def lanes_at(self, km: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return which lane leads from sites at these distances (services, sites); the number of lanes: none."""
        return self.lane_at.take(self.ends.searchsorted(km), axis=1)


@lru_cache(maxsize=256)
def offer(network: Network, level: ServiceLevel, country: str | None, currency: str) -> Offer:
    """Return what the network has to deliver at this level into this country, priced in this currency."""
    chosen = [
        row
        for row, service in enumerate(network.services)
        if service.level == level and service.currency == currency and country in service.countries
    ]
    services = tuple(network.services[row] for row in chosen)
    zones = [sorted(service.zones, key=lambda zone: zone.max_km) for service in services]
    lanes = tuple(_lane(service, zone) for service, reached in zip(services, zones, strict=True) for zone in reached)
    ends = np.unique([lane.zone.max_km for lane in lanes]).astype(np.float64)
    starts = np.cumsum([0, *map(len, zones)])
    lane_at = np.full((len(services), ends.size + 1), len(lanes), dtype=np.int64)
    for row, reached in enumerate(zones):
        ring = np.searchsorted([zone.max_km for zone in reached], ends)
        lane_at[row, :-1] = np.where(ring < len(reached), ring + starts[row], len(lanes))
    return Offer(
        services=services,
        lanes=lanes,
        ends=ends,
        lane_at=lane_at,
        open=network.fits[chosen] & network.ships,
        limits=np.array([*(lane.limit for lane in lanes), -1], dtype=np.int64),
        lightest=min((lane.limit for lane in lanes), default=UNLIMITED),
    )


def _lane(service: Service, zone: Zone) -> Lane:
    """Return the lane. A service without any tariff is free of charge; one with tariffs needs a price for the zone."""
    steps = sorted((tariff.max_grams, tariff.amount) for tariff in service.tariffs if tariff.zone == zone.name)
    limit = UNLIMITED if service.max_grams is None else service.max_grams
    if service.tariffs:
        limit = min(limit, steps[-1][0] if steps else -1)
    kept = {min(weight, limit): amount for weight, amount in reversed(steps or [(UNLIMITED, 0)])}
    weights = sorted(kept)
    return Lane(
        service=service,
        zone=zone,
        limit=limit,
        tariff=Tariff(
            weights=np.array(weights, dtype=np.int64),
            amounts=np.array([*(kept[weight] for weight in weights), IMPOSSIBLE], dtype=np.int64),
        ),
    )


def _limits(sites: Iterable[Site]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many orders and how many units each site can do on each weekday (sites, 8)."""
    ordered = tuple(sites)
    orders = np.full((len(ordered), WEEKDAYS), UNLIMITED, dtype=np.int64)
    units = orders.copy()
    for row, site in enumerate(ordered):
        for day in site.capacity:
            orders[row, day.weekday] = UNLIMITED if day.orders is None else day.orders
            units[row, day.weekday] = UNLIMITED if day.units is None else day.units
    return orders, units


def _fits(service: Service, site: Site) -> bool:
    """Tell whether this location may use this carrier service."""
    return (
        (not service.location_kinds or site.kind in service.location_kinds)
        and (not service.location_codes or site.code in service.location_codes)
        and (site.service_codes is None or service.code in site.service_codes)
    )
