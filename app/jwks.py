"""The public keys of an identity provider: fetched once, kept, and fetched anew as the provider rotates them."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx
import jwt
import orjson
import structlog

ALGORITHMS = frozenset({"RS256", "ES256"})
"""A secret in a set of public keys would let anybody sign: no HMAC is among them."""

KEPT = timedelta(minutes=10)
PAUSE = timedelta(seconds=10)
"""Between two fetches: tokens that name keys nobody has cost the provider nothing."""
FETCH_SECONDS = 5.0
MOST_BYTES = 1_000_000

log = structlog.get_logger(__name__)


class KeysUnavailable(Exception):
    """The provider does not give its keys, and none are kept."""


@dataclass(slots=True)
class Jwks:
    """The keys at a URL (RFC 7517). While the provider is away, those fetched last go on being good."""

    url: str
    now: Callable[[], datetime]
    _keys: Mapping[str | None, jwt.PyJWK] = field(default_factory=dict)
    _kept_until: datetime | None = None
    _asked_at: datetime | None = None
    _fetching: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def find(self, key_id: str | None) -> jwt.PyJWK | None:
        """Return the key of that id, None where the provider has none; a lone key needs no id.

        Raise KeysUnavailable.
        """
        if self._is_stale(key_id) or (self._lacks(key_id) and self._fetching.locked()):
            async with self._fetching:
                if self._is_stale(key_id):  # else another fetched them meanwhile
                    await self._fetch()
        if not self._keys:
            raise KeysUnavailable
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(key_id)

    def _is_stale(self, key_id: str | None) -> bool:
        now = self.now()
        if self._asked_at is not None and now < self._asked_at + PAUSE:
            return False
        return self._kept_until is None or now >= self._kept_until or self._lacks(key_id)

    def _lacks(self, key_id: str | None) -> bool:
        return not self._keys or (key_id is not None and key_id not in self._keys)

    async def _fetch(self) -> None:
        self._asked_at = self.now()
        try:
            async with asyncio.timeout(FETCH_SECONDS), httpx.AsyncClient(timeout=FETCH_SECONDS) as client:
                keys = jwt.PyJWKSet.from_dict(orjson.loads(await _read(client, self.url)))
        except (httpx.HTTPError, TimeoutError, jwt.PyJWTError, ValueError, AttributeError) as error:
            log.warning("keys_unavailable", url=self.url, error=str(error) or type(error).__name__)
            return
        self._keys = {key.key_id: key for key in keys.keys if key.algorithm_name in ALGORITHMS}
        self._kept_until = self._asked_at + KEPT


async def _read(client: httpx.AsyncClient, url: str) -> bytes:
    async with client.stream("GET", url) as response:
        response.raise_for_status()
        body = b""
        async for part in response.aiter_bytes():
            body += part
            if len(body) > MOST_BYTES:
                raise ValueError("the set of keys is too large")
    return body
