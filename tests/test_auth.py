"""Access tokens: who may bear one, and which are refused."""

import base64
import json
from datetime import UTC, datetime, timedelta

import jwt
import pytest

from app.auth import AUDIENCE, ISSUER, LONGEST_TTL, Unauthorized, bearer, issue, parse_ttl, verify
from domain.promises import Promises
from domain.vocabulary import Role

SECRET = "a secret for the tests, which is long enough"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def claims(**changed: object) -> dict[str, object]:
    given = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "Ada",
        "role": "STORE",
        "locations": ["BER-1"],
        "iat": int(NOW.timestamp()),
        "exp": int((NOW + HOUR).timestamp()),
    }
    return {name: value for name, value in {**given, **changed}.items() if value is not ...}


def signed(*, secret: str = SECRET, algorithm: str = "HS256", **changed: object) -> str:
    return jwt.encode(claims(**changed), secret, algorithm=algorithm)


def unsigned(**header: str) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'typ': 'JWT', **header})}.{part(claims())}."


@pytest.mark.parametrize(
    ("role", "locations"),
    [(Role.STOREFRONT, ()), (Role.STORE, ("BER-1", "BER-2")), (Role.OPERATIONS, ()), (Role.ADMIN, ())],
)
def test_a_token_says_who_its_bearer_is(role: Role, locations: tuple[str, ...]) -> None:
    token = issue(SECRET, role=role, name="Ada", locations=locations, ttl=HOUR, now=NOW)
    viewer = verify(SECRET, token, now=NOW + timedelta(minutes=59))
    assert (viewer.role, viewer.name, viewer.location_codes) == (role, "Ada", frozenset(locations))
    assert viewer.expires_at == NOW + HOUR
    assert viewer.location_ids == frozenset()


@pytest.mark.parametrize(
    ("name", "location"), [("A\nda", "BER-1"), ("Ada", ""), ("Ada", "BER\x00"), ("\udcff", "BER-1")]
)
def test_a_token_that_nobody_would_believe_is_not_issued(name: str, location: str) -> None:
    with pytest.raises(ValueError, match="control characters"):
        issue(SECRET, role=Role.STORE, name=name, locations=[location], ttl=HOUR, now=NOW)


def test_a_token_ends_at_its_hour() -> None:
    token = issue(SECRET, role=Role.ADMIN, name="Ada", ttl=HOUR, now=NOW)
    verify(SECRET, token, now=NOW + HOUR - timedelta(seconds=1))
    with pytest.raises(Unauthorized, match="expired"):
        verify(SECRET, token, now=NOW + HOUR)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "nonsense",
        "a.b.c",
        "é.é.é",
        "\0",
        "." * 10_000,
        unsigned(alg="none"),
        unsigned(alg="HS256"),
        signed(secret="another secret of the tests, long enough too"),
        signed(algorithm="HS512", secret=SECRET + SECRET),
        signed()[:-2],
        signed(exp=...),
        signed(exp="soon"),
        signed(exp=1e300),
        signed(exp=None),
        signed(aud=...),
        signed(aud="another-api"),
        signed(iss=...),
        signed(iss="another"),
        signed(sub=...),
        signed(role=...),
        signed(role="KING"),
        signed(role="store"),
        signed(role=["STORE"]),
        signed(role=None),
        signed(locations=...),
        signed(locations=[]),
        signed(locations="BER-1"),
        signed(locations=[1]),
        signed(locations=[["BER-1"]]),
        signed(locations=None),
        signed(role="ADMIN"),
    ],
)
def test_what_was_not_issued_here_is_refused_and_never_repeated(token: str) -> None:
    with pytest.raises(Unauthorized) as caught:
        verify(SECRET, token, now=NOW)
    assert not token or token not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_option_token_opens_no_door() -> None:
    promises = Promises(SECRET.encode())
    token = jwt.encode(claims(), promises._key, algorithm="HS256")
    with pytest.raises(Unauthorized):
        verify(SECRET, token, now=NOW)


@pytest.mark.parametrize(("role", "locations"), [(Role.STORE, ()), (Role.ADMIN, ("BER-1",))])
def test_a_store_names_its_locations_and_nobody_else_does(role: Role, locations: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="locations"):
        issue(SECRET, role=role, name="Ada", locations=locations, ttl=HOUR, now=NOW)


@pytest.mark.parametrize(
    ("text", "ttl"),
    [
        ("PT8H", timedelta(hours=8)),
        ("P1D", timedelta(days=1)),
        ("P2W", timedelta(weeks=2)),
        ("P1DT2H3M4S", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        ("PT90M", timedelta(minutes=90)),
        ("P3653D", LONGEST_TTL),
    ],
)
def test_a_ttl_is_an_iso_8601_duration(text: str, ttl: timedelta) -> None:
    assert parse_ttl(text) == ttl


@pytest.mark.parametrize(
    "text",
    ["", "P", "PT", "P1DT", "8h", "PT8", "-PT8H", "PT0S", "P0D", "P1Y", "P1M", "PT1.5H", "P3654D", "P999999W", "PT8H "],
)
def test_what_is_no_duration_or_too_long_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|lives"):
        parse_ttl(text)


@pytest.mark.parametrize("header", ["Bearer abc", "bearer abc", "BEARER  abc ", " Bearer abc"])
def test_a_bearer_is_found(header: str) -> None:
    assert bearer(header) == "abc"


@pytest.mark.parametrize("header", [None, "", " ", "Bearer", "Bearer ", "abc", "Basic abc", 1, ["Bearer abc"]])
def test_what_is_no_bearer_is_refused(header: object) -> None:
    with pytest.raises(Unauthorized):
        bearer(header)
