"""Operations made up from the whole schema, as each role: none is answered with a fault, and the books agree after.

Run by `make fuzz`, not by `make test`. OPERATIONS says how many, 2,000 unless it is set.
"""

import asyncio
import os
from collections import Counter
from typing import Any

import graphql
import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis_graphql import from_schema, nodes

from app.execution import build_schema
from domain import inventory
from domain.vocabulary import Role
from tests.api.house import House, furnish, opened

OPERATIONS = int(os.environ.get("OPERATIONS", "2000"))
SEED = int(os.environ.get("SEED", "1"))
LARGEST_ANSWER = 8 * 2**20
TIMES = [
    "2026-03-04T11:00:00Z",
    "2026-12-31T23:59:59.999999+14:00",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "x",
]
SCALARS = {
    "DateTime": st.sampled_from(TIMES).map(nodes.String),
    "Date": st.sampled_from(["2026-03-04", "0001-01-01", "9999-12-31", "2026-02-30"]).map(nodes.String),
    "Duration": st.sampled_from(["PT15M", "P1D", "PT0S", "P9999999W", "-PT1H", "x"]).map(nodes.String),
    "Decimal": st.sampled_from(["10.00", "0", "-1", "1e400", "NaN", "0.001", "9" * 40]).map(nodes.String),
    "Cursor": st.sampled_from(["1.1.1", "0.0.0", "1." + "9" * 30 + ".1", "x"]).map(nodes.String),
}
# Where an argument cannot be read, graphql-core drops the fields beside it that it has begun, and Python warns of them.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

LOCATIONS = {Role.STORE: ("SM",)}
SCHEMA = graphql.build_schema(build_schema().as_str())


def known(text: str, ids: list[str]) -> str:
    """Return the operation, its made-up texts now and then replaced by what there is."""
    found = {"ID": ids, "sku": ["mug", "lamp", "pen"], "code": ["WB", "SM"], "locationCode": ["WB", "SM"]}
    document = graphql.parse(text)

    class Replace(graphql.Visitor):
        count = 0

        def enter_string_value(self, _node: Any, _key: Any, _parent: Any, _path: Any, ancestors: list[Any]) -> Any:
            Replace.count += 1
            names = [each.name.value for each in ancestors if hasattr(each, "name") and each.name is not None]
            name = names[-1] if names else ""
            some = found.get(name) or (ids if name.lower().endswith(("id", "ids")) else [])
            if not some or Replace.count % 4 == 0:
                return None
            return graphql.StringValueNode(value=some[(len(text) + Replace.count) % len(some)])

    return graphql.print_ast(graphql.visit(document, Replace()))


async def check(house: House, role: Role, operation: str, seen: Counter[str]) -> None:
    headers = {
        "Authorization": f"Bearer {house.token(role, *LOCATIONS.get(role, ()))}",
        "Accept": "application/graphql-response+json",
    }
    answer: httpx.Response = await house.http.post("/graphql", json={"query": operation}, headers=headers)
    assert answer.status_code < 500, (answer.status_code, answer.text, operation)
    assert len(answer.content) <= LARGEST_ANSWER, operation
    codes = [str(error.get("extensions", {}).get("code")) for error in answer.json().get("errors", ())]
    assert not {"INTERNAL", "UNAVAILABLE", "TIMEOUT", "None"} & set(codes), (answer.text, operation)
    seen.update({str(answer.status_code): 1, **dict.fromkeys(codes, 1)})


@pytest.mark.parametrize("role", Role)
def test_made_up_operations_are_answered_without_a_fault_and_leave_books_that_agree(dsn: str, role: Role) -> None:
    seen: Counter[str] = Counter()
    with asyncio.Runner() as runner:
        stack = opened(dsn)
        house = runner.run(stack.__aenter__())
        runner.run(furnish(house))
        order = runner.run(house.place("fuzz", [("mug", 2), ("pen", 1)]))
        ids = [*house.ids.values(), order["id"], *(each["id"] for each in runner.run(house.work(order["id"])))]

        @seed(SEED)
        @settings(
            max_examples=OPERATIONS // len(Role),
            deadline=None,
            database=None,
            phases=[Phase.generate],  # a smaller failure is not worth minutes: the operation is told as it was
            suppress_health_check=list(HealthCheck),
        )
        @given(operation=from_schema(SCHEMA, custom_scalars=SCALARS))
        def ask(operation: str) -> None:
            runner.run(check(house, role, known(operation, ids), seen))

        try:
            ask()
            assert house.gateway is not None

            async def books() -> list[Any]:
                async with house.gateway.database.reading() as connection:  # type: ignore[union-attr]
                    return list(await inventory.check(connection))

            assert runner.run(books()) == []
        finally:
            runner.run(stack.__aexit__(None, None, None))
    print(f"\n{role}: {sum(count for what, count in seen.items() if what.isdigit())} operations, {dict(seen)}")  # noqa: T201
