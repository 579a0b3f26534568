"""Times, days and spans as people send them, checked."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import cache
from zoneinfo import available_timezones

from domain.errors import InvalidInput

LONGEST_SPAN = timedelta(days=365)
LAST_WEEKDAY = 7
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
MIDNIGHT = "24:00"


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def check_time_zone(name: str, *, path: Sequence[str]) -> str:
    """Return an IANA time zone's name, or raise InvalidInput."""
    if name not in _time_zones():
        raise InvalidInput(message=f"{name!r} is no time zone; IANA names look like Europe/Berlin.", path=path)
    return name


@cache
def _regions() -> Mapping[str, Collection[str]]:
    from holidays import list_supported_countries  # slow to import, and most networks do without

    return list_supported_countries(include_aliases=False)


def check_public_holidays(place: str, *, path: Sequence[str]) -> str:
    """Return a country, or a region of it, whose public holidays are known; or raise InvalidInput."""
    country, dash, region = place.partition("-")
    if country not in _regions() or (dash and region not in _regions()[country]):
        message = f"No public holidays are known of {place!r}; a country looks like DE, a region of it like DE-BE."
        raise InvalidInput(message=message, path=path)
    return place


def check_clock(text: str, *, path: Sequence[str]) -> str:
    """Return a time of day from 00:00 to 23:59, or raise InvalidInput."""
    if not _CLOCK.fullmatch(text):
        raise InvalidInput(message=f"{text!r} is no time of day; HH:MM goes from 00:00 to 23:59.", path=path)
    return text


def check_closing(text: str, *, path: Sequence[str]) -> str:
    """Return a time of day up to 24:00, which is midnight, or raise InvalidInput."""
    return text if text == MIDNIGHT else check_clock(text, path=path)


def minutes(text: str) -> int:
    """Return the minutes after midnight of HH:MM."""
    hours, rest = text.split(":")
    return int(hours) * 60 + int(rest)


def check_weekday(weekday: int, *, path: Sequence[str]) -> int:
    """Return a weekday, 1 is Monday, or raise InvalidInput."""
    if not 1 <= weekday <= LAST_WEEKDAY:
        raise InvalidInput(message="A weekday is a number from 1, Monday, to 7, Sunday.", path=path)
    return weekday


def check_weekdays(weekdays: Iterable[int], *, path: Sequence[str]) -> list[int]:
    """Return weekdays in order, each once, or raise InvalidInput where there is none."""
    found = {check_weekday(weekday, path=(*path, str(n))) for n, weekday in enumerate(weekdays)}
    if not found:
        raise InvalidInput(message="Name at least one weekday.", path=path)
    return sorted(found)


def check_span(span: timedelta, *, path: Sequence[str]) -> int:
    """Return a span in whole seconds, or raise InvalidInput where it is negative or longer than a year."""
    if not timedelta(0) <= span <= LONGEST_SPAN:
        raise InvalidInput(message="A duration is from PT0S to P365D.", path=path)
    return int(span.total_seconds())
