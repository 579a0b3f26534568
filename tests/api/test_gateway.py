"""The whole process on a real Postgres: its health, its figures, its wake-ups, its end."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx
import pytest
from starlette.applications import Starlette

from app import auth
from app.graphql import build_schema
from app.main import create_app
from app.settings import Settings
from domain.vocabulary import Role
from tests.api.serve import serving
from tests.api.tiny import Mutation, Query, Subscription

SECRET = "a secret for the tests, which is long enough"


def gateway(dsn: str) -> Starlette:
    settings = Settings(secret=SECRET, database_url=dsn)  # type: ignore[arg-type]
    return create_app(settings, dsn, schema=build_schema(Query, Mutation, Subscription))


@pytest.fixture
async def client(dsn: str) -> AsyncIterator[httpx.AsyncClient]:
    token = auth.issue(SECRET, role=Role.ADMIN, name="Ada", ttl=timedelta(hours=1), now=datetime.now(UTC))
    async with (
        serving(gateway(dsn)) as address,
        httpx.AsyncClient(base_url=f"http://{address}", headers={"Authorization": f"Bearer {token}"}) as client,
    ):
        yield client


async def test_it_is_healthy_ready_and_answers(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"status": "ok", "database": "ok", "feed": "ok"})
    answer = await client.post("/graphql", json={"query": "{ who }"})
    assert answer.json() == {"data": {"who": "ADMIN Ada"}}
    assert (await client.get("/favicon.ico")).status_code == 204


async def test_it_is_not_ready_while_the_database_is_full_or_away(client: httpx.AsyncClient, dsn: str) -> None:
    other = await asyncpg.connect(f"{dsn.rpartition('/')[0]}/postgres")
    name = dsn.rpartition("/")[2]
    try:
        await other.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
        away = await client.get("/readyz")
        assert (away.status_code, away.json()["database"]) == (503, "unavailable")
        assert (await client.get("/healthz")).status_code == 200
        await other.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    finally:
        await other.close()
    async with asyncio.timeout(5):
        while (await client.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.05)


async def test_figures_tell_requests_by_method_and_status(client: httpx.AsyncClient) -> None:
    await client.post("/graphql", json={"query": "{ who }"})
    await client.post("/graphql", json={})
    await client.request("PUT", "/graphql")
    figures = (await client.get("/metrics")).text
    assert 'crossdock_http_requests_total{method="POST",status="200"} 1.0' in figures
    assert 'crossdock_http_requests_total{method="POST",status="400"} 1.0' in figures
    assert 'crossdock_http_requests_total{method="other",status="405"} 1.0' in figures
    assert "crossdock_open_sockets 0.0" in figures
    assert "crossdock_feed_xid" in figures


async def test_it_ends_without_a_connection_or_a_task_left(dsn: str) -> None:
    before = asyncio.all_tasks()
    async with serving(gateway(dsn)) as address, httpx.AsyncClient() as client:
        assert (await client.get(f"http://{address}/readyz")).status_code == 200
    assert asyncio.all_tasks() == before
    other = await asyncpg.connect(dsn)
    try:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        assert await other.fetchval(query) == 0
    finally:
        await other.close()
