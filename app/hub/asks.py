"""What a subscription asks for, apart from where it begins: what decides whom it can share an execution with."""

from collections.abc import Hashable
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
from graphql import (
    DocumentNode,
    FieldNode,
    OperationDefinitionNode,
    OperationType,
    StringValueNode,
    ValueNode,
    VariableNode,
    get_operation_ast,
    visit,
)
from graphql.language import Visitor

from app.documents import Documents
from domain.feed import Cursor
from domain.viewer import Viewer

SHAPES_KNOWN = 1_000


class Ask(NamedTuple):
    """A subscription of which others may ask the same, with the same authority; only `after` is its own.

    `variable` is the name under which the document takes `after`, if it does.
    """

    key: Hashable
    query: str
    operation_name: str | None
    variables: dict[str, Any]
    variable: str | None
    after: str | None

    def variables_from(self, cursor: Cursor) -> dict[str, Any]:
        """Return the variables by which it is executed from there."""
        return self.variables | ({self.variable: str(cursor)} if self.variable else {})


class Asking:
    """Reads subscriptions; the form of each document once."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._shape = lru_cache(maxsize=SHAPES_KNOWN)(self._look)

    def read(
        self, query: str, variables: dict[str, Any] | None, operation_name: str | None, viewer: Viewer
    ) -> Ask | None:
        """Return what is asked; None where it cannot be shared: no subscription, at fault, or none that resumes."""
        shape = self._shape(query, operation_name)
        if shape is None:
            return None
        given = variables or {}
        after = given.get(shape.variable, shape.value) if shape.variable else shape.value
        if not isinstance(after, str | None):
            return None
        own = {name: given[name] for name in shape.others if name in given}
        key = (query, operation_name, orjson.dumps(own, option=orjson.OPT_SORT_KEYS), viewer.authority())
        return Ask(key, query, operation_name, own, shape.variable, after)

    def is_subscription(self, query: str, operation_name: str | None) -> bool:
        """Say whether this is a subscription, whether shared or not."""
        node = self._documents.read(query).node
        operation = get_operation_ast(node, operation_name) if node is not None else None
        return operation is not None and operation.operation is OperationType.SUBSCRIPTION

    def _look(self, query: str, operation_name: str | None) -> "_Shape | None":
        document = self._documents.read(query)
        if document.node is None or document.errors:
            return None
        operation = get_operation_ast(document.node, operation_name)
        root = self._documents.schema.subscription_type
        if operation is None or operation.operation is not OperationType.SUBSCRIPTION or root is None:
            return None
        selected = operation.selection_set.selections[0]
        if not isinstance(selected, FieldNode) or "after" not in root.fields[selected.name.value].args:
            return None
        after = next((each.value for each in selected.arguments or () if each.name.value == "after"), None)
        return _shape(document.node, operation, after)


class _Shape(NamedTuple):
    """How a document asks: its variable for `after`, or the value it has else, and its other variables."""

    variable: str | None
    value: str | None
    others: frozenset[str]


def _shape(document: DocumentNode, operation: OperationDefinitionNode, after: ValueNode | None) -> _Shape | None:
    defaults = {each.variable.name.value: each.default_value for each in operation.variable_definitions or ()}
    variable, value = None, after
    if isinstance(after, VariableNode):
        variable, value = after.name.value, defaults[after.name.value]
        uses = _Uses(variable)
        visit(document, uses)
        if uses.count > 1 + 1:  # where it is declared, and here
            return None
    text = value.value if isinstance(value, StringValueNode) else None
    return _Shape(variable, text, frozenset(defaults) - {variable})


class _Uses(Visitor):
    """Counts where a variable stands."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self.count = name, 0

    def enter_variable(self, node: VariableNode, *_: object) -> None:
        """Count one."""
        self.count += node.name.value == self.name
