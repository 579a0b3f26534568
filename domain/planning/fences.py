"""What keeps a location, or a carrier service at a location, from serving: masks, each with its reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from domain.planning.calendar import Calendar, Promise, opens_again, stays_open
from domain.planning.costs import UNLIMITED, limit_grams
from domain.planning.problem import Problem, Service, Zone
from domain.vocabulary import ServiceLevel, UnavailabilityCode

Mask = NDArray[np.bool_]

SENTENCES: Mapping[UnavailabilityCode, str] = {
    UnavailabilityCode.NOT_SERVED: "No location offers {wish}.",
    UnavailabilityCode.CLOSED: "No location that offers {wish} is open in time for {goods}.",
    UnavailabilityCode.TOO_FAR: "No location that offers {wish} is near enough.",
    UnavailabilityCode.TOO_HEAVY: "For {wish}, {goods} is too heavy for one parcel.",
    UnavailabilityCode.OUT_OF_STOCK: "No location within reach that offers {wish} has {goods} in stock.",
    UnavailabilityCode.RESTRICTED: "Every location that could do {wish} is ruled out for {goods}.",
    UnavailabilityCode.CUTOFF_PASSED: "It is too late for {wish} of {goods}.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """One reason to stay out; `passes` has a shape that broadcasts to (services, sites, lines)."""

    code: UnavailabilityCode
    passes: Mask


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where a wish may be served from: every mask, and how much of each line each leg could take.

    `services` and their `zones`, ascending by distance, are the first axis of all masks (one row for pickup, which has
    none). `zone_of[service, site]` is a position in `zones`, or their number where none reaches so far. `km` is the
    distance to each site (sites,), None where the destination is unknown. `before` are the fences that come ahead of
    weight and stock, `after` those that come behind. `units` is what the weight limit lets one parcel carry of a line
    (services, sites, lines); `stock` and `allowed` are (sites, lines).
    """

    problem: Problem
    calendar: Calendar
    km: NDArray[np.float64] | None
    services: Sequence[Service]
    zones: Sequence[Sequence[Zone]]
    zone_of: NDArray[np.int64]
    before: Sequence[Fence]
    units: NDArray[np.int64]
    stock: NDArray[np.int64]
    allowed: Mask
    after: Sequence[Fence] = ()

    @property
    def room(self) -> NDArray[np.int64]:
        """The quantity each leg could take of each line (services, sites, lines), whatever the other fences say."""
        room: NDArray[np.int64] = np.minimum(self.units, np.where(self.allowed, self.stock, 0))
        return room

    def promise(self, row: int, site: int) -> Promise | None:
        """Return what the leg of this service (pickup has none) at this site can promise, if anything."""
        if not self.services:
            return self.calendar.pickup(site)
        return self.calendar.delivery(site, self.services[row], self.zones[row][self.zone_of[row, site]])

    def fences(self, wanted: NDArray[np.int64]) -> tuple[Fence, ...]:
        """Return all fences in the order in which they are told, for these quantities (lines,)."""
        return (
            *self.before,
            Fence(code=UnavailabilityCode.TOO_HEAVY, passes=self.units >= wanted),
            Fence(code=UnavailabilityCode.OUT_OF_STOCK, passes=self.stock >= wanted),
            Fence(code=UnavailabilityCode.RESTRICTED, passes=self.allowed),
            *self.after,
        )

    def open_legs(self) -> Mask:
        """Tell which legs (services, sites) could take at least one unit of at least one line."""
        passes: Mask = self.room > 0
        for fence in (*self.before, *self.after):
            passes = passes & fence.passes
        legs: Mask = np.logical_or.reduce(passes, axis=2)
        return legs

    def stopped_by(self, wanted: NDArray[np.int64], lines: Mask) -> UnavailabilityCode | None:
        """Return the fence that leaves no leg for any of these lines (lines,) in the wanted quantity, if one does."""
        left: Mask = lines[np.newaxis, np.newaxis]
        for fence in self.fences(wanted):
            left = left & fence.passes
            if not left.any():
                return fence.code
        return None

    def most(self, line: int) -> int:
        """Return how many units of a line the best-stocked location has, of those that stock alone may rule out."""
        passes: Mask = self.units[:, :, line : line + 1] > 0
        for fence in self.before:
            passes = passes & fence.passes
        return int(self.stock[passes.any(axis=(0, 2)), line].max(initial=0))


