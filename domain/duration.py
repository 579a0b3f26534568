"""ISO 8601 durations of weeks, days, hours, minutes and seconds; months and years have no fixed length."""

import re
from datetime import timedelta

_DURATION = re.compile(
    r"P(?=[\dT])(?:(?P<weeks>\d{1,6})W)?(?:(?P<days>\d{1,6})D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d{1,6})H)?(?:(?P<minutes>\d{1,8})M)?(?:(?P<seconds>\d{1,9})S)?)?",
    re.ASCII,
)


def parse_duration(text: str) -> timedelta:
    """Return the length of a duration like P1D, PT12H or PT1H30M, or raise ValueError."""
    match = _DURATION.fullmatch(text)
    if match is None:
        message = f"{text[:40]!r} is no ISO 8601 duration like PT45M or P1D"
        raise ValueError(message)
    return timedelta(**{unit: int(count) for unit, count in match.groupdict().items() if count})


def format_duration(length: timedelta) -> str:
    """Return a duration of whole seconds, as short as it can be said."""
    seconds = int(length.total_seconds())
    days, seconds = divmod(seconds, 86_400)
    hours, seconds = divmod(seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    clock = "".join(f"{count}{unit}" for count, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if count)
    if not days and not clock:
        return "PT0S"
    return "P" + (f"{days}D" if days else "") + (f"T{clock}" if clock else "")
