"""API keys: how machines say who they are. Of each only a digest is kept, and it ends when it is revoked.

A key is `cdk_<id>_<secret>`. Its secret has 256 random bits, so that one SHA-256 hides it as well as a slow hash would.
"""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain.errors import InvalidInput, NotFound
from domain.ids import new_id
from domain.paging import Listing
from domain.text import LONGEST_CODE, check_text
from domain.transaction import Connection, Database, Row
from domain.viewer import Viewer
from domain.vocabulary import Role

PREFIX = "cdk_"
SECRET_BYTES = 32
FRESH = timedelta(seconds=5)
"""For how long a process believes what it read of a key: a revoked one opens nothing after it."""
NOTED = timedelta(minutes=1)
"""How exactly it is noted when a key was last used."""
MOST_KEPT = 1000
LONGEST_NAME = 100
NEVER = datetime.max.replace(tzinfo=UTC)


class ApiKeyRow(Row):
    """A key, without its secret. `scopes` is None where all that its role may use is open to it."""

    id: UUID
    name: str
    role: str
    location_codes: list[str]
    scopes: list[str] | None
    digest: bytes
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    def is_good(self, now: datetime) -> bool:
        """Say whether the key opens anything at this moment."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyWish:
    """The key to make: who bears it, at which location codes, for which root fields (None: all of its role)."""

    name: str
    role: Role
    location_codes: Sequence[str]
    scopes: Sequence[str] | None
    expires_at: datetime | None


async def api_keys(connection: Connection, ids: Sequence[UUID]) -> list[ApiKeyRow]:
    """Return keys by their ids."""
    rows: list[ApiKeyRow] = await connection.fetch(
        "SELECT * FROM api_key WHERE id = ANY ($1)", ids, record_class=ApiKeyRow
    )
    return rows


def listing() -> Listing[ApiKeyRow]:
    """Return the list of all keys, the newest first, revoked ones too."""
    return Listing(source="api_key", columns="*", key=(("id", "uuid"),), row=ApiKeyRow, descending=True)


async def issue(connection: Connection, wish: ApiKeyWish, *, by: Viewer, now: datetime) -> tuple[ApiKeyRow, str]:
    """Make a key that is good from now on; return it, and its text, which nobody can read again.

    Raise InvalidInput, also where it would open what the viewer's own scopes do not.
    """
    await _check(connection, wish, by=by, now=now)
    key_id, secret = new_id(now), secrets.token_urlsafe(SECRET_BYTES)
    row: ApiKeyRow = await connection.fetchrow(
        """
        INSERT INTO api_key (id, name, role, location_codes, scopes, digest, created_by, created_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING *
        """,
        key_id,
        wish.name.strip(),
        wish.role,
        sorted(set(wish.location_codes)),
        None if wish.scopes is None else sorted(set(wish.scopes)),
        _digest(secret),
        by.name,
        now,
        wish.expires_at,
        record_class=ApiKeyRow,
    )
    return row, f"{PREFIX}{key_id.hex}_{secret}"


async def revoke(connection: Connection, key_id: UUID, *, now: datetime) -> ApiKeyRow:
    """Let a key open nothing any more; return it. Raise NotFound."""
    row: ApiKeyRow | None = await connection.fetchrow(
        "UPDATE api_key SET revoked_at = coalesce(revoked_at, $2) WHERE id = $1 RETURNING *",
        key_id,
        now,
        record_class=ApiKeyRow,
    )
    if row is None:
        raise NotFound(message="There is no such API key.", path=("id",))
    return row


@dataclass(slots=True)
class ApiKeys:
    """Says who bears a key, and asks Postgres at most every few seconds for each.

    All that wait are asked for by one statement at a time: however many keys are made up, they take one connection.
    """

    database: Database
    _kept: dict[UUID, tuple[ApiKeyRow, datetime]] = field(default_factory=dict)
    _unknown: dict[UUID, datetime] = field(default_factory=dict)
    """Ids that no key has, and since when: they displace none that is kept."""
    _wanted: set[UUID] = field(default_factory=set)
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _noted: dict[UUID, datetime] = field(default_factory=dict)
    """When it was last written down here that a key is in use."""
    _failure: Exception | None = None
    """Why the last statement failed, for all that it was to answer: else each would wait for a failure of its own."""

    async def viewer(self, key: str, *, now: datetime) -> Viewer | None:
        """Return who bears the key, or None where it opens nothing (any more)."""
        identifier, _, secret = key.removeprefix(PREFIX).partition("_")
        try:
            key_id = UUID(hex=identifier)
        except ValueError:
            return None
        row = await self._find(key_id, now)
        is_secret = hmac.compare_digest(row.digest if row else b"", _digest(secret))
        if row is None or not is_secret or not row.is_good(now):
            return None
        await self._note(row, now)
        return Viewer(
            role=Role(row.role),
            name=row.name,
            expires_at=row.expires_at or NEVER,
            location_codes=frozenset(row.location_codes),
            scopes=None if row.scopes is None else frozenset(row.scopes),
            api_key=row.id,
        )

    async def _find(self, key_id: UUID, now: datetime) -> ApiKeyRow | None:
        while not self._is_known(key_id, now):
            self._wanted.add(key_id)
            async with self._asking:
                if key_id in self._wanted:  # else another has asked for it meanwhile
                    await self._ask(now)
                elif self._failure and not self._is_known(key_id, now):
                    raise self._failure
        return self._kept[key_id][0] if key_id in self._kept else None

    async def _note(self, row: ApiKeyRow, now: datetime) -> None:
        """Write down that a key is in use, by whoever knew its secret, unless that was done a moment ago."""
        since = max(filter(None, (row.last_used_at, self._noted.get(row.id))), default=None)
        if since is not None and now <= since + NOTED:
            return
        if len(self._noted) >= MOST_KEPT:
            self._noted.clear()
        self._noted[row.id] = now  # those who come meanwhile leave it to this one
        try:
            async with self.database.reading() as connection:
                await connection.execute(_NOTE, row.id, now)
        except BaseException:
            self._noted.pop(row.id, None)
            raise

    def _is_known(self, key_id: UUID, now: datetime) -> bool:
        since = self._kept[key_id][1] if key_id in self._kept else self._unknown.get(key_id)
        return since is not None and now < since + FRESH

    async def _ask(self, now: datetime) -> None:
        wanted, self._wanted, self._failure = self._wanted, set(), None
        try:
            async with self.database.reading() as connection:
                found = await api_keys(connection, list(wanted))
        except Exception as failure:
            self._failure = failure
            raise
        for kept, more in ((self._kept, len(found)), (self._unknown, len(wanted))):
            if len(kept) + more > MOST_KEPT:
                kept.clear()
        self._kept.update((row.id, (row, now)) for row in found)
        for key_id in wanted.difference(row.id for row in found):
            self._kept.pop(key_id, None)
            self._unknown[key_id] = now


# What another process notes at the moment is left to it: nobody waits for a key that another has locked.
_NOTE = """
UPDATE api_key SET last_used_at = $2
 WHERE id IN (SELECT id FROM api_key WHERE id = $1 AND (last_used_at < $2) IS NOT FALSE FOR NO KEY UPDATE SKIP LOCKED)
"""


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


async def _check(connection: Connection, wish: ApiKeyWish, *, by: Viewer, now: datetime) -> None:
    check_text(wish.name, path=("input", "name"), longest=LONGEST_NAME)
    if (wish.role is Role.STORE) != bool(wish.location_codes):
        message = "A STORE key names its locations; the other roles have none."
        raise InvalidInput(message=message, path=("input", "locationCodes"))
    if by.scopes is not None and (wish.scopes is None or not by.scopes.issuperset(wish.scopes)):
        raise InvalidInput(message="A key opens no more than the token it is made with.", path=("input", "scopes"))
    if wish.expires_at is not None and wish.expires_at <= now:
        raise InvalidInput(message="A key expires in the future.", path=("input", "expiresAt"))
    codes = [check_text(code, path=("input", "locationCodes"), longest=LONGEST_CODE) for code in wish.location_codes]
    known = await connection.fetchval("SELECT array_agg(code) FROM location WHERE code = ANY ($1)", codes)
    for code in sorted(set(codes) - set(known or [])):
        raise InvalidInput(message=f"There is no location {code}.", path=("input", "locationCodes"))
