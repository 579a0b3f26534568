"""The whole process on a real Postgres: its health, its figures, its wake-ups, its end."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app import auth, main
from app.execution import build_schema
from app.main import create_app
from app.settings import Settings
from domain.feed import tailing
from domain.vocabulary import Role
from tests.api.serve import calling, serving
from tests.api.tiny import Mutation, Query, Subscription

SECRET = "a secret for the tests, which is long enough"


def gateway(dsn: str, **more: object) -> Starlette:
    settings = Settings(secret=SECRET, database_url=dsn, **more)  # type: ignore[arg-type]
    return create_app(settings, dsn, schema=build_schema(Query, Mutation, Subscription))


@pytest.fixture
async def client(dsn: str) -> AsyncIterator[httpx.AsyncClient]:
    token = auth.issue(SECRET, role=Role.ADMIN, name="Ada", ttl=timedelta(hours=1), now=datetime.now(UTC))
    async with (
        serving(gateway(dsn)) as address,
        calling(address, headers={"Authorization": f"Bearer {token}"}) as client,
    ):
        yield client


async def test_it_is_healthy_ready_and_answers(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()) == (
        200,
        {"status": "ok", "database": "ok", "migrations": "ok", "feed": "ok"},
    )
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
    async with asyncio.timeout(30):
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


async def test_figures_tell_operations_by_name_and_no_more_names_than_are_bounded(client: httpx.AsyncClient) -> None:
    for query in (
        "query Who { who }",
        "query Who { who }",
        "{ who }",
        "{ nonsense",
        f"query {'L' * 10_000} {{ who }}",
        *(f"query A{n} {{ who }}" for n in range(200)),
    ):
        await client.post("/graphql", json={"query": query})
    figures = (await client.get("/metrics")).text
    assert 'crossdock_operation_seconds_count{operation="Who"} 2.0' in figures
    assert 'crossdock_operation_seconds_count{operation="anonymous"} 1.0' in figures
    assert 'crossdock_operation_seconds_count{operation="other"} 3.0' in figures
    assert "LLL" not in figures
    for gauge in ("crossdock_pool_connections", "crossdock_feed_lag_seconds", "crossdock_placement_batch_orders_count"):
        assert f"\n{gauge} " in figures


async def test_an_answer_carries_the_id_of_its_request_and_so_do_the_faults_and_the_log(
    client: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    fault = await client.post("/graphql", json={"query": "{ fault }"}, headers={"X-Request-ID": "from-the-edge.1"})
    assert fault.headers["x-request-id"] == "from-the-edge.1"
    assert fault.json()["errors"][0]["extensions"]["requestId"] == "from-the-edge.1"
    assert "from-the-edge.1" in capsys.readouterr().out
    ids = [
        (await client.get("/healthz", headers={"X-Request-ID": odd})).headers["x-request-id"]
        for odd in ("", "two words", "x" * 65)
    ]
    assert len(set(ids)) == 3
    assert all(len(each) == 16 for each in ids)


async def test_a_database_behind_these_tables_is_not_ready(client: httpx.AsyncClient, dsn: str) -> None:
    other = await asyncpg.connect(dsn)
    try:
        await other.execute("UPDATE alembic_version SET version_num = '0001'")
    finally:
        await other.close()
    behind = await client.get("/readyz")
    assert (behind.status_code, behind.json()["migrations"]) == (503, "unavailable")


async def test_it_is_not_ready_while_it_cannot_read_the_feed(
    client: httpx.AsyncClient, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main, "FEED_SECONDS", 1.5)
    monkeypatch.setattr(tailing, "QUIET_SECONDS", 0.1)
    other = await asyncpg.connect(dsn)
    async with asyncio.timeout(15):
        async with other.transaction():
            await other.execute("LOCK TABLE feed IN ACCESS EXCLUSIVE MODE")
            lagging = {"status": "unavailable", "database": "ok", "migrations": "ok", "feed": "unavailable"}
            while (answer := await client.get("/readyz")).json() != lagging:
                await asyncio.sleep(0.1)
            assert answer.status_code == 503
        while (await client.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.1)
    await other.close()


async def test_who_cannot_be_known_while_the_provider_is_away_is_told_to_come_again(dsn: str) -> None:
    provider = {"jwks_url": "http://127.0.0.1:1/keys", "token_issuer": "x", "token_audience": "y"}
    token = jwt.encode({"sub": "ada"}, ec.generate_private_key(ec.SECP256R1()), algorithm="ES256")
    async with serving(gateway(dsn, **provider)) as address, calling(address) as client:
        url, headers = f"http://{address}/graphql", {"Authorization": f"Bearer {token}"}
        answer = await client.post(url, json={"query": "{ who }"}, headers=headers)
        assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (503, "UNAVAILABLE")


async def test_spans_go_to_the_collector_within_the_callers_trace(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bodies: list[bytes] = []

    async def collect(request: Request) -> Response:
        bodies.append(await request.body())
        return Response()

    async with serving(Starlette(routes=[Route("/v1/traces", collect, methods=["POST"])])) as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://{collector}")
        async with serving(gateway(dsn, tracing=True)) as address, calling(address) as client:
            token = auth.issue(SECRET, role=Role.ADMIN, name="Ada", ttl=timedelta(hours=1), now=datetime.now(UTC))
            trace = "4bf92f3577b34da6a3ce929d0e0e4736"
            headers = {"Authorization": f"Bearer {token}", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
            await client.post(f"http://{address}/graphql", json={"query": "query Who { who }"}, headers=headers)
    sent = ExportTraceServiceRequest.FromString(bodies[0])
    spans = {span.name: span for span in sent.resource_spans[0].scope_spans[0].spans}
    assert spans["graphql Who"].parent_span_id == spans["POST /graphql"].span_id
    assert {span.trace_id.hex() for span in spans.values()} == {trace}


async def test_it_ends_without_a_connection_or_a_task_left(dsn: str) -> None:
    before = asyncio.all_tasks()
    async with serving(gateway(dsn)) as address, calling(address) as client:
        assert (await client.get(f"http://{address}/readyz")).status_code == 200
    assert asyncio.all_tasks() == before
    other = await asyncpg.connect(dsn)
    try:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        assert await other.fetchval(query) == 0
    finally:
        await other.close()
