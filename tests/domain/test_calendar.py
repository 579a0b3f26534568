from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.planning.calendar import (
    collect,
    delivery,
    handling_left,
    latest_order,
    moment,
    next_work_day,
    opened_for,
    openings_on,
    opens_again,
    order_before,
    ready_at,
    stays_open,
    work_day,
)
from domain.planning.network import make_network
from domain.planning.problem import Opening, Point, Service, Site, Zone
from domain.planning.timetable import timetable
from domain.vocabulary import LocationKind, LocationService, LocationStatus, ServiceLevel
from tests.domain.carts import problem

BERLIN = ZoneInfo("Europe/Berlin")
WEEK = tuple(range(1, 8))
ZONES = ("Europe/Berlin", "America/Santiago", "America/Havana", "Australia/Lord_Howe", "Pacific/Auckland", "UTC")


def hours(opens: int, closes: int, weekdays: tuple[int, ...] = WEEK) -> tuple[Opening, ...]:
    return tuple(Opening(weekday=weekday, opens=opens, closes=closes) for weekday in weekdays)


SHOP = hours(9 * 60, 20 * 60, (1, 2, 3, 4, 5, 6))
ALWAYS = hours(0, 1440)


def site(
    openings: tuple[Opening, ...] = SHOP,
    handling: timedelta = timedelta(hours=2),
    closures: tuple[date, ...] = (),
    zone: ZoneInfo = BERLIN,
) -> Site:
    return Site(
        code="A",
        kind=LocationKind.STORE,
        status=LocationStatus.ACTIVE,
        country="DE",
        position=Point(latitude=52.5, longitude=13.4),
        time_zone=zone,
        services=frozenset({LocationService.SHIP}),
        openings=openings,
        closures=frozenset(closures),
        handling=handling,
    )


def service(
    cutoff: time | None = time(16),
    deliver_by: time | None = time(18),
    collects: tuple[int, ...] = (1, 2, 3, 4, 5),
    delivers: tuple[int, ...] = (1, 2, 3, 4, 5, 6),
) -> Service:
    return Service(
        code="post",
        carrier="Post",
        name="Standard",
        level=ServiceLevel.STANDARD,
        countries=frozenset({"DE"}),
        currency="EUR",
        cutoff=cutoff,
        deliver_by=deliver_by,
        collects=frozenset(collects),
        delivers=frozenset(delivers),
    )


def days(least: int, most: int) -> Zone:
    return Zone(name="near", max_km=100, transit_days=(least, most))


def berlin(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("now", "ready"),
    [
        (berlin(2026, 11, 23, 10), berlin(2026, 11, 23, 12)),
        (berlin(2026, 11, 23, 6), berlin(2026, 11, 23, 11)),
        (berlin(2026, 11, 23, 18), berlin(2026, 11, 23, 20)),
        (berlin(2026, 11, 23, 19), berlin(2026, 11, 24, 10)),
        (berlin(2026, 11, 28, 19, 30), berlin(2026, 11, 30, 10, 30)),
    ],
)
def test_handling_time_runs_in_opening_hours_only(now: datetime, ready: datetime) -> None:
    assert ready_at(site(), now) == ready


def test_handling_skips_the_days_on_which_the_location_is_closed() -> None:
    holidays = (date(2026, 12, 25), date(2026, 12, 26))
    assert ready_at(site(closures=holidays), berlin(2026, 12, 24, 19)) == berlin(2026, 12, 28, 10)


def test_a_location_open_round_the_clock_works_through_midnight() -> None:
    assert ready_at(site(ALWAYS), berlin(2026, 12, 31, 23)) == berlin(2027, 1, 1, 1)


def test_the_night_of_the_clock_change_is_as_long_as_it_is() -> None:
    overnight = site(hours(60, 300), handling=timedelta(hours=3, minutes=30))
    assert ready_at(overnight, berlin(2026, 3, 28, 12)) == berlin(2026, 3, 30, 1, 30), "three hours, then half of one"
    assert ready_at(overnight, berlin(2026, 10, 24, 12)) == berlin(2026, 10, 25, 3, 30), "five hours"
    assert ready_at(site(ALWAYS), berlin(2026, 3, 29, 1)) == berlin(2026, 3, 29, 4)


