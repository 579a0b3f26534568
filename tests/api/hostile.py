"""Requests that are meant to hurt, each with the status that refuses it."""

# ruff: noqa: E501 - an attack is a line

import json
from dataclasses import dataclass, field

JSON = {"Content-Type": "application/json", "Accept": "application/graphql-response+json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """A request, the status of its refusal, and a code of which one stands in the answer, if it has one."""

    name: str
    body: bytes
    status: int = 400
    code: str | None = "GRAPHQL_VALIDATION_FAILED"
    headers: dict[str, str] = field(default_factory=dict)


def _query(text: str, **variables: object) -> bytes:
    return json.dumps({"query": text, "variables": variables}).encode()


def _doubling(fragments: int) -> str:
    parts = [f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(fragments)]
    return "{ ...F0 } " + " ".join(parts) + f" fragment F{fragments} on Query {{ updatesCursor }}"


NESTED = "{ orders { edges { node " + "{ lines { order " * 20 + "{ id }" + " } }" * 20 + " } } }"
ORDERS = "edges { node { lines { sku } assignments { lines { sku item { name } } location { name } } } }"
NODES = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
NUMBER = "query ($n: String) { order(number: $n) { id } }"

ATTACKS = (
    Attack(name="alias bomb", body=_query("{" + " ".join(f"a{n}: viewer {{ name }}" for n in range(400)) + "}")),
    Attack(name="deep nesting", body=_query(NESTED)),
    Attack(name="deep nesting of braces", body=_query("{a" * 5_000 + "}" * 5_000), code="GRAPHQL_PARSE_FAILED"),
    Attack(name="deep nesting of a list", body=_query("{ a(b: " + "[" * 4_000 + ") }"), code="GRAPHQL_PARSE_FAILED"),
    Attack(name="fragment cycle", body=_query("{ ...A } fragment A on Query { viewer { name } ...A }")),
    Attack(name="fragments that double", body=_query(_doubling(100))),
    Attack(
        name="fragments that spread each other",
        body=_query(
            "{ viewer { ...F0 } } "
            + " ".join(f"fragment F{n} on Viewer {{ ...F{(n + 1) % 300} ...F{(n + 7) % 300} }}" for n in range(300))
        ),
    ),
    Attack(name="directive overload", body=_query("{ viewer { name " + "@include(if: true) " * 600 + "} }")),
    Attack(name="unknown directives", body=_query("{ viewer { name " + "@x " * 2_000 + "} }")),
    Attack(name="one field many times", body=_query("{" + "node(id: 1) { id } " * 200 + "}")),
    Attack(
        name="one field many times, in fragments",
        body=_query("{" + "...A ...B " * 9 + "} " + "".join(
            f"fragment {name} on Query {{ {'node(id: 1) { id } ' * 12} }} " for name in "AB"
        )),
    ),
    Attack(
        name="many fields, many times",
        body=_query("{" + "...F " * 1_250 + "} fragment F on Query {" + " ".join(f"a{n}" for n in range(2_400)) + "}"),
    ),
    Attack(name="many fields", body=_query("{ viewer { " + "name " * 3_000 + "} }")),
    Attack(name="fields that conflict", body=_query("{" + "viewer { a: name a: role } " * 300 + "}")),
    Attack(
        name="many operations",
        body=_query(" ".join(f"query Q{n} {{ ...F }}" for n in range(500)) + "fragment F on Query { nothing }"),
    ),
    Attack(name="many tokens", body=_query("{ viewer { name } } " + "#\n , " * 10 + "x " * 20_000), code="GRAPHQL_PARSE_FAILED"),
    Attack(name="introspection in circles", body=_query(
        "{ __schema { types { fields { type { fields { type { fields { type { name } } } } } } } } }"
    )),
    Attack(
        name="introspection many times",
        body=_query("{" + " ".join(f"a{n}: __schema {{ types {{ name }} }}" for n in range(100)) + "}"),
        code="COST_LIMIT_EXCEEDED",
    ),
    Attack(
        name="everything at once",
        body=_query("{" + " ".join(f"a{n}: orders(first: 100) {{ {ORDERS} }}" for n in range(20)) + "}"),
        code="COST_LIMIT_EXCEEDED",
    ),
    Attack(name="batch of 1,000", body=b"[" + b",".join([b'{"query":"{ viewer { name } }"}'] * 1_000) + b"]", code="BAD_REQUEST"),
    Attack(name="body of 2 MB", body=_query("{ viewer { name } }", x="x" * 2**21), status=413, code="BODY_TOO_LARGE"),
    Attack(name="variables nested deeply", body=b'{"query":"{ viewer { name } }","variables":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001, code="BAD_REQUEST"),
    Attack(name="variables nested less deeply", body=b'{"query":"query($ids:[ID!]!){nodes(ids:$ids){id}}","variables":{"ids":' + b"[" * 900 + b"]" * 900 + b"}}", code="INVALID_INPUT"),
    Attack(name="a list of 150,000", body=_query(NODES, ids=["x"] * 150_000), code="COST_LIMIT_EXCEEDED"),
    Attack(name="a number of 100,000 digits", body=b'{"query":"query($n:Int){orders(first:$n){totalCount}}","variables":{"n":' + b"9" * 100_000 + b"}}", code="BAD_REQUEST"),
    Attack(name="NUL in a variable", body=_query(NUMBER, n="a\0b"), code="INVALID_INPUT"),
    Attack(name="NUL in a literal", body=_query('{ order(number: "a\\u0000b") { id } }'), code="INVALID_INPUT"),
    Attack(name="half a pair of surrogates", body=rb'{"query":"query($n:String){order(number:$n){id}}","variables":{"n":"\ud800"}}', code="BAD_REQUEST"),
    Attack(name="bytes that are no UTF-8", body=b'{"query":"{ viewer { name } } #\xff"}', code="BAD_REQUEST"),
    Attack(name="1 MB token", body=_query("{ viewer { name } }"), status=431, code=None, headers={"Authorization": "Bearer " + "x" * 2**20}),
    Attack(name="20 KB token", body=_query("{ viewer { name } }"), status=431, code="TOKEN_TOO_LARGE", headers={"Authorization": "Bearer " + "x" * 20_000}),
)  # fmt: skip
