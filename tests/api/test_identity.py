"""Tokens of an identity provider: which are believed, while its keys rotate and while it is away."""

import asyncio
import base64
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from app import auth
from app.auth import Unauthorized
from app.identity import Identity
from app.jwks import KEPT, PAUSE, KeysUnavailable
from app.settings import InvalidSettingError, Settings, load
from domain.vocabulary import Role
from tests.api.serve import serving

SECRET = "a secret for the tests, which is long enough"
ISSUER, AUDIENCE = "https://login.example/", "crossdock"
HOUR = timedelta(hours=1)
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def public(key: Any, key_id: str | None) -> dict[str, Any]:
    algorithm = jwt.algorithms.RSAAlgorithm if key is RSA else jwt.algorithms.ECAlgorithm
    return {**json.loads(algorithm.to_jwk(key.public_key())), **({"kid": key_id} if key_id else {})}


@dataclass
class Provider:
    """An identity provider on a real socket. `asked` counts who came for its keys."""

    keys: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200
    asked: int = 0
    clock: datetime = datetime(2026, 3, 4, 11, 0, tzinfo=UTC)
    url: str = ""

    async def answer(self, _: Request) -> JSONResponse:
        self.asked += 1
        return JSONResponse({"keys": self.keys}, status_code=self.status)

    def identity(self, **more: Any) -> Identity:
        given = {"jwks_url": self.url, "token_issuer": ISSUER, "token_audience": AUDIENCE, **more}
        return Identity.of(Settings(secret=SECRET, **given), now=lambda: self.clock)

    def token(self, key: Any = EC, key_id: str | None = "ec", algorithm: str = "ES256", **changed: Any) -> str:
        given = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "role": "OPERATIONS", "exp": self.clock + HOUR}
        claims = {name: value for name, value in {**given, **changed}.items() if value is not ...}
        return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": key_id} if key_id else {})


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    made = Provider([public(EC, "ec"), public(RSA, "rsa")])
    async with serving(Starlette(routes=[Route("/keys", made.answer)])) as address:
        made.url = f"http://{address}/keys"
        yield made


async def test_the_bearer_is_whom_the_providers_token_names(provider: Provider) -> None:
    identity = provider.identity(token_role_claim="groups", token_locations_claim="shops")
    store = provider.token(RSA, "rsa", "RS256", groups=["offline_access", "STORE"], shops=["SM"], scope="openid")
    viewer = await identity.viewer(store)
    assert (viewer.role, viewer.name, viewer.location_codes, viewer.scopes) == (
        Role.STORE, "ada", frozenset({"SM"}), None,
    )  # fmt: skip
    assert (await identity.viewer(provider.token(groups="ADMIN"))).role is Role.ADMIN
    ours = auth.issue(SECRET, role=Role.ADMIN, name="Grace", ttl=HOUR, now=provider.clock)
    assert (await identity.viewer(ours)).name == "Grace"
    assert provider.asked == 1


async def test_a_token_that_is_not_the_providers_is_refused(provider: Provider) -> None:
    identity, clock = provider.identity(), provider.clock
    wrong = [
        provider.token(OTHER),
        provider.token(key_id="rsa"),
        provider.token(key_id=None),
        provider.token(iss="https://evil.example/"),
        provider.token(aud="another"),
        provider.token(sub=...),
        provider.token(sub="a\0b"),
        provider.token(sub="\ud800"),
        provider.token(role="STORE", locations=["S\0"]),
        *(f"{part(header)}.{part({})}.AAAA" for header in ({}, {"alg": []}, {"alg": {}}, {"alg": "ES256", "kid": []})),
        provider.token(exp=clock - timedelta(seconds=31)),
        provider.token(nbf=clock + timedelta(seconds=31)),
        provider.token(nbf="soon"),
        provider.token(role=...),
        provider.token(role=["ADMIN", "OPERATIONS"]),
        provider.token(role={}),
        provider.token(role={"ADMIN": False}),
        provider.token(role="STORE"),
        provider.token(locations=["SM"]),
        jwt.encode({"iss": ISSUER, "aud": AUDIENCE, "sub": "a", "role": "ADMIN", "exp": clock + HOUR}, SECRET),
    ]
    for token in wrong:
        with pytest.raises(Unauthorized):
            await identity.viewer(token)
    for good in ({"exp": clock - timedelta(seconds=29)}, {"nbf": clock + timedelta(seconds=29)}, {"exp": 253402300799}):
        await identity.viewer(provider.token(**good))


