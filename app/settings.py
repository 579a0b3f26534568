"""The settings: read from the environment once, validated, passed on from there."""

import os
import secrets
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    PlainSerializer,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app import urls
from app.signatures import signing_key
from domain.duration import format_duration, parse_duration
from domain.vocabulary import Role

PREFIX = "CROSSDOCK_"
SHORTEST_RETENTION, LONGEST_RETENTION = timedelta(minutes=1), timedelta(days=3650)
SHORTEST_SECRET = 32


class SetupError(Exception):
    """What the operator has to put right; the text is one line that says how."""


class InvalidSettingError(SetupError):
    """An environment variable that holds no usable value."""


class LogLevel(StrEnum):
    """How much is told."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """Who reads the log: people, or machines."""

    CONSOLE = "console"
    JSON = "json"


def default_data_dir() -> Path:
    """Return where a user's data is kept; for root a folder that the account Postgres runs as can reach."""
    if os.name == "posix" and os.geteuid() == 0:
        return Path("/var/lib/crossdock")
    data_home = os.environ.get("XDG_DATA_HOME")
    try:
        return (Path(data_home) if data_home else Path.home() / ".local" / "share") / "crossdock"
    except RuntimeError:  # a user whom the system does not know; where nothing is kept, none is missed
        return Path("/var/lib/crossdock")


def _duration(value: object) -> object:
    return parse_duration(value) if isinstance(value, str) else value


def _retention(kept: timedelta) -> timedelta:
    if not SHORTEST_RETENTION <= kept <= LONGEST_RETENTION:
        raise ValueError("it is from PT1M to P3650D")
    return kept


def _by_role(text: object) -> object:
    """Read STOREFRONT=1000,STORE=2000."""
    if not isinstance(text, str):
        return text
    return {role.strip(): points for role, _, points in (part.partition("=") for part in text.split(","))}


def _origins(text: object) -> object:
    return [part.strip() for part in text.split(",")] if isinstance(text, str) else text


ByRole = Annotated[dict[Role, Annotated[int, Field(ge=1)]], NoDecode, BeforeValidator(_by_role)]
Origins = Annotated[tuple[Annotated[str, AfterValidator(urls.origin)], ...], NoDecode, BeforeValidator(_origins)]


def _folder(path: Path) -> Path:
    try:
        return path.expanduser().absolute()
    except RuntimeError:
        raise ValueError(f"there is no home directory of {path.parts[0]}") from None


def _webhook_secret(secret: SecretStr) -> SecretStr:
    signing_key(secret.get_secret_value())
    return secret


