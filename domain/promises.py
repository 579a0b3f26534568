"""Promises: what an option says, signed, so that it can be had as it was shown."""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any, TypeAlias

import orjson

from domain.cart import CartLine
from domain.decided import Basis
from domain.errors import InvalidInput, OptionExpired
from domain.planning.problem import Missing, Parcel, Plan, Point, Share
from domain.vocabulary import FulfillmentMethod, ServiceLevel

ParcelJson: TypeAlias = tuple[
    str, str | None, Sequence[tuple[str, int]], Sequence[datetime], float | None, int | None, date | None, str | None
]
"""A parcel: location, carrier service, shares, the moments from ready to arrived, km, grams of CO2, day of work and, of
one that goes to a store, where it ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What a token binds: the cart, whither it goes, and the plan that was shown."""

    lines: tuple[CartLine, ...]
    plan: Plan
    basis: Basis | None
    """What it was chosen by; None where all of it has yet to come."""
    currency: str
    channel: str
    tags: tuple[str, ...]
    postal_code: str | None
    country: str | None
    position: Point | None
    """Where that is, as the plan took it."""
    expires_at: datetime
    preview: bool
    """Planned as of another moment than the present: it holds only if planning now gives the same."""


@dataclass(frozen=True)
class Promises:
    """Signs promises (JSON with its HMAC-SHA256) and reads them back.

    The key is derived from the secret under a label of its own, so that neither an access token nor anything else
    signed with the same secret is ever taken for a promise.
    """

    secret: bytes
    ttl: timedelta = timedelta(minutes=15)

    @cached_property
    def _key(self) -> bytes:
        return hmac.digest(self.secret, b"crossdock option token", hashlib.sha256)

    def _seal(self, body: bytes) -> bytes:
        return urlsafe_b64encode(hmac.digest(self._key, body, hashlib.sha256))

    def _mask(self, salt: str) -> int:
        return int.from_bytes(hmac.digest(self._key, f"cost {salt}".encode(), hashlib.sha256)[:8])

    def _hidden(self, basis: Basis, cost: int) -> list[object]:
        """Return a basis as a token says it, with what the plan costs the retailer, which no shopper can read."""
        salt = secrets.token_urlsafe(12)
        masked = cost ^ self._mask(salt)
        return [basis.policy_name, basis.policy_version, basis.gap, basis.micros, salt, masked]

    def _shown(self, name: str, version: int, gap: float, micros: int, salt: str, masked: int) -> tuple[Basis, int]:
        basis = Basis(policy_name=name, policy_version=version, gap=gap, micros=micros)
        return basis, masked ^ self._mask(salt)

    def sign(self, promise: Promise) -> str:
        """Return the token of a promise."""
        claims = {
            "exp": int(promise.expires_at.timestamp()),
            "lines": [[line.sku, line.quantity, line.unit_price] for line in promise.lines],
            "currency": promise.currency,
            "channel": promise.channel,
            "tags": promise.tags,
            "to": [promise.postal_code, promise.country],
            "at": [promise.position.latitude, promise.position.longitude] if promise.position else None,
            "preview": promise.preview,
            "plan": _plan_as_json(promise.plan),
            "basis": self._hidden(promise.basis, promise.plan.cost) if promise.basis else None,
        }
        body = urlsafe_b64encode(orjson.dumps(claims))
        return b".".join((body, self._seal(body))).decode()

    def verify(self, token: str, *, now: datetime) -> Promise:
        """Return the promise of a token; OptionExpired once it is past, InvalidInput where we did not sign it."""
        promise = self.read(token)
        if now > promise.expires_at:
            raise OptionExpired(message="The option has expired: ask for options again.", path=("optionToken",))
        return promise

    def read(self, token: str) -> Promise:
        """Return the promise of a token, past or not; InvalidInput where we did not sign it."""
        body, _, seal = token.encode(errors="replace").partition(b".")
        if not hmac.compare_digest(seal, self._seal(body)):
            raise InvalidInput(message="This is not an option token of ours.", path=("optionToken",))
        claims = orjson.loads(urlsafe_b64decode(body))
        postal_code, country = claims["to"]
        basis, cost = self._shown(*claims["basis"]) if claims["basis"] else (None, 0)
        return Promise(
            lines=tuple(CartLine(sku=sku, quantity=n, unit_price=price) for sku, n, price in claims["lines"]),
            plan=_plan_from_json(claims["plan"], cost),
            basis=basis,
            currency=claims["currency"],
            channel=claims["channel"],
            tags=tuple(claims["tags"]),
            postal_code=postal_code,
            country=country,
            position=Point(latitude=claims["at"][0], longitude=claims["at"][1]) if claims["at"] else None,
            expires_at=datetime.fromtimestamp(claims["exp"], UTC),
            preview=claims["preview"],
        )


def _plan_as_json(plan: Plan) -> dict[str, object]:
    """Return what a token says of its plan, as a shopper can read it."""
    return {
        "method": plan.method,
        "level": plan.level,
        "price": plan.price,
        "pickup": plan.pickup_code,
        "km": plan.distance_km,
        "before": plan.order_before and plan.order_before.isoformat(),
        "missing": [[missing.sku, missing.quantity] for missing in plan.missing],
        "expected": plan.expected and [moment.isoformat() for moment in plan.expected],
        "parcels": [parcel_as_json(parcel) for parcel in plan.parcels],
    }


def _plan_from_json(plan: dict[str, Any], cost: int) -> Plan:
    return Plan(
        method=FulfillmentMethod(plan["method"]),
        level=ServiceLevel(plan["level"]) if plan["level"] else None,
        price=plan["price"],
        cost=cost,
        pickup_code=plan["pickup"],
        distance_km=plan["km"],
        order_before=datetime.fromisoformat(plan["before"]) if plan["before"] else None,
        missing=tuple(Missing(sku=sku, quantity=quantity) for sku, quantity in plan["missing"]),
        expected=_pair(plan["expected"]) if plan["expected"] else None,
        parcels=tuple(map(parcel_from_json, plan["parcels"])),
    )


def _pair(moments: Sequence[str]) -> tuple[datetime, datetime]:
    earliest, latest = map(datetime.fromisoformat, moments)
    return earliest, latest


def parcel_as_json(parcel: Parcel) -> ParcelJson:
    """Return a parcel, without what it costs the retailer."""
    return (
        parcel.location_code,
        parcel.service_code,
        [(share.sku, share.quantity) for share in parcel.shares],
        (parcel.ready_at, parcel.due_at, parcel.arrives_earliest, parcel.arrives_latest),
        parcel.distance_km,
        parcel.co2_grams,
        parcel.work_day,
        parcel.destination_code,
    )


def parcel_from_json(told: Sequence[Any]) -> Parcel:
    """Return the parcel of such a JSON, which older ones end before its last place; its cost is 0."""
    location, service, shares, moments, km, co2, work_day, *destination = told
    ready_at, due_at, earliest, latest = map(datetime.fromisoformat, moments)
    return Parcel(
        location_code=location,
        service_code=service,
        shares=tuple(Share(sku=sku, quantity=quantity) for sku, quantity in shares),
        ready_at=ready_at,
        due_at=due_at,
        arrives_earliest=earliest,
        arrives_latest=latest,
        cost=0,
        distance_km=km,
        co2_grams=co2,
        work_day=date.fromisoformat(work_day) if work_day else None,
        destination_code=destination[0] if destination else None,
    )
