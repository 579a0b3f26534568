"""What the tests of bad input share: one house for a whole module, values put at a path, and books that stay shut."""

import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from copy import deepcopy
from typing import Any

from domain.vocabulary import Role
from tests.api.house import BERLIN, ERROR, House

CONTROL, LONG = "a\tb", "x" * 501
TEXT = ("", " ", CONTROL, "\N{RIGHT-TO-LEFT OVERRIDE}\x7f", LONG)
CODE = (*TEXT, " a", "x" * 65)
OPTIONAL = (CONTROL, LONG)
LATITUDE, LONGITUDE = (90.1, -91, 1e308), (180.1, -181, -1e308)
AMOUNT = ("-1", "1.001", "90071992547409.93", "9" * 40)

ORDER = {
    "idempotencyKey": "refused",
    "customer": {"name": "Ada"},
    "tags": [],
    "lines": [{"sku": "mug", "quantity": 1, "unitPrice": "10.00"}],
    "shipTo": {**BERLIN, "position": {"latitude": 52.5, "longitude": 13.4}},
    "method": "DELIVERY",
}
STEPS = {
    "acceptAssignment": "id: $id",
    "rejectAssignment": "id: $id, reason: OTHER",
    "startPicking": "id: $id",
    "reportPicked": "id: $id, lines: [{ lineId: $id, picked: 1 }]",
    "packAssignment": "id: $id",
    "markReadyForPickup": "id: $id",
    "collectAssignment": 'id: $id, pickupCode: "é"',
    "handOverAssignment": "id: $id",
    "restockAssignment": "id: $id",
}

Faults = Mapping[str, Iterable[object]]
BOOKS = """
    SELECT string_agg(
               format('SELECT %L, md5(string_agg(r::text, '','' ORDER BY r::text)) FROM %I r', t, t), ' UNION ALL ')
      FROM (SELECT tablename FROM pg_tables
             WHERE schemaname = 'public' AND tablename <> 'timer' -- those that recur move by themselves
             ORDER BY tablename) AS all_tables(t)
"""


def each(faults: Faults) -> list[tuple[str, object, str]]:
    """Return each fault on its own: where it is, what it is, and the path to be told.

    A key is a path, `lines.0.sku`; where another path is told, it follows an arrow, `lines.0.sku > lines`.
    """
    places = [(key.partition(" > "), values) for key, values in faults.items()]
    return [(place, value, told or place) for (place, _, told), values in places for value in values]


def named(value: object) -> str:
    """Return what pytest calls a value in a test's name."""
    return re.sub(r"[^ -~]", "?", str(value))[:40]


def put(whole: object, place: str, value: object) -> Any:
    """Return a copy of an input with a value at a path; what stands at the path's end need not have been there."""
    whole = deepcopy(whole)
    *way, last = place.split(".")
    part: Any = whole
    for step in way:
        part = part[int(step)] if isinstance(part, list) else part.setdefault(step, {})
    if isinstance(part, list):
        part[int(last) : int(last) + 1] = [value]
    else:
        part[last] = value
    return whole


def filled(value: Any, house: House) -> Any:
    """Return an input with each `@code` replaced by the id of the location of that code."""
    if isinstance(value, dict):
        return {key: filled(inner, house) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, house) for inner in value]
    return house.ids[value[1:]] if isinstance(value, str) and value.startswith("@") else value


def verdict(error: dict[str, Any]) -> tuple[str, str, str]:
    """Return the type, the code and the path of a typed error."""
    return error["__typename"], error["code"], ".".join(error["path"] or ())


@asynccontextmanager
async def unchanged(house: House) -> AsyncIterator[None]:
    """See to it that not one row of any table changes meanwhile."""
    async with house.gateway.database.reading() as connection:
        books = await connection.fetchval(BOOKS)
        before = dict(await connection.fetch(books))
    yield
    async with house.gateway.database.reading() as connection:
        assert dict(await connection.fetch(books)) == before


async def refused(house: House, name: str, signature: str, arguments: str, **variables: Any) -> dict[str, Any]:
    """Call a mutation as ADMIN and return the typed error that it answers; nothing may have changed."""
    more = {
        "placeOrder": "... on NoFulfillmentOptionError { unavailable { code } } "
        "... on OutOfStockError { missing { sku quantity } }",
        "saveLocation": "... on VersionConflictError { currentVersion }",
        "saveCarrierService": "... on VersionConflictError { currentVersion }",
    }
    query = f"mutation ({signature}) {{ {name}({arguments}) {{ __typename {ERROR} {more.get(name, '')} }} }}"
    async with unchanged(house):
        error: dict[str, Any] = await house.ask(Role.ADMIN, query, **filled(variables, house))
    assert error["__typename"].endswith("Error"), error
    assert error["message"]
    return error


async def told(house: House, role: Role, query: str, /, *locations: str, **variables: Any) -> dict[str, Any]:
    """Ask and return the extensions of the one error at the top; nothing may have changed."""
    async with unchanged(house):
        answer = await house.post(role, query, *locations, **filled(variables, house))
    (error,) = answer["errors"]
    extensions: dict[str, Any] = error["extensions"]
    return extensions
