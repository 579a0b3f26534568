"""Where a wish may be served from, and how much of each line each location could take for it."""

from collections.abc import Callable
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
from domain.planning.timetable import Timetable, limits, used
from domain.vocabulary import FenceKind, ServiceLevel, UnavailabilityCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where a wish may be served from: every mask, and how much of each line each leg could take.

    `offer` has the carrier services that are the first axis of all masks; pickup has none, and one row. `lane_of`
    (services, sites) tells which lane leads to the destination; `km` is the distance to each site (sites,), None where
    the destination is unknown. `screens` stand in the order in which they are told. `units` is what the weight limit
    lets one parcel carry of a line (services, sites, lines), `stock` what may be taken of it (sites, lines).

    `open` are the legs (services, sites) that can take at least one unit of something, and `room` how much of each line
    they can take (services, sites, lines); what has lines lies in memory line by line, which is quicker. An open leg's
    promise is `promises[promise_of[service, site]]`.
    """

    problem: Problem
    timetable: Timetable
    offer: Offer | None
    km: NDArray[np.float64] | None
    lane_of: NDArray[np.int64]
    screens: tuple[Screen, ...]
    units: NDArray[np.int64]
    stock: NDArray[np.int64]
    room: NDArray[np.int64]
    open: Mask
    promises: tuple[Promise, ...] = ()
    promise_of: NDArray[np.int64]

    def promise(self, row: int, site: int) -> Promise:
        """Return what an open leg promises."""
        return self.promises[int(self.promise_of[row, site])]

    def stopped_by(self, wanted: NDArray[np.int64], lines: Mask) -> UnavailabilityCode | None:
        """Return the fence that leaves too little for any of these lines (lines,), if one does.

        Deliveries may come from several sites, a pickup comes from one.
        """
        left: Mask = lines[np.newaxis, np.newaxis]
        seen = np.full_like(self.stock, UNLIMITED)
        for screen in self.screens:
            left = left & screen.passes
            if screen.kind is FenceKind.STOCK:
                seen = self.stock
            there = np.where(left.any(axis=0), seen, 0)
            if (lines & (_together(there, apart=self.offer is None) < wanted)).sum() == lines.sum():
                return screen.code
        return None

    def most(self, line: int) -> int:
        """Return how many units of a line there are, in one place or together, if stock alone may rule it out."""
        passes: Mask = self.units[:, :, line : line + 1] > 0
        for screen in self.screens:
            if screen.kind is FenceKind.STOCK:
                break
            passes = passes & screen.passes
        there = np.where(passes[..., 0].any(axis=0), self.stock[:, line], 0)
        return int(_together(there, apart=self.offer is None))


def delivery_ground(problem: Problem, level: ServiceLevel, km: NDArray[np.float64], timetable: Timetable) -> Ground:
    """Return where a delivery at this level may come from; `km` is the distance to each site (sites,)."""
    offered = offer(problem.network, level, problem.country, problem.currency)
    lane_of = offered.lanes_at(km)
    grams = np.array([line.grams for line in problem.lines], dtype=np.int64)
    limit = offered.limits[:, np.newaxis]
    units = np.where(grams > 0, np.maximum(limit, 0) // np.maximum(grams, 1), np.where(limit < 0, 0, UNLIMITED))
    reaches = lane_of < len(offered.lanes)
    farthest = max((float(reach[-1]) for reach in offered.reach if reach.size), default=0.0)
    screens = (
        Screen(kind=FenceKind.SERVICE, code=UnavailabilityCode.NOT_SERVED, passes=offered.open[..., np.newaxis]),
        status(problem.network),
        Screen(
            kind=FenceKind.DISTANCE,
            code=UnavailabilityCode.TOO_FAR,
            passes=reaches[..., np.newaxis],
            told=lambda site: (f"{km[site]:.0f} km", f"{farthest:.0f} km"),
        ),
        *by_policy(problem, km),
    )
    legs = offered.open & problem.network.active & reaches
    by_leg = np.moveaxis(units.T[:, lane_of], 0, -1)
    return _timed(_ground(problem, timetable, offered, km, lane_of, screens, by_leg, legs), level)


def pickup_ground(problem: Problem, km: NDArray[np.float64] | None, timetable: Timetable) -> Ground:
    """Return where the goods may be picked up; `km` is the distance to each site (sites,), if it is known."""
    network = problem.network
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
        *by_policy(problem, km),
    )
    legs = (served & network.active & in_reach)[np.newaxis]
    lane_of = np.zeros(legs.shape, dtype=np.int64)
    units = np.moveaxis(np.full((len(problem.lines), *legs.shape), UNLIMITED), 0, -1)
    return _timed(_ground(problem, timetable, None, km, lane_of, screens, units, legs), None)


def _ground(
    problem: Problem,
    timetable: Timetable,
    offered: Offer | None,
    km: NDArray[np.float64] | None,
    lane_of: NDArray[np.int64],
    screens: tuple[Screen, ...],
    units: NDArray[np.int64],
    legs: Mask,
) -> Ground:
    """Return the ground before time is looked at; the screens so far are those ahead of weight and stock."""
    kept = [fence.limit for fence in problem.policy.fences if fence.kind is FenceKind.STOCK and fence.limit]
    stock = np.asfortranarray(np.maximum(problem.available - int(max(kept, default=0)), 0))
    room = np.minimum(units, stock) * legs[..., np.newaxis]
    for screen in screens[3:]:
        room *= screen.passes
    screens += _of_goods(problem, units, stock)
    if problem.blocked is not None:
        room *= ~problem.blocked
    return Ground(
        problem=problem,
        timetable=timetable,
        offer=offered,
        km=km,
        lane_of=lane_of,
        screens=screens,
        units=units,
        stock=stock,
        room=room,
        open=np.logical_or.reduce(room > 0, axis=2),
        promise_of=np.zeros(legs.shape, dtype=np.int64),
    )


def _of_goods(problem: Problem, units: NDArray[np.int64], stock: NDArray[np.int64]) -> tuple[Screen, ...]:
    """Return the fences of weight, of stock, and before the pairs of site and line that are not to be used."""
    wanted = np.array([line.quantity for line in problem.lines], dtype=np.int64)
    screens = (
        Screen(kind=FenceKind.SERVICE, code=UnavailabilityCode.TOO_HEAVY, passes=units > 0),
        Screen(
            kind=FenceKind.STOCK,
            code=UnavailabilityCode.OUT_OF_STOCK,
            passes=(stock > 0)[np.newaxis],
            told=lambda site: (f"{np.minimum(stock[site], wanted).sum()} units", f"{wanted.sum()} units"),
        ),
    )
    if problem.blocked is None:
        return screens
    passes = ~problem.blocked[np.newaxis]
    return (*screens, Screen(kind=FenceKind.BLOCKED, code=UnavailabilityCode.RESTRICTED, passes=passes))


def _timed(ground: Ground, level: ServiceLevel | None) -> Ground:
    """Return the ground with the fences of time, judged once for all legs that begin together on the same lane."""
    rows, sites = np.nonzero(ground.open)
    span = 1 if ground.offer is None else len(ground.offer.lanes)
    keys = ground.timetable.turns[sites] * span + ground.lane_of[rows, sites]
    firsts, groups = group(keys, (int(ground.timetable.turns.max(initial=0)) + 1) * max(span, 1))
    promises: list[Promise] = []
    verdicts: list[FenceKind | None] = []
    places = np.empty(firsts.size, dtype=np.int64)
    for place, first in enumerate(firsts.tolist()):
        promise = _promise(ground, int(rows[first]), int(sites[first]))
        verdict = _verdict(ground, level, int(sites[first]), promise)
        verdicts.append(verdict)
        places[place] = len(promises)
        if promise is not None and verdict is None:
            promises.append(promise)
    ground.promise_of[rows, sites] = places[groups]
    screens = ground.screens
    for kind, code in _TIMES.items():
        if kind in verdicts:
            passes = np.ones(ground.open.shape, dtype=np.bool_)
            passes[rows, sites] = np.array([verdict != kind for verdict in verdicts], dtype=np.bool_)[groups]
            np.multiply(ground.room, passes[..., np.newaxis], out=ground.room)
            screens += (Screen(kind=kind, code=code, passes=passes[..., np.newaxis], told=_told(ground, kind)),)
    still = ground.open if len(screens) == len(ground.screens) else np.logical_or.reduce(ground.room > 0, axis=2)
    return replace(ground, screens=screens, open=still, promises=tuple(promises))


_TIMES = {
    FenceKind.OPENING_HOURS: UnavailabilityCode.CLOSED,
    FenceKind.CAPACITY: UnavailabilityCode.NO_CAPACITY,
    FenceKind.CARRIER_CUTOFF: UnavailabilityCode.CUTOFF_PASSED,
    FenceKind.PROMISE: UnavailabilityCode.CUTOFF_PASSED,
}


def _promise(ground: Ground, row: int, site: int) -> Promise | None:
    if ground.offer is None:
        return ground.timetable.pickup(site)
    lane = ground.offer.lanes[ground.lane_of[row, site]]
    return ground.timetable.delivery(site, lane.service, lane.zone)


def _verdict(ground: Ground, level: ServiceLevel | None, site: int, promise: Promise | None) -> FenceKind | None:
    """Return why the hours, the capacity, the cut-off or a promise already given rule a leg out, if they do."""
    late = _late(ground, level, site, promise)
    if late in {FenceKind.CARRIER_CUTOFF, FenceKind.PROMISE, FenceKind.OPENING_HOURS} and ground.timetable.postponed(
        site
    ):
        return FenceKind.CAPACITY
    return late


def _late(ground: Ground, level: ServiceLevel | None, site: int, promise: Promise | None) -> FenceKind | None:
    problem, now = ground.problem, ground.problem.now
    place: Site = problem.network.sites[site]
    if promise is None:
        return FenceKind.OPENING_HOURS
    if level is ServiceLevel.INSTANT and not stays_open(place, now, promise.ready_at):
        return FenceKind.OPENING_HOURS
    if level is ServiceLevel.INSTANT and not stays_open(place, now, promise.due_at):
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
        promises = [_promise(ground, row, site) for row in range(len(ground.open)) if ground.lane_of[row, site] < lanes]
        moments = [promise.latest for promise in promises if promise]
        actual = _local(min(moments), problem.network.sites[site]) if moments else None
        limit = problem.promised_latest
        return actual, _local(limit, problem.network.sites[site]) if limit else None

    def capacity(site: int) -> Told:
        day = calendar.work_day(problem.network.sites[site], problem.now)
        if day is None:
            return None, None
        places, days = np.array([site]), np.array([day.toordinal()])
        (orders,), (units,) = used(problem, places, days)
        (most_orders,), (most_units,) = limits(problem, places, days)
        if orders >= most_orders:
            return f"{orders} orders on {day}", f"{most_orders} orders"
        return f"{units} units on {day}", f"{most_units} units"

    lanes = 1 if ground.offer is None else len(ground.offer.lanes)
    return capacity if kind is FenceKind.CAPACITY else latest


def _local(moment: datetime, site: Site) -> str:
    return moment.astimezone(site.time_zone).isoformat(timespec="minutes")


def _together(there: NDArray[np.int64], *, apart: bool) -> NDArray[np.int64]:
    """Return how much there is at the sites, the first axis, or at the best of them alone."""
    together: NDArray[np.int64] = there.max(axis=0, initial=0) if apart else there.sum(axis=0)
    return together
