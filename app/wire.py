"""A WebSocket on its TCP connection: cut where it takes nothing, told when the server stops, written to directly."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from app.stalling import Stalling

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveEvent, ASGISendEvent

EXTENSION = "crossdock.wire"
"""Under this name the scope of a socket holds its Wire."""
TEXT, SHORT, MEDIUM = b"\x81", 125, 2**16
"""The first byte of a whole text frame, and the bounds of the forms in which its length is told (RFC 6455, 5.2)."""
HELD_BYTES = 65_536


class Wire(Stalling, WebSocketsSansIOProtocol):
    """Uvicorn's protocol, which is told to close rather than cut off while something is under way.

    Texts that are sent in one turn of the loop are written together: to write costs more than all else about a small
    one, and whoever comes back with a cursor is sent many.
    """

    on_stop: Callable[[], None] | None = None
    """Called instead of closing when the server stops; who sets it closes the socket soon."""
    _held: Sequence[bytes] = ()
    _held_bytes = 0

    def __init__(self, *, stall_seconds: float, direct: bool, **given: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(**given)
        self.stall_seconds = stall_seconds
        self.direct = direct
        # asyncio's own would be 4 KiB of a socket's memory: the blocks of five deques that hold next to nothing.
        self.queue = cast("asyncio.Queue[ASGIReceiveEvent]", Messages())
        self.writable = cast("asyncio.Event", Gate())

    def handle_connect(self, event: Request) -> None:
        """Begin, and be found in the scope."""
        super().handle_connect(event)
        if not self.close_sent:
            cast("dict[str, object]", self.scope["extensions"])[EXTENSION] = self

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave no timer behind, and no circle: what was not taken would wait in it for the garbage collector."""
        self.on_stop, self._held = None, ()
        if hasattr(self, "scope"):  # a handshake that is refused has none
            self.scope["extensions"] = {}
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Leave it to the application to close, where it wants to."""
        if self.on_stop is not None and not self.close_sent:
            self.on_stop()
        else:
            self._flush()
            super().shutdown()

    def settle(self) -> None:
        """Forget the handshake once it is over: some KiB of headers."""
        del self.request, self.response
        self.scope["headers"] = []

    async def send(self, message: "ASGISendEvent") -> None:
        """Take a message of the application's; a text goes with the others of this turn."""
        if message["type"] != "websocket.send" or message.get("text") is None or not self.handshake_complete:
            await self.writable.wait()  # texts that wait go first
            self._flush()
            await super().send(message)
            return
        if not self.writable.is_set():
            await self.writable.wait()
        if self.disconnected or self.close_sent or self.transport.is_closing():
            raise ClientDisconnected
        self._hold(text_frame(cast("str", message["text"]).encode()))

    def end(self) -> None:
        """Cut the connection unless the peer, which was told to close, does so in time."""
        if self.close_timer is not None:
            self.close_timer.cancel()
            self.close_timer = self.loop.call_later(self.stall_seconds, self.transport.abort)

    def write(self, frame: bytes) -> bool:
        """Write a frame with the others of this turn, or say that what was written before has to be taken first."""
        if self.close_sent or not self.writable.is_set() or self.transport.is_closing():
            return False
        self._hold(frame)
        return True

    def _hold(self, frame: bytes) -> None:
        if not self._held:
            self._held = []
            self.loop.call_soon(self._flush)
        cast("list[bytes]", self._held).append(frame)
        self._held_bytes += len(frame)
        if self._held_bytes > HELD_BYTES:
            self._flush()

    def _flush(self) -> None:
        held, self._held, self._held_bytes = self._held, (), 0
        if held and not self.transport.is_closing():
            self.transport.write(b"".join(held))


class Messages:
    """What uvicorn asks of a queue, for one who takes."""

    __slots__ = ("_left", "_waiting")

    def __init__(self) -> None:
        self._left: list[ASGIReceiveEvent] = []
        self._waiting: asyncio.Future[None] | None = None

    def empty(self) -> bool:
        """Say whether nothing is left to take."""
        return not self._left

    def put_nowait(self, message: "ASGIReceiveEvent") -> None:
        """Add a message."""
        self._left.append(message)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def get(self) -> "ASGIReceiveEvent":
        """Take the next message, once there is one."""
        while not self._left:
            self._waiting = asyncio.get_running_loop().create_future()
            try:
                await self._waiting
            finally:
                self._waiting = None
        return self._left.pop(0)


class Gate:
    """What uvicorn asks of an event: open at first, and those who wait pass in the order in which they came."""

    __slots__ = ("_open", "_waiting")

    def __init__(self) -> None:
        self._open = True
        self._waiting: list[asyncio.Future[None]] = []

    def is_set(self) -> bool:
        """Say whether it is open."""
        return self._open

    def set(self) -> None:
        """Open it."""
        self._open = True
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if not each.done():
                each.set_result(None)

    def clear(self) -> None:
        """Close it."""
        self._open = False

    async def wait(self) -> None:
        """Pass, once it is open."""
        while not self._open:
            passing = asyncio.get_running_loop().create_future()
            self._waiting.append(passing)
            try:
                await passing
            finally:
                if passing in self._waiting:  # it was given up
                    self._waiting.remove(passing)


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
