"""An operation that takes too long is stopped, and Postgres with it."""

import asyncio
import time

import asyncpg
import httpx
import pytest
import strawberry

from app.execution import build_schema
from app.main import create_app
from app.settings import Settings
from domain.transaction import Connection
from schema.context import Info, Loaders, _many
from tests.api.serve import calling, serving
from tests.api.tiny import SECRET, authorization

RUNNING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND state = 'active' AND query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()
"""


async def _sleep(connection: Connection, keys: object) -> list[object]:
    await connection.execute("SELECT pg_sleep(30)")
    return []


@strawberry.type
class Query:
    @strawberry.field
    async def quick(self, info: Info) -> int:
        async with info.context.database.reading() as connection:
            answer: int = await connection.fetchval("SELECT 1")
            return answer

    @strawberry.field
    async def slow(self, info: Info) -> str | None:
        async with info.context.database.reading() as connection:
            await connection.execute("SELECT pg_sleep(30)")
        return "late"

    @strawberry.field
    async def loaded(self, info: Info) -> str | None:
        await info.context.loaders.slow.load(1)  # type: ignore[attr-defined]
        return "late"


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def write(self, info: Info) -> str | None:
        async with info.context.database.transaction() as connection:
            await connection.execute("CREATE TABLE half_done ()")
            await connection.execute("SELECT pg_sleep(30)")
        return "late"


async def test_an_operation_past_its_time_is_stopped_with_its_sql(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loader = _many(_sleep, hash)  # type: ignore[arg-type]
    loader.__set_name__(Loaders, "slow")
    monkeypatch.setattr(Loaders, "slow", loader, raising=False)
    settings = Settings(secret=SECRET, database_url=dsn, operation_seconds=1, pool_max_size=6)  # type: ignore[arg-type]
    app = create_app(settings, dsn, schema=build_schema(Query, Mutation))
    other = await asyncpg.connect(dsn)
    try:
        async with serving(app) as address, calling(address, headers=authorization(), timeout=10) as http:

            async def ask(query: str) -> httpx.Response:
                accept = {"Accept": "application/graphql-response+json"}
                return await http.post(f"http://{address}/graphql", json={"query": query}, headers=accept)

            began = time.monotonic()
            answers = await asyncio.gather(
                *map(ask, ["{ loaded }", "{ quick slow }", "{ a: loaded b: slow }", "mutation { write }"])
            )
            assert time.monotonic() - began < 5
            for answer in answers:
                assert answer.status_code == 504
                assert answer.json()["errors"][0]["extensions"]["code"] == "TIMEOUT"
            async with asyncio.timeout(30):
                while await other.fetchval(RUNNING):
                    await asyncio.sleep(0.02)
            assert await other.fetchval("SELECT to_regclass('half_done')") is None
            assert (await ask("{ quick }")).json() == {"data": {"quick": 1}}
            assert app.state.gateway.database.pool.get_size() <= 6
    finally:
        await other.close()
