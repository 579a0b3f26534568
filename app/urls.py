"""The URLs that operators set: each is returned, or ValueError says what it has to be, and repeats no part of it."""

import re
from urllib.parse import SplitResult, urlsplit

ESCAPES = "a password's / ? # @ : and % are written %2F %3F %23 %40 %3A and %25"
_HOST = r"(?:\[[^\]/?#@]*\]|[^][:,/?#@]*)(?::\d{0,5})?"
_PLACE = re.compile(rf"(?:[^/?#@]*@)?{_HOST}(?:,{_HOST})*(?:[/?][^#]*)?")


def postgres_url(url: str) -> str:
    """Return the URL of a Postgres, or of several hosts of one, however its scheme is written."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.partition("+")[0] not in {"postgres", "postgresql"}:
        raise ValueError("it has to begin with postgresql://")
    if _PLACE.fullmatch(rest) is None:
        raise ValueError(f"it is not of the form postgresql://user:password@host:5432/name; {ESCAPES}")
    return f"postgresql://{rest}"


def _parts(url: str) -> SplitResult:
    """Return the parts of a URL. What urllib says of one that is none may repeat a part of the password."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError(f"it is no URL; {ESCAPES}") from None
    return parts


def broadcast_url(url: str) -> str:
    """Return the URL of what wakes other processes."""
    if _parts(url).scheme not in {"memory", "redis", "rediss"}:
        raise ValueError("it has to begin with memory://, redis:// or rediss://")
    return url


def http_url(url: str) -> str:
    """Return the URL of something that speaks HTTP."""
    if _parts(url).scheme not in {"http", "https"} or not _parts(url).hostname:
        raise ValueError("it has to begin with https:// or http://")
    return url


def redis_url(url: str) -> str:
    """Return the URL of a Redis."""
    if _parts(url).scheme not in {"redis", "rediss"}:
        raise ValueError("it has to begin with redis:// or rediss://")
    return url


def origin(text: str) -> str:
    """Return the origin of a browser's page."""
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or text != f"{parts.scheme}://{parts.netloc}":
        raise ValueError("each origin is of the form https://shop.example")
    return text
