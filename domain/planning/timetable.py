"""When each site of a network could do the work, given what it has taken on already, and what it could then promise."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import takewhile
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from domain.planning import calendar
from domain.planning.calendar import Promise
from domain.planning.network import Offer
from domain.planning.problem import UNLIMITED, Committed, Network, Problem, Service, Site, Zone

Pair: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64]]

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


@lru_cache(maxsize=4096)
def _sure_until(keeper: Site, offered: Offer, eve: date) -> datetime:
    """Return until when what is ready after a local day is sure to be sent and to arrive, on whichever lane."""
    until = ALWAYS
    for lane in offered.lanes:
        known = () if lane.service.cutoff is None else calendar.journeys(keeper, lane.service, lane.zone, eve)
        sure = [due_at for due_at, _ in takewhile(lambda each: each[1], known)]
        until = min(until, sure[-1] if sure else NOT_SURE)
    return until


def timetable(problem: Problem) -> Timetable:
    """Return when the sites could do the work of a problem; one that is full begins on its next day with room."""
    network, wanted = problem.network, [line.quantity for line in problem.lines]
    units = b""
    if network.limited.size and _counts_units(network):
        of_limited = np.minimum(np.maximum(problem.available[network.limited], 0), np.array(wanted, dtype=np.int64))
        units = of_limited.sum(axis=1).tobytes()
    return _timetable(network, problem.now.astimezone(UTC), problem.committed, problem.policy.capacity_share, units)


def made_ready(problem: Problem, site: int, arrived: datetime) -> datetime | None:
    """Return when a site has made ready all the lines of a problem, which arrive there at a moment, if ever."""
    network, keeper = problem.network, problem.network.keepers[problem.network.schedules.item(site)]
    places, begins, full = np.array([site]), arrived.astimezone(UTC), False
    if site not in network.limited:
        return calendar.ready_at(keeper, begins)
    units, share = sum(line.quantity for line in problem.lines), problem.policy.capacity_share

    def busy(day: date) -> bool:
        days = np.array([day.toordinal()])
        taken, most = used(problem.committed, places, days), limits(network, share, places, days)
        return bool(_is_busy(taken, most, units).any())

    day = calendar.work_day(keeper, begins)
    while day is not None and busy(day):
        day, full = calendar.next_work_day(keeper, day), True
        day = None if day and day.toordinal() > begins.toordinal() + calendar.HORIZON_DAYS else day
    if day is None:
        return None
    return calendar.ready_at(keeper, calendar.moment(keeper.time_zone, day, 0) if full else begins)


def used(committed: Committed | None, sites: NDArray[np.int64], days: NDArray[np.int64]) -> Pair:
    """Return how many orders and units these sites have on these days (ordinals, beside `sites`) already."""
    if committed is None:
        return np.zeros_like(sites), np.zeros_like(sites)
    column = days - committed.first.toordinal()
    known = (column >= 0) & (column < committed.orders.shape[1])
    column = np.where(known, column, 0)
    return np.where(known, committed.orders[sites, column], 0), np.where(known, committed.units[sites, column], 0)


def limits(network: Network, share: Decimal, sites: NDArray[np.int64], days: NDArray[np.int64]) -> Pair:
    """Return how many orders and units these sites may do on these days (ordinals, beside `sites`), by that share."""
    weekday = (days - 1) % 7 + 1
    orders, units = network.order_limits[sites, weekday], network.unit_limits[sites, weekday]
    if share == 1:
        return orders, units
    parts = int(share * PARTS)
    orders, units = (np.where(limit < UNLIMITED, limit * parts // PARTS, limit) for limit in (orders, units))
    return orders, units


@lru_cache(maxsize=8)
def _timetable(
    network: Network, now: datetime, committed: Committed | None, share: Decimal, units_of_limited: bytes
) -> Timetable:
    """Return the timetable, the same for all that is decided together: deliveries, pickups, and what is sent to them.

    The units are those of the sites with a limit, int64, where any limit counts them.
    """
    free = Timetable(network=network, now=now, turns=network.schedules, firsts=network.keeping)
    limited = network.limited
    if not limited.size:
        return free
    units = np.zeros(len(network.sites), dtype=np.int64)
    if units_of_limited:
        units[limited] = np.frombuffer(units_of_limited, dtype=np.int64)

    def busy(sites: NDArray[np.int64]) -> NDArray[np.int64]:
        sites = sites[starts[sites] != NEVER]
        taken, most = used(committed, sites, starts[sites]), limits(network, share, sites, starts[sites])
        return sites[_is_busy(taken, most, units[sites])]

    starts, full = np.full(units.size, NEVER, dtype=np.int64), np.zeros(units.size, dtype=np.bool_)
    _start(network, limited, starts, lambda keeper, _: calendar.work_day(keeper, now))
    late = busy(limited)
    while late.size:
        full[late] = True
        _start(network, late, starts, lambda keeper, day: calendar.next_work_day(keeper, date.fromordinal(day)))
        starts[starts > now.toordinal() + calendar.HORIZON_DAYS] = NEVER
        late = busy(late)
    if not full.any():
        return replace(free, starts=starts)
    after = np.where(starts == NEVER, calendar.HORIZON_DAYS + 3, starts - now.toordinal() + 2)
    keys = network.schedules * (calendar.HORIZON_DAYS + 4) + np.where(full, after, 0)
    _, firsts, turns = np.unique(keys, return_index=True, return_inverse=True)
    return replace(free, turns=turns, firsts=firsts, starts=starts, full=full)


@lru_cache(maxsize=8)
def _counts_units(network: Network) -> bool:
    return bool((network.unit_limits < UNLIMITED).any())


def _is_busy(taken: Pair, most: Pair, units: NDArray[np.int64] | int) -> NDArray[np.bool_]:
    """Tell which days have no room for an order of so many units.

    One of more units than a day has room for is taken on a day that is still empty.
    """
    (orders_used, units_used), (most_orders, most_units) = taken, most
    over = (units_used + units > most_units) & ((units_used > 0) | (most_units == 0))
    busy: NDArray[np.bool_] = (orders_used >= most_orders) | over
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
