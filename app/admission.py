"""Who may run what: each operation, over HTTP or a socket, is found, checked, priced and paid for before it begins."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType

from graphql import GraphQLError, OperationDefinitionNode, OperationType

from app.asked import Asked, BodyLimits, Refused
from app.documents import Document, Documents
from app.execution import Schema
from app.faults import present
from app.limits import Limits
from app.rates import Buckets, Left, MemoryBuckets, RateLimited, Rates
from app.settings import Settings
from app.trusted import check, manifest
from domain.viewer import Viewer
from domain.vocabulary import Role

READING = 100
CHARACTERS_A_POINT = 3
"""Points for a document that is not kept, and how many of its characters take as long to read as a plain field."""

LIMITS = {Role.STOREFRONT: 20_000, Role.STORE: 50_000, Role.OPERATIONS: 200_000, Role.ADMIN: 200_000}
"""The most points that one operation may cost."""

STREAMED = frozenset(OperationType)


class NotRun(Exception):
    """An operation that cannot run: an answer without data, whose status depends on its media type."""

    def __init__(self, *errors: GraphQLError) -> None:
        super().__init__(errors)
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Admitted:
    """An operation that may run, what it cost, and what that leaves its caller, where that is limited."""

    document: Document
    operation: OperationDefinitionNode
    cost: int
    left: Left | None

    def told(self, asked: Asked) -> dict[str, object] | None:
        """Return the extensions of the answer, where they were asked for: `"extensions": {"cost": true}`."""
        if not asked.extensions.get("cost"):
            return None
        left = {"limit": self.left.points, "remaining": self.left.remaining} if self.left else {}
        return {"cost": {"requested": self.cost, **left}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Lets operations in. `limits` are the points of one by role, `rates` those of a minute, `bodies` its bytes."""

    documents: Documents
    limits: Mapping[Role, int] = field(default_factory=lambda: MappingProxyType(LIMITS))
    rates: Rates | None = None
    bodies: BodyLimits = field(default_factory=BodyLimits)

    async def admit(
        self, asked: Asked, viewer: Viewer, address: str, allowed: frozenset[OperationType] = STREAMED
    ) -> Admitted:
        """Return the operation to run. Raises NotRun and Refused."""
        text = self._text(asked)
        if not self.documents.holds(text):
            await self._pay(viewer, address, READING + len(text) // CHARACTERS_A_POINT)
        document = self.documents.read(text)
        self.documents.know(document, asked.extensions)
        operation = self._operation(document, asked, allowed)
        cost = self.documents.price(document, operation).of(asked.variables)
        limit = self.limits[viewer.role]
        if cost > limit:
            message = f"The operation costs {cost} points; the most is {limit}. Ask for fewer rows or fields."
            extensions = {"code": "COST_LIMIT_EXCEEDED", "cost": cost, "limit": limit}
            raise NotRun(GraphQLError(message, extensions=extensions))
        return Admitted(document, operation, cost, await self._pay(viewer, address, cost))

    def _text(self, asked: Asked) -> str:
        try:
            return self.documents.text(asked.query, asked.extensions, asked.document_id)
        except GraphQLError as error:
            if (error.extensions or {}).get("code") == "INVALID_INPUT":
                raise Refused(400, error.message, "INVALID_INPUT") from None
            raise NotRun(error) from None

    @staticmethod
    def _operation(document: Document, asked: Asked, allowed: frozenset[OperationType]) -> OperationDefinitionNode:
        if document.node is None:
            raise NotRun(*document.errors)
        operation = document.operation(asked.operation_name)
        if operation is None:
            raise Refused(400, "The document holds no operation of that name.", "INVALID_INPUT")
        if operation.operation not in allowed:
            raise _misplaced(operation.operation)
        if document.errors:
            raise NotRun(*document.errors)
        if len(document.operations) > 1 and asked.operation_name is None:
            raise NotRun(present(GraphQLError("Name the operation to run: the document holds several.")))
        return operation

    async def _pay(self, viewer: Viewer, address: str, points: int) -> Left | None:
        if self.rates is None:
            return None
        try:
            return await self.rates.take(viewer, address, points)
        except RateLimited as error:
            headers = {"Retry-After": str(error.wait), **error.left.headers}
            refused = Refused(429, str(error), "RATE_LIMITED", **headers)
            refused.error.extensions = {**(refused.error.extensions or {}), "retryAfter": error.wait}
            raise refused from None

    async def close(self) -> None:
        """Let go of what rates are counted in."""
        if self.rates is not None:
            await self.rates.close()


def opened_gate(settings: Settings, schema: Schema) -> Gate:
    """Return the gate to a schema that the settings ask for, which bounds its documents and its time from here on.

    Raises SetupError where a trusted document is not to be had or cannot run.
    """
    limits = Limits(
        tokens=settings.max_tokens,
        depth=settings.max_depth,
        fields=settings.max_fields,
        aliases=settings.max_aliases,
        directives=settings.max_directives,
        introspection=settings.introspection,
    )
    trusted = manifest(settings.trusted_documents) if settings.trusted_documents else {}
    schema.documents = Documents(
        schema.documents.schema, limits=limits, trusted=trusted, only_trusted=settings.only_trusted_documents
    )
    schema.time_limit = timedelta(seconds=settings.operation_seconds)
    check(schema.documents)
    rates = Rates(settings.rate, _buckets(settings.rate_redis_url)) if settings.rate else None
    bodies = BodyLimits(bytes=settings.max_body_bytes, wait=timedelta(seconds=settings.body_seconds))
    costs = {**LIMITS, **(settings.max_cost or {})}
    return Gate(documents=schema.documents, limits=costs, rates=rates, bodies=bodies)


def _buckets(url: str | None) -> Buckets:
    if url is None:
        return MemoryBuckets()
    from app.redis import RedisBuckets  # to import it takes a tenth of the time in which a gateway starts

    return RedisBuckets(url)


def _misplaced(kind: OperationType) -> Refused:
    if kind is OperationType.SUBSCRIPTION:
        message = "Subscriptions run over WebSocket (graphql-transport-ws) or with Accept: text/event-stream."
        return Refused(406, message, "NOT_ACCEPTABLE")
    return Refused(405, "Mutations are sent by POST.", "METHOD_NOT_ALLOWED", Allow="POST")
