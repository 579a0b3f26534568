"""When each site of a network could do the work, given what it has taken on already, and what it could then promise."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import lru_cache
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from domain.planning import calendar
from domain.planning.calendar import Promise
from domain.planning.network import Offer
from domain.planning.problem import UNLIMITED, Network, Problem, Service, Site, Zone
from domain.vocabulary import FenceKind

PARTS = 10_000
SPAN = 1 << 22
NEVER = 0
"""No day: the site is full, or shut, on every day in sight."""
NOT_SURE, ALWAYS = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timetable:
    """The promises of a network at one moment, the same for all the sites that keep the same schedule.

    Sites with the same number in `turns` keep the same schedule and begin at the same moment; `firsts[turn]` is one of
    them. `starts[site]` is the day on which the work begins, as a proleptic ordinal, NEVER where it does not;
    `full[site]` tells which begin so late because they are full before. Both are None where nobody is.
    """

    network: Network
    now: datetime
    turns: NDArray[np.int64]
    firsts: NDArray[np.int64]
    starts: NDArray[np.int64] | None = None
    full: NDArray[np.bool_] | None = None
    _days: dict[int, date | None] = field(default_factory=dict)
    _begun: dict[int, tuple[Site, datetime | None, date]] = field(default_factory=dict)

    def pickup(self, site: int) -> Promise | None:
        """Return from when goods ordered now can be picked up at the site with this place, if ever."""
        _, ready, _ = self._begin(self.turns.item(site))
        return None if ready is None else calendar.pickup(self.network.sites[site], ready)

    def delivery(self, site: int, service: Service, zone: Zone) -> Promise | None:
        """Return what the site with this place can promise with this service into this zone, if anything."""
        keeper, ready, eve = self._begin(self.turns.item(site))
        return None if ready is None else calendar.delivery(keeper, service, zone, ready, eve)

    def all_promise(self, turns: Iterable[int], offered: Offer | None) -> bool:
        """Tell whether each of these turns can promise something, a pickup or on every lane; False may be unknown."""
        for turn in turns:
            keeper, ready, eve = self._begin(turn)
            if ready is None or (offered is not None and not ready <= _sure_until(keeper, offered, eve)):
                return False
        return True

    def work_day(self, site: int) -> date | None:
        """Return the local day on which the site with this place begins; None: not in sight."""
        if self.starts is None or self.full is None or not self.full[site]:
            schedule = self.network.schedules.item(site)
            if schedule not in self._days:
                self._days[schedule] = calendar.work_day(self._keeper(site), self.now)
            return self._days[schedule]
        start = int(self.starts[site])
        return None if start == NEVER else date.fromordinal(start)

    def postponed(self, site: int) -> bool:
        """Tell whether the site with this place begins later than it is open, because it is full."""
        return self.full is not None and bool(self.full[site])

    def _keeper(self, site: int) -> Site:
        return self.network.keepers[int(self.network.schedules[site])]

    def _begin(self, turn: int) -> tuple[Site, datetime | None, date]:
        """Return who keeps the schedule of a turn, when goods ordered now are ready, and the local day before that."""
        if turn not in self._begun:
            site = self.firsts.item(turn)
            keeper, ready = self._keeper(site), self._ready_at(site)
            self._begun[turn] = keeper, ready, calendar.day_before(keeper, ready or self.now)
        return self._begun[turn]

    def _ready_at(self, site: int) -> datetime | None:
        keeper = self._keeper(site)
        if not self.postponed(site):
            return calendar.ready_at(keeper, self.now)
        day = self.work_day(site)
        return None if day is None else calendar.ready_at(keeper, calendar.moment(keeper.time_zone, day, 0))


@lru_cache(maxsize=65_536)
def _sure_until(keeper: Site, offered: Offer, eve: date) -> datetime:
    """Return until when what is ready after a local day is sure to be sent and to arrive, on whichever lane."""
    until = ALWAYS
    for lane in offered.lanes:
        known = () if lane.service.cutoff is None else calendar.journeys(keeper, lane.service, lane.zone, eve)
        sure = [due_at for due_at, _ in takewhile(lambda each: each[1], known)]
        until = min(until, sure[-1] if sure else NOT_SURE)
    return until


def timetable(problem: Problem, site: int | None = None) -> Timetable:
    """Return when the sites could do the work of a problem; one that is full begins on its next day with room.

    Where only one `site` will be asked for, the others are left as if they had no limit.
    """
    network, now = problem.network, problem.now.astimezone(UTC)
    free = Timetable(network=network, now=now, turns=network.schedules, firsts=network.keeping)
    limited = network.limited if site is None else network.limited[network.limited == site]
    if not limited.size:
        return free
    wanted = np.array([line.quantity for line in problem.lines], dtype=np.int64)
    units = np.minimum(np.maximum(problem.available, 0), wanted).sum(axis=1)
    starts = np.full(units.size, NEVER, dtype=np.int64)
    _start(network, limited, starts, lambda keeper, _: calendar.work_day(keeper, now))
    full = np.zeros(units.size, dtype=np.bool_)
    busy = _busy(problem, limited, starts, units)
    while busy.size:
        full[busy] = True
        _start(network, busy, starts, lambda keeper, day: calendar.next_work_day(keeper, date.fromordinal(day)))
        starts[starts > now.toordinal() + calendar.HORIZON_DAYS] = NEVER
        busy = _busy(problem, busy, starts, units)
    if not full.any():
        return replace(free, starts=starts)
    late = np.where(starts == NEVER, calendar.HORIZON_DAYS + 3, starts - now.toordinal() + 2)
    keys = network.schedules * (calendar.HORIZON_DAYS + 4) + np.where(full, late, 0)
    _, firsts, turns = np.unique(keys, return_index=True, return_inverse=True)
    return replace(free, turns=turns, firsts=firsts, starts=starts, full=full)


def used(
    problem: Problem, sites: NDArray[np.int64], days: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many orders and units these sites have on these days (ordinals, beside `sites`) already."""
    work = problem.committed
    if work is None:
        return np.zeros_like(sites), np.zeros_like(sites)
    column = days - work.first.toordinal()
    known = (column >= 0) & (column < work.orders.shape[1])
    column = np.where(known, column, 0)
    return np.where(known, work.orders[sites, column], 0), np.where(known, work.units[sites, column], 0)


