"""The schema, and how its operations run: from kept documents, within a time limit, with errors fit to be shown."""

import asyncio
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any, NamedTuple, Self, TypeAlias, cast

import strawberry
from graphql import (
    ExecutionResult,
    GraphQLError,
    GraphQLObjectType,
    GraphQLSchema,
    Undefined,
    execute,
    get_nullable_type,
    is_leaf_type,
    is_non_null_type,
    is_object_type,
)
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from strawberry.exceptions import MissingQueryError
from strawberry.execution.is_awaitable import optimized_is_awaitable
from strawberry.extensions.runner import SchemaExtensionsRunner
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types import ExecutionContext
from strawberry.types.execution import PreExecutionError

from app.documents import Document, Documents
from app.faults import present

Watch: TypeAlias = Callable[[str | None], AbstractContextManager[None]]
"""What stands around an operation of that name while it runs."""

OPERATION_SECONDS = 20


LEAVES = "leaves"
"""The name of a schema's extension: the leaves of each type of objects."""


class Leaf(NamedTuple):
    """A field that is an attribute of its source, as `coerce` shows it."""

    attribute: str
    coerce: Callable[[Any], Any]
    nullable: bool


class Executor(StrawberryGraphQLCoreExecutionContext):
    """Strawberry's, which takes leaves from their source at once, and finds what a subscription selects only once.

    graphql-core takes 6 us for a leaf: it tells a resolver where it stands, and asks of each value what it is. And it
    collects the fields of each update anew, and remembers what it found in them by the identity of lists that every
    update makes: all of it would be done again for each, and a subscription would grow for ever.
    """

    _leaves: dict[str, dict[str, Leaf]]
    _selected: list[GroupedFieldSet]

    def __init__(self, *given: Any, **named: Any) -> None:  # noqa: ANN401 - graphql-core's
        super().__init__(*given, **named)
        self._leaves = self.schema.extensions[LEAVES]
        self._selected = []

    def __copy__(self) -> Self:
        """Return the executor of one update, before it has one; `copy` would look for longer how to make it."""
        executor = object.__new__(type(self))
        executor.__dict__.update(self.__dict__)
        return executor

    def execute_collected_root_fields(
        self,
        root_type: GraphQLObjectType,
        root_value: Any,  # noqa: ANN401 - graphql-core's
        grouped_field_set: GroupedFieldSet,
        *more: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Execute the fields of the root, the same ones for each update."""
        if not self._selected:
            self._selected.append(grouped_field_set)
        return super().execute_collected_root_fields(root_type, root_value, self._selected[0], *more)

    def execute_field(
        self,
        parent_type: GraphQLObjectType,
        source: Any,  # noqa: ANN401 - graphql-core's
        field_details_list: FieldDetailsList,
        *more: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Execute a field; of a leaf that is not as usual, graphql-core finds out why, and tells it."""
        leaf = self._leaves[parent_type.name].get(field_details_list[0].node.name.value)
        if leaf is not None:
            try:
                value = getattr(source, leaf.attribute)
                if value is None and leaf.nullable:
                    return None
                shown = None if value is None else leaf.coerce(value)
            except Exception:  # noqa: BLE001 - of any kind
                shown = None
            if shown is not None and shown is not Undefined:
                return shown
        return super().execute_field(parent_type, source, field_details_list, *more)


def _leaves(graph: GraphQLSchema) -> dict[str, dict[str, Leaf]]:
    """Return, by type and name, the leaves that no resolver makes."""
    return {
        kind.name: {
            name: Leaf(definition.python_name, named.coerce_output_value, not is_non_null_type(field.type))
            for name, field in kind.fields.items()
            if (definition := field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF))
            and definition.is_basic_field
            and is_leaf_type(named := get_nullable_type(field.type))
        }
        for kind in graph.type_map.values()
        if is_object_type(kind)
    }


