"""An aggregator of carriers for the tests, on a real socket: it fails, hangs and repeats as it is told to."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.api.serve import serving

LABEL = b"^XA^FDa label^FS^XZ"


@dataclass(kw_only=True)
class Aggregator:
    """What it was asked, what it did, and what it is about to answer.

    `next_answers` are given instead of the true ones, by the request ("POST", "GET label", ...): a Response, or None
    for the true answer after the connection has been held until `go_on`.
    """

    address: str = ""
    asked: list[str] = field(default_factory=list)
    booked: dict[str, dict[str, Any]] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    next_answers: dict[str, deque[Response | None]] = field(default_factory=dict)
    held: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    def answers(self, request: str, *answers: Response | None) -> None:
        self.next_answers[request] = deque(answers)

    async def _told(self, request: str) -> Response | None:
        self.asked.append(request)
        waiting = self.next_answers.get(request)
        if not waiting:
            return None
        answer = waiting.popleft()
        if answer is None:
            self.held.set()
            await self.go_on.wait()
        return answer

    async def book(self, request: Request) -> Response:
        assert request.headers["authorization"] == "Bearer open sesame"
        parcel = await request.json()
        key = request.headers["idempotency-key"]
        assert key == parcel["reference"]
        number = f"AG{len(self.booked) + 1}"
        self.booked.setdefault(key, {"trackingNumber": number, "trackingUrl": f"https://a.example/{number}", **parcel})
        return await self._told("POST") or JSONResponse(self.booked[key], status_code=201)

    async def label(self, request: Request) -> Response:
        assert request.path_params["reference"] in self.booked
        return await self._told("GET label") or Response(LABEL, media_type="application/zpl")

    async def cancel(self, request: Request) -> Response:
        reference = request.path_params["reference"]
        self.cancelled.append(reference)
        return await self._told("DELETE") or Response(status_code=204 if reference in self.booked else 404)

    async def track(self, request: Request) -> Response:
        events = self.events if request.query_params["trackingNumber"].startswith("AG") else []
        return await self._told("GET events") or JSONResponse({"events": events})


@asynccontextmanager
async def aggregator() -> AsyncIterator[Aggregator]:
    """Yield an aggregator that answers, and counts what it is asked."""
    it = Aggregator()
    app = Starlette(
        routes=[
            Route("/v1/shipments", it.book, methods=["POST"]),
            Route("/v1/shipments/{reference}/label", it.label),
            Route("/v1/shipments/{reference}", it.cancel, methods=["DELETE"]),
            Route("/v1/events", it.track),
        ]
    )
    async with serving(app) as address:
        it.address = f"http://{address}/v1"
        yield it
        it.go_on.set()
