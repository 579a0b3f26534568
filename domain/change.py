"""What a change leaves alone: a field that is UNSET stays as it is, None clears it where it may be empty."""

from enum import Enum
from typing import Final, Literal


class Unset(Enum):
    """The type of UNSET."""

    UNSET = "UNSET"


UNSET: Final[Literal[Unset.UNSET]] = Unset.UNSET
