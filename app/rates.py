"""How much a caller may ask for: a leaky bucket of points for each token at each address.

A bucket holds what a minute lets flow out. What does not fit is refused, and costs nothing.
"""

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from domain.viewer import Viewer
from domain.vocabulary import Role

SECONDS = 60
KEPT_BUCKETS = 100_000


class Buckets(Protocol):
    """Where the buckets stand."""

    async def close(self) -> None:
        """Let go of them."""

    async def pour(self, key: str, points: int, size: int) -> tuple[bool, float]:
        """Pour points into a bucket of this size, if they fit; say whether they did, and how full it is."""


@dataclass(slots=True)
class MemoryBuckets:
    """Buckets of this process. Those least used are forgotten past KEPT_BUCKETS."""

    now: Callable[[], float] = time.monotonic
    _kept: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    async def close(self) -> None:
        """Let go of nothing."""

    async def pour(self, key: str, points: int, size: int) -> tuple[bool, float]:
        """Pour points into a bucket of this size, if they fit; say whether they did, and how full it is."""
        now = self.now()
        level, since = self._kept.pop(key, (0.0, now))
        level = max(0.0, level - (now - since) * size / SECONDS)
        fits = level + points <= size
        self._kept[key] = level + points * fits, now
        if len(self._kept) > KEPT_BUCKETS:
            self._kept.popitem(last=False)
        return fits, level + points * fits


class RateLimited(Exception):
    """The bucket is too full; `wait` seconds later it is not."""

    def __init__(self, left: "Left", wait: int) -> None:
        super().__init__(f"Too many points in a minute: wait {wait} s.")
        self.left = left
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of `points` a minute, and in how many seconds the bucket is empty again."""

    points: int
    remaining: int
    seconds: int

    @property
    def headers(self) -> dict[str, str]:
        """Return the fields of draft-ietf-httpapi-ratelimit-headers."""
        return {
            "RateLimit-Policy": f'"points";q={self.points};w={SECONDS}',
            "RateLimit": f'"points";r={self.remaining};t={self.seconds}',
        }


@dataclass(frozen=True, slots=True)
class Rates:
    """The points a minute of each role; of a role that is not named, any number."""

    points: Mapping[Role, int]
    buckets: Buckets

    async def take(self, viewer: Viewer, address: str, points: int) -> Left | None:
        """Take points off what a caller has, None where that is not limited. Raises RateLimited."""
        size = self.points.get(viewer.role)
        if size is None:
            return None
        wanted = min(points, size)  # a whole bucket is the most that anything costs, or it could never run
        whose = f"{viewer.role}:{viewer.api_key or ''}:{viewer.name}@{network(address)}"
        fits, level = await self.buckets.pour(whose, wanted, size)
        left = Left(size, math.floor(size - level), math.ceil(level * SECONDS / size))
        if not fits:
            raise RateLimited(left, max(1, math.ceil((level + wanted - size) * SECONDS / size)))
        return left

    async def close(self) -> None:
        """Let go of the buckets."""
        await self.buckets.close()


def network(address: str) -> str:
    """Return the address; of IPv6 the /64, all of which one customer has."""
    if ":" not in address:
        return address
    try:
        return str(ipaddress.ip_network((address, 64), strict=False))
    except ValueError:
        return address
