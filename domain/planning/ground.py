"""Where a wish may be served from, and how much of each line each location could take for it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime

import numpy as np
from numpy.typing import NDArray

from domain.planning import calendar
from domain.planning.calendar import Promise, opens_again, stays_open
from domain.planning.fences import Mask, Screen, Told, by_policy, status
from domain.planning.groups import group
from domain.planning.network import Offer, offer
from domain.planning.problem import UNLIMITED, Problem, Site
from domain.planning.timetable import Timetable, limits, timetable, used
from domain.vocabulary import FenceKind, ServiceLevel, UnavailabilityCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What is the same for every wish of a problem.

    `km` is the distance to each site (sites,), None where the destination is unknown. `places` are the screens of the
    policy. `stock` is what may be taken of each line, `usable` of which there is any that this order may have, `enough`
    of which there is all that is `wanted` (sites, lines); they lie in memory line by line, which is quicker. `grams` is
    the weight of one unit of each line, and `heaviest` that of all that is wanted of the heaviest.
    """

    problem: Problem
    timetable: Timetable
    km: NDArray[np.float64] | None
    places: tuple[Screen, ...]
    stock: NDArray[np.int64]
    usable: Mask
    enough: Mask
    wanted: NDArray[np.int64]
    grams: NDArray[np.int64]
    heaviest: int


