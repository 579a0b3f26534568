"""Plan deliveries and pickups: the same code for what is promised and for what is carried out."""

from collections.abc import Iterable, Iterator
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from domain.planning.calendar import Calendar, Promise, order_before
from domain.planning.costs import handling_rates, tariff_amounts
from domain.planning.fences import SENTENCES, Ground, delivery_ground, pickup_ground
from domain.planning.problem import (
    Answer,
    Missing,
    Network,
    Parcel,
    Plan,
    Point,
    Problem,
    Service,
    Share,
    Site,
    Unavailable,
)
from domain.planning.solve import IMPOSSIBLE, Rates, require_solvable, solve
from domain.vocabulary import (
    FulfillmentMethod,
    LocationKind,
    LocationService,
    LocationStatus,
    ServiceLevel,
    UnavailabilityCode,
)

EARTH_RADIUS_KM = 6371.0088


def make_network(revision: int, sites: Iterable[Site], services: Iterable[Service]) -> Network:
    """Return the network of these sites and carrier services, sorted by code, with its columns."""
    ordered = tuple(sorted(sites, key=lambda site: site.code))
    offered = tuple(sorted(services, key=lambda service: service.code))
    numbers: dict[tuple[object, ...], int] = {}
    schedules = [
        numbers.setdefault((site.time_zone, site.openings, site.closures, site.handling), len(numbers))
        for site in ordered
    ]
    return Network(
        revision=revision,
        sites=ordered,
        services=offered,
        latitudes=np.radians([site.position.latitude for site in ordered]),
        longitudes=np.radians([site.position.longitude for site in ordered]),
        active=np.array([site.status is LocationStatus.ACTIVE for site in ordered], dtype=np.bool_),
        ships=np.array([LocationService.SHIP in site.services for site in ordered], dtype=np.bool_),
        hands_out=np.array([LocationService.PICKUP in site.services for site in ordered], dtype=np.bool_),
        fits=np.array([[_fits(service, site) for site in ordered] for service in offered], dtype=np.bool_).reshape(
            len(offered), len(ordered)
        ),
        kinds=np.array([list(LocationKind).index(site.kind) for site in ordered], dtype=np.int64),
        schedules=np.array(schedules, dtype=np.int64),
        position_by_code={site.code: position for position, site in enumerate(ordered)},
    )


def distances_km(network: Network, point: Point) -> NDArray[np.float64]:
    """Return the great-circle distance from each site to the point, in km (sites,)."""
    latitude, longitude = np.radians(point.latitude), np.radians(point.longitude)
    haversine = (
        np.sin((network.latitudes - latitude) / 2) ** 2
        + np.cos(latitude) * np.cos(network.latitudes) * np.sin((network.longitudes - longitude) / 2) ** 2
    )
    distances: NDArray[np.float64] = 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.minimum(haversine, 1.0)))
    return distances


def plan_deliveries(problem: Problem) -> Answer:
    """Return the cheapest delivery at each level asked for, best first, and why there is none, or not of everything.

    Raise InvalidInput for a cart of no lines or of more than 10.
    """
    require_solvable(len(problem.lines))
    if problem.destination is None:
        code = UnavailabilityCode.DESTINATION_UNKNOWN
        message = "A delivery needs a destination whose position is known."
        return Answer(unavailable=(Unavailable(method=FulfillmentMethod.DELIVERY, code=code, message=message),))
    km = distances_km(problem.network, problem.destination)
    calendar = Calendar(problem.network, problem.now)
    plans: list[Plan] = []
    unavailable: list[Unavailable] = []
    for level in dict.fromkeys(problem.levels):
        ground = delivery_ground(problem, level, km, calendar)
        plan = _delivery(level, ground)
        plans.extend([] if plan is None else [plan])
        unavailable.extend(_reasons(ground, level))
    return Answer(plans=rank(plans), unavailable=tuple(unavailable))


