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

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from domain.viewer import Viewer
from domain.vocabulary import Role

log = structlog.get_logger(__name__)

SECONDS = 60
KEPT_BUCKETS = 100_000
REDIS_SECONDS = 0.25

POUR = """
local spoken = redis.call('TIME')
local now = spoken[1] + spoken[2] / 1000000
local points, size, seconds = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local held = redis.call('HMGET', KEYS[1], 'level', 'at')
local gone = (now - (tonumber(held[2]) or now)) * size / seconds
local level = math.max(0, (tonumber(held[1]) or 0) - math.max(0, gone))
if level + points > size then
  return {0, tostring(level)}
end
level = level + points
redis.call('HSET', KEYS[1], 'level', tostring(level), 'at', tostring(now))
redis.call('PEXPIRE', KEYS[1], math.ceil(level / size * seconds * 1000) + 1000)
return {1, tostring(level)}
"""


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


class RedisBuckets:
    """Buckets that all processes share. While Redis is away, each process keeps its own."""

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(url, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS)
        self._pour = self._redis.register_script(POUR)
        self._own = MemoryBuckets()

    async def pour(self, key: str, points: int, size: int) -> tuple[bool, float]:
        """Pour points into a bucket of this size, if they fit; say whether they did, and how full it is."""
        try:
            fits, level = await self._pour(keys=[f"crossdock:rate:{key}"], args=[points, size, SECONDS])
        except (RedisError, OSError) as error:
            log.warning("rate_limit_unshared", error=str(error) or type(error).__name__)
            return await self._own.pour(key, points, size)
        return bool(fits), float(level)

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()


def buckets(url: str | None) -> Buckets:
    """Return the buckets in this Redis, or those of this process."""
    return MemoryBuckets() if url is None else RedisBuckets(url)


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
