"""Access tokens: who the bearer is, what they may do, and until when."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, TypeAlias

import jwt

from domain.duration import parse_duration
from domain.text import UNUSABLE
from domain.viewer import FOREVER, Viewer
from domain.vocabulary import Role

ALGORITHM = "HS256"
ISSUER = "crossdock"
AUDIENCE = "crossdock-api"
"""Option tokens carry neither, so that none of them opens a door."""

LONGEST_TTL = timedelta(days=3653)

KEPT_TOKENS = 4096

Claims: TypeAlias = dict[str, Any]
Key: TypeAlias = str | jwt.PyJWK


class Unauthorized(Exception):
    """The caller showed no valid token; the text says what is wrong with it and never repeats it."""


def parse_ttl(text: str) -> timedelta:
    """Return the ISO 8601 duration (P30D, PT12H); ValueError unless it is longer than nothing and at most ten years."""
    ttl = parse_duration(text)
    if not timedelta() < ttl <= LONGEST_TTL:
        raise ValueError("a token lives longer than nothing and at most ten years")
    return ttl


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Whose tokens are believed, and how they say who their bearer is. `leeway` is for clocks that disagree."""

    algorithms: frozenset[str]
    issuer: str
    audience: str
    role_claim: str = "role"
    locations_claim: str = "locations"
    leeway: timedelta = timedelta()


OURS = Issuer(algorithms=frozenset({ALGORITHM}), issuer=ISSUER, audience=AUDIENCE)


def issue(
    secret: str,
    *,
    role: Role,
    name: str,
    ttl: timedelta,
    now: datetime,
    locations: Iterable[str] = (),
    scopes: Iterable[str] = (),
) -> str:
    """Return a token for the role, at these location codes, valid from `now` for `ttl`.

    With scopes it opens only the root fields they name. Raises ValueError where a STORE token names no location,
    another role's names one, or nobody would believe the token.
    """
    codes = sorted(set(locations))
    if (role is Role.STORE) != bool(codes):
        raise ValueError("a STORE token names its locations; the other roles have none")
    if "" in codes or any(UNUSABLE.search(text) for text in (name, *codes)):
        raise ValueError("a name or a location's code is empty, or holds control characters")
    claims: Claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": name,
        "role": role.value,
        "locations": codes,
        "iat": int(now.timestamp()),
        "exp": int((now + ttl).timestamp()),
    }
    if scopes:
        claims["scope"] = " ".join(sorted(set(scopes)))
    return jwt.encode(claims, secret, algorithm=ALGORITHM)


def verify(key: Key, token: str, *, now: datetime, by: Issuer = OURS) -> Viewer:
    """Return the bearer of the token, whose location ids are not looked up yet; or raise Unauthorized."""
    viewer, not_before = _believed(key, token, by)
    if viewer.expires_at <= now:
        raise Unauthorized("The token has expired.")
    if not_before > now + by.leeway:
        raise Unauthorized("The token is not valid yet.")
    return viewer


@lru_cache(maxsize=KEPT_TOKENS)
def _believed(key: Key, token: str, by: Issuer) -> tuple[Viewer, datetime]:
    """Return the bearer of a token that is signed by its issuer, and from when on it is valid.

    A signature takes longer to check than most operations to run, and stays right: it is checked once.
    """
    try:
        claims = jwt.decode(
            token,
            key,
            algorithms=list(by.algorithms),
            audience=by.audience,
            issuer=by.issuer,
            # Times are compared below with the `now` that was passed in.
            options={
                "require": ["exp", "sub", "aud", "iss"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except jwt.InvalidTokenError:
        raise Unauthorized("The token is not valid.") from None
    return _viewer(claims, by), _moment(claims.get("nbf", 0))


def signed_with(token: str) -> tuple[str, str | None]:
    """Return the algorithm and the id of the key that a token names, and nobody has verified; or raise Unauthorized."""
    try:
        header = jwt.get_unverified_header(token)
    except jwt.InvalidTokenError:
        raise Unauthorized("The token is not valid.") from None
    return str(header.get("alg")), header.get("kid")


def _viewer(claims: Claims, by: Issuer) -> Viewer:
    try:
        role = Role(claims["role"]) if by is OURS else _role_among(claims[by.role_claim])
        codes = claims["locations"] if by is OURS else claims.get(by.locations_claim, [])
        scope = claims.get("scope") if by is OURS else None  # theirs are not root fields of ours
    except (KeyError, TypeError, ValueError):
        raise Unauthorized("The token is not valid.") from None
    is_list = isinstance(codes, list) and all(isinstance(code, str) for code in codes)
    if not is_list or (role is Role.STORE) != bool(codes) or not isinstance(scope, str | None):
        raise Unauthorized("The token is not valid.")
    if any(UNUSABLE.search(text) for text in (claims["sub"], *codes)):
        raise Unauthorized("The token is not valid.")
    return Viewer(
        role=role,
        name=claims["sub"],
        expires_at=min(_moment(claims["exp"]), FOREVER - by.leeway) + by.leeway,
        location_codes=frozenset(codes),
        scopes=None if scope is None else frozenset(scope.split()),
    )


def _role_among(claim: object) -> Role:
    """Return the one role of ours that a claim names: identity providers list those of all systems."""
    (role,) = set(Role).intersection(claim if isinstance(claim, list) else [str(claim)])
    return Role(role)


def _moment(seconds: object) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)  # type: ignore[arg-type] # what is no number is refused
    except (TypeError, ValueError, OverflowError, OSError):
        raise Unauthorized("The token is not valid.") from None


def bearer(header: object) -> str:
    """Return the token of an Authorization value, `Bearer <token>`; raise Unauthorized where there is none."""
    if not isinstance(header, str) or not header.strip():
        raise Unauthorized("Send a token: Authorization: Bearer <token>.")
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized("The Authorization is not of the form: Bearer <token>.")
    return token.strip()
