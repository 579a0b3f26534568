"""What operators see of a process: figures, traces, and the id of each request."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from starlette.middleware import Middleware

from app.metrics import CountRequests, Metrics
from app.requests import RequestIds
from app.settings import Settings, SetupError

if TYPE_CHECKING:
    from app.tracing import Tracing


class Observing:
    """Watches the operations and the requests of one application."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._metrics = metrics
        self._traces = _tracing() if settings.tracing else None

    def operation(self, name: str | None) -> AbstractContextManager[None]:
        """Return what stands around an operation of that name."""
        return self._metrics.operation(name) if self._traces is None else self._traced(name)

    @contextmanager
    def _traced(self, name: str | None) -> Iterator[None]:
        assert self._traces is not None  # noqa: S101 - asked before
        with self._metrics.operation(name), self._traces.operation(name):
            yield

    def middleware(self) -> list[Middleware]:
        """Return what stands around requests, the outermost first."""
        traced = [] if self._traces is None else [Middleware(self._traces.middleware)]
        return [Middleware(RequestIds), *traced, Middleware(CountRequests, metrics=self._metrics)]

    def close(self) -> None:
        """Send what is not sent yet."""
        if self._traces is not None:
            self._traces.close()


def _tracing() -> "Tracing":
    try:
        from app.tracing import Tracing
    except ImportError as error:
        raise SetupError(f"CROSSDOCK_TRACING needs crossdock[otel]: {error}") from None
    return Tracing()
