"""Typed errors: one type for each fact that `domain.errors` knows, found by its name."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import strawberry

from domain import errors
from domain.vocabulary import ErrorCode


@strawberry.interface(description="Why the thing asked for was not done. path names the input at fault.")
class UserError:
    message: str
    code: ErrorCode = strawberry.field(description="Why, for programs.")
    path: list[str] | None


@strawberry.type(description="The input cannot be used as it stands.")
class InvalidInputError(UserError):
    pass


@strawberry.type(description="There is no such thing, or the viewer may not know of it.")
class NotFoundError(UserError):
    pass


@strawberry.type(description="Somebody else changed it first.")
class VersionConflictError(UserError):
    current_version: int


@strawberry.type(description="The key was used before with another input.")
class IdempotencyConflictError(UserError):
    pass


@strawberry.type(description="The option's promise no longer holds: ask for options again.")
class OptionExpiredError(UserError):
    pass


@strawberry.type(description="The reservation holds nothing any more: reserve again.")
class ReservationExpiredError(UserError):
    pass


@strawberry.type(description="The thing is in a status in which this cannot be done; allowedActions can.")
class ActionNotAllowedError(UserError):
    status: str
    allowed_actions: list[str]


@strawberry.type(description="This cannot be returned, or not so much of it, or not any more: message says why.")
class ReturnNotEligibleError(UserError):
    pass


@strawberry.type(description="The code shown at the counter is not the order's.")
class InvalidPickupCodeError(UserError):
    attempts_left: int
    locked_until: datetime | None


Common = dict[str, Any]


def _plain(kind: type[UserError]) -> Callable[[Any, Common], UserError]:
    return lambda _, common: kind(**common)


ERRORS: dict[type[errors.DomainError], Callable[[Any, Common], UserError]] = {
    errors.InvalidInput: _plain(InvalidInputError),
    errors.NotFound: _plain(NotFoundError),
    errors.IdempotencyConflict: _plain(IdempotencyConflictError),
    errors.OptionExpired: _plain(OptionExpiredError),
    errors.ReservationExpired: _plain(ReservationExpiredError),
    errors.ReturnNotEligible: _plain(ReturnNotEligibleError),
    errors.VersionConflict: lambda error, common: VersionConflictError(current_version=error.current_version, **common),
    errors.ActionNotAllowed: lambda error, common: ActionNotAllowedError(
        status=error.status, allowed_actions=list(error.allowed_actions), **common
    ),
    errors.InvalidPickupCode: lambda error, common: InvalidPickupCodeError(
        attempts_left=error.attempts_left, locked_until=error.locked_until, **common
    ),
}
"""How each fact is shown. `schema.options` adds those that carry its types."""


def shown(error: errors.DomainError) -> Any:  # noqa: ANN401 - a member of the caller's union
    """Return a fact as the error type of its name."""
    return ERRORS[type(error)](error, {"message": error.message, "code": error.code, "path": list(error.path) or None})
