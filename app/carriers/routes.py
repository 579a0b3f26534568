"""What carriers and printers find here: labels, and the door at which carriers tell what happened to parcels."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from app.carriers.aggregator import TrackingEvent
from app.settings import Settings
from app.signatures import genuine, signing_key
from domain import shipments
from domain.errors import DomainError, NotFound
from domain.shortage import SYSTEM
from domain.tracking import Tracking

if TYPE_CHECKING:
    from app.main import Gateway

MOST_EVENTS = 100


class _Told(TrackingEvent):
    tracking_number: str = Field(min_length=1, max_length=64)


class _Message(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="ignore")
    events: list[_Told] = Field(min_length=1, max_length=MOST_EVENTS)


class Doors:
    """The routes of carriers. Without a secret that they sign what they tell with, none of them is heard."""

    def __init__(self, settings: Settings, now: Callable[[], datetime]) -> None:
        secret = settings.carrier_webhook_secret
        self.key = None if secret is None else signing_key(secret.get_secret_value())
        self.max_body_bytes = settings.max_body_bytes
        self.now = now

    def routes(self) -> list[BaseRoute]:
        """Return where labels are fetched, and where carriers tell."""
        return [
            Route("/labels/{key}", self.label),
            Route("/carriers/{carrier}/events", self.events, methods=["POST"]),
        ]

    async def label(self, request: Request) -> Response:
        """Answer the label that an unguessable key opens."""
        gateway: Gateway = request.app.state.gateway
        async with gateway.database.reading() as connection:
            found = await shipments.label(connection, request.path_params["key"])
        if found is None:
            return Response(status_code=404)
        headers = {
            "Cache-Control": "private, no-store",
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        return Response(found.content, media_type=found.media_type, headers=headers)

    async def events(self, request: Request) -> Response:
        """Take what a carrier tells, signed as the Standard Webhooks specification says.

        404 names the numbers that are not known, perhaps not yet: the carrier's retry is welcome, for what is told
        again has no effect.
        """
        body = await self._body(request)
        if body is None:
            return _refusal(413, f"A body holds at most {self.max_body_bytes} bytes.")
        if self.key is None or not genuine(self.key, request.headers, body, now=self.now()):
            return _refusal(401, "The message is not signed, wrongly signed, or old.")
        try:
            message = _Message.model_validate_json(body)
        except ValidationError as error:
            places = [".".join(map(str, fault["loc"])) or fault["type"] for fault in error.errors()[:5]]
            return _refusal(400, f"Not usable: {', '.join(places)}.")
        try:
            unknown = await self._take(request.app.state.gateway, request.path_params["carrier"], message)
        except DomainError as error:
            return _refusal(400, str(error))
        if unknown:
            return _refusal(404, f"No parcel of this carrier has: {', '.join(unknown)}.")
        return Response(status_code=204)

    async def _take(self, gateway: "Gateway", carrier: str, message: _Message) -> list[str]:
        """Record each event in a transaction of its own, for each locks another order; return the unknown numbers."""
        unknown, viewer = [], replace(SYSTEM, name=carrier)
        for event in message.events:
            try:
                async with gateway.database.transaction() as connection:
                    tracking = Tracking(connection=connection, networks=gateway.networks, viewer=viewer, now=self.now())
                    await tracking.report(event.tracking_number, carrier, [event.report()])
            except NotFound:
                unknown.append(event.tracking_number)
        return unknown

    async def _body(self, request: Request) -> bytes | None:
        """Return the body, None where it is longer than allowed."""
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > self.max_body_bytes:
                return None
        return body


def _refusal(status: int, message: str) -> Response:
    return JSONResponse({"message": message}, status_code=status)
