"""A schema of a few fields that behave well and badly, to see the protocols around it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import strawberry
from graphql import GraphQLError
from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute

from app import auth, graphiql
from app.admission import opened_gate
from app.execution import build_schema
from app.graphql import GraphQLView
from app.settings import Settings
from app.sockets import SocketLimits
from domain.errors import InvalidInput
from domain.feed import Cursor, CursorExpired
from domain.viewer import Viewer
from domain.vocabulary import Role
from tests.api.serve import serving

SECRET = "a secret for the tests, which is long enough"


@dataclass
class TinyContext:
    """What an operation of the tests gets; `number` tells contexts apart."""

    viewer: Viewer
    number: int


@dataclass
class Watch:
    """What the tests look at from outside."""

    open_generators: int = 0


WATCH = Watch()


@strawberry.type
class Inner:
    @strawberry.field
    def inner(self) -> "Inner":
        return Inner()

    @strawberry.field
    def name(self) -> str:
        return "inner"


@strawberry.type
class Query:
    @strawberry.field
    def echo(self, text: str = "nothing", number: int = 1) -> str:
        return text * number

    @strawberry.field
    def who(self, info: strawberry.Info[TinyContext, None]) -> str:
        return f"{info.context.viewer.role} {info.context.viewer.name}"

    @strawberry.field
    def context(self, info: strawberry.Info[TinyContext, None]) -> int:
        return info.context.number

    @strawberry.field
    def inner(self) -> Inner:
        return Inner()

    @strawberry.field
    async def inners(self, first: int | None = None, names: list[str] | None = None) -> list[Inner]:
        return [Inner() for _ in range(first or len(names or ()))]

    @strawberry.field
    def fault(self) -> str | None:
        raise LookupError("the password is swordfish")

    @strawberry.field
    def required_fault(self) -> str:
        raise LookupError("the password is swordfish")

    @strawberry.field
    def too_large(self) -> int | None:
        return 2**40

    @strawberry.field
    def refusal(self) -> str | None:
        raise GraphQLError("Not for you.", extensions={"code": "FORBIDDEN"})

    @strawberry.field
    def invalid(self) -> str | None:
        raise InvalidInput(message="A cart has lines.", path=("input", "lines"))

    @strawberry.field
    def expired(self) -> str | None:
        raise CursorExpired(Cursor(1, 0, 0))

    @strawberry.field
    def outage(self) -> str | None:
        raise ConnectionRefusedError(111, "Connect call failed to db.internal")


@strawberry.type
class Mutation:
    @strawberry.mutation
    def change(self) -> str:
        return "changed"

    @strawberry.mutation
    async def change_slowly(self) -> str:
        await asyncio.sleep(0.3)
        return "changed"


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def ticks(self, every: float = 0.01, limit: int = 1_000_000) -> AsyncGenerator[int, None]:
        WATCH.open_generators += 1
        try:
            for number in range(limit):
                yield number
                await asyncio.sleep(every)
        finally:
            WATCH.open_generators -= 1

    @strawberry.subscription
    async def breaks(self) -> AsyncGenerator[int, None]:
        yield 1
        raise LookupError("the password is swordfish")

    @strawberry.subscription
    async def expired(self) -> AsyncGenerator[int, None]:
        raise CursorExpired(Cursor(1, 0, 0))
        yield 1


def token(role: Role = Role.ADMIN, *, ttl: timedelta = timedelta(hours=1), name: str = "Ada") -> str:
    return auth.issue(SECRET, role=role, name=name, ttl=ttl, now=datetime.now(UTC))


def authorization(role: Role = Role.ADMIN, *, ttl: timedelta = timedelta(hours=1), name: str = "Ada") -> dict[str, str]:
    return {"Authorization": f"Bearer {token(role, ttl=ttl, name=name)}"}


async def no_generator_left() -> None:
    """Wait until each subscription that was begun has been cleaned up."""
    async with asyncio.timeout(30):
        while WATCH.open_generators:
            await asyncio.sleep(0.01)


@asynccontextmanager
async def tiny_server(
    *, max_body_bytes: int = 100_000, limits: SocketLimits | None = None, **more: Any
) -> AsyncIterator[tuple[str, GraphQLView]]:
    """Yield the address of a server of the tiny schema, and its view; `more` are settings of its gate and bodies."""
    numbers = count(1)

    async def open_context(viewer: Viewer) -> TinyContext:
        return TinyContext(viewer, next(numbers))

    async def authenticate(token: str) -> Viewer:
        return auth.verify(SECRET, token, now=datetime.now(UTC))

    settings = Settings(secret=SECRET, max_body_bytes=max_body_bytes, **more)  # type: ignore[arg-type]
    schema = build_schema(Query, Mutation, Subscription)
    view = GraphQLView(
        schema,
        gate=opened_gate(settings, schema),
        authenticate=authenticate,
        open_context=open_context,
        limits=limits,
    )
    app = Starlette(routes=[Route("/graphql", view), WebSocketRoute("/graphql", view), graphiql.assets()])
    app.state.stopping = view.stopping
    async with serving(app) as address:
        yield address, view
