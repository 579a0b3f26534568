"""Promises: what an option says, signed, so that it can be had as it was shown."""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import orjson

from domain.cart import CartLine
from domain.errors import InvalidInput, OptionExpired
from domain.planning.problem import Missing, Parcel, Plan, Point, Share
from domain.vocabulary import FulfillmentMethod, ServiceLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What a token binds: the cart, whither it goes, and the plan that was shown."""

    lines: tuple[CartLine, ...]
    plan: Plan
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
        return Promise(
            lines=tuple(CartLine(sku=sku, quantity=n, unit_price=price) for sku, n, price in claims["lines"]),
            plan=_plan_from_json(claims["plan"]),
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
    """Return what a token says of its plan. A shopper can read it, so what the plan costs the retailer is left out."""
    return {
        "method": plan.method,
        "level": plan.level,
        "price": plan.price,
        "pickup": plan.pickup_code,
        "km": plan.distance_km,
        "before": plan.order_before and plan.order_before.isoformat(),
        "missing": [[missing.sku, missing.quantity] for missing in plan.missing],
        "expected": plan.expected and [moment.isoformat() for moment in plan.expected],
        "parcels": [
            [
                parcel.location_code,
                parcel.service_code,
                [[share.sku, share.quantity] for share in parcel.shares],
                [
                    moment.isoformat()
                    for moment in (parcel.ready_at, parcel.due_at, parcel.arrives_earliest, parcel.arrives_latest)
                ],
                parcel.distance_km,
                parcel.co2_grams,
            ]
            for parcel in plan.parcels
        ],
    }


def _plan_from_json(plan: dict[str, Any]) -> Plan:
    return Plan(
        method=FulfillmentMethod(plan["method"]),
        level=ServiceLevel(plan["level"]) if plan["level"] else None,
        price=plan["price"],
        cost=0,
        pickup_code=plan["pickup"],
        distance_km=plan["km"],
        order_before=datetime.fromisoformat(plan["before"]) if plan["before"] else None,
        missing=tuple(Missing(sku=sku, quantity=quantity) for sku, quantity in plan["missing"]),
        expected=_pair(plan["expected"]) if plan["expected"] else None,
        parcels=tuple(_parcel_from_json(*parcel) for parcel in plan["parcels"]),
    )


def _pair(moments: Sequence[str]) -> tuple[datetime, datetime]:
    earliest, latest = map(datetime.fromisoformat, moments)
    return earliest, latest


def _parcel_from_json(
    location: str,
    service: str | None,
    shares: list[tuple[str, int]],
    moments: list[str],
    km: float | None,
    co2: int | None,
) -> Parcel:
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
    )
