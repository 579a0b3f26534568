"""Carts, orders and the clock race for the same stock, at one process and at two."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from domain import inventory, reservations
from domain.timers import run_due
from domain.vocabulary import Role
from tests.api.house import House, furnish, opened
from tests.api.test_reservations import EXTEND, RELEASE, option, reserve, swept
from tests.races.forked import forked

Houses = list[House]
MINUTE = timedelta(minutes=1)
TTL = 15 * MINUTE


@pytest.fixture(params=[1, 2], ids=["one process", "two processes"])
async def houses(dsn: str, request: pytest.FixtureRequest) -> AsyncIterator[Houses]:
    """Gateways on one network, each with its own pool, batches, worker and clock. In the end the books have to agree.

    The list is as long as there are clients, so that they can be spread over what gateways there are.
    """
    async with opened(dsn) as first, opened(dsn) as second:
        await furnish(first)
        second.ids = first.ids
        yield [[first, second][n % request.param] for n in range(20)]
        async with first.gateway.database.reading() as connection:
            assert await inventory.check(connection) == []


async def carts(houses: Houses, count: int, sku: str = "mug") -> list[str]:
    """Reserve one of an item in each of `count` carts; return the reservations' ids."""
    token = (await option(houses[0], (sku, 1)))["token"]
    made = await asyncio.gather(*(reserve(house, token, f"cart {n}") for n, house in enumerate(houses[:count])))
    return [each["id"] for each in made]


def move(houses: Houses, span: timedelta) -> None:
    """Move every gateway's clock on."""
    for clock in {id(house.clock): house.clock for house in houses}.values():
        clock[0] += span


async def statuses(house: House) -> Counter[str]:
    async with house.gateway.database.reading() as connection:
        return Counter(row["status"] for row in await connection.fetch("SELECT status FROM reservation"))


async def free(house: House, sku: str) -> int:
    return sum(available for _, _, available in (await house.levels(sku)).values())


def kinds(answers: list[dict[str, Any]]) -> Counter[str]:
    return Counter(answer["__typename"] for answer in answers)


async def test_twenty_carts_that_want_three_rugs_reserve_three(houses: Houses) -> None:
    token = (await option(houses[0], ("rug", 1)))["token"]
    made = await asyncio.gather(*(reserve(house, token, f"cart {n}") for n, house in enumerate(houses)))
    assert kinds(made) == {"Reservation": 3, "OutOfStockError": 17}
    assert await houses[0].levels("rug") == {"WH": (3, 3, 0)}


async def test_carts_and_orders_that_want_three_rugs_get_three_between_them(houses: Houses) -> None:
    token = (await option(houses[0], ("rug", 1)))["token"]
    answers = await asyncio.gather(
        *(reserve(house, token, f"cart {n}") for n, house in enumerate(houses[:10])),
        *(house.place(f"order {n}", [("rug", 1)], level="STANDARD") for n, house in enumerate(houses[:10])),
    )
    found = kinds(answers)
    assert found["Reservation"] + found["Order"] == 3
    assert found["OutOfStockError"] == 17
    assert await houses[0].levels("rug") == {"WH": (3, 3, 0)}


async def test_one_key_that_arrives_twenty_times_at_once_makes_one_reservation(houses: Houses) -> None:
    token = (await option(houses[0], ("rug", 1)))["token"]
    made = await asyncio.gather(*(reserve(house, token, "the key") for house in houses))
    assert kinds(made) == {"Reservation": 20}
    assert len({each["id"] for each in made}) == 1
    assert await houses[0].levels("rug") == {"WH": (3, 1, 2)}


async def test_carts_that_cross_each_other_are_reserved_without_a_deadlock(houses: Houses) -> None:
    rows = [{"sku": "lamp", "locationCode": "WB", "onHand": 20}]
    query = "mutation ($rows: [StockRowInput!]!) { importStock(rows: $rows) { updated } }"
    assert await houses[0].ask(Role.ADMIN, query, rows=rows) == {"updated": 1}
    skus = ["mug", "lamp"]
    tokens = [(await option(houses[0], *((sku, 1) for sku in order)))["token"] for order in (skus, skus[::-1])]
    made = await asyncio.gather(*(reserve(house, tokens[n % 2], f"cart {n}") for n, house in enumerate(houses)))
    assert kinds(made) == {"Reservation": 20}
    assert (await houses[0].levels("lamp"))["WB"] == (20, 20, 0)


async def test_one_reservation_makes_one_order(houses: Houses) -> None:
    (cart,) = await carts(houses, 1)
    answers = await asyncio.gather(
        *(house.place(f"order {n}", [("mug", 1)], reservationId=cart) for n, house in enumerate(houses))
    )
    assert kinds(answers) == {"Order": 1, "ReservationExpiredError": 19}
    assert await free(houses[0], "mug") == 107


