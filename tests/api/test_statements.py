"""What a query asks of Postgres does not grow with the rows it shows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from domain.transaction import Connection, Database
from domain.vocabulary import Role
from tests.api.house import House

PERSON = "edges { node { id } }"
ITEM = "item { sku name weightGrams }"
PLACE = "location { code name }"
LINE = f"id sku quantity {ITEM}"
DEEPEST = {
    "orders": f"""{{ orders(first: 50) {{ edges {{ node {{
        number lines {{ {LINE} }} timeline {{ kind at }} routing {{ id }}
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


@asynccontextmanager
async def _noted(database: Database, seen: list[str]) -> AsyncIterator[Connection]:
    async with database.pool.acquire() as connection:
        note = lambda record: seen.append(record.query)  # noqa: E731 - asyncpg finds it again by what it is
        connection.add_query_logger(note)
        try:
            yield connection
        finally:
            connection.remove_query_logger(note)


async def test_statements_do_not_grow_with_rows_and_nothing_is_counted_unasked(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def statements(query: str) -> tuple[list[str], dict[str, Any]]:
        seen: list[str] = []
        with monkeypatch.context() as patch:
            patch.setattr(Database, "reading", lambda database: _noted(database, seen))
            answer = await house.ask(Role.ADMIN, query)
        background = ("feed", "timer", "webhook", "typeinfo_tree", "current_setting")
        return [sql for sql in seen if not any(word in sql for word in background)], answer

    before: dict[str, int] = {}
    await house.place("first", [("mug", 1)])
    for rows in (2, 14):
        for number in range(rows):
            placed = await house.place(f"{rows} {number}", [("mug", 1), ("pen", 1), ("lamp", 1)][: 1 + number % 2])
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