def limits(
    problem: Problem, sites: NDArray[np.int64], days: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many orders and units these sites may do on these days (ordinals, beside `sites`), by the policy."""
    weekday = (days - 1) % 7 + 1
    orders, units = problem.network.order_limits[sites, weekday], problem.network.unit_limits[sites, weekday]
    shares = [
        fence.limit for fence in problem.policy.fences if fence.kind is FenceKind.CAPACITY and fence.limit is not None
    ]
    if not shares:
        return orders, units
    parts = int(min(shares) * PARTS)
    orders, units = (np.where(limit < UNLIMITED, limit * parts // PARTS, limit) for limit in (orders, units))
    return orders, units


def _busy(
    problem: Problem, sites: NDArray[np.int64], starts: NDArray[np.int64], units: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return those of the sites that have no room on the day they start.

    An order of more units than a day has room for is taken on a day that is still empty.
    """
    sites = sites[starts[sites] != NEVER]
    most_orders, most_units = limits(problem, sites, starts[sites])
    orders_used, units_used = used(problem, sites, starts[sites])
    over = (units_used + units[sites] > most_units) & ((units_used > 0) | (most_units == 0))
    busy: NDArray[np.int64] = sites[(orders_used >= most_orders) | over]
    return busy


def _start(
    network: Network,
    sites: NDArray[np.int64],
    starts: NDArray[np.int64],
    day: Callable[[Site, int], date | None],
) -> None:
    """Let these sites start on the day that is theirs after that on which they start now, once for each schedule."""
    keys = network.schedules[sites] * SPAN + starts[sites]
    for key in set(keys.tolist()):
        found = day(network.keepers[key // SPAN], key % SPAN)
        starts[sites[keys == key]] = NEVER if found is None else found.toordinal()