async def test_stock_that_expires_is_reserved_again_by_those_who_wait_for_it(houses: Houses) -> None:
    await carts(houses, 3, "rug")
    move(houses, TTL)
    token = (await option(houses[0], ("lamp", 1), ("mug", 1)))["token"]

    async def wait(n: int, house: House) -> dict[str, Any]:
        made, attempts = {"__typename": ""}, count()
        async with asyncio.timeout(20):
            while made["__typename"] != "Reservation":  # a gateway may show for a moment what another has reserved
                found = await house.options(("rug", 1), methods=["DELIVERY"], levels=["STANDARD"])
                if found["options"]:
                    key = f"patient {n} {next(attempts)}"
                    made = await reserve(house, found["options"][0]["token"], key)
        return made

    others = [reserve(house, token, f"other {n}") for n, house in enumerate(houses)]
    made, _ = await asyncio.gather(asyncio.gather(*(wait(n, houses[n]) for n in range(3))), asyncio.gather(*others))
    assert kinds(made) == {"Reservation": 3}
    await swept(houses[0])
    assert (await statuses(houses[0]))["EXPIRED"] == 3


async def sweep(house: House, late: timedelta) -> None:
    """Do what the worker of a process does whose clock is that much ahead."""
    await run_due(house.gateway.database, {reservations.TIMER: reservations.expire}, now=house.now + late)


async def test_an_order_races_the_end_of_its_reservation_and_one_of_them_wins(houses: Houses) -> None:
    """The gateways that place are a second behind: to them the carts are open while the others' workers end them."""
    many = await carts(houses, 20)
    move(houses, TTL - timedelta(seconds=1))

    async def place(n: int, cart: str) -> dict[str, Any]:
        await asyncio.sleep(n * 0.01)
        return await houses[n].place(f"order {n}", [("mug", 1)], reservationId=cart)

    answers, *_ = await asyncio.gather(
        asyncio.gather(*(place(n, cart) for n, cart in enumerate(reversed(many)))),
        *(sweep(house, timedelta(seconds=1)) for house in houses[:2]),
    )
    found, ended = kinds(answers), await statuses(houses[0])
    assert set(found) <= {"Order", "ReservationExpiredError"}
    assert ended["PLACED"] == found["Order"]
    assert ended["EXPIRED"] == found["ReservationExpiredError"]
    assert await free(houses[0], "mug") == 108 - found["Order"]


async def test_whoever_ends_a_cart_first_ends_it_and_nobody_ends_it_twice(houses: Houses) -> None:
    many = await carts(houses, 20)
    move(houses, TTL - timedelta(seconds=1))

    def ends(n: int, cart: str) -> list[Coroutine[Any, Any, Any]]:
        house = houses[n]
        jobs = [
            house.place(f"order {n}", [("mug", 1)], reservationId=cart),
            house.ask(Role.STOREFRONT, RELEASE, id=cart),
            house.ask(Role.STOREFRONT, EXTEND, id=cart, ttl="PT1M"),
        ]
        return jobs[n % 3 :] + jobs[: n % 3]

    answers, *_ = await asyncio.gather(
        asyncio.gather(*(job for n, cart in enumerate(many) for job in ends(n, cart))),
        *(sweep(house, timedelta(seconds=1)) for house in houses[:2]),
    )
    orders = kinds(answers)["Order"]
    move(houses, 2 * TTL)
    await swept(houses[0])
    ended = await statuses(houses[0])
    assert ended["PLACED"] == orders
    assert ended["PLACED"] + ended["RELEASED"] + ended["EXPIRED"] == 20
    assert await free(houses[0], "mug") == 108 - orders


async def test_a_cart_whose_gateway_is_killed_is_ended_by_another(furnished_dsn: str) -> None:
    async with opened(furnished_dsn, now=datetime.now(UTC)) as second:
        async with forked(furnished_dsn) as (first, process):
            token = (await option(first, ("mug", 3)))["token"]
            made = await reserve(first, token)
            assert made["__typename"] == "Reservation"
            process.kill()
        assert await free(second, "mug") == 105
        second.clock[0] = datetime.fromisoformat(made["expiresAt"])
        async with asyncio.timeout(30):
            while await free(second, "mug") < 108:
                await asyncio.sleep(0.1)
        error = await second.place("order", [("mug", 3)], reservationId=made["id"])
        assert error["__typename"] == "ReservationExpiredError"
        async with second.gateway.database.reading() as connection:
            assert await inventory.check(connection) == []