def given(problem: Problem, km: NDArray[np.float64] | None) -> Given:
    """Return what all wishes of a problem have in common; `km` is the distance to each site, if it is known."""
    kept = [fence.limit for fence in problem.policy.fences if fence.kind is FenceKind.STOCK and fence.limit]
    stock = np.asfortranarray(problem.available)
    if kept or np.minimum.reduce(stock, axis=None, initial=0) < 0:
        stock = np.maximum(stock - int(max(kept, default=0)), 0)
    places = tuple(by_policy(problem, km))
    wanted = np.array([line.quantity for line in problem.lines], dtype=np.int64)
    usable, enough = stock > 0, stock >= wanted
    allowed = [screen.passes[0] for screen in places]
    for passes in allowed if problem.blocked is None else [*allowed, ~problem.blocked]:
        usable &= passes
        enough &= passes
    return Given(
        problem=problem,
        timetable=timetable(problem),
        km=km,
        places=places,
        stock=stock,
        usable=usable,
        enough=enough,
        wanted=wanted,
        grams=np.array([line.grams for line in problem.lines], dtype=np.int64),
        heaviest=max([line.grams * line.quantity for line in problem.lines]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Spots:
    """Where some legs of a ground are: the service, the site and the lane of each, all (legs,)."""

    rows: NDArray[np.int64]
    sites: NDArray[np.int64]
    lanes: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where a wish may be served from: every mask, and how much of each line each leg could take.

    `offer` has the carrier services that are the first axis of all masks; pickup has none, and one row. `lane_of`
    (services, sites) tells which lane leads to the destination. `screens` stand in the order in which they are told.
    `units` is what the weight limit lets one parcel carry of a line (lanes, lines), the last row for no lane; None
    where each lane carries all that is wanted of any line.

    `open` are the legs (services, sites) that can take at least one unit of something.
    """

    given: Given
    offer: Offer | None
    lane_of: NDArray[np.int64]
    screens: tuple[Screen, ...]
    units: NDArray[np.int64] | None
    open: Mask

    @property
    def problem(self) -> Problem:
        """The problem that the wish is part of."""
        return self.given.problem

    def promise(self, site: int, lane: int) -> Promise | None:
        """Return what a site can promise by a lane; None where it is not open in time, or is not collected from."""
        times = self.given.timetable
        if self.offer is None:
            return times.pickup(site)
        return times.delivery(site, self.offer.lanes[lane].service, self.offer.lanes[lane].zone)

    def together(self) -> tuple[NDArray[np.int64], NDArray[np.int64], list[tuple[int, Promise | None]]]:
        """Return the open legs, flat, which of them are alike in time, and a site of each kind with what it promises.

        They begin together on the same lane.
        """
        turns, count = self.given.timetable.turns, self.open.shape[1]
        span = 1 if self.offer is None else len(self.offer.lanes)
        legs = self.open.ravel().nonzero()[0]
        keys = (turns * span + self.lane_of).take(legs)
        firsts, kinds = group(keys, (int(turns.max(initial=0)) + 1) * max(span, 1))
        sites, lanes = (legs[firsts] % max(count, 1)).tolist(), (keys[firsts] % max(span, 1)).tolist()
        return legs, kinds, [*zip(sites, map(self.promise, sites, lanes), strict=True)]

    def spots(self) -> Spots:
        """Return where the open legs are, by site and then by service."""
        sites, rows = self.open.T.nonzero()
        return Spots(rows=rows, sites=sites, lanes=self.lane_of[rows, sites])

    def able(self, at: Spots) -> Mask:
        """Return of which lines these open legs can take all that is wanted (legs, lines)."""
        able: Mask = self.given.enough.T.take(at.sites, axis=1)
        if self.units is not None:
            able &= (self.units >= self.given.wanted).T.take(at.lanes, axis=1)
        return able.T

    def room(self, at: Spots) -> NDArray[np.int64]:
        """Return how much of each line these open legs can take (legs, lines)."""
        stock, usable = self.given.stock.T.take(at.sites, axis=1), self.given.usable.T.take(at.sites, axis=1)
        room: NDArray[np.int64] = stock * usable
        if self.units is not None:
            room = np.minimum(room, self.units.T.take(at.lanes, axis=1))
        return room.T

    def stopped_by(self, stops: Mask) -> UnavailabilityCode | None:
        """Return the code of the first screen that stops (screens,), if one does."""
        return next((screen.code for screen, stop in zip(self.screens, stops, strict=True) if stop), None)

    def left(self) -> NDArray[np.int64]:
        """Return how many units there are of each line behind each screen (screens, lines), UNLIMITED before STOCK.

        Deliveries may come from several sites together, a pickup comes from one.
        """
        stock = self.given.stock
        legs: Mask = np.ones((1, 1, 1), dtype=np.bool_)
        left = np.zeros((len(self.screens), stock.shape[1]), dtype=np.int64)
        counted = False
        for place, screen in enumerate(self.screens):
            if place and screen.kind is not FenceKind.STOCK and screen.passes.all():
                left[place] = left[place - 1]
                continue
            legs = legs & screen.passes
            counted = counted or screen.kind is FenceKind.STOCK
            sites = legs.any(axis=0)
            if not counted:
                left[place] = sites.any(axis=0) * UNLIMITED
            elif self.offer is None:
                left[place] = np.where(sites, stock, 0).max(axis=0, initial=0)
            else:
                left[place] = np.where(sites, stock, 0).sum(axis=0)
        return left


def delivery_ground(common: Given, level: ServiceLevel, km: NDArray[np.float64]) -> Ground:
    """Return where a delivery at this level may come from; `km` is the distance to each site (sites,)."""
    problem, network = common.problem, common.problem.network
    offered = offer(network, level, problem.country, problem.currency)
    lane_of = offered.lanes_at(km)
    units = None
    if common.heaviest > offered.lightest:
        limit = offered.limits[:, np.newaxis]
        units = np.maximum(limit, 0) // np.maximum(common.grams, 1)
        units = np.where(common.grams > 0, units, np.where(limit < 0, 0, UNLIMITED))
    reaches = lane_of < len(offered.lanes)
    screens = (
        Screen(kind=FenceKind.SERVICE, code=UnavailabilityCode.NOT_SERVED, passes=offered.open[..., np.newaxis]),
        status(network),
        Screen(
            kind=FenceKind.DISTANCE,
            code=UnavailabilityCode.TOO_FAR,
            passes=reaches[..., np.newaxis],
            told=lambda site: (f"{km[site]:.0f} km", f"{offered.ends.max(initial=0.0):.0f} km"),
        ),
    )
    legs = offered.open & network.active & reaches
    return _timed(_ground(common, offered, lane_of, screens, units, legs), level)


def pickup_ground(common: Given) -> Ground:
    """Return where the goods may be picked up."""
    problem, network, km = common.problem, common.problem.network, common.km
    served, in_reach = network.hands_out, np.ones_like(network.hands_out)
    if problem.pickup_codes is not None:
        asked = [network.position_by_code[code] for code in problem.pickup_codes if code in network.position_by_code]
        served = served & np.isin(np.arange(len(network.sites)), asked)
    elif km is not None and problem.within_km is not None:
        in_reach = km <= problem.within_km
    screens = (
        Screen(kind=FenceKind.SERVICE, code=UnavailabilityCode.NOT_SERVED, passes=served[np.newaxis, :, np.newaxis]),
        status(network),
        Screen(
            kind=FenceKind.DISTANCE,
            code=UnavailabilityCode.TOO_FAR,
            passes=in_reach[np.newaxis, :, np.newaxis],
            told=lambda site: (None if km is None else f"{km[site]:.0f} km", f"{problem.within_km} km"),
        ),
    )
    legs = (served & network.active & in_reach)[np.newaxis]
    lane_of = np.zeros(legs.shape, dtype=np.int64)
    return _timed(_ground(common, None, lane_of, screens, None, legs), None)


def _ground(
    common: Given,
    offered: Offer | None,
    lane_of: NDArray[np.int64],
    screens: tuple[Screen, ...],
    units: NDArray[np.int64] | None,
    legs: Mask,
) -> Ground:
    """Return the ground before time is looked at; the screens so far are those of the wish itself."""
    fits = None if units is None else (units > 0)[lane_of]
    some = np.logical_or.reduce(common.usable if fits is None else fits & common.usable, axis=-1)
    return Ground(
        given=common,
        offer=offered,
        lane_of=lane_of,
        screens=(*screens, *common.places, *_of_goods(common, fits)),
        units=units,
        open=legs & some,
    )


def _of_goods(common: Given, fits: Mask | None) -> Iterator[Screen]:
    """Yield the fences of weight, of stock, and before the pairs of site and line that are not to be used.

    `fits` tells which legs can take one unit of what, by weight; None where all that are in reach can.
    """
    stock, blocked, wanted = common.stock, common.problem.blocked, [line.quantity for line in common.problem.lines]
    if fits is not None:
        yield Screen(kind=FenceKind.SERVICE, code=UnavailabilityCode.TOO_HEAVY, passes=fits)
    yield Screen(
        kind=FenceKind.STOCK,
        code=UnavailabilityCode.OUT_OF_STOCK,
        passes=(stock > 0)[np.newaxis],
        told=lambda site: (f"{sum(map(min, stock[site].tolist(), wanted))} units", f"{sum(wanted)} units"),
    )
    if blocked is not None:
        passes = ~blocked[np.newaxis]
        yield Screen(kind=FenceKind.BLOCKED, code=UnavailabilityCode.RESTRICTED, passes=passes)


def _timed(ground: Ground, level: ServiceLevel | None) -> Ground:
    """Return the ground with the fences of time."""
    times = ground.given.timetable
    turns = np.bincount(times.turns[np.logical_or.reduce(ground.open, axis=0)]).nonzero()[0]
    if not _is_strict(ground.problem, level) and times.all_promise(turns.tolist(), ground.offer):
        return ground
    legs, kinds, promised = ground.together()
    verdicts = [_verdict(ground, level, site, promise) for site, promise in promised]
    screens, still = ground.screens, ground.open
    for kind, code in _TIMES.items():
        if kind in verdicts:
            passes = np.ones(ground.open.shape, dtype=np.bool_)
            np.put(passes, legs, np.array([verdict != kind for verdict in verdicts], dtype=np.bool_).take(kinds))
            still = still & passes
            screens += (Screen(kind=kind, code=code, passes=passes[..., np.newaxis], told=_told(ground, kind)),)
    return replace(ground, screens=screens, open=still)


_TIMES = {
    FenceKind.OPENING_HOURS: UnavailabilityCode.CLOSED,
    FenceKind.CAPACITY: UnavailabilityCode.NO_CAPACITY,
    FenceKind.CARRIER_CUTOFF: UnavailabilityCode.CUTOFF_PASSED,
    FenceKind.PROMISE: UnavailabilityCode.CUTOFF_PASSED,
}


def _verdict(ground: Ground, level: ServiceLevel | None, site: int, promise: Promise | None) -> FenceKind | None:
    """Return why the hours, the capacity, the cut-off or a promise already given rule a leg out, if they do."""
    late = _late(ground, level, site, promise)
    return FenceKind.CAPACITY if late and ground.given.timetable.postponed(site) else late


def _is_strict(problem: Problem, level: ServiceLevel | None) -> bool:
    """Tell whether a leg may be ruled out although it can promise something."""
    hurried = level in {ServiceLevel.INSTANT, ServiceLevel.SAME_DAY}
    return hurried or problem.promised_latest is not None or (level is not None and problem.policy.collected_today)


def _late(ground: Ground, level: ServiceLevel | None, site: int, promise: Promise | None) -> FenceKind | None:
    problem, now = ground.problem, ground.problem.now
    place: Site = problem.network.sites[site]
    if promise is None:
        return FenceKind.OPENING_HOURS
    if level is ServiceLevel.INSTANT:
        if not stays_open(place, now, promise.ready_at):
            return FenceKind.OPENING_HOURS
        if not stays_open(place, now, promise.due_at):
            return FenceKind.CARRIER_CUTOFF
    if level is ServiceLevel.SAME_DAY and promise.day != _day(now, place):
        return FenceKind.CARRIER_CUTOFF if opens_again(place, now) else FenceKind.OPENING_HOURS
    if level and problem.policy.collected_today and _day(promise.due_at, place) != _day(now, place):
        return FenceKind.CARRIER_CUTOFF
    limit = problem.promised_latest
    return None if limit is None or promise.latest <= limit else FenceKind.PROMISE


def _day(moment: datetime, place: Site) -> date:
    return moment.astimezone(place.time_zone).date()


def _told(ground: Ground, kind: FenceKind) -> Callable[[int], Told]:
    """Return what to tell of a fence of time at a site."""
    problem = ground.problem

    def latest(site: int) -> Told:
        of_site = [lane for lane in ground.lane_of[:, site].tolist() if lane < lanes]
        moments = [promise.latest for lane in of_site if (promise := ground.promise(site, lane))]
        actual = _local(min(moments), problem.network.sites[site]) if moments else None
        limit = problem.promised_latest
        return actual, _local(limit, problem.network.sites[site]) if limit else None

    def capacity(site: int) -> Told:
        day = calendar.work_day(problem.network.sites[site], problem.now)
        if day is None:
            return None, None
        places, days = np.array([site]), np.array([day.toordinal()])
        (orders,), (units,) = used(problem.committed, places, days)
        (most_orders,), (most_units,) = limits(problem.network, problem.policy.capacity_share, places, days)
        if orders >= most_orders:
            return f"{orders} orders on {day}", f"{most_orders} orders"
        return f"{units} units on {day}", f"{most_units} units"

    lanes = 1 if ground.offer is None else len(ground.offer.lanes)
    return capacity if kind is FenceKind.CAPACITY else latest


def _local(moment: datetime, site: Site) -> str:
    return moment.astimezone(site.time_zone).isoformat(timespec="minutes")
