"""GraphQL over HTTP: what is asked, in which form, and what is answered with which status."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta

import httpx
import pytest
import pytest_asyncio

from app.documents import Documents
from app.graphql import GraphQLView
from app.limits import Limits
from domain.vocabulary import Role
from tests.api.serve import calling
from tests.api.tiny import WATCH, authorization, no_generator_left, tiny_server, token

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
MOST = Limits()


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def served() -> AsyncIterator[tuple[httpx.AsyncClient, GraphQLView]]:
    async with (
        tiny_server(max_body_bytes=100_000) as (address, view),
        calling(address, headers=authorization(), timeout=5) as client,
    ):
        yield client, view


@pytest.fixture
def client(served: tuple[httpx.AsyncClient, GraphQLView]) -> httpx.AsyncClient:
    return served[0]


async def ask(
    client: httpx.AsyncClient,
    query: str,
    *,
    accept: str = GRAPHQL_JSON,
    variables: dict[str, object] | None = None,
) -> httpx.Response:
    return await client.post("/graphql", json={"query": query, "variables": variables}, headers={"Accept": accept})


def code(response: httpx.Response) -> str:
    (error, *_) = response.json()["errors"]
    return str(error["extensions"]["code"])


@pytest.mark.parametrize(
    ("accept", "given"),
    [
        (GRAPHQL_JSON, GRAPHQL_JSON),
        (JSON, JSON),
        ("*/*", JSON),
        ("text/plain", JSON),
        (f"{GRAPHQL_JSON}, {JSON};q=0.9", GRAPHQL_JSON),
        (f"{GRAPHQL_JSON};q=0.5, {JSON};q=0.9", JSON),
        (f"{GRAPHQL_JSON};q=0", JSON),
    ],
)
async def test_an_answer_has_the_media_type_that_is_liked_best(
    client: httpx.AsyncClient, accept: str, given: str
) -> None:
    response = await ask(client, "{ echo }", accept=accept)
    assert (response.status_code, response.headers["content-type"]) == (200, given)
    assert response.json() == {"data": {"echo": "nothing"}}


async def test_an_answer_without_an_accept_header_is_json(client: httpx.AsyncClient) -> None:
    request = client.build_request("POST", "/graphql", json={"query": "{ echo }"})
    del request.headers["accept"]
    response = await client.send(request)
    assert response.headers["content-type"] == JSON


@pytest.mark.parametrize(
    ("query", "variables", "error"),
    [
        ("{ echo", None, "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("query ($n: Int!) { echo(number: $n) }", {"n": "x"}, "INVALID_INPUT"),
        ("query ($n: Int!) { echo(number: $n) }", {"n": 2**31}, "INVALID_INPUT"),
        ("query ($n: Int!) { echo(number: $n) }", {}, "INVALID_INPUT"),
        ("query A { echo } query B { echo }", None, "INVALID_INPUT"),
        (r'{ echo(text: "\u0000") }', None, "INVALID_INPUT"),
        ("{" * 5_000, None, "GRAPHQL_PARSE_FAILED"),
        ("{ inner " * 3_000 + "}" * 3_000, None, "GRAPHQL_PARSE_FAILED"),
        ("{ echo " + "echo " * 12_000 + "}", None, "GRAPHQL_PARSE_FAILED"),
    ],
)
async def test_an_operation_that_cannot_run_has_no_data_and_is_400_in_the_new_media_type_only(
    client: httpx.AsyncClient, query: str, variables: dict[str, object] | None, error: str
) -> None:
    for accept, status in ((GRAPHQL_JSON, 400), (JSON, 200)):
        response = await ask(client, query, accept=accept, variables=variables)
        assert (response.status_code, code(response)) == (status, error)
        assert "data" not in response.json()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b'{"query": "{ echo }"', 400),
        (b"\xff\xfe", 400),
        (b"null", 400),
        (b"1", 400),
        (b'"{ echo }"', 400),
        (b'[{"query": "{ echo }"}]', 400),
        (b"{}", 400),
        (b'{"query": null}', 400),
        (b'{"query": ""}', 400),
        (b'{"query": 1}', 400),
        (b'{"query": "{ echo }", "variables": [1]}', 400),
        (b'{"query": "{ echo }", "variables": "x"}', 400),
        (b'{"query": "{ echo }", "variables": 0}', 400),
        (b'{"query": "{ echo }", "extensions": false}', 400),
        (b'{"query": "{ echo }", "extensions": 1}', 400),
        (b'{"query": "{ echo }", "operationName": 1}', 400),
        (b'{"query": "{ echo }", "operationName": "Unknown"}', 400),
        (b'{"query": "fragment F on Query { echo }"}', 400),
        (b'{"query": "query ($t: String!) { echo(text: $t) }", "variables": {"t": "a\\u0000b"}}', 400),
        (b'{"query": "query A { echo }", "operationName": "A", "variables": null, "extensions": null}', 200),
        (b'{"query": "{ echo }", "surplus": true}', 200),
        (b"[" * 50_000, 400),
        (b'{"query": "{ echo }", "variables": ' + b'{"a":' * 2_000 + b"1" + b"}" * 2_001, 400),
        (b'{"query": "' + b" " * 100_000 + b'{ echo }"}', 413),
    ],
)
async def test_a_malformed_request_is_refused_with_its_status(
    client: httpx.AsyncClient, body: bytes, status: int
) -> None:
    for accept in (JSON, GRAPHQL_JSON):
        headers = {"Content-Type": JSON, "Accept": accept}
        response = await client.post("/graphql", content=body, headers=headers)
        assert (response.status_code, response.headers["content-type"]) == (status, accept)
        assert ("errors" in response.json()) is (status != 200)


async def test_a_body_without_a_length_is_stopped_at_the_limit(client: httpx.AsyncClient) -> None:
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(100_000):
            sent += 10_000
            yield b" " * 10_000

    try:
        response = await client.post("/graphql", content=body(), headers={"Content-Type": JSON})
    except (httpx.WriteError, httpx.ReadError):
        pass  # the server closed before it read the rest
    else:
        assert response.status_code == 413
    assert sent < 500_000_000


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/graphql", "multipart/form-data; boundary=x"])
async def test_a_body_that_is_not_json_is_415(client: httpx.AsyncClient, content_type: str | None) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    response = await client.post("/graphql", content=b'{"query": "{ echo }"}', headers=headers)
    assert (response.status_code, code(response)) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_json_with_a_charset_is_taken(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    response = await client.post("/graphql", content='{"query": "{ echo(text: \\"é\\") }"}'.encode(), headers=headers)
    assert response.json() == {"data": {"echo": "é"}}


async def test_a_query_is_served_by_get_and_a_mutation_is_not(client: httpx.AsyncClient) -> None:
    query = {"query": "query ($t: String!) { echo(text: $t) }", "variables": '{"t": "hello"}', "extensions": ""}
    assert (await client.get("/graphql", params=query)).json() == {"data": {"echo": "hello"}}
    response = await client.get("/graphql", params={"query": "mutation { change }"})
    assert (response.status_code, response.headers["allow"], code(response)) == (405, "POST", "METHOD_NOT_ALLOWED")
    assert (await ask(client, "mutation { change }")).json() == {"data": {"change": "changed"}}


@pytest.mark.parametrize(
    "params", [{}, {"query": "{ echo }", "variables": "{"}, {"query": "{ echo }", "variables": "1"}]
)
async def test_a_get_that_asks_nothing_or_has_broken_variables_is_400(
    client: httpx.AsyncClient, params: dict[str, str]
) -> None:
    assert (await client.get("/graphql", params=params)).status_code == 400


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_other_methods_are_405(client: httpx.AsyncClient, method: str) -> None:
    response = await client.request(method, "/graphql")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD, POST, OPTIONS")


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer nonsense",
        f"Basic {token()}",
        f"Bearer {token()}x",
        f"Bearer {token(ttl=timedelta(seconds=-1))}",
        "Bearer é",
    ],
)
async def test_without_a_valid_token_everything_is_401(client: httpx.AsyncClient, header: str | None) -> None:
    for method in ("GET", "POST"):
        request = client.build_request(method, "/graphql", headers={"Accept": JSON})
        del request.headers["authorization"]
        if header is not None:
            request.headers = httpx.Headers([*request.headers.raw, (b"authorization", header.encode())])
        response = await client.send(request)
        assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
        assert code(response) == "UNAUTHENTICATED"
        assert "nonsense" not in response.text


async def test_the_viewer_is_whom_the_token_names(client: httpx.AsyncClient) -> None:
    headers = authorization(role=Role.OPERATIONS, name="Grace")
    response = await client.post("/graphql", json={"query": "{ who }"}, headers=headers)
    assert response.json() == {"data": {"who": "OPERATIONS Grace"}}


async def test_each_request_has_a_context_of_its_own(client: httpx.AsyncClient) -> None:
    first, second = [(await ask(client, "{ a: context b: context }")).json()["data"] for _ in range(2)]
    assert first["a"] == first["b"]
    assert second["a"] == second["b"] == first["a"] + 1


async def test_an_unexpected_fault_is_masked_and_logged_under_its_reference(
    client: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    response = await ask(client, "query Ask { echo fault }")
    (error,) = response.json()["errors"]
    reference = error["extensions"]["reference"]
    assert response.status_code == 200
    assert response.json()["data"] == {"echo": "nothing", "fault": None}
    assert error["message"] == f"Internal error, reference {reference}"
    assert (error["path"], error["extensions"]["code"]) == (["fault"], "INTERNAL")
    assert "swordfish" not in response.text
    logged = capsys.readouterr().out
    assert reference in logged
    assert "swordfish" in logged


async def test_a_fault_of_a_required_field_leaves_data_null(client: httpx.AsyncClient) -> None:
    response = await ask(client, "{ requiredFault }")
    assert (response.status_code, response.json()["data"], code(response)) == (200, None, "INTERNAL")


@pytest.mark.parametrize(
    ("field", "error", "message"),
    [
        ("tooLarge", "INTERNAL", None),
        ("refusal", "FORBIDDEN", "Not for you."),
        ("invalid", "INVALID_INPUT", "A cart has lines."),
        ("expired", "CURSOR_EXPIRED", None),
        ("outage", "UNAVAILABLE", "The database does not answer. Try again."),
    ],
)
async def test_an_error_tells_what_the_caller_can_act_on(
    client: httpx.AsyncClient, field: str, error: str, message: str | None
) -> None:
    response = await ask(client, f"{{ {field} }}")
    assert (response.json()["data"], code(response)) == ({field: None}, error)
    assert message in {None, response.json()["errors"][0]["message"]}
    assert "db.internal" not in response.text


async def test_invalid_input_names_the_input_at_fault(client: httpx.AsyncClient) -> None:
    (error,) = (await ask(client, "{ invalid }")).json()["errors"]
    assert error["extensions"] == {"code": "INVALID_INPUT", "path": ["input", "lines"]}


def nested(depth: int) -> str:
    return "{ inner " * (depth - 1) + "{ name }" + "}" * (depth - 1)


def wide(fields: int) -> str:
    """A document of so many fields, five of them under each alias."""
    part = "inner { name inner { name inner { __typename } } }"
    assert fields % 6 == 0
    return "{" + " ".join(f"a{n}: {part}" for n in range(fields // 6)) + "}"


def spread(fragments: int) -> str:
    """A document that doubles with each of its fragments."""
    parts = [f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(fragments)]
    return "{ ...F0 } " + " ".join(parts) + f" fragment F{fragments} on Query {{ echo }}"


@pytest.mark.parametrize(
    "query",
    [
        nested(MOST.depth + 1),
        wide(MOST.fields // 6 * 6 + 6),
        "{" + "echo " * (MOST.repeats + 1) + "}",
        " ".join(f"query Q{n} {{ echo }}" for n in range(MOST.operations + 1)),
        "{" + " ".join(f"a{n}: echo" for n in range(MOST.aliases + 1)) + "}",
        spread(200),
        "{ ...A } fragment A on Query { inner { name } ...B } fragment B on Query { ...A }",
    ],
)
async def test_an_operation_past_the_limits_is_refused_before_it_costs_anything(
    client: httpx.AsyncClient, query: str
) -> None:
    response = await ask(client, query)
    assert (response.status_code, code(response)) == (400, "GRAPHQL_VALIDATION_FAILED")
    assert response.elapsed < timedelta(seconds=2)


@pytest.mark.parametrize(
    "query", [nested(MOST.depth), wide(MOST.fields // 6 * 6), "{" + "echo " * MOST.repeats + "}", spread(5)]
)
async def test_an_operation_at_the_limits_runs(client: httpx.AsyncClient, query: str) -> None:
    assert (await ask(client, query)).status_code == 200


async def test_a_document_is_read_once_and_a_faulty_one_too(served: tuple[httpx.AsyncClient, GraphQLView]) -> None:
    client, view = served
    documents: Documents = view.schema.documents
    documents._kept.clear()
    for query in ("{ echo }", "{ nothing }", "{ echo"):
        answers = [(await ask(client, query)).json() for _ in range(3)]
        assert answers[0] == answers[1] == answers[2]
        assert documents.read(query) is documents.read(query)
    assert len(documents._kept) == 3


async def test_subscriptions_run_as_server_sent_events_and_leave_nothing_behind(client: httpx.AsyncClient) -> None:
    body = {"query": "subscription { ticks }"}
    async with client.stream("POST", "/graphql", json=body, headers={"Accept": "text/event-stream"}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = response.aiter_lines()
        events = [json.loads(line[5:]) async for line in _first(lines, 3)]
        assert events == [{"data": {"ticks": number}} for number in range(3)]
        assert WATCH.open_generators == 1
    await no_generator_left()


async def test_who_reads_json_too_is_answered_with_it(client: httpx.AsyncClient) -> None:
    accept = "application/graphql-response+json, application/graphql+json, application/json, text/event-stream"
    answer = await client.post("/graphql", json={"query": "{ echo }"}, headers={"Accept": accept})
    assert answer.headers["content-type"].startswith("application/graphql-response+json")
    assert answer.json() == {"data": {"echo": "nothing"}}


async def test_server_sent_events_end_with_complete_and_tell_errors(client: httpx.AsyncClient) -> None:
    async def events(query: str) -> list[str]:
        response = await client.post("/graphql", json={"query": query}, headers={"Accept": "text/event-stream"})
        return [line for line in response.text.splitlines() if line]

    assert await events("subscription { ticks(limit: 1) }") == [
        "event: next",
        'data: {"data":{"ticks":0}}',
        "event: complete",
        "data: ",
    ]
    assert "GRAPHQL_VALIDATION_FAILED" in "".join(await events("subscription { nothing }"))
    assert "INTERNAL" in "".join(await events("subscription { breaks }"))
    assert "CURSOR_EXPIRED" in "".join(await events("subscription { expired }"))


async def test_server_sent_events_end_when_the_token_does(client: httpx.AsyncClient) -> None:
    headers = {"Accept": "text/event-stream", **authorization(ttl=timedelta(seconds=2))}
    response = await client.post("/graphql", json={"query": "subscription { ticks }"}, headers=headers)
    assert "ticks" in response.text
    assert "complete" not in response.text
    await no_generator_left()


async def test_server_sent_events_end_at_once_when_the_server_stops(caplog: pytest.LogCaptureFixture) -> None:
    body = {"query": "subscription { ticks(every: 60) }"}
    headers = {"Accept": "text/event-stream", **authorization()}
    async with httpx.AsyncClient() as client, AsyncExitStack() as stack:
        address, _ = await stack.enter_async_context(tiny_server())
        async with client.stream("POST", f"http://{address}/graphql", json=body, headers=headers) as response:
            lines = response.aiter_lines()
            assert await anext(lines) == "event: next"
            began = time.monotonic()
            stop = asyncio.create_task(stack.aclose())
            assert "event: complete" not in [line async for line in lines]
            await stop
    assert time.monotonic() - began < 1
    assert "Exception" not in caplog.text
    assert WATCH.open_generators == 0


async def test_a_subscription_without_a_stream_is_406(client: httpx.AsyncClient) -> None:
    response = await ask(client, "subscription { ticks }")
    assert (response.status_code, code(response)) == (406, "NOT_ACCEPTABLE")


async def test_the_page_is_open_to_all_and_names_no_other_host(client: httpx.AsyncClient) -> None:
    response = await client.get("/graphql", headers={"Accept": "text/html,*/*;q=0.8", "Authorization": ""})
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'self'" in response.headers["content-security-policy"]
    assert "http:" not in response.text
    assert "https:" not in response.text
    assert "//" not in response.text


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("graphiql.js", "text/javascript; charset=utf-8"),
        ("graphiql.css", "text/css; charset=utf-8"),
        ("editor.worker.js", "text/javascript; charset=utf-8"),
        ("json.worker.js", "text/javascript; charset=utf-8"),
        ("graphql.worker.js", "text/javascript; charset=utf-8"),
    ],
)
async def test_the_files_of_the_page_are_kept_for_long(client: httpx.AsyncClient, name: str, media_type: str) -> None:
    response = await client.get(f"/static/graphiql-5.4.0/{name}")
    assert (response.status_code, response.headers["content-type"]) == (200, media_type)
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"


async def test_every_file_that_the_page_names_is_there(client: httpx.AsyncClient) -> None:
    page = (await client.get("/graphql", headers={"Accept": "text/html"})).text
    named = re.findall(r'(?:src|href)="(static/[^"]+)"', page)
    assert len(named) == 2
    for path in named:
        assert (await client.get(f"/{path}")).status_code == 200


async def test_the_page_gives_no_file_of_another_folder(client: httpx.AsyncClient) -> None:
    for path in (
        "/static/graphiql-5.4.0/../README.md",
        "/static/graphiql-5.4.0/%2e%2e/README.md",
        "/static/graphiql-5.4.0/missing.js",
        "/static/",
    ):
        response = await client.get(path)
        assert response.status_code == 404
        assert "immutable" not in response.headers.get("cache-control", "")


async def _first(lines: AsyncIterator[str], count: int) -> AsyncIterator[str]:
    async for line in lines:
        if line.startswith("data:"):
            yield line
            count -= 1
            if count == 0:
                return
