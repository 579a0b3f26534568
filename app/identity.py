"""Who is calling: the bearer of a token of ours, of one of the identity provider's, or of an API key."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from app import auth
from app.auth import Issuer, Unauthorized
from app.jwks import ALGORITHMS, Jwks
from app.settings import Settings
from domain import api_keys
from domain.api_keys import ApiKeys
from domain.viewer import Viewer


@dataclass(slots=True, kw_only=True)
class Identity:
    """Knows every way to say who one is. `api_keys` come with the database."""

    secret: str
    now: Callable[[], datetime]
    jwks: Jwks | None
    provider: Issuer
    api_keys: ApiKeys | None = None

    @classmethod
    def of(cls, settings: Settings, *, now: Callable[[], datetime]) -> "Identity":
        """Return what the settings ask for."""
        provider = Issuer(
            algorithms=ALGORITHMS,
            issuer=settings.token_issuer or "",
            audience=settings.token_audience or "",
            role_claim=settings.token_role_claim,
            locations_claim=settings.token_locations_claim,
            leeway=timedelta(seconds=settings.token_leeway_seconds),
        )
        jwks = Jwks(settings.jwks_url, now) if settings.jwks_url else None
        return cls(secret=settings.signing_secret(), now=now, jwks=jwks, provider=provider)

    async def viewer(self, token: str) -> Viewer:
        """Return who bears the token. Raise Unauthorized, and KeysUnavailable where nobody can say."""
        if token.startswith(api_keys.PREFIX) and self.api_keys is not None:
            viewer = await self.api_keys.viewer(token, now=self.now())
            if viewer is None:
                raise Unauthorized("The API key is not valid.")
            return viewer
        if self.jwks is not None:
            algorithm, key_id = auth.signed_with(token)
            if algorithm in ALGORITHMS:
                return await self._by_provider(self.jwks, token, key_id)
        return auth.verify(self.secret, token, now=self.now())

    async def _by_provider(self, jwks: Jwks, token: str, key_id: str | None) -> Viewer:
        key = await jwks.find(key_id)
        if key is None:
            raise Unauthorized("The token is not valid.")
        return auth.verify(key, token, now=self.now(), by=self.provider)
