"""Operations made up from the whole schema, as each role: none is answered with a fault, and the books agree after.

Run by `make fuzz`, not by `make test`. Each root field has its share of OPERATIONS, 2,000 unless that is set; each role
asks them all, of a town where work was done.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import graphql
import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis_graphql import mutations, nodes, queries

from app.admission import LIMITS
from app.execution import build_schema
from domain import inventory
from domain.vocabulary import Role
from schema.paging import parse_id
from tests.api import viewers
from tests.api.viewers import ADMIN, OWN, STOREFRONT, Caller, Town, visited

OPERATIONS = int(os.environ.get("OPERATIONS", "2000"))
SEED = int(os.environ.get("SEED", "1"))
PASSES = 2  # the second finds what the first left behind
LARGEST_ANSWER = 8 * 2**20
LISTEN_SECONDS = 0.05
FAULTS = {"INTERNAL", "UNAVAILABLE", "TIMEOUT", "None"}
CALLERS = (STOREFRONT, OWN, viewers.OPERATIONS, ADMIN)
TIMES = [
    "2026-03-04T11:00:00Z",
    "2026-12-31T23:59:59.999999+14:00",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "2026-03-06T10:00:00Z",
    "2026-03-29T02:30:00+01:00",
    "x",
]
SCALARS = {
    "DateTime": st.sampled_from(TIMES).map(nodes.String),
    "Date": st.sampled_from(["2026-03-04", "0001-01-01", "9999-12-31", "2026-02-30"]).map(nodes.String),
    "Duration": st.sampled_from(["PT15M", "P1D", "PT2H", "PT0S", "P9999999W", "-PT1H", "x"]).map(nodes.String),
    "Decimal": st.sampled_from(["10.00", "5", "0.5", "0", "-1", "1e400", "NaN", "0.001", "9" * 40]).map(nodes.String),
    "Cursor": st.sampled_from(["1.1.1", "0.0.0", "1." + "9" * 30 + ".1", "x"]).map(nodes.String),
}
# Where an argument cannot be read, graphql-core drops the fields beside it that it has begun, and Python warns of them.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

SCHEMA = graphql.build_schema(build_schema().as_str())
FOLLOWED = graphql.GraphQLSchema(query=SCHEMA.subscription_type)
MAKERS = {"Query": (queries, SCHEMA), "Mutation": (mutations, SCHEMA), "Subscription": (queries, FOLLOWED)}
ROOTS = [
    (kind.name, name)
    for kind in (SCHEMA.query_type, SCHEMA.mutation_type, SCHEMA.subscription_type)
    if kind is not None
    for name in kind.fields
]
ARGUMENTS = {
    "sku": ["mug", "lamp", "pen", "quill"],
    "skus": ["mug", "quill"],
    "country": ["DE"],
    "postalCode": ["10115"],
    "city": ["Berlin"],
    "url": ["https://93.184.215.14/"],
    **{name: ["WB", "SM", "SN"] for name in ("code", "locationCode", "locationCodes")},
}


def known(text: str, root: str, ids: list[str]) -> str:
    """Return the operation, three in four of its made-up texts replaced by what there is: ids of the kind asked for."""
    count = 0

    class Replace(graphql.Visitor):
        def enter_string_value(self, _node: Any, _key: Any, _parent: Any, _path: Any, ancestors: list[Any]) -> Any:
            nonlocal count
            count += 1
            names = [each.name.value for each in ancestors if getattr(each, "name", None) is not None]
            name = names[-1] if names else ""
            some = ARGUMENTS.get(name, [])
            if name.lower().endswith(("id", "ids")):
                where = root if name in {"id", "ids"} else name
                some = [each for each in ids if (parse_id(each) or ("",))[0].lower() in where.lower()] or ids
            if not some or count % 4 == 0:
                return None
            return graphql.StringValueNode(value=some[(len(text) + count) % len(some)])

    return graphql.print_ast(graphql.visit(graphql.parse(text), Replace()))


def ids_of(town: Town) -> Iterator[str]:
    """Yield the ids of all that is in the town."""
    yield from town.house.ids.values()
    yield from (town.shared, town.reservation, town.policy, town.terms, town.decision, town.webhook, town.key)
    for share in town.shares.values():
        for some in share.ids.values():
            yield from some
        yield from share.returning.values()
        yield from share.motion.values()


async def check(town: Town, caller: Caller, operation: str, seen: Counter[str]) -> None:
    """Ask as a caller, and fail on a fault of ours."""
    headers = {"Authorization": f"Bearer {caller.token(town.house)}", "Accept": "application/graphql-response+json"}
    body = {"query": operation, "extensions": {"cost": True}}
    answer: httpx.Response = await town.house.http.post("/graphql", json=body, headers=headers)
    assert answer.status_code < 500, (answer.status_code, answer.text, operation)
    assert len(answer.content) <= LARGEST_ANSWER, operation
    told = answer.json()
    codes = {str(error.get("extensions", {}).get("code")) for error in told.get("errors", ())}
    assert not FAULTS & codes, (answer.text, operation)
    if "extensions" in told:
        assert told["extensions"]["cost"]["requested"] <= LIMITS[caller.role]
    done = "done" if not codes and '"__typename":"' not in answer.text else "told"
    seen.update([str(answer.status_code), *(codes or {done})])


async def follow(town: Town, caller: Caller, operation: str, seen: Counter[str]) -> None:
    """Follow for a moment as a caller, and fail on a fault of ours."""
    headers = {"Authorization": f"Bearer {caller.token(town.house)}", "Accept": "text/event-stream"}
    heard = ""
    async with town.house.http.stream("POST", "/graphql", json={"query": operation}, headers=headers) as events:
        assert events.status_code < 500, operation
        try:
            async with asyncio.timeout(LISTEN_SECONDS):
                async for part in events.aiter_text():
                    heard += part
        except TimeoutError:
            pass
    assert not any(f'"{code}"' in heard for code in FAULTS), (heard, operation)
    seen.update([str(events.status_code), "followed"])


async def ask(town: Town, kind: str, operation: str, seen: dict[Role, Counter[str]]) -> None:
    for caller in CALLERS:
        if kind == "Subscription":
            await follow(town, caller, f"subscription {operation.removeprefix('query')}", seen[caller.role])
        else:
            await check(town, caller, operation, seen[caller.role])


def made_up(kind: str, root: str, number: int, use: Callable[[str, str, str], None]) -> None:
    """Make operations of a root field up, and use each."""
    make, schema = MAKERS[kind]

    @seed(SEED * 1000 + number)
    @settings(
        max_examples=-(-OPERATIONS // (len(ROOTS) * PASSES)),
        deadline=None,
        database=None,
        phases=[Phase.generate],  # a smaller failure is not worth minutes: the operation is told as it was
        suppress_health_check=list(HealthCheck),
    )
    @given(made=make(schema, fields=[root], custom_scalars=SCALARS))
    def fuzz(made: str) -> None:
        use(kind, root, made)

    fuzz()


def test_made_up_operations_are_answered_without_a_fault_and_leave_books_that_agree(
    settled_dsn: str, settled: tuple[str, Town]
) -> None:
    seen: dict[Role, Counter[str]] = {caller.role: Counter() for caller in CALLERS}
    began = time.process_time()
    with asyncio.Runner() as runner:
        stack = visited(settled_dsn, settled[1], max_cost=None)
        town = runner.run(stack.__aenter__())
        ids = list(ids_of(town))
        try:
            for number, (kind, root) in enumerate(ROOTS * PASSES):
                made_up(
                    kind,
                    root,
                    number,
                    lambda kind, root, made: runner.run(ask(town, kind, known(made, root, ids), seen)),
                )

            async def books() -> list[Any]:
                async with town.house.gateway.database.reading() as connection:  # type: ignore[union-attr]
                    return list(await inventory.check(connection))

            assert runner.run(books()) == []
        finally:
            runner.run(stack.__aexit__(None, None, None))
    for role, counts in seen.items():
        asked = sum(count for what, count in counts.items() if what.isdigit())
        print(f"\n{role}: {asked} operations of {len(ROOTS)} root fields, {dict(counts.most_common())}", end="")  # noqa: T201
    print(f"\n{time.process_time() - began:.0f} s of CPU; the books agree")  # noqa: T201