def test_what_takes_no_time_is_ready_up_to_the_moment_of_closing() -> None:
    assert ready_at(site(handling=timedelta(0)), berlin(2026, 11, 23, 20)) == berlin(2026, 11, 23, 20)
    assert ready_at(site(handling=timedelta(0)), berlin(2026, 11, 23, 20, 1)) == berlin(2026, 11, 24, 9)


def test_hours_that_the_clock_skips_do_not_open() -> None:
    night_owl = site(hours(150, 180))
    assert openings_on(night_owl, date(2026, 3, 29)) == ()
    assert len(openings_on(night_owl, date(2026, 3, 30))) == 1


def test_openings_that_overlap_count_once() -> None:
    shop = site((Opening(weekday=1, opens=540, closes=600), Opening(weekday=1, opens=570, closes=620)))
    assert ready_at(shop, berlin(2026, 11, 23, 8)) == berlin(2026, 11, 30, 9, 40)


def test_a_location_that_does_not_open_within_sixty_days_is_never_ready() -> None:
    assert ready_at(site(()), berlin(2026, 11, 23, 8)) is None
    closed = tuple(date(2026, 11, 1) + timedelta(days=day) for day in range(120))
    assert ready_at(site(closures=closed), berlin(2026, 11, 23, 8)) is None


@pytest.mark.parametrize(
    ("ready", "collected"),
    [
        (berlin(2026, 11, 23, 16), berlin(2026, 11, 23, 16)),
        (berlin(2026, 11, 23, 16, 1), berlin(2026, 11, 24, 16)),
        (berlin(2026, 11, 27, 17), berlin(2026, 11, 30, 16)),
    ],
)
def test_a_carrier_collects_at_its_cutoff_on_its_days(ready: datetime, collected: datetime) -> None:
    collection = collect(site(), service(), ready)
    assert collection is not None
    assert collection.at == collected


def test_a_carrier_collects_when_the_location_closes_before_the_cutoff() -> None:
    collection = collect(site(hours(540, 13 * 60)), service(), berlin(2026, 11, 23, 10))
    assert collection is not None
    assert collection.at == berlin(2026, 11, 23, 13)


def test_a_carrier_does_not_collect_where_it_is_closed_that_day() -> None:
    collection = collect(site(closures=(date(2026, 11, 24),)), service(), berlin(2026, 11, 23, 17))
    assert collection is not None
    assert collection.at == berlin(2026, 11, 25, 16)


def test_a_carrier_on_call_collects_once_the_goods_are_ready_on_its_next_day() -> None:
    on_call = service(cutoff=None, collects=(1, 2, 3, 4, 5))
    today, monday = (
        collect(site(), on_call, berlin(2026, 11, 27, 17)),
        collect(site(), on_call, berlin(2026, 11, 28, 17)),
    )
    assert today is not None
    assert today.at == berlin(2026, 11, 27, 17)
    assert monday is not None
    assert monday.at == berlin(2026, 11, 30, 9)


def test_a_carrier_that_collects_at_midnight_collects_on_the_day_that_ends() -> None:
    collection = collect(site(ALWAYS), service(cutoff=None, collects=(1,)), moment(BERLIN, date(2026, 11, 24), 0))
    assert collection is not None
    assert collection.day == date(2026, 11, 23)


@pytest.mark.parametrize(
    ("ready", "zone", "delivers", "earliest", "latest"),
    [
        (berlin(2026, 11, 23, 12), days(1, 2), (1, 2, 3, 4, 5, 6), berlin(2026, 11, 24, 8), berlin(2026, 11, 25, 18)),
        (berlin(2026, 11, 27, 12), days(1, 2), (1, 2, 3, 4, 5, 6), berlin(2026, 11, 28, 8), berlin(2026, 11, 30, 18)),
        (berlin(2026, 11, 27, 12), days(1, 2), (1, 2, 3, 4, 5), berlin(2026, 11, 30, 8), berlin(2026, 12, 1, 18)),
        (berlin(2026, 11, 23, 12), days(0, 0), (1, 2), berlin(2026, 11, 23, 16), berlin(2026, 11, 23, 18)),
        (berlin(2026, 11, 23, 12), days(0, 0), (3, 4), berlin(2026, 11, 25, 8), berlin(2026, 11, 25, 18)),
        (berlin(2026, 12, 31, 12), days(1, 1), (1, 2, 3, 4, 5), berlin(2027, 1, 1, 8), berlin(2027, 1, 1, 18)),
    ],
)
def test_transit_counts_delivery_days_only(
    ready: datetime, zone: Zone, delivers: tuple[int, ...], earliest: datetime, latest: datetime
) -> None:
    promise = delivery(site(), service(delivers=delivers), zone, ready)
    assert promise is not None
    assert (promise.earliest, promise.latest) == (earliest, latest)


