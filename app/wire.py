"""A WebSocket on its TCP connection: cut where it takes nothing, told when the server stops, written to directly."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

EXTENSION = "crossdock.wire"
"""Under this name the scope of a socket holds its Wire."""
TEXT, SHORT, MEDIUM = b"\x81", 125, 2**16
"""The first byte of a whole text frame, and the bounds of the forms in which its length is told (RFC 6455, 5.2)."""


class Wire(WebSocketsSansIOProtocol):
    """Uvicorn's protocol, which is told to close rather than cut off while something is under way."""

    on_stop: Callable[[], None] | None = None
    """Called instead of closing when the server stops; who sets it closes the socket soon."""
    _stalled: asyncio.TimerHandle | None = None

    def __init__(self, *, stall_seconds: float, direct: bool, **given: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(**given)
        self.stall_seconds = stall_seconds
        self.direct = direct

    def handle_connect(self, event: Request) -> None:
        """Begin, and be found in the scope."""
        super().handle_connect(event)
        if not self.close_sent:
            cast("dict[str, object]", self.scope["extensions"])[EXTENSION] = self

    def pause_writing(self) -> None:
        """Cut the connection unless what waits is taken in time."""
        super().pause_writing()
        self._stalled = self.loop.call_later(self.stall_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on."""
        super().resume_writing()
        self._rest()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave no timer behind, and no circle: what was not taken would wait in it for the garbage collector."""
        self._rest()
        self.on_stop = None
        if self.handshake_initiated:
            self.scope["extensions"] = {}
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Leave it to the application to close, where it wants to."""
        if self.on_stop is not None and not self.close_sent:
            self.on_stop()
        else:
            super().shutdown()

    def settle(self) -> None:
        """Forget the handshake once it is over: some KiB of headers."""
        del self.request, self.response

    def end(self) -> None:
        """Cut the connection unless the peer, which was told to close, does so in time."""
        if self.close_timer is not None:
            self.close_timer.cancel()
            self.close_timer = self.loop.call_later(self.stall_seconds, self.transport.abort)

    def write(self, frame: bytes) -> bool:
        """Write a frame at once, or say that others have to be taken first."""
        if self.close_sent or not self.writable.is_set() or self.transport.is_closing():
            return False
        self.transport.write(frame)
        return True

    def _rest(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None


def protocol(*, stall_seconds: float, direct: bool) -> Any:  # noqa: ANN401 - uvicorn calls what should be a type
    """Return what uvicorn is to make of each connection that becomes a WebSocket."""
    return partial(Wire, stall_seconds=stall_seconds, direct=direct)


def text_frame(message: bytes) -> bytes:
    """Return a text as one frame of a server, which masks nothing."""
    size = len(message)
    if size <= SHORT:
        length = bytes((size,))
    elif size < MEDIUM:
        length = b"\x7e" + size.to_bytes(2, "big")
    else:
        length = b"\x7f" + size.to_bytes(8, "big")
    return TEXT + length + message
