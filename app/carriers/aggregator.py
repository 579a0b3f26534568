"""A carrier behind HTTP: an aggregator of carriers, or a small service of one's own that speaks to them.

What it has to answer, JSON unless said otherwise, is told in docs/carriers.md.
"""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from domain.carriers import Booking, Label, Parcel, Refused, TrackingReport, Unreachable
from domain.places import Address
from domain.shipments import REPORTED
from domain.text import UNUSABLE
from domain.vocabulary import ShipmentStatus

TRIES = 4
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
ANSWER_SECONDS = 10.0
"""For one try, from the connection to the last byte."""
MOST_BYTES = 1_000_000
LABELS = frozenset({"application/pdf", "application/zpl", "image/png"})
LONGEST_REASON = 200
REFUSALS = frozenset({400, 422})
"""About the parcel; whatever else goes wrong is about the two of us, and may be put right."""
AGAIN = frozenset({408, 409, 425, 429})
SERVERS_FAULT = 500
GONE = frozenset({404, 410})

Json: TypeAlias = Mapping[str, object]
A = TypeVar("A", bound=BaseModel)


class _Answer(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="ignore")


class _Booked(_Answer):
    tracking_number: str = Field(min_length=1, max_length=64, pattern=r"^[!-~]+$")
    tracking_url: str | None = Field(default=None, max_length=2000)


class TrackingEvent(_Answer):
    """What happened to a parcel, as a carrier tells it."""

    status: ShipmentStatus
    at: AwareDatetime
    description: str | None = Field(default=None, max_length=500, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")

    def report(self) -> TrackingReport:
        """Return it as the domain's value."""
        return TrackingReport(status=self.status, at=self.at.astimezone(UTC), description=self.description)


class _Refusal(_Answer):
    message: str = Field(min_length=1)


class _Tracked(_Answer):
    events: list[TrackingEvent] = Field(max_length=1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reply:
    status: int
    media_type: str
    body: bytes
    retry_after: float
    """Seconds that the server wants to be left alone."""

    @property
    def succeeded(self) -> bool:
        return 200 <= self.status < 300  # noqa: PLR2004 - what HTTP calls success

    def reason(self) -> str:
        """Return why a parcel is refused, `{"message": ...}`, as far as a line of a timeline can hold it."""
        try:
            message = _Refusal.model_validate_json(self.body).message
        except ValidationError:
            return f"it answered {self.status}."
        return UNUSABLE.sub(" ", message)[:LONGEST_REASON]


@dataclass(frozen=True, slots=True)
class Aggregator:
    """Asks over HTTP, again where that may help: no answer, a server's error, or too many requests.

    A booking carries the parcel's reference as its idempotency key, so that asking again never books twice.
    """

    client: httpx.AsyncClient
    polled_every: timedelta | None = timedelta(hours=1)
    answer_seconds: float = ANSWER_SECONDS
    first_pause_seconds: float = FIRST_PAUSE_SECONDS

    async def book(self, parcel: Parcel) -> Booking:
        """Order the transport of a parcel."""
        key = {"Idempotency-Key": str(parcel.reference)}
        reply = await self._ask("POST", "shipments", headers=key, content=orjson.dumps(_wanted(parcel)))
        booked = _read(_Booked, reply)
        url = booked.tracking_url
        if url is not None and urlsplit(url).scheme not in {"http", "https"}:
            raise Unreachable("the page to follow the parcel on is no web page")
        return Booking(tracking_number=booked.tracking_number, tracking_url=url)

    async def label(self, parcel: Parcel, tracking_number: str) -> Label:  # noqa: ARG002 - found by the reference
        """Fetch the label of a parcel."""
        reply = await self._ask("GET", f"shipments/{parcel.reference}/label")
        if reply.media_type not in LABELS or not reply.body:
            raise Unreachable(f"a label is one of {', '.join(sorted(LABELS))}, not {reply.media_type[:100]!r}")
        return Label(media_type=reply.media_type, content=reply.body)

    async def cancel(self, reference: UUID, tracking_number: str | None) -> None:  # noqa: ARG002 - found by the reference
        """Call the transport off."""
        await self._ask("DELETE", f"shipments/{reference}", fine=GONE)

    async def track(self, tracking_number: str) -> list[TrackingReport]:
        """Ask what has happened to a parcel; what tells nothing of its way is left out."""
        reply = await self._ask("GET", "events", params={"trackingNumber": tracking_number})
        return [event.report() for event in _read(_Tracked, reply).events if event.status in REPORTED]

    async def _ask(self, method: str, path: str, *, fine: frozenset[int] = frozenset(), **more: Any) -> _Reply:  # noqa: ANN401 - httpx's
        """Return the reply to a request that succeeded, or whose status is fine, asking up to TRIES times."""
        why, pause = "", self.first_pause_seconds
        for left in reversed(range(TRIES)):
            wait = pause * random.uniform(0.5, 1)  # noqa: S311 - so that not everybody comes back at once
            try:
                reply = await self._once(method, path, **more)
            except (httpx.HTTPError, TimeoutError) as error:
                why = type(error).__name__
            else:
                if reply.status in fine or reply.succeeded:
                    return reply
                why = str(reply.status)
                if reply.status in REFUSALS:
                    raise Refused(reply.reason())
                if reply.status not in AGAIN and reply.status < SERVERS_FAULT:
                    break
                wait = max(wait, reply.retry_after)
            if left:
                await asyncio.sleep(min(wait, LONGEST_PAUSE_SECONDS))
                pause *= 2
        raise Unreachable(f"{method} {path}: {why}")

    async def _once(self, method: str, path: str, **more: Any) -> _Reply:  # noqa: ANN401 - httpx's
        """Return one reply, read no further than MOST_BYTES and no longer than ANSWER_SECONDS."""
        body = b""
        async with (
            asyncio.timeout(self.answer_seconds),
            self.client.stream(method, path, follow_redirects=False, timeout=self.answer_seconds, **more) as answer,
        ):
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > MOST_BYTES:
                    raise httpx.DecodingError(f"more than {MOST_BYTES} bytes")
        seconds = answer.headers.get("retry-after", "")
        return _Reply(
            status=answer.status_code,
            media_type=answer.headers.get("content-type", "").partition(";")[0].strip().lower(),
            body=body,
            retry_after=float(seconds) if seconds.isdecimal() else 0.0,
        )


def _wanted(parcel: Parcel) -> Json:
    return {
        "reference": str(parcel.reference),
        "number": parcel.number,
        "carrier": parcel.carrier,
        "service": parcel.service_code,
        "grams": parcel.grams,
        "from": _address(parcel.sender),
        "to": _address(parcel.recipient),
        "contents": [{"sku": sku, "quantity": quantity} for sku, quantity in parcel.contents.items()],
    }


def _address(address: Address) -> Json:
    """Return an address as the API writes it; where it lies is the carrier's own business."""
    return {key: value for key, value in address.as_json().items() if key != "position"}


def _read(kind: type[A], reply: _Reply) -> A:
    try:
        return kind.model_validate_json(reply.body)
    except ValidationError as error:
        where = ", ".join(".".join(map(str, fault["loc"])) or fault["type"] for fault in error.errors()[:3])
        raise Unreachable(f"the answer cannot be used: {where}") from None