def test_a_delivery_without_an_hour_arrives_by_the_end_of_its_day() -> None:
    promise = delivery(site(), service(deliver_by=None), days(1, 1), berlin(2026, 11, 23, 12))
    assert promise is not None
    assert promise.latest == berlin(2026, 11, 25, 0)
    assert promise.day == date(2026, 11, 24)


def test_goods_collected_after_the_last_delivery_of_the_day_arrive_on_the_next() -> None:
    promise = delivery(site(), service(cutoff=time(19)), days(0, 0), berlin(2026, 11, 23, 12))
    assert promise is not None
    assert (promise.earliest, promise.latest) == (berlin(2026, 11, 24, 8), berlin(2026, 11, 24, 18))


def test_a_courier_arrives_minutes_after_the_collection() -> None:
    zone = Zone(name="city", max_km=8, transit_minutes=(30, 75))
    promise = delivery(site(), service(cutoff=None), zone, berlin(2026, 11, 23, 12))
    assert promise is not None
    assert (promise.earliest, promise.latest) == (berlin(2026, 11, 23, 12, 30), berlin(2026, 11, 23, 13, 15))


def test_a_carrier_that_never_collects_or_never_delivers_promises_nothing() -> None:
    assert delivery(site(), service(collects=()), days(1, 1), berlin(2026, 11, 23, 12)) is None
    assert delivery(site(), service(delivers=()), days(1, 1), berlin(2026, 11, 23, 12)) is None


def test_the_last_moment_to_order_walks_back_through_the_opening_hours() -> None:
    assert latest_order(site(), berlin(2026, 11, 23, 16)) == berlin(2026, 11, 23, 14)
    assert latest_order(site(), berlin(2026, 11, 23, 10)) == berlin(2026, 11, 21, 19), (
        "an hour on Saturday, one on Monday"
    )
    assert latest_order(site(handling=timedelta(0)), berlin(2026, 11, 23, 7)) == berlin(2026, 11, 21, 20)


def test_what_is_collected_on_call_or_picked_up_has_no_last_moment() -> None:
    assert order_before(site(), service(cutoff=None), berlin(2026, 11, 23, 16)) is None
    assert order_before(site(), None, berlin(2026, 11, 23, 16)) is None


def test_midnight_does_not_close_a_location_that_opens_again_at_once() -> None:
    evening = berlin(2026, 11, 23, 23)
    assert stays_open(site(ALWAYS), evening, berlin(2026, 11, 24, 2))
    assert not stays_open(site(hours(0, 1440, (1,))), evening, berlin(2026, 11, 24, 2))
    assert not stays_open(site(), berlin(2026, 11, 23, 8), berlin(2026, 11, 23, 12)), "it has not opened yet"
    assert stays_open(site(), berlin(2026, 11, 23, 9), berlin(2026, 11, 23, 20))


def test_a_location_opens_again_today_until_its_last_hour_has_passed() -> None:
    assert opens_again(site(), berlin(2026, 11, 23, 6))
    assert opens_again(site(), berlin(2026, 11, 23, 19, 59))
    assert not opens_again(site(), berlin(2026, 11, 23, 20))
    assert not opens_again(site(), berlin(2026, 11, 29, 12))


def test_sites_with_the_same_hours_make_the_same_promises() -> None:
    network, zone = make_network(1, [site(), replace(site(), code="B")], [service()]), days(1, 2)
    times = timetable(replace(problem([[1], [1]]), network=network, now=berlin(2026, 11, 23, 9)))
    first = times.delivery(0, network.services[0], zone)
    assert first is not None
    assert first == times.delivery(1, network.services[0], zone)
    assert first == delivery(site(), service(), zone, berlin(2026, 11, 23, 11))


