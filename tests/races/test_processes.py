"""Real processes: `crossdock serve` as an operator runs it, several at once, and killed."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from domain import inventory
from domain.transaction import connect
from domain.vocabulary import Role
from tests.api.house import SECRET, House
from tests.api.serve import calling
from tests.api.test_walk import ORDERS, following, take
from tests.races.forked import forked


@asynccontextmanager
async def serving(dsn: str, *arguments: str, port: int = 0, **environment: str) -> AsyncIterator[tuple[House, Process]]:
    """Run `crossdock serve`, on a free port unless told, until the block ends."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app", "serve", "--port", str(port), *arguments),
        env={**os.environ, "DATABASE_URL": dsn, "CROSSDOCK_SECRET": SECRET, **environment},
        stdout=PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    try:
        address = (await process.stdout.readline()).decode().split("//")[1].split("/")[0]
        async with calling(address) as http:
            yield House(address=address, http=http, gateway=None, clock=[datetime.now(UTC)]), process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def test_an_order_placed_at_one_worker_reaches_the_subscribers_at_the_other(furnished_dsn: str) -> None:
    async with serving(furnished_dsn, "--workers", "2") as (house, _), AsyncExitStack() as sockets:
        dashboards = [await sockets.enter_async_context(following(house, ORDERS, Role.OPERATIONS)) for _ in range(8)]
        placed = [(await house.place(f"order {n}", [("mug", 1)], level="STANDARD"))["id"] for n in range(6)]
        for dashboard in dashboards:
            heard = await take(dashboard, 12)
            assert [update["order"]["id"] for update in heard[::2]] == placed


async def test_an_order_placed_at_one_gateway_reaches_a_subscriber_at_another(furnished_dsn: str) -> None:
    async with (
        forked(furnished_dsn) as (first, _),
        forked(furnished_dsn) as (second, _),
        following(second, ORDERS, Role.OPERATIONS) as dashboard,
    ):
        order = await first.place("order", [("mug", 1)], level="STANDARD")
        assert [update["order"]["id"] for update in await take(dashboard, 2)] == [order["id"]] * 2


async def test_a_gateway_killed_among_two_hundred_orders_loses_none_that_it_acknowledged(furnished_dsn: str) -> None:
    async with forked(furnished_dsn) as (house, process):
        orders = [asyncio.create_task(house.place(f"order {n}", [("mug", 1)], level="STANDARD")) for n in range(200)]
        done: set[asyncio.Task[dict[str, Any]]] = set()
        while len(done) < 20:
            done, _ = await asyncio.wait(orders, return_when="FIRST_COMPLETED", timeout=1)
        process.kill()
        answers = await asyncio.gather(*orders, return_exceptions=True)
    acknowledged = [answer["number"] for answer in answers if isinstance(answer, dict) and "number" in answer]
    lost = [answer for answer in answers if isinstance(answer, httpx.TransportError)]
    assert len(acknowledged) >= 20
    assert lost
    connection = await connect(furnished_dsn)
    try:
        numbers = {row["number"] for row in await connection.fetch("SELECT number FROM customer_order")}
        assert set(acknowledged) <= numbers
        assert await inventory.check(connection) == []
        assert await whole(connection)
    finally:
        await connection.close()
    async with forked(furnished_dsn) as (house, _):
        again = await asyncio.gather(*(house.place(f"order {n}", [("mug", 1)], level="STANDARD") for n in range(100)))
        assert {answer["__typename"] for answer in again} <= {"Order", "OutOfStockError"}
        connection = await connect(furnished_dsn)
        assert await connection.fetchval("SELECT count(*) FROM customer_order") <= 108  # as many as there are mugs
        await connection.close()


async def whole(connection: asyncpg.Connection) -> bool:
    """Tell whether each order has its lines, its work, its reservation, its ledger and its facts."""
    broken: int = await connection.fetchval(
        """
        SELECT count(*) FROM customer_order o
         WHERE NOT EXISTS (SELECT FROM order_line WHERE order_id = o.id)
            OR NOT EXISTS (SELECT FROM assignment WHERE order_id = o.id)
            OR NOT EXISTS (SELECT FROM stock_movement WHERE order_id = o.id)
            OR NOT EXISTS (SELECT FROM feed WHERE payload -> 'facts' -> 0 ->> 'order' = o.id::text)
            OR NOT EXISTS (SELECT FROM idempotency WHERE result = o.id::text)
        """
    )
    return broken == 0
