"""Spans for OpenTelemetry, where the extra [otel] is installed and CROSSDOCK_TRACING asks for them.

Where they go is set by OpenTelemetry's own variables, OTEL_EXPORTER_OTLP_ENDPOINT and the like.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SERVER_ERRORS = 500


class Tracing:
    """Makes a span of each HTTP request, within its caller's trace, and one of each operation."""

    def __init__(self) -> None:
        self.provider = TracerProvider(resource=Resource.create({"service.name": "crossdock"}))
        self.provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self.provider.get_tracer("crossdock")

    @contextmanager
    def operation(self, name: str | None) -> Iterator[None]:
        """Make a span of what runs within."""
        about = {} if name is None else {"graphql.operation.name": name}
        with self._tracer.start_as_current_span(f"graphql {name or 'anonymous'}", attributes=about):
            yield

    def middleware(self, app: ASGIApp) -> ASGIApp:
        """Return the application, its requests traced."""

        async def traced(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            method, path = scope["method"], scope["path"]
            around = propagate.extract(Headers(scope=scope))
            about = {"http.request.method": method, "url.path": path}
            with self._tracer.start_as_current_span(
                f"{method} {path}", context=around, kind=SpanKind.SERVER, attributes=about
            ):
                await app(scope, receive, _noting(send))

        return traced

    def close(self) -> None:
        """Send what is not sent yet."""
        self.provider.shutdown()


def _noting(send: Send) -> Send:
    span = trace.get_current_span()

    async def noting(message: Message) -> None:
        if message["type"] == "http.response.start":
            span.set_attribute("http.response.status_code", message["status"])
            if message["status"] >= SERVER_ERRORS:
                span.set_status(Status(StatusCode.ERROR))
        await send(message)

    return noting