# Around every night on which some clock changes, and around the end of the year.
NIGHTS = (
    datetime(2026, 3, 7, tzinfo=UTC),
    datetime(2026, 3, 28, tzinfo=UTC),
    datetime(2026, 4, 4, tzinfo=UTC),
    datetime(2026, 9, 5, tzinfo=UTC),
    datetime(2026, 9, 26, tzinfo=UTC),
    datetime(2026, 10, 3, tzinfo=UTC),
    datetime(2026, 10, 24, tzinfo=UTC),
    datetime(2026, 10, 31, tzinfo=UTC),
    datetime(2026, 12, 30, tzinfo=UTC),
)
weekdays = st.frozensets(st.integers(1, 7), min_size=1)
clocks = st.builds(time, st.integers(0, 23), st.sampled_from((0, 15, 30, 59)))


@st.composite
def moments(draw: st.DrawFn) -> tuple[datetime, datetime]:
    """Two moments, the earlier first."""
    first = draw(st.sampled_from(NIGHTS)) + timedelta(minutes=draw(st.integers(0, 4 * 1440)))
    return first, first + timedelta(minutes=draw(st.integers(0, 3 * 1440)))


@st.composite
def sites(draw: st.DrawFn) -> Site:
    openings = []
    for weekday in draw(weekdays):
        for _ in range(draw(st.integers(1, 2))):
            opens = draw(st.integers(0, 1439))
            openings.append(Opening(weekday=weekday, opens=opens, closes=draw(st.integers(opens + 1, 1440))))
    first = draw(st.sampled_from(NIGHTS)).date()
    place = site(
        draw(st.one_of(st.just(ALWAYS), st.just(tuple(openings)))),
        timedelta(minutes=draw(st.integers(0, 600))),
        tuple(first + timedelta(days=day) for day in draw(st.frozensets(st.integers(0, 8), max_size=4))),
        ZoneInfo(draw(st.sampled_from(ZONES))),
    )
    return replace(place, public_holidays=draw(st.sampled_from((None, "DE-BE", "US-CA", "CL"))))


@st.composite
def services(draw: st.DrawFn) -> Service:
    return service(draw(st.none() | clocks), draw(st.none() | clocks), tuple(draw(weekdays)), tuple(draw(weekdays)))


@st.composite
def zones(draw: st.DrawFn) -> Zone:
    least = draw(st.integers(0, 3))
    if draw(st.booleans()):
        return days(least, least + draw(st.integers(0, 2)))
    return Zone(name="city", max_km=8, transit_minutes=(least * 20, least * 20 + draw(st.integers(0, 90))))


@settings(max_examples=250, deadline=None)
@given(place=sites(), carrier=services(), zone=zones(), pair=moments())
def test_a_later_order_is_never_promised_earlier(
    place: Site, carrier: Service, zone: Zone, pair: tuple[datetime, datetime]
) -> None:
    ready = [ready_at(place, now) for now in pair]
    if ready[0] is None or ready[1] is None:
        return
    assert pair[0] <= ready[0] <= ready[1]
    early, late = (delivery(place, carrier, zone, moment) for moment in ready if moment is not None)
    if early is None or late is None:
        return
    assert early.ready_at <= early.due_at <= late.due_at
    assert early.due_at <= early.earliest <= early.latest
    assert early.earliest <= late.earliest
    assert early.latest <= late.latest
    assert early.day <= late.day


@settings(max_examples=100, deadline=None)
@given(place=sites(), pair=moments())
def test_work_that_was_begun_is_ready_when_it_would_have_been(place: Site, pair: tuple[datetime, datetime]) -> None:
    begun, now = pair
    ready, left = ready_at(place, begun), handling_left(place, begun, now)
    if ready is not None:
        assert left == timedelta(0) if now > ready else opened_for(place, now, left) == ready


