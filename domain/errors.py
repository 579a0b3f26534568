"""Facts that stop a piece of work. Each carries its data; the contract shows each as `<Name>Error`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from domain.vocabulary import ErrorCode

if TYPE_CHECKING:
    from domain.planning.problem import Missing, Unavailable


@dataclass(kw_only=True)
class DomainError(Exception):
    """Something the caller can understand and act on.

    `message` is a sentence for people; `path` names the input that is at fault, outermost first.
    """

    code: ClassVar[ErrorCode]
    message: str
    path: Sequence[str] = ()

    def __str__(self) -> str:
        """Return the sentence for people."""
        return self.message


@dataclass(kw_only=True)
class InvalidInput(DomainError):
    """The input cannot be used as it stands. `reason` is a finer code where one exists."""

    code = ErrorCode.INVALID_INPUT
    reason: ErrorCode = ErrorCode.INVALID_INPUT


@dataclass(kw_only=True)
class NotFound(DomainError):
    """There is no such thing, or the caller may not know of it."""

    code = ErrorCode.NOT_FOUND


@dataclass(kw_only=True)
class VersionConflict(DomainError):
    """Somebody else changed it first."""

    code = ErrorCode.VERSION_CONFLICT
    current_version: int


@dataclass(kw_only=True)
class IdempotencyConflict(DomainError):
    """The key was used before with another input."""

    code = ErrorCode.IDEMPOTENCY_CONFLICT


@dataclass(kw_only=True)
class OutOfStock(DomainError):
    """Stock alone is the reason."""

    code = ErrorCode.OUT_OF_STOCK
    missing: Sequence[Missing] = ()


@dataclass(kw_only=True)
class NoFulfillmentOption(DomainError):
    """No location can do it, for reasons that stock alone does not explain."""

    code = ErrorCode.NO_FULFILLMENT_OPTION
    unavailable: Sequence[Unavailable] = ()


@dataclass(kw_only=True)
class OptionExpired(DomainError):
    """The option's promise no longer holds: ask for options again."""

    code = ErrorCode.OPTION_EXPIRED


@dataclass(kw_only=True)
class ReservationExpired(DomainError):
    """The reservation holds nothing any more: reserve again."""

    code = ErrorCode.RESERVATION_EXPIRED


@dataclass(kw_only=True)
class ActionNotAllowed(DomainError):
    """The thing is in a state in which this cannot be done."""

    code = ErrorCode.ACTION_NOT_ALLOWED
    status: str
    allowed_actions: Sequence[str] = ()


@dataclass(kw_only=True)
class InvalidPickupCode(DomainError):
    """The code shown at the counter is not the order's."""

    code = ErrorCode.INVALID_PICKUP_CODE
    attempts_left: int
    locked_until: datetime | None = field(default=None)


@dataclass(kw_only=True)
class ReturnNotEligible(DomainError):
    """This cannot be returned, or not so much of it, or not any more; the message says why."""

    code = ErrorCode.RETURN_NOT_ELIGIBLE
