"""How large a document may be, which is measured before all else, and what no text in it may hold."""

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, cast

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
    specified_rules,
)

NUL = "\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most an operation may hold, with every fragment counted where it is used.

    `tokens` and `operations` are the document's. Without `introspection` no document may ask for the schema.
    """

    tokens: int = 5_000
    operations: int = 50
    depth: int = 15
    fields: int = 500
    aliases: int = 100
    directives: int = 100
    repeats: int = 50
    """Of one name in one place of the answer: that they agree is checked in pairs."""
    introspection: bool = True

    @property
    def rules(self) -> tuple[type[ASTValidationRule], ...]:
        """Return the rules of validation. Their number and their time are bounded by what `errors` lets through."""
        shown = () if self.introspection else (NoSchemaIntrospectionCustomRule,)
        return (*specified_rules, NoNul, *shown)

    def errors(self, document: DocumentNode) -> list[GraphQLError]:
        """Say where a document is too deep, too long or too repetitive; introspection has graphql-core's own rule."""
        operations = [part for part in document.definitions if isinstance(part, OperationDefinitionNode)]
        if len(operations) > self.operations:
            return [_too_much("The document", "operations", len(operations), self.operations, None)]
        measure, found = _Measure(document, self.fields), []
        for operation in operations:
            size, _ = measure.of(operation.selection_set)
            size = size._replace(directives=size.directives + len(operation.directives or ()))
            found += [
                _too_much("The operation", what, count, most, operation)
                for what, count in size._asdict().items()
                if count > (most := getattr(self, what))
            ]
        return found


class _Size(NamedTuple):
    depth: int = 0
    fields: int = 0
    aliases: int = 0
    directives: int = 0
    repeats: int = 0


_Names: TypeAlias = dict[str, int]


class _Measure:
    """Measures what is selected, each fragment once, and counts the names under which it stands in the answer.

    Past `most` fields no more names are counted: the document is refused anyway.
    """

    def __init__(self, document: DocumentNode, most: int) -> None:
        self._most = most
        self._fragments = {
            part.name.value: part for part in document.definitions if isinstance(part, FragmentDefinitionNode)
        }
        self._measured: dict[str, tuple[_Size, _Names]] = {}

    def of(self, selections: SelectionSetNode) -> tuple[_Size, _Names]:
        """Return the size of what is selected, and how often it says each name."""
        size, names = _Size(), _Names()
        for selection in selections.selections:
            if isinstance(selection, FragmentSpreadNode):
                inner, said = self._fragment(selection.name.value)
            elif isinstance(selection, FieldNode):
                inner, said = self._field(selection), {(selection.alias or selection.name).value: 1}
            else:
                inner, said = self.of(cast("InlineFragmentNode", selection).selection_set)
            for name, count in said.items() if size.fields + inner.fields <= self._most else ():
                names[name] = names.get(name, 0) + count
            size = _Size(
                max(size.depth, inner.depth),
                size.fields + inner.fields,
                size.aliases + inner.aliases,
                size.directives + inner.directives + len(selection.directives or ()),
                max(size.repeats, inner.repeats),
            )
        return size._replace(repeats=max(size.repeats, *names.values(), 0)), names

    def _field(self, node: FieldNode) -> _Size:
        alias = int(node.alias is not None)
        if node.selection_set is None or node.name.value in {"__schema", "__type"}:
            return _Size(1, 1, alias)
        inner, _ = self.of(node.selection_set)
        return inner._replace(depth=inner.depth + 1, fields=inner.fields + 1, aliases=inner.aliases + alias)

    def _fragment(self, name: str) -> tuple[_Size, _Names]:
        if name not in self._measured:
            self._measured[name] = _Size(), {}  # a fragment within itself is refused by a rule of its own
            fragment = self._fragments.get(name)
            if fragment is not None:
                self._measured[name] = self.of(fragment.selection_set)
        return self._measured[name]


def _too_much(whose: str, what: str, found: int, most: int, node: OperationDefinitionNode | None) -> GraphQLError:
    return GraphQLError(f"{whose} has {what} {found}; the most is {most}.", node)


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
