"""How many sockets there may be, and how many there are."""

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketLimits:
    """What a socket may take, and how many there may be of a kind in this process."""

    init_seconds: float = 10.0
    ping_seconds: float = 30.0
    """Between two pings; the first has to be answered before the second."""
    operations: int = 100
    of_a_token: int = 1_000
    of_an_address: int = 10_000


@dataclass(slots=True)
class Sockets:
    """The open sockets of this process."""

    limits: SocketLimits
    _open: Counter[tuple[str, Hashable]] = field(default_factory=Counter)
    _count: int = 0

    def __len__(self) -> int:
        """Return how many are open."""
        return self._count

    def enter(self, whose: tuple[str, Hashable], most: int) -> bool:
        """Count a socket of an address or a token, unless there are as many as may be."""
        if self._open[whose] >= most:
            return False
        self._open[whose] += 1
        self._count += whose[0] == "address"
        return True

    def leave(self, whose: tuple[str, Hashable]) -> None:
        """Count it out."""
        self._open[whose] -= 1
        self._count -= whose[0] == "address"
        if not self._open[whose]:
            del self._open[whose]