def plan_pickups(problem: Problem) -> Answer:
    """Return one pickup for each location: complete ones first, each kind by distance (by code where that is unknown).

    At most `pickup_limit` locations within `within_km` are asked, or all of `pickup_codes`. Raise InvalidInput for a
    cart of no lines or of more than 10.
    """
    require_solvable(len(problem.lines))
    network = problem.network
    km = None if problem.destination is None else distances_km(network, problem.destination)
    calendar = Calendar(network, problem.now)
    ground = pickup_ground(problem, km, calendar)
    sites = np.nonzero(ground.open_legs()[0])[0]
    handed = np.minimum(ground.room[0, sites], _quantities(problem))
    incomplete = (handed < _quantities(problem)).any(axis=1)
    order = np.lexsort((sites, np.zeros(sites.size) if km is None else km[sites], incomplete))
    if problem.pickup_codes is None:
        order = order[: max(problem.pickup_limit, 0)]
    plans = [_pickup(ground, int(sites[row]), handed[row]) for row in order]
    return Answer(plans=tuple(plans), unavailable=tuple(_reasons(ground, None)))


def rank(plans: Iterable[Plan]) -> tuple[Plan, ...]:
    """Return the plans of all methods, best first: what is complete, then what is cheaper, earlier, lower in code.

    A delivery that is both later and dearer to the shopper than another, complete delivery stands behind its peers.
    """
    ranked = tuple(plans)
    rivals = [plan for plan in ranked if plan.method is FulfillmentMethod.DELIVERY and not plan.missing]

    def place(plan: Plan) -> tuple[bool, bool, int, datetime, list[str]]:
        beaten = plan.method is FulfillmentMethod.DELIVERY and any(
            plan.latest > rival.latest and plan.price > rival.price for rival in rivals
        )
        codes = [plan.level or "", *(parcel.location_code for parcel in plan.parcels)]
        return bool(plan.missing), beaten, plan.price, plan.latest, codes

    return tuple(sorted(ranked, key=place))


def _delivery(level: ServiceLevel, ground: Ground) -> Plan | None:
    """Return the cheapest delivery of as much of each line as one location has; None where that is nothing."""
    problem = ground.problem
    sites, rows = np.nonzero(ground.open_legs().T)
    room = ground.room[rows, sites]
    shares = np.minimum(room.max(axis=0, initial=0), _quantities(problem))
    lines = np.nonzero(shares)[0]
    if not lines.size:
        return None
    parcels, prices, deadlines = [], [], []
    for take in solve(_rates(ground, rows, sites, room, shares)):
        row, site = int(rows[take.leg]), int(sites[take.leg])
        taken = np.zeros_like(shares)
        taken[lines[list(take.lines)]] = shares[lines[list(take.lines)]]
        promise = _promised(ground, row, site)
        parcels.append(_parcel(ground, row, site, taken, promise, take.cost))
        prices.append(_price(problem, ground.services[row]))
        deadlines.append(order_before(problem.network.sites[site], ground.services[row], promise.due_at))
    return Plan(
        method=FulfillmentMethod.DELIVERY,
        level=level,
        parcels=tuple(parcels),
        price=max(prices),
        cost=sum(parcel.cost for parcel in parcels),
        missing=_missing(problem, shares),
        order_before=min((deadline for deadline in deadlines if deadline is not None), default=None),
    )


def _pickup(ground: Ground, site: int, shares: NDArray[np.int64]) -> Plan:
    """Return the pickup of these quantities (lines,) at a site."""
    parcel_rates, unit_rates = handling_rates(ground.problem.network.kinds[[site]])
    cost = int(parcel_rates[0] + unit_rates[0] * shares.sum())
    parcel = _parcel(ground, 0, site, shares, _promised(ground, 0, site), cost)
    return Plan(
        method=FulfillmentMethod.PICKUP,
        level=None,
        parcels=(parcel,),
        price=0,
        cost=cost,
        missing=_missing(ground.problem, shares),
        pickup_code=parcel.location_code,
        distance_km=parcel.distance_km,
    )


