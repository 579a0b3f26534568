"""The contract: what is printed, what may fail and how, and what the README says of it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from graphql import (
    DangerousChangeType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLUnionType,
    build_ast_schema,
    find_breaking_changes,
    find_dangerous_changes,
    get_named_type,
    is_specified_scalar_type,
    parse,
    validate,
)

from app.execution import build_schema
from app.reference import reference
from app.settings import Settings
from domain import errors
from domain.states import markdown
from resolvers import root
from schema.errors import ERRORS
from schema.glossary.values import VALUES
from schema.glossary.words import WORDS

ROOT = Path(__file__).parents[1]
SCHEMA = build_schema()
GRAPHQL = SCHEMA._schema
ROOT_FIELDS = {
    f"{kind.name}.{name}": field
    for kind in (GRAPHQL.query_type, GRAPHQL.mutation_type, GRAPHQL.subscription_type)
    if kind is not None
    for name, field in kind.fields.items()
}
THINGS = {
    "Order",
    "Reservation",
    "Assignment",
    "StockLevel",
    "Location",
    "CarrierService",
    "Shipment",
    "Transfer",
    "Receipt",
    "RoutingPolicy",
    "Webhook",
    "Return",
    "ReturnPolicy",
    "ApiKey",
}


def test_the_printed_contract_is_the_committed_one() -> None:
    committed = (ROOT / "schema" / "schema.graphql").read_text()
    assert SCHEMA.as_str().strip() == committed.strip(), "run: crossdock schema > schema/schema.graphql"


def test_the_reference_page_is_made_from_the_contract() -> None:
    page = (ROOT / "docs" / "reference.md").read_text()
    assert page == reference(SCHEMA), "run: crossdock schema --markdown > docs/reference.md"


def test_no_two_decisions_have_one_number() -> None:
    numbers = [path.name[:4] for path in (ROOT / "docs" / "adr").glob("*.md")]
    assert len(numbers) == len(set(numbers))


def test_every_fact_is_shown_by_the_error_type_of_its_name() -> None:
    for fact in errors.DomainError.__subclasses__():
        shown = GRAPHQL.type_map.get(f"{fact.__name__}Error")
        assert isinstance(shown, GraphQLObjectType), fact
        assert "UserError" in {interface.name for interface in shown.interfaces}
        assert fact in ERRORS


def test_every_mutation_answers_an_import_or_one_thing_or_an_error() -> None:
    assert GRAPHQL.mutation_type
    for name, field in GRAPHQL.mutation_type.fields.items():
        answer = get_named_type(field.type)
        if answer.name == "ImportResult":
            continue
        assert isinstance(answer, GraphQLUnionType), name
        others = [member for member in answer.types if member.name not in THINGS]
        things = 2 if name == "recordTracking" else 1  # a parcel is on its way to a shopper, or back
        assert len(others) == len(answer.types) - things, name
        for other in others:
            assert "UserError" in {interface.name for interface in other.interfaces}, (name, other)


def test_every_root_field_is_described_and_tested() -> None:
    tests = "\n".join(path.read_text() for path in (ROOT / "tests" / "api").glob("*.py"))
    for name, field in ROOT_FIELDS.items():
        assert field.description, name
        assert re.search(rf"\b{name.partition('.')[2]}\b", tests), f"no test of the API asks for {name}"


def test_every_type_behind_node_can_be_found_by_its_id() -> None:
    from resolvers.nodes import FINDERS

    node = GRAPHQL.type_map["Node"]
    assert isinstance(node, GraphQLInterfaceType)
    kinds = {kind.name for kind in GRAPHQL.get_implementations(node).objects}
    assert kinds == set(FINDERS) == {kind.__name__ for kind in root.NODES}


OPERATIONS = re.findall(r"```graphql\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_of_the_readme_is_valid(operation: str) -> None:
    assert validate(GRAPHQL, parse(operation)) == []


def test_the_readme_lists_every_setting_with_its_description() -> None:
    readme = (ROOT / "README.md").read_text()
    listed = dict(re.findall(r"^\| `CROSSDOCK_(\w+)` \|.*\| (.*) \|$", readme, flags=re.MULTILINE))
    assert listed == {name.upper(): field.description for name, field in Settings.model_fields.items()}


def test_the_readme_holds_operations() -> None:
    assert len(OPERATIONS) >= 3


def test_everything_has_words_and_no_word_of_the_glossary_is_unused() -> None:
    speechless, used = [], set()
    for kind in {**build_schema(subgraph=True)._schema.type_map, **GRAPHQL.type_map}.values():
        if kind.name.startswith("__") or is_specified_scalar_type(kind):
            continue
        speechless += [] if kind.description else [kind.name]
        members = getattr(kind, "fields", None) or getattr(kind, "values", None) or {}
        arguments = {
            f"{name}({each}:)": one for name, of in members.items() for each, one in getattr(of, "args", {}).items()
        }
        speechless += [f"{kind.name}.{name}" for name, of in {**members, **arguments}.items() if not of.description]
        used |= {of.description for of in {**members, **arguments}.values()}
    assert speechless == [], "say what it is: in place, or in schema/glossary"
    words = {*WORDS.values(), *(word for values in VALUES.values() for word in values.values())}
    assert words - used == set()


DEFAULTS = {DangerousChangeType.ARG_DEFAULT_VALUE_CHANGE, DangerousChangeType.INPUT_FIELD_DEFAULT_VALUE_CHANGE}


def broken_since(released: str) -> list[str]:
    """Return what clients of a released schema would notice, changed defaults too."""
    before = build_ast_schema(parse(released))
    changed = [change for change in find_dangerous_changes(before, GRAPHQL) if change.type in DEFAULTS]
    return [change.description for change in [*find_breaking_changes(before, GRAPHQL), *changed]]


def test_nothing_of_the_last_release_is_broken() -> None:
    git = shutil.which("git")
    if not git or not _told(git, "rev-parse", "--git-dir"):
        pytest.skip("this is no clone")
    assert _told(git, "rev-parse", "--is-shallow-repository") == "false", (
        "fetch all commits and tags: a release is missed"
    )
    tag = _told(git, "describe", "--tags", "--abbrev=0", "--match", "v*")
    if not tag:
        pytest.skip("there is no release to compare with")
    assert broken_since(_told(git, "show", f"{tag}:schema/schema.graphql")) == [], (
        "deprecate it first (CONTRIBUTING.md)"
    )


@pytest.mark.parametrize(
    ("ours", "released", "told"),
    [
        ("  webhooks: [Webhook!]!", "  webhooks: [Webhook!]!\n  hooks: Int", "Query.hooks"),
        ("field: AssignmentSort! = DUE_AT", "field: AssignmentSort! = OFFERED_AT", "AssignmentBy.field"),
        ("): Node\n", "): Node!\n", "Query.node"),
        ("union ApiKeyResult = ApiKey |", "union ApiKeyResult = ApiKey | Webhook |", "ApiKeyResult"),
    ],
)
def test_what_a_release_had_is_missed(ours: str, released: str, told: str) -> None:
    now = SCHEMA.as_str()
    assert ours in now
    (found,) = broken_since(now.replace(ours, released))
    assert told in found


def _told(git: str, *arguments: str) -> str:
    done = subprocess.run([git, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def test_the_readme_shows_the_state_machines_as_they_are() -> None:
    readme = (ROOT / "README.md").read_text()
    assert markdown() in readme, "run: crossdock states, and put what it prints into the README"


def test_no_word_of_the_glossary_stands_where_it_means_something_else() -> None:
    types = GRAPHQL.type_map
    fields = """UserError.code NotFoundError.code Unavailability.code StockUpdate.level FenceCount.locations
        CostInput.maxGrams
        CarrierServiceInput.cost HoldbackInput.units Return.method ReturnOption.method ReturnWhere.order
        OutOfStockError.missing StockLevel.item"""
    for kind, field in (each.split(".") for each in fields.split()):
        known = types[kind].fields[field]  # type: ignore[attr-defined]
        assert known.description != WORDS[field], f"{kind}.{field}"
    assert ROOT_FIELDS["Mutation.requestReturn"].args["method"].description != WORDS["method"]
