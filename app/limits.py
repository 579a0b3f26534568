"""How large a document may be, and what no text in it may hold: validation rules that come before all others."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, cast

from graphql import (
    ASTValidationRule,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
)

NUL = "\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most an operation may hold, with every fragment counted where it is used; `tokens` are the document's.

    Without `introspection` no document may ask for the schema.
    """

    tokens: int = 10_000
    depth: int = 15
    fields: int = 500
    aliases: int = 100
    directives: int = 100
    introspection: bool = True

    def rules(self) -> tuple[type[ASTValidationRule], ...]:
        """Return the rules that refuse the rest. To be made once: validation is cached by its rules."""
        limited: type[ASTValidationRule] = type("Limited", (_Limited,), {"limits": self})
        return (limited,) if self.introspection else (limited, NoSchemaIntrospectionCustomRule)


class _Size(NamedTuple):
    depth: int = 0
    fields: int = 0
    aliases: int = 0
    directives: int = 0


class _Limited(ASTValidationRule):
    """Refuse operations that are too deep, too long or too repetitive.

    Introspection is measured by graphql-core's own rule.
    """

    limits: ClassVar[Limits]

    def enter_document(self, node: DocumentNode, *_: object) -> None:
        """Measure each operation."""
        self._fragments = {
            part.name.value: part for part in node.definitions if isinstance(part, FragmentDefinitionNode)
        }
        self._measured: dict[str, _Size] = {}
        for part in node.definitions:
            if isinstance(part, OperationDefinitionNode):
                size = self._measure(part.selection_set)
                size = size._replace(directives=size.directives + len(part.directives or ()))
                for what, found in zip(_Size._fields, size, strict=True):
                    most = getattr(self.limits, what)
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
            size = _Size(
                max(size.depth, inner.depth),
                size.fields + inner.fields,
                size.aliases + inner.aliases,
                size.directives + inner.directives + len(selection.directives or ()),
            )
        return size

    def _measure_field(self, node: FieldNode) -> _Size:
        alias = int(node.alias is not None)
        if node.selection_set is None or node.name.value in {"__schema", "__type"}:
            return _Size(1, 1, alias)
        inner = self._measure(node.selection_set)
        return inner._replace(depth=inner.depth + 1, fields=inner.fields + 1, aliases=inner.aliases + alias)

    def _measure_fragment(self, name: str) -> _Size:
        if name not in self._measured:
            self._measured[name] = _Size()  # a fragment within itself is refused by a rule of its own
            fragment = self._fragments.get(name)
            if fragment is not None:
                self._measured[name] = self._measure(fragment.selection_set)
        return self._measured[name]


class NoNul(ASTValidationRule):
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
    left = [value]
    while left:
        value = left.pop()
        if isinstance(value, str):
            if NUL in value:
                return True
        elif isinstance(value, dict):
            left += value
            left += value.values()
        elif isinstance(value, list):
            left += value
    return False