class Settings(BaseSettings):
    """Everything an operator may set. Each name is a variable of the environment, in upper case after CROSSDOCK_."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="ignore", populate_by_name=True
    )

    database_url: Annotated[str, AfterValidator(urls.postgres_url)] | None = Field(
        default=None,
        validation_alias=AliasChoices("CROSSDOCK_DATABASE_URL", "DATABASE_URL"),
        description="The Postgres to use, postgresql://user:password@host/name (also DATABASE_URL). "
        "Unset: an embedded Postgres in the data directory.",
    )
    data_dir: Annotated[Path, AfterValidator(_folder)] = Field(
        default_factory=default_data_dir,
        description="Where the embedded Postgres and the signing secret are kept: "
        "~/.local/share/crossdock, for root /var/lib/crossdock.",
    )
    broadcast_url: Annotated[str, AfterValidator(urls.broadcast_url)] | None = Field(
        default=None,
        description="What wakes the other processes: redis://host:6379, or memory:// within one process. "
        "Unset: LISTEN and NOTIFY of Postgres.",
    )
    secret: SecretStr | None = Field(
        default=None,
        description="What signs tokens and promises, 32 random characters or more. "
        "Unset: made once and kept in the data directory; required together with DATABASE_URL.",
    )
    jwks_url: Annotated[str, AfterValidator(urls.http_url)] | None = Field(
        default=None,
        description="The public keys of an identity provider, whose RS256 and ES256 tokens are believed then. "
        "Unset: only tokens signed with the secret are.",
    )
    token_issuer: str | None = Field(
        default=None, min_length=1, description="The `iss` of the provider's tokens; required with JWKS_URL."
    )
    token_audience: str | None = Field(
        default=None, min_length=1, description="The `aud` of the provider's tokens; required with JWKS_URL."
    )
    token_role_claim: str = Field(
        default="role", min_length=1, description="The claim of the provider's tokens that names the role, or lists it."
    )
    token_locations_claim: str = Field(
        default="locations", min_length=1, description="The claim that lists the location codes of a STORE."
    )
    token_leeway_seconds: int = Field(
        default=30, ge=0, le=300, description="By how much the provider's clock may be wrong."
    )
    host: str = Field(default="127.0.0.1", description="The address to listen on.")
    port: int = Field(default=8000, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    workers: int = Field(default=1, ge=1, le=256, description="How many processes serve.")
    federation: bool = Field(
        default=False, description="Whether to serve a subgraph of Apollo Federation 2, for a router that others ask."
    )
    introspection: bool = Field(default=True, description="Whether callers may ask for the schema.")
    tracing: bool = Field(
        default=False,
        description="Whether to send spans to OpenTelemetry; needs crossdock[otel], and its OTEL_ variables.",
    )
    log_level: LogLevel = Field(default=LogLevel.INFO, description="debug, info, warning or error.")
    log_format: LogFormat = Field(default=LogFormat.CONSOLE, description="console or json.")
    pool_max_size: int = Field(
        default=10, ge=1, le=1000, description="Connections to Postgres that each process opens at most."
    )
    idempotency_hours: int = Field(
        default=24, ge=1, le=8760, description="Hours in which an idempotency key answers with its first result."
    )
    option_ttl_minutes: int = Field(
        default=15, ge=1, le=1440, description="Minutes for which a fulfilment option is promised."
    )
    reservation_minutes: int = Field(
        default=15, ge=1, le=1440, description="Minutes for which a cart is reserved unless the shop says."
    )
    reservation_max_minutes: int = Field(
        default=60, ge=1, le=1440, description="Minutes for which a cart can be reserved, or extended, at most."
    )
    decision_days: int = Field(
        default=90, ge=1, le=3650, description="Days for which it is kept why an order was routed as it was."
    )
    feed_retention: Annotated[
        timedelta, BeforeValidator(_duration), PlainSerializer(format_duration), AfterValidator(_retention)
    ] = Field(
        default="P3D",
        validate_default=True,
        description="How long updates are kept for those who come back with a cursor (P3D is three days); "
        "what a webhook has not taken is kept for CROSSDOCK_WEBHOOK_DEAD_DAYS.",
    )
    max_body_bytes: int = Field(
        default=1_048_576, ge=1024, description="The largest body of an HTTP request, in bytes."
    )
    head_seconds: int = Field(
        default=10, ge=1, le=600, description="Seconds within which a connection's next head has to come."
    )
    body_seconds: int = Field(default=10, ge=1, le=600, description="Seconds within which a body has to come.")
    keep_alive_seconds: int = Field(
        default=75,
        ge=1,
        le=3600,
        description="Seconds for which a connection without a request is kept; to be more than what stands before it, "
        "such as a load balancer, keeps one.",
    )
    operation_seconds: int = Field(
        default=20, ge=1, le=600, description="Seconds after which a query or a mutation is stopped, with its SQL."
    )
    max_tokens: int = Field(default=5_000, ge=100, description="The most tokens of a document.")
    max_depth: int = Field(default=15, ge=5, description="The deepest nesting of an operation.")
    max_fields: int = Field(default=500, ge=10, description="The most fields of an operation.")
    max_aliases: int = Field(default=100, ge=0, description="The most aliases of an operation.")
    max_directives: int = Field(default=100, ge=0, description="The most directives of an operation.")
    max_cost: ByRole | None = Field(
        default=None,
        description="The most points that one operation may cost, by role, as STOREFRONT=10000,STORE=20000 "
        "(docs/limits.md). A role left out has 20000 as STOREFRONT, 50000 as STORE, else 200000.",
    )
    rate: ByRole | None = Field(
        default=None,
        description="The points a minute of each token at each address, by role, as STOREFRONT=100000. "
        "A role left out has any number.",
    )
    rate_redis_url: Annotated[str, AfterValidator(urls.redis_url)] | None = Field(
        default=None,
        description="Where all processes count these points together, redis://host:6379. "
        "Unset: each process counts its own.",
    )
    cors_origins: Origins | None = Field(
        default=None,
        description="The origins whose pages may call from a browser, https://shop.example,https://m.example. "
        "Unset: none but this one.",
    )
    trusted_documents: Path | None = Field(
        default=None, description="The manifest, Apollo's or Relay's, of the documents that clients name by their ids."
    )
    only_trusted_documents: bool = Field(default=False, description="Whether no other documents are served.")
    ws_max_size: int = Field(
        default=131_072, ge=1024, description="The largest message on a WebSocket, in bytes; else 1009."
    )
    ws_init_seconds: int = Field(
        default=10, ge=1, le=300, description="Seconds in which a new WebSocket has to show its token; else 4408."
    )
    ws_ping_seconds: int = Field(
        default=30, ge=1, le=3600, description="Seconds between two pings; without a pong in between 4408."
    )
    ws_stall_seconds: int = Field(
        default=10,
        ge=1,
        le=300,
        description="Seconds after which a connection, a WebSocket or another, that takes nothing is cut off.",
    )
    ws_operations: int = Field(
        default=100, ge=1, description="Operations under way on one WebSocket at most; else 4429."
    )
    ws_of_a_token: int = Field(
        default=1_000, ge=1, description="WebSockets of one token in each process at most; else 4429."
    )
    ws_of_an_address: int = Field(
        default=10_000, ge=1, description="WebSockets of one address in each process at most; else 4429."
    )
    updates_kept: int = Field(
        default=1_000,
        ge=2,
        description="Updates that a subscriber may lag behind the others; else 4429.",
    )
    updates_kept_bytes: int = Field(
        default=1_048_576, ge=1024, description="Bytes of updates that a subscriber may lag behind others; else 4429."
    )
    updates_all_bytes: int = Field(
        default=67_108_864, ge=1024, description="Bytes of updates that each process keeps of all its subscriptions."
    )
    direct_write: bool = Field(
        default=False, description="Whether updates go to a WebSocket's connection past ASGI: less than half the CPU."
    )

    webhook_private: bool = Field(
        default=False,
        description="Whether webhooks may go to private addresses and over plain http; "
        "else only to public ones over https.",
    )
    webhook_timeout_seconds: int = Field(
        default=10, ge=1, le=60, description="Seconds in which the receiver of a webhook has to answer."
    )
    webhook_dead_days: int = Field(
        default=30, ge=1, le=3650, description="Days for which is kept what a webhook never took."
    )
    carrier_url: Annotated[str, AfterValidator(urls.http_url)] | None = Field(
        default=None,
        description="The HTTP API that parcels are booked with, https://host/path (docs/carriers.md). "
        "Unset: numbers and labels are made here.",
    )
    carrier_token: SecretStr | None = Field(
        default=None, min_length=1, description="The bearer token for the carriers' HTTP API."
    )
    carrier_webhook_secret: Annotated[SecretStr, AfterValidator(_webhook_secret)] | None = Field(
        default=None,
        description="What carriers sign their messages with: whsec_ and 24 to 64 random bytes in base64. "
        "Unset: no message is taken.",
    )

    @model_validator(mode="after")
    def _know_the_provider(self) -> Self:
        if self.jwks_url is not None and (self.token_issuer is None or self.token_audience is None):
            raise ValueError(f"{PREFIX}JWKS_URL needs {PREFIX}TOKEN_ISSUER and {PREFIX}TOKEN_AUDIENCE")
        return self

    @model_validator(mode="after")
    def _reserve_within_bounds(self) -> Self:
        if self.reservation_minutes > self.reservation_max_minutes:
            raise ValueError(f"{PREFIX}RESERVATION_MINUTES is more than {PREFIX}RESERVATION_MAX_MINUTES")
        return self

    @model_validator(mode="after")
    def _trust_some(self) -> Self:
        if self.only_trusted_documents and self.trusted_documents is None:
            raise ValueError(f"{PREFIX}ONLY_TRUSTED_DOCUMENTS needs {PREFIX}TRUSTED_DOCUMENTS")
        return self

    def signing_secret(self) -> str:
        """Return what signs tokens: the setting, or the one kept 0600 in the data directory, made when missing.

        Raises SetupError where DATABASE_URL is set without it: gateways that share a database share the secret.
        """
        if self.secret is not None:
            return self.secret.get_secret_value()
        if self.database_url is not None:
            raise SetupError(f"{PREFIX}SECRET is required together with DATABASE_URL: 32 random characters or more")
        return _kept_secret(self.data_dir / "secret")

    def environment(self, dsn: str) -> dict[str, str]:
        """Return the variables by which a child process reads these settings, with the database they led to."""
        values = self.model_dump(exclude_none=True) | {"database_url": dsn, "secret": self.signing_secret()}
        return {PREFIX + name.upper(): _shown(value) for name, value in values.items()}


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ",".join(f"{key}={each}" for key, each in value.items())
    if isinstance(value, tuple):
        return ",".join(value)
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _kept_secret(path: Path) -> str:
    try:
        if not path.exists():
            make_data_dir(path.parent)
            fresh = path.with_name(f".secret.{os.getpid()}")
            fresh.touch(mode=0o600)
            fresh.write_text(secrets.token_urlsafe(48))
            try:
                os.link(fresh, path)  # two first starts at once: one of them wins, both read what it wrote
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
        kept = path.read_text(encoding="utf-8", errors="ignore").strip()
    except OSError as error:
        advice = f"choose another folder with {PREFIX}DATA_DIR, or set {PREFIX}SECRET"
        raise SetupError(f"cannot keep the signing secret in {path}: {error.strerror}; {advice}") from None
    if len(kept) < SHORTEST_SECRET:  # as after a loss of power, while it was written
        raise SetupError(f"{path} is spoilt: restore it, or remove it, which voids the tokens that were signed with it")
    return kept


def make_data_dir(path: Path) -> None:
    """Make the data directory, closed to others; as root they may pass through it, as Postgres's account has to."""
    path.mkdir(mode=0o711 if os.name == "posix" and os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)


def load(*, host: str | None = None, port: int | None = None, workers: int | None = None) -> Settings:
    """Return the settings of the environment; what the command line gave comes first.

    Raises InvalidSettingError with one line that names each wrong value.
    """
    given: dict[str, Any] = {"host": host, "port": port, "workers": workers}
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        faults = "; ".join(_told(fault["loc"], fault["msg"]) for fault in error.errors())
        raise InvalidSettingError(faults) from None


def _told(location: tuple[int | str, ...], message: str) -> str:
    sentence = message.removeprefix("Value error, ")
    if not location:
        return sentence
    name = str(location[0])
    return f"{name if name.isupper() else PREFIX + name.upper()}: {sentence}"
