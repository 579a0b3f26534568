"""Redis, or what speaks as it does, where a setting names one: it wakes other processes, and holds their buckets.

It is imported once it is asked for.
"""

import asyncio
from collections.abc import Callable

import structlog
from broadcaster import BroadcastBackend, Event
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from app.rates import SECONDS, MemoryBuckets

log = structlog.get_logger(__name__)

BUCKET_SECONDS = 0.25
CONNECT_SECONDS = 2.0

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


class RedisBuckets:
    """Buckets that all processes share. While Redis is away, each process keeps its own."""

    def __init__(self, url: str, *, seconds: float = BUCKET_SECONDS) -> None:
        """Wait so long for an answer."""
        self._redis = Redis.from_url(url, socket_timeout=seconds, socket_connect_timeout=seconds)
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


class RedisLine(BroadcastBackend):
    """Redis for Broadcast.

    The one it brings begins to read before its subscription stands, and sleeps then; and it cannot be closed once the
    server is gone. This one fails, is closed, and is opened anew by whoever holds it.
    """

    def __init__(self, url: str, lost: Callable[[], None]) -> None:
        self._lost = lost
        self._failure: Exception | None = None
        self._client = Redis.from_url(url, socket_connect_timeout=CONNECT_SECONDS, retry=Retry(NoBackoff(), 0))
        self._pubsub = self._client.pubsub(ignore_subscribe_messages=True)
        self._subscribed = asyncio.Event()

    async def connect(self) -> None:
        """Make sure that the server answers."""
        await self._client.ping()

    async def disconnect(self) -> None:
        """Close the connections."""
        await self._pubsub.aclose()  # type: ignore[no-untyped-call]
        await self._client.aclose()

    async def subscribe(self, channel: str) -> None:
        """Hear what is said on the channel, from now on."""
        await self._pubsub.subscribe(channel)
        self._subscribed.set()

    async def unsubscribe(self, channel: str) -> None:
        """Leave it to `disconnect`: nothing else is subscribed."""

    async def publish(self, channel: str, message: str) -> None:
        """Say it; raise what ended the reading, where that has ended."""
        if self._failure is not None:
            raise self._failure
        await self._client.publish(channel, message)

    async def next_published(self) -> Event:
        """Return what is said next."""
        await self._subscribed.wait()
        try:
            while True:
                message = await self._pubsub.get_message(timeout=None)
                if message is not None:
                    return Event(message["channel"].decode(), message["data"].decode())
        except Exception as error:
            self._failure = error
            self._lost()
            raise
