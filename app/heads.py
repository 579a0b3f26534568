"""The heads of HTTP requests: uvicorn's protocol, with a bound on how large they may be and how long they may take."""

import asyncio
from functools import partial
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.stalling import Stalling

LARGEST_HEAD = 65_536
LINGER_SECONDS = 1.0
"""For an answer to be read before the connection is cut: what is still sent to us would make the system drop it."""


class Heads(Stalling, HttpToolsProtocol):
    """Refuses a head that does not end, closes a connection on which none begins, and cuts one that takes no answer."""

    _head_bytes: int | None = 0
    """What came of the head that is under way, None while none is."""
    _refused = False
    _late: asyncio.TimerHandle | None = None

    def __init__(self, *, seconds: float, stall_seconds: float, **given: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(**given)
        self._seconds = seconds
        self.stall_seconds = stall_seconds

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._late = self.loop.call_later(self._seconds, self._refuse, HTTPStatus.REQUEST_TIMEOUT)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._wait_no_longer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless the head has grown too large."""
        if self._refused:
            return
        if self._head_bytes is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes is not None and self._head_bytes > LARGEST_HEAD:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Begin to measure a head."""
        super().on_message_begin()
        self._head_bytes = self._head_bytes or 0
        if self._late is None:
            self._late = self.loop.call_later(self._seconds, self._refuse, HTTPStatus.REQUEST_TIMEOUT)

    def on_headers_complete(self) -> None:
        """Measure no longer."""
        self._head_bytes = None
        self._wait_no_longer()
        super().on_headers_complete()

    def _wait_no_longer(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _refuse(self, status: HTTPStatus) -> None:
        self._wait_no_longer()
        if self._head_bytes is None or self.transport.is_closing():
            return
        self._refused = True
        under_way: RequestResponseCycle | None = self.cycle
        if under_way is not None and not under_way.response_complete:
            self.transport.close()
            return
        line = f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        self.transport.write(line.encode())
        self.loop.call_later(LINGER_SECONDS, self.transport.close)


def protocol(*, seconds: float, stall_seconds: float) -> Any:  # noqa: ANN401 - uvicorn calls what should be a type
    """Return what uvicorn is to make of each connection; a head has so many seconds to come, an answer to be taken."""
    return partial(Heads, seconds=seconds, stall_seconds=stall_seconds)
