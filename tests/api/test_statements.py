"""What a query asks of Postgres does not grow with the rows it shows."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from domain.transaction import Connection, Database
from domain.vocabulary import Role
from tests.api.house import House
from tests.api.viewers import Town, visited

PERSON = "edges { node { id } }"
ITEM = "item { sku name weightGrams }"
PLACE = "location { code name }"
LINE = f"id sku quantity {ITEM}"
DEEPEST = {
    "orders": f"""{{ orders(first: 50) {{ edges {{ node {{
        number lines {{ {LINE} }} timeline {{ kind at }} routing {{ id candidates {{ chosen }} }}
        assignments {{ number {PLACE} lines {{ id sku {ITEM} }} shipments {{ id lines {{ sku }} events {{ at }} }} }}
        shipments {{ trackingNumber lines {{ sku }} location {{ code }} }} }} }} }} }}""",
    "assignments": f"""{{ assignments(first: 50) {{ edges {{ node {{
        number {PLACE} order {{ number lines {{ {LINE} }} assignments {{ number {PLACE} }} }}
        lines {{ id {ITEM} }} shipments {{ id }} }} }} }} }}""",
    "stockLevels": f"{{ stockLevels(first: 50) {{ edges {{ node {{ onHand {ITEM} {PLACE} }} }} }} }}",
    "stockMovements": f"""{{ stockMovements(first: 50) {{ edges {{ node {{
        onHandDelta {PLACE} order {{ number lines {{ {LINE} }} }} }} }} }} }}""",
}
"""The deepest that a screen sensibly asks for."""


RETURN = f"""number order {{ number lines {{ {LINE} }} }} lines {{ sku disposition transferTo {{ code }} }}
    announcedLocation {{ code }} receivedLocation {{ code }} timeline {{ at }} allowedActions"""
DECISION = """cost { amount } order { number } policy { id } parcels { location { code } lines { sku } }
    alternatives { cost { amount } } candidates(first: 5) { location { code } }"""
OF_A_TOWN = {
    "orders": f"""{{ orders(first: 50) {{ edges {{ node {{ number allowedActions returns {{ {RETURN} }}
        routing {{ {DECISION} }} shipments {{ carrierService {{ code }} location {{ code }} lines {{ sku }} }}
        assignments {{ allowedActions carrierService {{ code }} shipments {{ events {{ at }} }} }} }} }} }} }}""",
    "returns": f"{{ returns(first: 50) {{ edges {{ node {{ {RETURN} }} }} }} }}",
    "transfers": f"""{{ transfers(first: 50) {{ edges {{ node {{ number from {{ code }} to {{ code }}
        carrierService {{ code }} order {{ number lines {{ {LINE} }} }} lines {{ sku }} }} }} }} }}""",
    "locations": f"""{{ locations(first: 50) {{ edges {{ node {{ code capacity {{ weekdays {{ orders }} }}
        carrierServices {{ code }} stockLevels(first: 5) {{ totalCount edges {{ node {{ onHand {ITEM} }} }} }}
        assignments(last: 5) {{ edges {{ node {{ number order {{ number }} }} }}
        pageInfo {{ hasPreviousPage }} }} }} }} }} }}""",
    "_entities": f"""query ($of: [_Any!]!) {{ _entities(representations: $of) {{
        ... on Order {{ number lines {{ {LINE} }} assignments {{ {PLACE} }} returns {{ {RETURN} }} }}
        ... on Item {{ name availability {{ available }} }} ... on Location {{ name }} }} }}""",
}


BACKGROUND = ("feed", "timer", "webhook", "typeinfo_tree", "current_setting")


def _asked(seen: list[str]) -> list[str]:
    return [sql for sql in seen if not any(word in sql for word in BACKGROUND)]


@asynccontextmanager
async def _noted(database: Database, seen: list[str]) -> AsyncIterator[Connection]:
    async with database.pool.acquire() as connection:
        note = lambda record: seen.append(record.query)  # noqa: E731 - asyncpg finds it again by what it is
        connection.add_query_logger(note)
        try:
            yield connection
        finally:
            connection.remove_query_logger(note)


async def test_no_statement_is_asked_once_a_row(
    settled_dsn: str, settled: tuple[str, Town], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with visited(settled_dsn, settled[1], federation=True) as town:
        house = town.house
        orders = await house.ask(Role.ADMIN, "{ orders(first: 50) { edges { node { id number } } } }")
        keys = [edge["node"] for edge in orders["edges"]]
        of = [{"__typename": "Order", "id": key["id"]} for key in keys]
        of += [{"__typename": "Order", "number": key["number"]} for key in keys]
        of += [{"__typename": "Item", "sku": sku} for sku in ("mug", "pen", "lamp", "quill", "quiz", "rug")]
        of += [{"__typename": "Location", "code": code} for code in house.ids]
        seen: list[str] = []
        monkeypatch.setattr(Database, "reading", lambda database: _noted(database, seen))
        for name, query in OF_A_TOWN.items():
            seen.clear()
            answer = await house.ask(Role.ADMIN, query, **({"of": of} if name == "_entities" else {}))
            ((statement, times),) = Counter(_asked(seen)).most_common(1)
            assert times <= 3, (name, times, statement)
            assert len(answer if name == "_entities" else answer["edges"]) >= 3, name
        edges = (
            "stockLevels(first: 3) { totalCount pageInfo { hasNextPage endCursor } edges { node { item { sku } } } }"
        )
        every = await house.ask(Role.ADMIN, f"{{ locations {{ edges {{ node {{ id {edges} }} }} }} }}")
        for node in [edge["node"] for edge in every["edges"]]:
            assert (
                await house.ask(Role.ADMIN, f"query ($id: ID!) {{ location(id: $id) {{ id {edges} }} }}", id=node["id"])
                == node
            )


async def test_statements_do_not_grow_with_rows_and_nothing_is_counted_unasked(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def statements(query: str) -> tuple[list[str], dict[str, Any]]:
        seen: list[str] = []
        with monkeypatch.context() as patch:
            patch.setattr(Database, "reading", lambda database: _noted(database, seen))
            answer = await house.ask(Role.ADMIN, query)
        return _asked(seen), answer

    before: dict[str, int] = {}
    await house.place("first", [("mug", 1)])
    for rows in (2, 14):
        token = (await house.options(("mug", 1), methods=["DELIVERY"], levels=["STANDARD"]))["options"][0]["token"]
        for number in range(rows):
            wish = {"level": "STANDARD"} if number % 2 else {"optionToken": token}  # which is decided again when asked
            lines = [("mug", 1), ("pen", 1)][: 1 + number % 2]
            placed = await house.place(f"{rows} {number}", lines, **wish)
            assert placed["__typename"] == "Order"
        for name, query in DEEPEST.items():
            seen, answer = await statements(query)
            assert len(seen) <= before.setdefault(name, len(seen)), (name, seen)
            assert not any("count(*)" in sql for sql in seen), name
    item = "{ items(first: %d) { edges { node { sku availability { available } } } } }"
    (one, _), (four, _) = [await statements(item % number) for number in (1, 4)]
    assert len(one) == len(four), four
    counted_too, answer = await statements("{ orders { totalCount edges { node { number } } } }")
    assert answer["totalCount"] == 17
    assert sum("count(*)" in sql for sql in counted_too) == 1
    assert not any("OFFSET" in sql.upper() for sql in counted_too)
