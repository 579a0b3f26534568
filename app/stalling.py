"""Connections that take nothing are cut, whatever is spoken on them: what waits to be taken is held in memory."""

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Protocol = asyncio.Protocol
else:
    Protocol = object


class Stalling(Protocol):
    """Stands before a protocol of uvicorn's: its connection is cut where nothing is taken for `stall_seconds`."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    stall_seconds: float
    _look: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """Begin to look whether what waits is taken."""
        super().pause_writing()
        self._await_less(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Go on."""
        super().resume_writing()
        self._rest()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave no timer behind."""
        self._rest()
        super().connection_lost(exc)

    def _await_less(self, size: int) -> None:
        self._look = self.loop.call_later(self.stall_seconds, self._cut_unless_less, size)

    def _cut_unless_less(self, than: int) -> None:
        size = self.transport.get_write_buffer_size()
        if size < than:
            self._await_less(size)
        else:
            self.transport.abort()

    def _rest(self) -> None:
        if self._look is not None:
            self._look.cancel()
            self._look = None
