"""Errors, as callers see them: what they can act on is told, what they cannot is logged under a reference."""

import secrets

import structlog
from graphql import GraphQLError
from strawberry.exceptions import MissingQueryError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError

from app import requests
from domain.errors import DomainError, InvalidInput
from domain.feed import CursorExpired
from domain.transaction import OUTAGES

log = structlog.get_logger(__name__)

NOTHING_TO_RUN = (MissingQueryError, CannotGetOperationTypeError, InvalidOperationTypeError)
"""What Strawberry raises where a request names no operation, or none that may run here."""


def present(error: GraphQLError | Exception, *, operation: str | None = None) -> GraphQLError:
    """Return the error to show. It carries `extensions.code`, and nothing of our insides."""
    if not isinstance(error, GraphQLError):
        error = GraphQLError(str(error), original_error=error)
    cause = error.original_error
    told = _told(cause)
    if told is not None:
        return _shown(error, *told)
    if "code" in (error.extensions or {}):
        return error
    if _is_callers(error):
        return _shown(error, error.message, {"code": "INVALID_INPUT"})
    reference = secrets.token_hex(5)
    log.error("operation_failed", reference=reference, operation=operation, path=error.path, exc_info=cause or error)
    about = {"code": "INTERNAL", "reference": reference, **_request()}
    return _shown(error, f"Internal error, reference {reference}", about)


def _told(cause: Exception | None) -> tuple[str, dict[str, object]] | None:
    """Return the message and the extensions for a cause that callers can understand."""
    if isinstance(cause, DomainError):
        code = cause.reason if isinstance(cause, InvalidInput) else cause.code
        return cause.message, {"code": code.value, "path": list(cause.path)}
    if isinstance(cause, CursorExpired):
        message = "The updates after this cursor are gone: read the state anew, and follow from its cursor."
        return message, {"code": "CURSOR_EXPIRED", "oldestCursor": str(cause.oldest)}
    if isinstance(cause, NOTHING_TO_RUN):
        return "The request names no operation that can run here.", {"code": "INVALID_INPUT"}
    if isinstance(cause, OUTAGES):
        log.warning("database_unavailable", error=str(cause) or type(cause).__name__)
        return "The database does not answer. Try again.", {"code": "UNAVAILABLE", **_request()}
    return None


def _request() -> dict[str, object]:
    """Return the id under which the log tells of the request: it stands with each fault that is ours."""
    request_id = requests.current()
    return {} if request_id is None else {"requestId": request_id}


def _is_callers(error: GraphQLError) -> bool:
    """Say whether graphql-core refused the operation itself: its variables before it ran, or the arguments of a field.

    It points at the place in the document then; where a result of ours breaks the schema, it does not.
    """
    cause = error.original_error
    if error.path is None:
        return cause is None or isinstance(cause, GraphQLError)
    return isinstance(cause, GraphQLError) and bool(cause.nodes)


def _shown(error: GraphQLError, message: str, extensions: dict[str, object]) -> GraphQLError:
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions=extensions,
    )
