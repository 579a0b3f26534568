"""What an operation costs, told from its document and its variables before any of it runs.

A point is about the work of one plain field, 10 us. What is looked up costs more, what is in a list counts as often as
the list may be long.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    value_from_ast_untyped,
)

from domain.paging import DEFAULT_SIZE, LARGEST_SIZE

Variables = Mapping[str, object]

PLAIN = 1
LOOKED_UP = 10
MUTATION = 100
GIVEN = 5
"""For each element of a list in the arguments."""
USUAL_LENGTH = 5
"""Of a list that is not paged: an order's lines, its assignments."""

_DECIDED_AGAIN = ("ratings", "considered", "excluded", "alternatives", "candidates")
WEIGHTS = {
    "Query.__schema": 10_000,
    "Query.__type": 500,
    "Query.fulfillmentOptions": 200,
    "Query.simulateRouting": 400,
    "Query.returnOptions": 200,
    **dict.fromkeys((f"RoutingDecision.{name}" for name in _DECIDED_AGAIN), 40),
    "Mutation.placeOrder": 300,
    "Mutation.reserveCart": 300,
}
"""Fields whose work is far from what their kind costs, by their coordinate in the schema."""


class Given:
    """The variables of one request, each of which is counted once however often it is used."""

    def __init__(self, variables: Variables) -> None:
        self._variables = variables
        self._counts: dict[str, int] = {}

    def value(self, name: str) -> object:
        """Return a variable, None where it is not given."""
        return self._variables.get(name)

    def elements(self, name: str) -> int:
        """Return how many elements the lists in a variable have."""
        if name not in self._counts:
            self._counts[name] = _elements(self._variables.get(name))
        return self._counts[name]


Length = Callable[[Given], int]


@dataclass(frozen=True, slots=True)
class Cost:
    """So many points, and for each part so many times those of the part as its length says."""

    points: int
    parts: tuple[tuple[Length, "Cost"], ...] = ()

    def of(self, given: Given) -> int:
        """Return the points with these variables."""
        return self.points + sum(length(given) * cost.of(given) for length, cost in self.parts)

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.points + other.points, self.parts + other.parts)


@dataclass(frozen=True, slots=True)
class Price:
    """What an operation costs; `defaults` are those of its variables."""

    cost: Cost
    defaults: Variables

    def of(self, variables: Variables) -> int:
        """Return the points with these variables."""
        return self.cost.of(Given({**self.defaults, **variables})) if self.cost.parts else self.cost.points


def price(schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode) -> Price:
    """Return the price of an operation of a valid document."""
    defaults = {
        each.variable.name.value: value_from_ast_untyped(each.default_value)
        for each in operation.variable_definitions or ()
        if each.default_value is not None
    }
    walk = _Walk(schema, document)
    return Price(walk.selections(operation.selection_set, schema.get_root_type(operation.operation), None), defaults)


class _Walk:
    """The walk over an operation."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self._schema = schema
        self._fragments = {
            part.name.value: part for part in document.definitions if isinstance(part, FragmentDefinitionNode)
        }

    def selections(self, selections: SelectionSetNode, parent: GraphQLNamedType | None, page: Length | None) -> Cost:
        """Return the cost of what is selected of a `parent`; of a connection, with the length of its page."""
        total = Cost(0)
        for selection in selections.selections:
            if isinstance(selection, FieldNode):
                total += self._field(selection, parent, page)
                continue
            fragment: Any = selection
            if isinstance(selection, FragmentSpreadNode):
                fragment = self._fragments[selection.name.value]
            condition = cast("InlineFragmentNode | FragmentDefinitionNode", fragment).type_condition
            kind = self._schema.get_type(condition.name.value) if condition else parent
            total += self.selections(fragment.selection_set, kind, page)
        return total

    def _field(self, node: FieldNode, parent: GraphQLNamedType | None, page: Length | None) -> Cost:
        name = node.name.value
        coordinate = f"{parent.name if parent else ''}.{name}"
        fields = parent.fields if isinstance(parent, GraphQLObjectType | GraphQLInterfaceType) else {}
        field = fields.get(name)
        if field is None:
            return Cost(WEIGHTS.get(coordinate, PLAIN))
        own = Cost(WEIGHTS.get(coordinate) or self._weight(field, parent))
        own += _times(_Elements(node), Cost(GIVEN))
        if node.selection_set is None:
            return own
        paged = {"first", "last"} <= field.args.keys()
        within = self.selections(node.selection_set, get_named_type(field.type), _Page(node) if paged else None)
        if not isinstance(get_nullable_type(field.type), GraphQLList):
            return own + within
        if page is not None and name == "edges":
            return own + _times(page, within)
        if any(isinstance(get_nullable_type(argument.type), GraphQLList) for argument in field.args.values()):
            return own + _times(_Elements(node, least=1), within)  # one that is given alone is a list of one
        return own + _times(lambda _: USUAL_LENGTH, within)

    def _weight(self, field: GraphQLField, parent: GraphQLNamedType | None) -> int:
        if parent is self._schema.mutation_type:
            return MUTATION
        resolver = getattr(field.extensions.get("strawberry-definition"), "base_resolver", None)
        return LOOKED_UP if resolver is not None and resolver.is_async else PLAIN


def _times(length: Length, cost: Cost) -> Cost:
    """Return a cost so many times; at once, where nothing of it depends on variables."""
    if cost.parts or getattr(length, "varies", False):
        return Cost(0, ((length, cost),))
    return Cost(length(Given({})) * cost.points)


class _Elements:
    """How many elements the lists in a field's arguments have, those of lists within them too; `least` at least."""

    def __init__(self, node: FieldNode, *, least: int = 0) -> None:
        self._least = least
        self._written = 0
        self._variables: list[str] = []
        for argument in node.arguments or ():
            self._count(argument.value)

    @property
    def varies(self) -> bool:
        return bool(self._variables)

    def __call__(self, given: Given) -> int:
        return max(self._least, self._written + sum(map(given.elements, self._variables)))

    def _count(self, value: ValueNode) -> None:
        if isinstance(value, VariableNode):
            self._variables.append(value.name.value)
        elif isinstance(value, ListValueNode):
            self._written += len(value.values)
            for each in value.values:
                self._count(each)
        elif isinstance(value, ObjectValueNode):
            for field in value.fields:
                self._count(field.value)


class _Page:
    """How many rows a page may have; one that is too large is refused where it is read."""

    def __init__(self, node: FieldNode) -> None:
        given = {argument.name.value: argument.value for argument in node.arguments or ()}
        self._wanted = [given[name] for name in ("first", "last") if name in given]

    @property
    def varies(self) -> bool:
        return any(isinstance(value, VariableNode) for value in self._wanted)

    def __call__(self, given: Given) -> int:
        for node in self._wanted:
            value = given.value(node.name.value) if isinstance(node, VariableNode) else value_from_ast_untyped(node)
            if isinstance(value, int | float):  # 100.0 is an Int, too
                return int(min(max(value, 0), LARGEST_SIZE))
        return DEFAULT_SIZE


def _elements(value: object) -> int:
    count, left = 0, [value]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            left += value.values()
        elif isinstance(value, list):
            count += len(value)
            left += value
    return count
