"""When a location is open, when a carrier collects there, and when the goods arrive.

Hours are read from the wall clock of the location's time zone; all arithmetic is done on instants in UTC, so a night in
which the clock changes is as long as it is. Every function is monotone: a later `now` never gives an earlier moment.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from domain.planning.problem import Service, Site, Zone

# A location that does not open, or a carrier that does not come, for so many days never does.
HORIZON_DAYS = 60
MIDNIGHT = 24 * 60
FIRST_DELIVERY = 8 * 60
DAY = timedelta(days=1)

Journey: TypeAlias = tuple[datetime, datetime, datetime, date]
"""When the carrier takes goods over, between which moments they arrive, and the local day of the last of these."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """One stretch of opening, as UTC instants; both ends belong to it."""

    opens: datetime
    closes: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """The moment a carrier takes goods over, in UTC, and the local day to which it belongs."""

    day: date
    at: datetime


class Promise(NamedTuple):
    """What one location and one carrier service can keep, in UTC; `day` is the local day of `latest`."""

    ready_at: datetime
    due_at: datetime
    earliest: datetime
    latest: datetime
    day: date


@lru_cache(maxsize=16_384)
def moment(zone: ZoneInfo, day: date, minutes: int) -> datetime:
    """Return the UTC instant at which the clocks of `zone` show `minutes` after midnight of `day`.

    A time that the clock skips, or shows twice, counts with the offset before the change, as in RFC 5545.
    """
    return (datetime.combine(day, time(), tzinfo=zone) + timedelta(minutes=minutes)).astimezone(UTC)


def day_before(site: Site, at: datetime) -> date:
    """Return the local day before `at`: a stretch that ends at midnight belongs to it and still holds that instant."""
    return at.astimezone(site.time_zone).date() - DAY


@lru_cache(maxsize=1024)
def public_holidays(place: str, year: int) -> frozenset[date]:
    """Return the public holidays of a year in a country (`DE`) or a region (`DE-BE`), by the `holidays` library.

    It knows the place: a location with another is not saved (domain.network).
    """
    from holidays import country_holidays

    country, _, region = place.partition("-")
    return frozenset(country_holidays(country, subdiv=region or None, years=year))


@lru_cache(maxsize=65_536)
def openings_on(site: Site, day: date) -> tuple[Stretch, ...]:
    """Return when the site is open on a local day: ordered, apart from each other, empty where it stays closed."""
    if day in site.closures or (site.public_holidays and day in public_holidays(site.public_holidays, day.year)):
        return ()
    weekday = day.isoweekday()
    stretches: list[Stretch] = []
    for opens, closes in sorted((hour.opens, hour.closes) for hour in site.openings if hour.weekday == weekday):
        stretch = Stretch(moment(site.time_zone, day, opens), moment(site.time_zone, day, closes))
        if stretches and stretch.opens <= stretches[-1].closes:
            last = stretches.pop()
            stretches.append(Stretch(last.opens, max(last.closes, stretch.closes)))
        elif stretch.opens < stretch.closes:
            stretches.append(stretch)
    return tuple(stretches)


def ready_at(site: Site, now: datetime) -> datetime | None:
    """Return when goods ordered at `now` are ready: handling time runs in opening hours only. None: not in sight."""
    return opened_for(site, now, site.handling)


@lru_cache(maxsize=4096)
def opened_for(site: Site, now: datetime, span: timedelta) -> datetime | None:
    """Return when the site has been open for so long after `now`. None: not in sight."""
    at, left = now.astimezone(UTC), span
    for day in _days(day_before(site, at)):
        for stretch in openings_on(site, day):
            start = max(at, stretch.opens)
            if start > stretch.closes:
                continue
            if start + left <= stretch.closes:
                return start + left
            left -= stretch.closes - start
            at = stretch.closes
    return None


def handling_left(site: Site, begun: datetime, now: datetime) -> timedelta:
    """Return how much of a site's handling time is left of work that was begun; none where it takes longer."""
    opened = timedelta(0)
    for day in _days(day_before(site, begun)):
        for stretch in openings_on(site, day):
            opened += max(min(now, stretch.closes) - max(begun, stretch.opens), timedelta(0))
        if opened >= site.handling or moment(site.time_zone, day + DAY, 0) > now:
            break
    return max(site.handling - opened, timedelta(0))


@lru_cache(maxsize=4096)
def work_day(site: Site, now: datetime) -> date | None:
    """Return the local day on which work on what is ordered at `now` begins; None: not in sight."""
    at = now.astimezone(UTC)
    for day in _days(day_before(site, at)):
        if any(at <= stretch.closes for stretch in openings_on(site, day)):
            return day
    return None


def next_work_day(site: Site, day: date) -> date | None:
    """Return the first local day after this one on which the site opens; None: not in sight."""
    return next((later for later in _days(day + DAY) if openings_on(site, later)), None)


@lru_cache(maxsize=65_536)
def latest_order(site: Site, deadline: datetime) -> datetime | None:
    """Return the last moment to order and be ready by `deadline`, walking the handling time backwards."""
    at, left = deadline.astimezone(UTC), site.handling
    today = at.astimezone(site.time_zone).date()
    for back in range(2 * (HORIZON_DAYS + 2)):  # one horizon until it was ready, one until it was collected
        for stretch in reversed(openings_on(site, today - back * DAY)):
            end = min(at, stretch.closes)
            if end < stretch.opens:
                continue
            if end - left >= stretch.opens:
                return end - left
            left -= end - stretch.opens
            at = stretch.opens
    return None