def _rates(
    ground: Ground,
    rows: NDArray[np.int64],
    sites: NDArray[np.int64],
    room: NDArray[np.int64],
    shares: NDArray[np.int64],
) -> Rates:
    """Return what each leg charges for the lines of which there is a share; `room` and `shares` count all lines."""
    lines = np.nonzero(shares)[0]
    parcel_rates, unit_rates = handling_rates(ground.problem.network.kinds[sites])
    most_zones = max(len(row) for row in ground.zones)
    keys, tariff = np.unique(rows * most_zones + ground.zone_of[rows, sites], return_inverse=True)
    grams = np.zeros(1, dtype=np.int64)
    for line in lines.tolist():
        grams = np.concatenate([grams, grams + ground.problem.lines[line].grams * shares[line]])
    pairs = [divmod(int(key), most_zones) for key in keys]
    return Rates(
        fixed=parcel_rates,
        per_line=np.where(room[:, lines] >= shares[lines], unit_rates[:, np.newaxis] * shares[lines], IMPOSSIBLE),
        tariff=tariff,
        tariffs=np.stack([tariff_amounts(ground.services[row], ground.zones[row][zone], grams) for row, zone in pairs]),
    )


def _parcel(ground: Ground, row: int, site: int, shares: NDArray[np.int64], promise: Promise, cost: int) -> Parcel:
    """Return one location's parcel of these shares (lines,)."""
    service = ground.services[row] if ground.services else None
    distance = None if ground.km is None else float(ground.km[site])
    return Parcel(
        location_code=ground.problem.network.sites[site].code,
        service_code=None if service is None else service.code,
        shares=tuple(
            Share(sku=line.sku, quantity=int(share))
            for line, share in zip(ground.problem.lines, shares, strict=True)
            if share
        ),
        ready_at=promise.ready_at,
        due_at=promise.due_at,
        arrives_earliest=promise.earliest,
        arrives_latest=promise.latest,
        cost=cost,
        distance_km=distance,
        co2_grams=None if service is None or distance is None else round(service.co2_grams_per_km * distance),
    )


def _promised(ground: Ground, row: int, site: int) -> Promise:
    """Return the promise of a leg that no fence stopped; such a leg has one."""
    promise = ground.promise(row, site)
    if promise is None:
        raise LookupError(ground.problem.network.sites[site].code)
    return promise


def _price(problem: Problem, service: Service) -> int:
    """Return what the shopper pays for this service, in minor units."""
    free = service.free_from is not None and problem.cart_value is not None and problem.cart_value >= service.free_from
    return 0 if free else service.shopper_price


def _missing(problem: Problem, shares: NDArray[np.int64]) -> tuple[Missing, ...]:
    return tuple(
        Missing(sku=line.sku, quantity=line.quantity - int(share))
        for line, share in zip(problem.lines, shares, strict=True)
        if share < line.quantity
    )


def _quantities(problem: Problem) -> NDArray[np.int64]:
    return np.array([line.quantity for line in problem.lines], dtype=np.int64)


def _reasons(ground: Ground, level: ServiceLevel | None) -> Iterator[Unavailable]:
    """Tell why there is no plan, where there is none, and which lines no one location can serve in full."""
    problem = ground.problem
    method = FulfillmentMethod.PICKUP if level is None else FulfillmentMethod.DELIVERY
    wish = "pickup" if level is None else f"{level.lower().replace('_', '-')} delivery to {problem.country}"
    wanted = _quantities(problem)
    served = np.where(ground.open_legs()[..., np.newaxis], ground.room, 0).max(axis=(0, 1), initial=0)
    if not served.any() and (code := ground.stopped_by(np.ones_like(wanted), wanted > 0)):
        message = SENTENCES[code].format(wish=wish, goods="the cart")
        yield Unavailable(method=method, level=level, code=code, message=message)
    for index in np.flatnonzero(served < wanted).tolist():
        line = problem.lines[index]
        code = ground.stopped_by(wanted, np.arange(wanted.size) == index)
        if code is UnavailabilityCode.OUT_OF_STOCK:
            most = ground.most(index)
            found = f"more than {most}" if most else "any"
            message = f"{line.quantity} of {line.sku} are wanted; no location that offers {wish} has {found}."
        elif served.any() and code is not None:
            message = SENTENCES[code].format(wish=wish, goods=line.sku)
        else:
            continue
        yield Unavailable(method=method, level=level, sku=line.sku, code=code, message=message)


def _fits(service: Service, site: Site) -> bool:
    """Tell whether this location may use this carrier service."""
    return (
        (not service.location_kinds or site.kind in service.location_kinds)
        and (not service.location_codes or site.code in service.location_codes)
        and (site.service_codes is None or service.code in site.service_codes)
    )