def delivery_ground(problem: Problem, level: ServiceLevel, km: NDArray[np.float64], calendar: Calendar) -> Ground:
    """Return where a delivery at this level may come from; `km` is the distance to each site (sites,)."""
    network = problem.network
    chosen = [
        row
        for row, service in enumerate(network.services)
        if service.level == level and service.currency == problem.currency and problem.country in service.countries
    ]
    services = [network.services[row] for row in chosen]
    zones = [sorted(service.zones, key=lambda zone: zone.max_km) for service in services]
    zone_of = np.zeros((len(services), len(network.sites)), dtype=np.int64)
    units = np.zeros((*zone_of.shape, len(problem.lines)), dtype=np.int64)
    for row, service in enumerate(services):
        zone_of[row] = np.searchsorted([zone.max_km for zone in zones[row]], km)
        units[row] = _units(problem, service, zones[row])[zone_of[row]]
    last = np.array([len(row) for row in zones], dtype=np.int64)[:, np.newaxis]
    ground = Ground(
        problem=problem,
        calendar=calendar,
        km=km,
        services=services,
        zones=zones,
        zone_of=zone_of,
        before=_before(problem, network.fits[chosen] & network.ships, zone_of < last),
        units=units,
        stock=np.maximum(problem.available, 0),
        allowed=_allowed(problem),
    )
    return _timed(ground)


def pickup_ground(problem: Problem, km: NDArray[np.float64] | None, calendar: Calendar) -> Ground:
    """Return where the goods may be picked up; `km` is the distance to each site (sites,), if it is known."""
    network = problem.network
    served = network.hands_out[np.newaxis]
    in_reach = np.ones_like(served)
    if problem.pickup_codes is not None:
        asked = [network.position_by_code[code] for code in problem.pickup_codes if code in network.position_by_code]
        served = served & np.isin(np.arange(len(network.sites)), asked)
    elif km is not None and problem.within_km is not None:
        in_reach = km[np.newaxis] <= problem.within_km
    ground = Ground(
        problem=problem,
        calendar=calendar,
        km=km,
        services=(),
        zones=(),
        zone_of=np.zeros(served.shape, dtype=np.int64),
        before=_before(problem, served, in_reach),
        units=np.full((*served.shape, len(problem.lines)), UNLIMITED),
        stock=np.maximum(problem.available, 0),
        allowed=_allowed(problem),
    )
    return _timed(ground)


def _before(problem: Problem, served: Mask, in_reach: Mask) -> tuple[Fence, ...]:
    return (
        Fence(code=UnavailabilityCode.NOT_SERVED, passes=served[..., np.newaxis]),
        Fence(code=UnavailabilityCode.CLOSED, passes=problem.network.active[np.newaxis, :, np.newaxis]),
        Fence(code=UnavailabilityCode.TOO_FAR, passes=in_reach[..., np.newaxis]),
    )


def _allowed(problem: Problem) -> Mask:
    return np.ones_like(problem.available, dtype=np.bool_) if problem.blocked is None else ~problem.blocked


def _units(problem: Problem, service: Service, zones: Sequence[Zone]) -> NDArray[np.int64]:
    """Return how many units of each line one parcel may hold (zones + 1, lines); none beyond the last zone."""
    limits = np.array([limit_grams(service, zone) for zone in zones], dtype=np.int64)[:, np.newaxis]
    grams = np.array([line.grams for line in problem.lines], dtype=np.int64)
    units = np.where(grams > 0, np.maximum(limits, 0) // np.maximum(grams, 1), np.where(limits < 0, 0, UNLIMITED))
    return np.vstack([units, np.zeros_like(grams)])


def _timed(ground: Ground) -> Ground:
    """Return the ground with the fences of time, judged once for all legs that keep the same schedule."""
    legs = ground.open_legs()
    rows, sites = np.nonzero(legs)
    most_zones = max((len(row) for row in ground.zones), default=1)
    keys = (ground.problem.network.schedules[sites] * len(legs) + rows) * most_zones + ground.zone_of[rows, sites]
    _, firsts, groups = np.unique(keys, return_index=True, return_inverse=True)
    verdicts = [_stopped(ground, int(rows[first]), int(sites[first])) for first in firsts]
    after = []
    for code in (UnavailabilityCode.CLOSED, UnavailabilityCode.CUTOFF_PASSED):
        passes = np.ones(legs.shape, dtype=np.bool_)
        passes[rows, sites] = np.array([verdict != code for verdict in verdicts], dtype=np.bool_)[groups]
        after.append(Fence(code=code, passes=passes[..., np.newaxis]))
    return replace(ground, after=tuple(after))


def _stopped(ground: Ground, row: int, site: int) -> UnavailabilityCode | None:
    """Return why the hours, the cut-off or a promise already given rule a leg out, if they do."""
    now = ground.problem.now
    location = ground.problem.network.sites[site]
    promise = ground.promise(row, site)
    if promise is None:
        return UnavailabilityCode.CLOSED
    level = ground.services[row].level if ground.services else None
    if level is ServiceLevel.INSTANT and not stays_open(location, now, promise.ready_at):
        return UnavailabilityCode.CLOSED
    if level is ServiceLevel.INSTANT and not stays_open(location, now, promise.due_at):
        return UnavailabilityCode.CUTOFF_PASSED
    if level is ServiceLevel.SAME_DAY and promise.day != now.astimezone(location.time_zone).date():
        return UnavailabilityCode.CUTOFF_PASSED if opens_again(location, now) else UnavailabilityCode.CLOSED
    limit = ground.problem.promised_latest
    return None if limit is None or promise.latest <= limit else UnavailabilityCode.CUTOFF_PASSED
