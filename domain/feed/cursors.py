"""Places in the feed."""

from typing import NamedTuple, Self

from domain.errors import InvalidInput


class Cursor(NamedTuple):
    """A place in the feed, ordered. Callers pass it on and never look inside."""

    epoch: int
    xid: int
    id: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the cursor that `str` wrote, or raise InvalidInput."""
        try:
            cursor = cls(*map(int, text.split(".")))
        except (TypeError, ValueError):
            raise InvalidInput(message="This is not a cursor.", path=("after",)) from None
        if not (0 <= cursor.epoch < 2**31 and 0 <= cursor.xid < 2**63 and 0 <= cursor.id < 2**63):
            raise InvalidInput(message="This is not a cursor.", path=("after",))
        return cursor

    def __str__(self) -> str:
        """Return what a client keeps."""
        return f"{self.epoch}.{self.xid}.{self.id}"


NOWHERE = Cursor(0, 0, 0)


class CursorExpired(Exception):
    """The feed does not hold everything after a cursor: read the state anew, then follow from its cursor.

    `oldest` is the first cursor after which it does.
    """

    def __init__(self, oldest: Cursor) -> None:
        super().__init__(str(oldest))
        self.oldest = oldest
