"""Buyers who race for the same stock, keys that arrive twice, and processes that die."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from domain import inventory
from domain.vocabulary import Role
from tests.api.house import House, furnish, opened


@pytest.fixture(params=[1, 2], ids=["one process", "two processes"])
def gateways(request: pytest.FixtureRequest) -> int:
    """How many gateways, each with its own pool and batches, the buyers are spread over."""
    count: int = request.param
    return count


async def place_at_once(houses: list[House], orders: list[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    return await asyncio.gather(
        *(
            houses[n % len(houses)].place(key, [("rug", 1)], level="STANDARD", **more)
            for n, (key, more) in enumerate(orders)
        )
    )


async def test_fifty_buyers_of_twenty_units_make_twenty_orders(dsn: str, gateways: int) -> None:
    async with opened(dsn) as first, opened(dsn) as second:
        await furnish(first)
        stock = [{"sku": "rug", "locationCode": "WH", "onHand": 12}, {"sku": "rug", "locationCode": "WB", "onHand": 8}]
        query = "mutation ($rows: [StockRowInput!]!) { importStock(rows: $rows) { failed { message } } }"
        await first.ask(Role.ADMIN, query, rows=stock)
        answers = await place_at_once([first, second][:gateways], [(f"buyer {n}", {}) for n in range(50)])
        assert Counter(answer["__typename"] for answer in answers) == {"Order": 20, "OutOfStockError": 30}
        assert {answer["missing"][0]["sku"] for answer in answers if "missing" in answer} == {"rug"}
        assert await first.levels("rug") == {"WH": (12, 12, 0), "WB": (8, 8, 0)}
        assert len({answer["number"] for answer in answers if "number" in answer}) == 20
        async with first.gateway.database.reading() as connection:
            assert await inventory.check(connection) == []
            assert await connection.fetchval("SELECT sum(reserved_delta) FROM stock_movement") == 20
            assert await connection.fetchval("SELECT count(*) FROM customer_order") == 20


async def test_one_key_that_arrives_ten_times_at_once_makes_one_order(dsn: str, gateways: int) -> None:
    async with opened(dsn) as first, opened(dsn) as second:
        await furnish(first)
        answers = await place_at_once([first, second][:gateways], [("the key", {})] * 10)
        assert {answer["__typename"] for answer in answers} == {"Order"}
        assert len({answer["id"] for answer in answers}) == 1
        assert (await first.levels("rug"))["WH"] == (3, 1, 2)
        other = await first.place("the key", [("rug", 2)], level="STANDARD")
        assert other["__typename"] == "IdempotencyConflictError"


async def test_one_number_that_arrives_ten_times_at_once_makes_one_order(dsn: str, gateways: int) -> None:
    async with opened(dsn) as first, opened(dsn) as second:
        await furnish(first)
        orders = [(f"key {n}", {"number": "SHOP-1"}) for n in range(10)]
        answers = await place_at_once([first, second][:gateways], orders)
        assert Counter(answer["__typename"] for answer in answers) == {"Order": 1, "InvalidInputError": 9}
        assert (await first.levels("rug"))["WH"] == (3, 1, 2)
        async with first.gateway.database.reading() as connection:
            assert await inventory.check(connection) == []
            told = await connection.fetchval(
                "SELECT payload -> 'levels' FROM feed WHERE kind = 'STOCK_CHANGED' ORDER BY xid DESC, id DESC LIMIT 1"
            )
        assert (told["sku"][-1], told["reserved"][-1]) == ("rug", 1), "what a loser took is given back, and told"


async def test_an_order_that_fails_in_a_batch_takes_nobody_with_it(dsn: str) -> None:
    async with opened(dsn) as house:
        await furnish(house)
        good = [house.place(f"good {n}", [("mug", 1)], level="STANDARD") for n in range(8)]
        async with house.gateway.database.transaction() as connection:
            # An order that no check foresaw: its own row is refused by the database.
            await connection.execute("ALTER TABLE customer_order ADD CONSTRAINT odd CHECK (channel <> 'odd')")
        bad = house.post(
            Role.STOREFRONT,
            "mutation ($input: PlaceOrderInput!) { placeOrder(input: $input) { __typename } }",
            input={
                "idempotencyKey": "bad",
                "customer": {"name": "Ada"},
                "channel": "odd",
                "method": "DELIVERY",
                "lines": [{"sku": "mug", "quantity": 1, "unitPrice": "1.00"}],
                "shipTo": {"postalCode": "10115", "city": "Berlin", "country": "DE"},
            },
        )
        failed, *answers = await asyncio.gather(bad, *good)
        assert failed["errors"][0]["extensions"]["code"] == "INTERNAL"
        assert {answer["__typename"] for answer in answers} == {"Order"}
        assert sum(reserved for _, reserved, _ in (await house.levels("mug")).values()) == 8


async def test_an_option_is_honoured_or_refused_with_a_reason_when_its_stock_goes(dsn: str) -> None:
    async with opened(dsn) as house:
        await furnish(house)
        found = await house.options(("pen", 10), levels=["SAME_DAY"], methods=["DELIVERY"])
        token = found["options"][0]["token"]
        first = await house.place("first", [("pen", 10)], optionToken=token)
        second = await house.place("second", [("pen", 10)], optionToken=token)
        third = await house.place("third", [("pen", 10)], optionToken=token)
        assert [answer["__typename"] for answer in (first, second, third)] == ["Order", "Order", "OutOfStockError"]
        places = [(await house.work(order["id"]))[0]["location"]["code"] for order in (first, second)]
        assert places == ["SM", "SN"]
        assert first["shippingPrice"] == second["shippingPrice"] == {"amount": "7.90"}
