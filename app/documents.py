"""Documents: parsed, checked and measured once, then kept. A document that is at fault is kept with its faults."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import NamedTuple, cast

from graphql import (
    ASTValidationRule,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    parse,
    specified_rules,
)
from strawberry.schema.schema import validate_document

MAX_TOKENS = 10_000
MAX_DEPTH = 15
MAX_FIELDS = 500
MAX_ALIASES = 100

KEPT_DOCUMENTS = 1_000
KEPT_BYTES = 32 * 2**20
BYTES_A_CHARACTER = 150
"""What a parsed document takes in memory for each character of its text, measured."""

NUL = "\0"


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed document (none where the syntax is wrong), the number of its operations, and what is wrong with it."""

    node: DocumentNode | None
    operations: int
    errors: tuple[GraphQLError, ...]


@dataclass(slots=True)
class Documents:
    """The documents last used, bounded in number and in bytes."""

    schema: GraphQLSchema
    _kept: OrderedDict[str, Document] = field(default_factory=OrderedDict)
    _size: int = 0

    def read(self, text: str) -> Document:
        """Return the document of this text."""
        document = self._kept.get(text)
        if document is None:
            document = _read(self.schema, text)
            self._keep(text, document)
        else:
            self._kept.move_to_end(text)
        return document

    def _keep(self, text: str, document: Document) -> None:
        self._kept[text] = document
        self._size += len(text) * BYTES_A_CHARACTER
        while len(self._kept) > KEPT_DOCUMENTS or self._size > KEPT_BYTES:
            oldest, _ = self._kept.popitem(last=False)
            self._size -= len(oldest) * BYTES_A_CHARACTER


def _read(schema: GraphQLSchema, text: str) -> Document:
    try:
        node = parse(text, max_tokens=MAX_TOKENS)
        operations = sum(isinstance(part, OperationDefinitionNode) for part in node.definitions)
        # The limits come first: the other rules are not cheap on a document that is built to hurt.
        errors = validate_document(schema, node, (_Limits,)) or validate_document(
            schema, node, (*specified_rules, _NoNul)
        )
    except GraphQLSyntaxError as error:
        return Document(None, 0, (_coded(error, "GRAPHQL_PARSE_FAILED"),))
    except RecursionError:
        too_deep = GraphQLError("The document is nested too deeply.")
        return Document(None, 0, (_coded(too_deep, "GRAPHQL_PARSE_FAILED"),))
    return Document(node, operations, tuple(_coded(error, "GRAPHQL_VALIDATION_FAILED") for error in errors))


def _coded(error: GraphQLError, code: str) -> GraphQLError:
    error.extensions = {"code": code, **(error.extensions or {})}
    error.__traceback__ = None  # it would keep the frames it passed through
    return error


class _Size(NamedTuple):
    depth: int = 0
    fields: int = 0
    aliases: int = 0


class _Limits(ASTValidationRule):
    """Refuse operations that are too deep, too long or too repetitive, with every fragment counted where it is used.

    Introspection is measured by graphql-core's own rule.
    """

    def enter_document(self, node: DocumentNode, *_: object) -> None:
        """Measure each operation."""
        self._fragments = {
            part.name.value: part for part in node.definitions if isinstance(part, FragmentDefinitionNode)
        }
        self._measured: dict[str, _Size] = {}
        for part in node.definitions:
            if isinstance(part, OperationDefinitionNode):
                size = self._measure(part.selection_set)
                for what, found, most in zip(_Size._fields, size, (MAX_DEPTH, MAX_FIELDS, MAX_ALIASES), strict=True):
                    if found > most:
                        message = f"The operation has {what} {found}; the most is {most}."
                        self.report_error(GraphQLError(message, part))

    def _measure(self, selections: SelectionSetNode) -> _Size:
        size = _Size()
        for selection in selections.selections:
            if isinstance(selection, FragmentSpreadNode):
                inner = self._measure_fragment(selection.name.value)
            elif isinstance(selection, FieldNode):
                inner = self._measure_field(selection)
            else:
                inner = self._measure(cast("InlineFragmentNode", selection).selection_set)
            size = _Size(max(size.depth, inner.depth), size.fields + inner.fields, size.aliases + inner.aliases)
        return size

    def _measure_field(self, node: FieldNode) -> _Size:
        alias = int(node.alias is not None)
        if node.selection_set is None or node.name.value in {"__schema", "__type"}:
            return _Size(1, 1, alias)
        inner = self._measure(node.selection_set)
        return _Size(inner.depth + 1, inner.fields + 1, inner.aliases + alias)

    def _measure_fragment(self, name: str) -> _Size:
        if name not in self._measured:
            self._measured[name] = _Size()  # a fragment within itself is refused by a rule of its own
            fragment = self._fragments.get(name)
            if fragment is not None:
                self._measured[name] = self._measure(fragment.selection_set)
        return self._measured[name]


class _NoNul(ASTValidationRule):
    """Refuse a NUL in a text: Postgres cannot keep one."""

    def enter_string_value(self, node: StringValueNode, *_: object) -> None:
        """Look into a literal."""
        if NUL in node.value:
            self.report_error(no_nul(node))


def no_nul(node: StringValueNode | None = None) -> GraphQLError:
    """Return the error for a text that holds a NUL."""
    return GraphQLError("A text may not hold the character NUL.", node, extensions={"code": "INVALID_INPUT"})


def holds_nul(value: object) -> bool:
    """Say whether a text somewhere in this JSON value, keys included, holds a NUL."""
    if isinstance(value, str):
        return NUL in value
    if isinstance(value, dict):
        return any(holds_nul(key) or holds_nul(inner) for key, inner in value.items())
    return isinstance(value, list) and any(map(holds_nul, value))