def collect(site: Site, service: Service, ready: datetime) -> Collection | None:
    """Return when the carrier takes over what is ready at `ready`; None where it does not come within the horizon.

    It comes on its weekdays, on days the site opens: at the cut-off or, if earlier, when the site closes for the day.
    Without a cut-off it comes once the goods are ready.
    """
    first = day_before(site, ready)
    if service.cutoff is not None:
        return next((each for each in _collections(site, service, first) if ready <= each.at), None)
    for day in _days(first):
        if day.isoweekday() in service.collects:
            for stretch in openings_on(site, day):
                if ready <= stretch.closes:
                    return Collection(day=day, at=max(ready, stretch.opens))
    return None


def pickup(site: Site, ready: datetime) -> Promise:
    """Return what can be promised for goods that the shopper picks up at the site once they are ready."""
    day = ready.astimezone(site.time_zone).date()
    return Promise(ready_at=ready, due_at=ready, earliest=ready, latest=ready, day=day)


def delivery(site: Site, service: Service, zone: Zone, ready: datetime, eve: date | None = None) -> Promise | None:
    """Return what can be promised for goods ready at the site, sent with this service into this zone.

    `eve` is the local day before `ready`, where it is known. None where the carrier does not collect or deliver within
    the horizon.
    """
    if service.cutoff is None:
        collection = collect(site, service, ready)
        journey = None if collection is None else _journey(site, service, zone, collection)
        return None if journey is None else Promise(ready, *journey)
    for due_at, journey in journeys(site, service, zone, eve or day_before(site, ready)):
        if ready <= due_at:
            return None if journey is None else Promise(ready, *journey)
    return None


def order_before(site: Site, service: Service | None, due_at: datetime) -> datetime | None:
    """Return the last moment to order and get this collection; None where it moves with the clock (pickup, on call)."""
    return None if service is None or service.cutoff is None else latest_order(site, due_at)


def stays_open(site: Site, now: datetime, until: datetime) -> bool:
    """Tell whether the site is open at `now` and does not close before `until`; midnight does not interrupt."""
    end = None
    for day in _days(day_before(site, now)):
        for stretch in openings_on(site, day):
            if stretch.opens <= (end or now) <= stretch.closes:
                end = stretch.closes
        if end is not None and end >= until:
            return True
        if (end or now) < moment(site.time_zone, day, 0):
            return False
    return False


def is_open(site: Site, now: datetime) -> bool:
    """Tell whether the site is open at `now`."""
    return stays_open(site, now, now)


def opens_again(site: Site, now: datetime) -> bool:
    """Tell whether the site is, or will be, open on the local day of `now`."""
    return any(now < stretch.closes for stretch in openings_on(site, now.astimezone(site.time_zone).date()))


@lru_cache(maxsize=65_536)
def _collections(site: Site, service: Service, first: date) -> tuple[Collection, ...]:
    """Return the collections from a local day on: all that may be the next for what is ready on the day after it."""
    found = []
    for day in _days(first):
        if (at := _deadline(site, service, day)) is not None:
            found.append(Collection(day=day, at=at))
            if day > first + 2 * DAY:
                break
    return tuple(found)


def _deadline(site: Site, service: Service, day: date) -> datetime | None:
    """Return when a carrier with a cut-off collects on a local day, if it does."""
    stretches = openings_on(site, day) if day.isoweekday() in service.collects else ()
    if not stretches or service.cutoff is None:
        return None
    return min(moment(site.time_zone, day, _minutes(service.cutoff)), stretches[-1].closes)


@lru_cache(maxsize=65_536)
def journeys(site: Site, service: Service, zone: Zone, first: date) -> tuple[tuple[datetime, Journey | None], ...]:
    """Return what becomes of the goods of each collection from a local day on, beside the moment of it.

    They are all that may be the next for what is ready on the day after it; the service has a cut-off.
    """
    collections = _collections(site, service, first)
    return tuple((collection.at, _journey(site, service, zone, collection)) for collection in collections)


def _journey(site: Site, service: Service, zone: Zone, collection: Collection) -> Journey | None:
    """Return what becomes of the goods of a collection; None: they do not arrive within the horizon."""
    if zone.transit_minutes is not None:
        earliest, latest = (collection.at + timedelta(minutes=minutes) for minutes in zone.transit_minutes)
        return collection.at, earliest, latest, latest.astimezone(site.time_zone).date()
    first, last = (_delivered(site, service, collection, days) for days in zone.transit_days or (0, 0))
    if first is None or last is None:
        return None
    earliest = min(max(moment(site.time_zone, first.day, FIRST_DELIVERY), collection.at), last.at)
    return collection.at, earliest, last.at, last.day


def _delivered(site: Site, service: Service, collection: Collection, transit_days: int) -> Collection | None:
    """Return the day and the moment by which goods arrive after so many delivery days."""
    by = MIDNIGHT if service.deliver_by is None else _minutes(service.deliver_by)
    left = transit_days
    for offset in range(min(transit_days, 1), 7 * (transit_days + 3)):
        day = collection.day + offset * DAY
        if day.isoweekday() not in service.delivers:
            continue
        left -= 1
        # A carrier that collects after its last delivery of the day delivers on its next day.
        if left <= 0 and (at := moment(site.time_zone, day, by)) > collection.at:
            return Collection(day=day, at=at)
    return None


def _days(first: date) -> Iterator[date]:
    return (first + offset * DAY for offset in range(HORIZON_DAYS + 2))


def _minutes(clock: time) -> int:
    return clock.hour * 60 + clock.minute
