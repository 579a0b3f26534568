"""Shoppers, stores and inspectors of one order race for its units; and whatever they do, the books agree."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app import workers
from domain import inventory
from domain.vocabulary import Role
from tests.api.house import House, know, opened
from tests.api.returning import delivered, inspect, open_counters, receive, register, request, save_policy, step

Houses = tuple[House, House]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "LONGEST_SECONDS", 0.05)


@pytest.fixture
async def houses(furnished_dsn: str) -> AsyncIterator[Houses]:
    """Two gateways on one network; in the end the books have to agree."""
    async with opened(furnished_dsn) as first, opened(furnished_dsn) as second:
        await know(first)
        second.ids = first.ids
        await open_counters(first)
        yield first, second
        async with first.gateway.database.reading() as connection:  # type: ignore[union-attr]
            assert await inventory.check(connection) == []


async def test_of_requests_at_once_only_so_many_succeed_as_there_are_units(houses: Houses) -> None:
    first, second = houses
    order = await delivered(first, ("pen", 3))
    gift = {"orderNumber": order["number"], "postalCode": "10115"}
    answers = await asyncio.gather(
        *(request(house, order, 1, key=f"{n}") for n in range(3) for house in houses),  # each key at both gateways
        *(register((first, second)[n % 2], "SN", ("pen", 1), idempotencyKey=f"{n}", **gift) for n in range(3)),
    )
    made = {answer["id"] for answer in answers if answer["__typename"] == "Return"}
    refused = [answer for answer in answers if answer["__typename"] == "ReturnNotEligibleError"]
    assert len(made) == 3
    assert len(refused) + sum(answer["__typename"] == "Return" for answer in answers) == len(answers)
    assert {answer["code"] for answer in refused} == {"RETURN_NOT_ELIGIBLE"}


async def test_one_inspection_counts_and_one_location_receives(houses: Houses) -> None:
    first, second = houses
    order = await delivered(first, ("pen", 2))
    back = await request(first, order, 2)
    took = await asyncio.gather(receive(first, back, "SM"), receive(second, back, "SN"))
    (here,) = [answer for answer in took if answer["__typename"] == "Return"]
    at = here["receivedLocation"]["code"]
    before = (await first.levels("pen"))[at][0]
    said = [{"condition": "NEW", "disposition": "RESTOCK", "refund": f"{n}.00"} for n in range(4)]
    answers = await asyncio.gather(*(inspect(houses[n % 2], here, each, by=at) for n, each in enumerate(said)))
    assert sorted(answer["__typename"] for answer in answers) == ["ActionNotAllowedError"] * 3 + ["Return"]
    assert (await first.levels("pen"))[at][0] == before + 2


@pytest.fixture
async def town(furnished_dsn: str) -> AsyncIterator[House]:
    """A gateway for all the examples, in which a third of the price is kept of what was opened."""
    async with opened(furnished_dsn) as house:
        await know(house)
        await open_counters(house)
        await save_policy(house, deductions=[{"condition": "OPENED", "share": "0.333"}], inStorePrice="1.00")
        yield house


STEPS = ("request", "register", "register", "receive", "inspect", "inspect", "inspect", "cancel", "decline", "close")
CONDITIONS = ("NEW", "OPENED", "OPENED", "DAMAGED")
REFUNDS = (None, None, "3.33", "10.01", "90.00")


@settings(max_examples=6, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32))
async def test_no_sequence_of_returns_gives_back_more_than_came_or_was_paid(town: House, seed: int) -> None:
    """Whatever is asked for in whatever order: returned <= fulfilled and refunded <= paid for each line."""
    random = Random(seed)  # noqa: S311 - what happens is random, not secret
    stocked = """mutation ($at: ID!, $key: String!) { adjustStock(
        sku: "pen", locationId: $at, delta: 4, reason: RECEIVED,
        idempotencyKey: $key) { __typename } }"""
    await town.ask(Role.OPERATIONS, stocked, at=town.ids["SM"], key=str(uuid4()))
    order = await delivered(town, ("pen", 4), key=str(uuid4()))
    made: list[dict[str, Any]] = []
    for n in range(16):
        name, units, back = random.choice(STEPS), random.randint(0, 3), random.choice(made) if made else None
        if name == "request":
            answer = await request(town, order, units + 1, key=f"{order['id'][-30:]} {n}")
        elif name == "register":
            key = f"{order['id'][-30:]} {n}"
            gift = {"orderNumber": order["number"], "postalCode": "10115", "idempotencyKey": key}
            answer = await register(town, "SM", ("pen", units + 1), **gift)
        elif back is None:
            continue
        elif name == "receive":
            answer = await receive(town, back, "SM")
        elif name == "inspect":
            answer = await inspect(
                town, back, {"condition": random.choice(CONDITIONS), "refund": random.choice(REFUNDS)}
            )
        else:
            answer = await step(town, f"{name}Return", back, ', reason: "no"' if name == "decline" else "")
        assert answer["__typename"].removesuffix("Error") in {
            "Return", "ActionNotAllowed", "ReturnNotEligible", "NotFound", "InvalidInput",
        }, answer  # fmt: skip
        if name in {"request", "register"} and answer["__typename"] == "Return":
            made.append(answer)
    fields = "lines { fulfilled returned unitPrice { amount } } returns { lines { refund { amount } } }"
    found = await town.order(order["id"], fields)
    (line,) = found["lines"]
    paid = Decimal(line["unitPrice"]["amount"]) * line["returned"]
    assert line["returned"] <= line["fulfilled"]
    assert sum(Decimal(each["refund"]["amount"]) for back in found["returns"] for each in back["lines"]) <= paid
    async with town.gateway.database.reading() as connection:  # type: ignore[union-attr]
        assert await inventory.check(connection) == []