class Schema(strawberry.Schema):
    """The schema, with its documents kept and its errors fit to be shown."""

    documents: Documents
    watch: Watch
    time_limit = timedelta(seconds=OPERATION_SECONDS)
    """Of a query or a mutation; a subscription goes on for as long as it is followed."""

    def root_fields(self) -> frozenset[str]:
        """Return the names of all that can be asked, changed and followed."""
        graph = self._schema
        roots = (graph.query_type, graph.mutation_type, graph.subscription_type)
        return frozenset(name for root in roots if root for name in root.fields)

    async def run(
        self, document: Document, context: object, variables: dict[str, Any] | None, operation_name: str | None
    ) -> ExecutionResult:
        """Run an operation of a valid document. Past the time limit it is stopped, and its SQL cancelled."""
        assert document.node is not None  # noqa: S101 - it is valid
        seconds = self.time_limit.total_seconds()
        try:
            with self.watch(operation_name or next(iter(document.operations))):
                result = execute(
                    self._schema,
                    document.node,
                    context_value=context,
                    variable_values=variables,
                    operation_name=operation_name,
                    executor_class=Executor,
                    is_awaitable=cast("Any", optimized_is_awaitable),
                )
                if inspect.isawaitable(result):
                    async with asyncio.timeout(seconds):
                        result = await result
        except TimeoutError:
            message = f"The operation took longer than {seconds:g} s and was stopped."
            return ExecutionResult(None, [GraphQLError(message, extensions={"code": "TIMEOUT"})])
        if result.errors:
            result.errors = [present(error, operation=operation_name) for error in result.errors]
        return result

    async def _prepare_operation_async(
        self,
        context: ExecutionContext,
        extensions_runner: SchemaExtensionsRunner,  # noqa: ARG002 - Strawberry passes it
    ) -> PreExecutionError | None:
        """Find the document of a stream, or say why it cannot run."""
        if not context.query:
            raise MissingQueryError
        document = self.documents.read(context.query)
        if document.node is None:
            return PreExecutionError(data=None, errors=list(document.errors))
        context.graphql_document = document.node
        try:
            operation_type = context.operation_type
        except RuntimeError as error:
            raise CannotGetOperationTypeError(context.operation_name) from error
        if operation_type not in context.allowed_operations:
            raise InvalidOperationTypeError(operation_type)
        if document.errors:
            return PreExecutionError(data=None, errors=list(document.errors))
        if len(document.operations) > 1 and context._provided_operation_name is None:  # noqa: SLF001 - not public otherwise
            nameless = GraphQLError("Name the operation to run: the document holds several.")
            return PreExecutionError(data=None, errors=[present(nameless)])
        return None

    async def _execute_operation(self, execution_context: ExecutionContext, *_: object) -> ExecutionResult:
        """Run the query or mutation of a stream as any other."""
        result = await self.run(
            self.documents.read(execution_context.query or ""),
            execution_context.context,
            execution_context.variables,
            execution_context.operation_name,
        )
        execution_context.result = result
        return result

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Replace each error by the one to show."""
        operation = execution_context.operation_name if execution_context else None
        errors[:] = [present(error, operation=operation) for error in errors]


def build_schema(
    query: type | None = None,
    mutation: type | None = None,
    subscription: type | None = None,
    types: tuple[type, ...] = (),
    *,
    subgraph: bool = False,
) -> Schema:
    """Return the schema of these roots; without any, that of the whole API, where wanted as a subgraph."""
    from schema.federation import REPRESENTATION, Representation
    from schema.glossary import describe
    from schema.scalars import SCALARS

    scalars = SCALARS
    if query is None:
        from resolvers import federation, root

        query, mutation, subscription = root.Query, root.Mutation, root.Subscription
        if subgraph:
            query, scalars = federation.federated(build_schema().as_str()), {**SCALARS, Representation: REPRESENTATION}
    schema = Schema(
        query=query,
        mutation=mutation,
        subscription=subscription,
        types=types,
        config=StrawberryConfig(scalar_map=scalars),
        execution_context_class=Executor,
    )
    schema.watch = lambda _: nullcontext()
    graph = schema._schema  # noqa: SLF001 - graphql-core's own, not public otherwise
    graph.extensions[LEAVES] = _leaves(graph)
    schema.documents = Documents(describe(graph))
    return schema