@settings(max_examples=150, deadline=None)
@given(place=sites(), carrier=services(), pair=moments())
def test_the_last_moment_to_order_is_the_last_that_makes_the_collection(
    place: Site, carrier: Service, pair: tuple[datetime, datetime]
) -> None:
    def collected(now: datetime) -> datetime | None:
        ready = ready_at(place, now)
        collection = None if ready is None else collect(place, carrier, ready)
        return None if collection is None else collection.at

    due = collected(pair[0])
    last = None if due is None else order_before(place, carrier, due)
    if due is None or last is None:
        assert due is None or carrier.cutoff is None
        return
    assert last >= pair[0]
    assert collected(last) == due
    later = collected(last + timedelta(seconds=1))
    assert later is None or later > due


@settings(max_examples=60, deadline=None)
@given(
    opens=st.sampled_from((0, 300, 540)),
    closes=st.sampled_from((720, 1080, 1440)),
    weekday=st.frozensets(st.integers(1, 7), min_size=4),
    handling=st.integers(1, 900),
    pair=moments(),
)
def test_ready_at_agrees_with_counting_the_open_minutes_one_by_one(
    opens: int, closes: int, weekday: frozenset[int], handling: int, pair: tuple[datetime, datetime]
) -> None:
    place = site(hours(opens, closes, tuple(weekday)), timedelta(minutes=handling))
    now, left = pair[0], handling
    while left:
        clock = now.astimezone(BERLIN)
        left -= clock.isoweekday() in weekday and opens <= clock.hour * 60 + clock.minute < closes
        now += timedelta(minutes=1)
    assert ready_at(place, pair[0]) == now


@pytest.mark.parametrize(
    ("place", "day", "shut"),
    [
        ("DE", date(2026, 12, 25), True),
        ("DE", date(2027, 3, 8), False),
        ("DE-BE", date(2027, 3, 8), True),
        ("US-CA", date(2026, 11, 26), True),
        ("DE-BE", date(2026, 12, 24), False),
    ],
)
def test_a_location_that_keeps_public_holidays_is_shut_on_those_of_its_region(
    place: str, day: date, *, shut: bool
) -> None:
    always = replace(site(ALWAYS), public_holidays=place)
    assert (openings_on(always, day) == ()) is shut
    assert openings_on(site(ALWAYS), day) != ()


def test_a_holiday_moves_collection_and_delivery_over_the_turn_of_the_year() -> None:
    berlin_shop = replace(site(handling=timedelta(hours=1)), public_holidays="DE-BE")
    promise = delivery(berlin_shop, service(), days(1, 1), berlin(2026, 12, 31, 17))
    assert promise is not None
    assert promise.due_at == berlin(2027, 1, 4, 16), "Friday is New Year's Day, and nobody collects on Saturday"
    assert promise.latest == berlin(2027, 1, 5, 18)


def test_the_leap_day_is_a_day_like_others() -> None:
    promise = delivery(site(), service(), days(1, 1), berlin(2028, 2, 28, 12))
    assert promise is not None
    assert promise.latest == berlin(2028, 2, 29, 18)
    assert ready_at(site(ALWAYS, timedelta(hours=24)), berlin(2028, 2, 28, 12)) == berlin(2028, 2, 29, 12)


def test_a_deadline_runs_in_opening_hours_over_sundays_and_nights_in_which_the_clock_changes() -> None:
    hour = timedelta(hours=1)
    assert opened_for(site(), berlin(2026, 11, 28, 21), hour) == berlin(2026, 11, 30, 10), "Sunday does not count"
    assert opened_for(site(ALWAYS), berlin(2026, 3, 28, 20), 12 * hour) == berlin(2026, 3, 29, 9)
    assert opened_for(site(ALWAYS), berlin(2026, 10, 24, 20), 12 * hour) == berlin(2026, 10, 25, 7)
    assert opened_for(site(()), berlin(2026, 11, 28, 21), hour) is None


def test_work_begins_on_the_day_on_which_the_location_is_next_open() -> None:
    assert work_day(site(), berlin(2026, 11, 28, 19)) == date(2026, 11, 28)
    assert work_day(site(), berlin(2026, 11, 28, 21)) == date(2026, 11, 30)
    assert work_day(site(()), berlin(2026, 11, 28, 21)) is None
    assert next_work_day(site(ALWAYS), date(2026, 11, 28)) == date(2026, 11, 29)
    assert next_work_day(site(), date(2026, 11, 28)) == date(2026, 11, 30)
