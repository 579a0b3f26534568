"""A key answers what it answered first, for as long as it is remembered."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from domain import idempotency
from domain.errors import IdempotencyConflict, InvalidInput
from domain.idempotency import TIMER, answered, forgetting
from domain.timers import begin, run_due
from domain.transaction import Database, open_pool

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    """An empty database."""
    pool = await open_pool(dsn)
    yield Database(pool)
    await pool.close()


async def say(database: Database, key: str, said: object, result: str, now: datetime = NOW, scope: str = "do") -> str:
    async with database.transaction() as connection:
        return await answered(connection, scope, key, said, result, now=now)


async def test_a_key_answers_its_first_result_to_the_same_input_and_refuses_another(database: Database) -> None:
    assert await say(database, "key", ["a", 1], "first") == "first"
    assert await say(database, "key", ["a", 1], "second") == "first"
    assert await say(database, "key", ["b"], "third", scope="another") == "third"
    assert await say(database, "another", ["b"], "fourth") == "fourth"
    with pytest.raises(IdempotencyConflict):
        await say(database, "key", ["a", 2], "fifth")
    for unusable in ("", " ", "\0", "x" * 256):
        with pytest.raises(InvalidInput):
            await say(database, unusable, [], "sixth")


async def test_a_key_whose_call_failed_is_free(database: Database) -> None:
    async def fail() -> None:
        async with database.transaction() as connection:
            await answered(connection, "do", "key", ["a"], "first", now=NOW)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert await say(database, "key", ["b"], "second") == "second"


async def test_old_keys_are_forgotten_hour_by_hour_a_bounded_number_at_a_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "FORGET_AT_ONCE", 2)
    handlers = {idempotency.TIMER: forgetting(24 * HOUR)}
    for _ in range(2):
        await begin(database, [TIMER], now=NOW)
    for n in range(3):
        await say(database, f"old {n}", [], "first")
    await say(database, "young", [], "first", now=NOW + HOUR)
    assert [await run_due(database, handlers, now=NOW) for _ in range(2)] == [1, 0]
    later = NOW + 24 * HOUR + timedelta(seconds=1)
    assert [await run_due(database, handlers, now=later) for _ in range(3)] == [1, 1, 0]
    async with database.reading() as connection:
        assert [row["key"] for row in await connection.fetch("SELECT key FROM idempotency")] == ["young"]
        assert await connection.fetchval("SELECT due_at FROM timer") == later + HOUR
    assert await say(database, "old 0", ["other"], "second") == "second"
