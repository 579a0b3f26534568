"""Access tokens: who the bearer is, what they may do, and until when."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from domain.duration import parse_duration
from domain.viewer import Viewer
from domain.vocabulary import Role

ALGORITHM = "HS256"
ISSUER = "crossdock"
AUDIENCE = "crossdock-api"
"""Option tokens carry neither, so that none of them opens a door."""

LONGEST_TTL = timedelta(days=3653)


class Unauthorized(Exception):
    """The caller showed no valid token; the text says what is wrong with it and never repeats it."""


def parse_ttl(text: str) -> timedelta:
    """Return the ISO 8601 duration (P30D, PT12H); ValueError unless it is longer than nothing and at most ten years."""
    ttl = parse_duration(text)
    if not timedelta() < ttl <= LONGEST_TTL:
        raise ValueError("a token lives longer than nothing and at most ten years")
    return ttl


def issue(secret: str, *, role: Role, name: str, ttl: timedelta, now: datetime, locations: Iterable[str] = ()) -> str:
    """Return a token for the role, at these location codes, valid from `now` for `ttl`.

    Raises ValueError where a STORE token names no location, or another role's names one.
    """
    codes = sorted(set(locations))
    if (role is Role.STORE) != bool(codes):
        raise ValueError("a STORE token names its locations; the other roles have none")
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": name,
        "role": role.value,
        "locations": codes,
        "iat": int(now.timestamp()),
        "exp": int((now + ttl).timestamp()),
    }
    return jwt.encode(claims, secret, algorithm=ALGORITHM)


def verify(secret: str, token: str, *, now: datetime) -> Viewer:
    """Return the bearer of the token, whose location ids are not looked up yet; or raise Unauthorized."""
    try:
        claims = jwt.decode(
            token,
            secret,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            # Times are compared below with the `now` that was passed in.
            options={"require": ["exp", "sub", "aud", "iss"], "verify_exp": False, "verify_iat": False},
        )
    except jwt.InvalidTokenError:
        raise Unauthorized("The token is not valid.") from None
    viewer = _viewer(claims)
    if viewer.expires_at <= now:
        raise Unauthorized("The token has expired.")
    return viewer


def _viewer(claims: dict[str, Any]) -> Viewer:
    try:
        role = Role(claims["role"])
        codes = claims["locations"]
        expires_at = datetime.fromtimestamp(claims["exp"], UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        raise Unauthorized("The token is not valid.") from None
    is_list = isinstance(codes, list) and all(isinstance(code, str) for code in codes)
    if not is_list or (role is Role.STORE) != bool(codes):
        raise Unauthorized("The token is not valid.")
    return Viewer(role=role, name=claims["sub"], expires_at=expires_at, location_codes=frozenset(codes))


def bearer(header: object) -> str:
    """Return the token of an Authorization value, `Bearer <token>`; raise Unauthorized where there is none."""
    if not isinstance(header, str) or not header.strip():
        raise Unauthorized("Send a token: Authorization: Bearer <token>.")
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized("The Authorization is not of the form: Bearer <token>.")
    return token.strip()
