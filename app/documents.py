"""Documents: parsed, checked and priced once, then kept. A document that is at fault is kept with its faults."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from graphql import (
    ASTValidationRule,
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    parse,
)
from strawberry.schema.schema import validate_document

from app.costs import Price, price
from app.limits import Limits

KEPT_DOCUMENTS = 1_000
KEPT_BYTES = 32 * 2**20
BYTES_A_CHARACTER = 150
"""What a parsed document takes in memory for each character of its text, measured."""


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed document (none where the syntax is wrong), its operations by name, and what is wrong with it.

    Each operation is priced when it is first run: a document may hold many, and most hold one.
    """

    text: str
    node: DocumentNode | None
    operations: Mapping[str | None, OperationDefinitionNode]
    errors: tuple[GraphQLError, ...]
    prices: dict[str | None, Price] = field(default_factory=dict)

    def operation(self, name: str | None) -> OperationDefinitionNode | None:
        """Return the operation of that name; without one, the first."""
        return self.operations.get(name) if name else next(iter(self.operations.values()), None)


@dataclass(slots=True)
class Documents:
    """The documents last used, bounded in number and in bytes, and found again by the hash of their text.

    `trusted` are known by their ids from the start; with `only_trusted` no other is read.
    """

    schema: GraphQLSchema
    limits: Limits = field(default_factory=Limits)
    trusted: Mapping[str, str] = field(default_factory=dict)
    only_trusted: bool = False
    _kept: OrderedDict[str, Document] = field(default_factory=OrderedDict)
    _hashes: dict[str, str] = field(default_factory=dict)
    _size: int = 0
    _trusted_texts: frozenset[str] = frozenset()
    _rules: tuple[type[ASTValidationRule], ...] = field(init=False)

    def __post_init__(self) -> None:
        self._rules = self.limits.rules
        self._trusted_texts = frozenset(self.trusted.values())

    def text(self, query: str | None, extensions: Mapping[str, object], document_id: str | None = None) -> str:
        """Return the text asked for: the one sent, or the one known by `documentId` or `extensions.persistedQuery`.

        Raises GraphQLError with the codes that Apollo's clients act on.
        """
        known_as = _hash(extensions)
        if query:
            if self.only_trusted and query not in self._trusted_texts:
                raise _error("Only documents that were registered before are served.", "QUERY_NOT_IN_SAFELIST")
            if known_as is not None and sha256(query.encode()).hexdigest() != known_as and known_as not in self.trusted:
                raise _error("provided sha does not match query", "INVALID_INPUT")
            return query
        if known_as is None and document_id is None:
            raise _error("The request holds no query.", "INVALID_INPUT")
        text = self.trusted.get(known_as or document_id or "") or self._hashes.get(known_as or "")
        if text is None:
            raise _error("PersistedQueryNotFound", "PERSISTED_QUERY_NOT_FOUND")
        return text

    def read(self, text: str) -> Document:
        """Return the document of this text."""
        document = self._kept.get(text)
        if document is None:
            document = self._read(text)
            self._keep(text, document)
        else:
            self._kept.move_to_end(text)
        return document

    def price(self, document: Document, operation: OperationDefinitionNode) -> Price:
        """Return the price of an operation of a valid document."""
        name = operation.name.value if operation.name else None
        found = document.prices.get(name)
        if found is None and document.node is not None:
            found = document.prices[name] = price(self.schema, document.node, operation)
        assert found is not None  # noqa: S101 - a document with operations was parsed
        return found

    def holds(self, text: str) -> bool:
        """Say whether the document is read already."""
        return text in self._kept

    def know(self, document: Document, extensions: Mapping[str, object]) -> None:
        """Remember a sound document by the hash it came with, for as long as it is kept."""
        known_as = _hash(extensions)
        if known_as is not None and known_as not in self.trusted and not document.errors and self.holds(document.text):
            self._hashes[known_as] = document.text

    def _keep(self, text: str, document: Document) -> None:
        size = len(text) * BYTES_A_CHARACTER
        if size > KEPT_BYTES // 8 and text not in self._trusted_texts:  # it would displace what many ask for
            return
        self._kept[text] = document
        self._size += size
        while len(self._kept) > KEPT_DOCUMENTS or self._size > KEPT_BYTES:
            oldest, _ = self._kept.popitem(last=False)
            self._size -= len(oldest) * BYTES_A_CHARACTER
            if self._hashes:
                self._hashes.pop(sha256(oldest.encode()).hexdigest(), None)

    def _read(self, text: str) -> Document:
        try:
            node = parse(text, max_tokens=self.limits.tokens)
            # The limits come first: the rules are not cheap on a document that is built to hurt.
            errors = self.limits.errors(node) or validate_document(self.schema, node, self._rules)
            operations = {
                part.name.value if part.name else None: part
                for part in node.definitions
                if isinstance(part, OperationDefinitionNode)
            }
        except GraphQLSyntaxError as error:
            return Document(text, None, {}, (_coded(error, "GRAPHQL_PARSE_FAILED"),))
        except RecursionError:
            return Document(text, None, {}, (_error("The document is nested too deeply.", "GRAPHQL_PARSE_FAILED"),))
        return Document(text, node, operations, tuple(_coded(error, "GRAPHQL_VALIDATION_FAILED") for error in errors))


def _hash(extensions: Mapping[str, object]) -> str | None:
    """Return the hash of `extensions.persistedQuery`."""
    asked = extensions.get("persistedQuery")
    if asked is None:
        return None
    found = asked.get("sha256Hash") if isinstance(asked, dict) and asked.get("version") == 1 else None
    if not isinstance(found, str):
        raise _error("`persistedQuery` has the version 1 and a `sha256Hash`.", "INVALID_INPUT")
    return found


def _error(message: str, code: str) -> GraphQLError:
    return GraphQLError(message, extensions={"code": code})


def _coded(error: GraphQLError, code: str) -> GraphQLError:
    error.extensions = {"code": code, **(error.extensions or {})}
    error.__traceback__ = None  # it would keep the frames it passed through
    return error