async def test_what_claims_another_algorithm_than_its_key_has_is_refused(provider: Provider) -> None:
    pem = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    jwk = json.dumps(public(RSA, "rsa")).encode()
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "role": "ADMIN", "exp": provider.clock.timestamp() + 60}
    identity = provider.identity()
    assert (await identity.viewer(provider.token(RSA, "rsa", "RS256"))).role is Role.OPERATIONS
    for algorithm, secret in (("HS256", pem), ("HS256", jwk), ("RS256", pem), ("none", None), ("None", None)):
        for kid in ({"kid": "rsa"}, {}):
            signed = f"{part({'alg': algorithm, 'typ': 'JWT', **kid})}.{part(claims)}"
            digest = hmac.digest(secret, signed.encode(), "sha256") if secret else b""
            with pytest.raises(Unauthorized):
                await identity.viewer(f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}")
    theirs = {"RS256": RSA, "ES256": EC}
    for algorithm, key_id in (("RS256", "ec"), ("ES256", "rsa")):
        with pytest.raises(Unauthorized):
            await identity.viewer(provider.token(theirs[algorithm], key_id, algorithm))


async def test_a_shared_secret_among_the_public_keys_signs_nothing(provider: Provider) -> None:
    provider.keys.append({"kty": "oct", "kid": "oct", "k": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"})
    forged = provider.token(bytes(range(32)), "oct", "HS256")
    with pytest.raises(Unauthorized):
        await provider.identity().viewer(forged)


async def test_keys_rotate_and_tokens_that_name_none_do_not_ask_for_them_each_time(provider: Provider) -> None:
    identity = provider.identity()
    await identity.viewer(provider.token())
    provider.keys.append(public(OTHER, "new"))
    for _ in range(3):
        with pytest.raises(Unauthorized):
            await identity.viewer(provider.token(OTHER, "new"))
    assert provider.asked == 1
    provider.clock += PAUSE
    await identity.viewer(provider.token(OTHER, "new"))
    assert provider.asked == 2

    provider.keys = provider.keys[2:]
    provider.clock += KEPT
    with pytest.raises(Unauthorized):
        await identity.viewer(provider.token())


async def test_those_who_come_while_the_keys_are_fetched_wait_for_them(provider: Provider) -> None:
    identity = provider.identity()
    await asyncio.gather(*(identity.viewer(provider.token()) for _ in range(5)))
    provider.keys.append(public(OTHER, "new"))
    provider.clock += PAUSE
    await asyncio.gather(*(identity.viewer(provider.token(OTHER, "new")) for _ in range(5)))
    assert provider.asked == 2


async def test_while_the_provider_is_away_its_last_keys_are_good(provider: Provider) -> None:
    identity, provider.status = provider.identity(), 500
    with pytest.raises(KeysUnavailable):
        await identity.viewer(provider.token())
    provider.status, provider.clock = 200, provider.clock + PAUSE
    await identity.viewer(provider.token())
    nowhere = provider.identity(jwks_url="http://127.0.0.1:1/keys")
    with pytest.raises(KeysUnavailable):
        await nowhere.viewer(provider.token())
    provider.status, provider.clock = 500, provider.clock + KEPT
    assert (await identity.viewer(provider.token())).name == "ada"
    assert provider.asked == 3


def test_a_provider_is_named_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSDOCK_JWKS_URL", "https://login.example/keys")
    with pytest.raises(InvalidSettingError, match="TOKEN_ISSUER and CROSSDOCK_TOKEN_AUDIENCE"):
        load()
