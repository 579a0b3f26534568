"""A cart holds its stock for a while, until an order takes it over or time is up."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from domain import reservations
from domain.vocabulary import Role
from schema.paging import uuid_of
from tests.api.house import ERROR, House

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
RESERVATION = """__typename ... on Reservation { id expiresAt lines { sku quantity location { code } }
    option { token method level price { amount } complete orderBefore missing { sku quantity }
             parcels { location { code } lines { sku quantity } } } }"""
RESERVE = f"""
    mutation ($token: String!, $key: String!, $ttl: Duration) {{
        reserveCart(optionToken: $token, idempotencyKey: $key, ttl: $ttl) {{ {RESERVATION} {ERROR}
            ... on OutOfStockError {{ missing {{ sku quantity }} }} }} }}"""
EXTEND = f"""
    mutation ($id: ID!, $ttl: Duration!) {{ extendReservation(id: $id, ttl: $ttl) {{ {RESERVATION} {ERROR} }} }}"""
RELEASE = f"""
    mutation ($id: ID!) {{ releaseReservation(id: $id) {{ {RESERVATION} {ERROR}
        ... on ActionNotAllowedError {{ status allowedActions }} }} }}"""


async def option(house: House, *lines: tuple[str, int], **more: Any) -> dict[str, Any]:
    """Return the best option for a delivery of these lines, at the prices of `House.place`."""
    cart = [{"sku": sku, "quantity": quantity, "unitPrice": "10.00"} for sku, quantity in lines]
    found = await house.options(**{"lines": cart, "methods": ["DELIVERY"], "levels": ["STANDARD"], **more})
    best: dict[str, Any] = found["options"][0]
    return best


async def reserve(house: House, token: str, key: str = "cart", ttl: str | None = None) -> dict[str, Any]:
    made: dict[str, Any] = await house.ask(Role.STOREFRONT, RESERVE, token=token, key=key, ttl=ttl)
    return made


async def reserved(house: House, *lines: tuple[str, int], ttl: str | None = None, **more: Any) -> dict[str, Any]:
    """Reserve the best option for these lines, and return the reservation."""
    made = await reserve(house, (await option(house, *lines, **more))["token"], ttl=ttl)
    assert made["__typename"] == "Reservation", made
    return made


async def extend(house: House, id: str, ttl: str) -> dict[str, Any]:  # noqa: A002
    answer: dict[str, Any] = await house.ask(Role.STOREFRONT, EXTEND, id=id, ttl=ttl)
    return answer


async def release(house: House, id: str) -> dict[str, Any]:  # noqa: A002
    answer: dict[str, Any] = await house.ask(Role.STOREFRONT, RELEASE, id=id)
    return answer


async def held(house: House, sku: str) -> dict[str, int]:
    """Return how many are reserved, by location, where any are."""
    return {code: reserved for code, (_, reserved, _) in (await house.levels(sku)).items() if reserved}


async def swept(house: House) -> None:
    """Wait until the worker has seen to all that is due."""
    async with asyncio.timeout(30), house.gateway.database.reading() as connection:
        while await connection.fetchval("SELECT count(*) FROM timer WHERE due_at <= $1", house.now):
            await asyncio.sleep(0.05)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_a_reservation_holds_what_the_option_said_for_as_long_as_is_usual(house: House) -> None:
    chosen = await option(house, ("mug", 3), ("lamp", 2))
    made = await reserve(house, chosen["token"])
    assert moment(made["expiresAt"]) == house.now + 15 * MINUTE
    assert made["lines"] == [
        {"sku": "lamp", "quantity": 2, "location": {"code": "WB"}},
        {"sku": "mug", "quantity": 3, "location": {"code": "WB"}},
    ]
    shown = {key: chosen[key] for key in ("method", "level", "complete", "missing", "orderBefore")}
    assert {key: made["option"][key] for key in shown} == shown
    assert await held(house, "mug") == {"WB": 3}
    assert await held(house, "lamp") == {"WB": 2}
    read = await house.ask(Role.STOREFRONT, f"query ($id: ID!) {{ node(id: $id) {{ {RESERVATION} }} }}", id=made["id"])
    assert read == made


async def test_the_shop_says_for_how_long_up_to_a_bound(house: House) -> None:
    token = (await option(house, ("mug", 1)))["token"]
    made = await reserve(house, token, "half an hour", "PT30M")
    assert moment(made["expiresAt"]) == house.now + 30 * MINUTE
    for ttl in ("PT0S", "PT60M1S", "P400D"):
        error = await reserve(house, token, ttl, ttl)
        assert (error["__typename"], error["path"]) == ("InvalidInputError", ["ttl"])
        error = await extend(house, made["id"], ttl)
        assert (error["__typename"], error["path"]) == ("InvalidInputError", ["ttl"])
    assert await held(house, "mug") == {"WB": 1}


async def test_when_time_is_up_the_stock_is_free_again(house: House) -> None:
    made = await reserved(house, ("mug", 3))
    house.clock[0] += 15 * MINUTE - timedelta(seconds=1)
    await asyncio.sleep(1.2)
    assert await held(house, "mug") == {"WB": 3}
    house.clock[0] += timedelta(seconds=1)
    await swept(house)
    assert await held(house, "mug") == {}
    async with house.gateway.database.reading() as connection:
        assert await connection.fetchval("SELECT status FROM reservation") == "EXPIRED"
        ledger = await connection.fetch("SELECT reason, reserved_delta FROM stock_movement WHERE reserved_delta <> 0")
        assert [tuple(row) for row in ledger] == [("RESERVED", 3), ("RELEASED", -3)]
    again = await reserve(house, (await option(house, ("mug", 3)))["token"], "another cart")
    assert again["id"] != made["id"]


async def test_carts_that_ended_are_forgotten_after_a_month_and_those_that_hold_something_never(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reservations, "FORGET_AT_ONCE", 2)
    token = (await option(house, ("mug", 1)))["token"]
    ended = [(await reserve(house, token, f"cart {n}"))["id"] for n in range(5)]
    for each in ended:
        await release(house, each)
    holds, lasted = await reserve(house, token, "holds"), await reserve(house, token, "lasted")
    await release(house, lasted["id"])
    async with house.gateway.database.transaction() as connection:
        await connection.execute("DELETE FROM timer WHERE kind = $1", reservations.TIMER)  # nobody ends what holds
    house.clock[0] += timedelta(days=1)
    young = await reserved(house, ("mug", 1))
    await release(house, young["id"])
    forget = reservations.forgetting(timedelta(hours=24))
    async with house.gateway.database.transaction() as connection:
        extended = "UPDATE reservation SET expires_at = expires_at + interval '1 day' WHERE id = $1"
        await connection.execute(extended, uuid_of(lasted["id"], "Reservation"))
        later = house.now + reservations.KEPT - 12 * HOUR
        await reservations.forgetting(reservations.KEPT)(connection, "", later)  # their keys may still be there
        for now, left in ((house.now, 8), *((later, n) for n in (6, 4, 3, 3))):
            await forget(connection, "", now)
            assert await connection.fetchval("SELECT count(*) FROM reservation") == left
        kept = {row["id"] for row in await connection.fetch("SELECT id FROM reservation")}
        assert kept == {uuid_of(each["id"], "Reservation") for each in (holds, lasted, young)}
        assert await connection.fetchval("SELECT count(*) FROM reservation_line") == 3


async def test_what_is_past_is_expired_whether_or_not_it_was_swept(house: House) -> None:
    made = await reserved(house, ("mug", 3))
    async with house.gateway.database.transaction() as connection:
        await connection.execute("DELETE FROM timer WHERE kind = 'reservation'")
    house.clock[0] += 15 * MINUTE
    error = await extend(house, made["id"], "PT5M")
    assert (error["__typename"], error["path"]) == ("ReservationExpiredError", ["id"])
    error = await house.place("order", [("mug", 3)], reservationId=made["id"])
    assert (error["__typename"], error["path"]) == ("ReservationExpiredError", ["reservationId"])
    assert await held(house, "mug") == {"WB": 3}
    assert (await release(house, made["id"]))["id"] == made["id"]
    assert await held(house, "mug") == {}


async def test_a_reservation_can_be_extended_and_never_becomes_shorter(house: House) -> None:
    made = await reserved(house, ("mug", 3))
    house.clock[0] += 10 * MINUTE
    extended = await extend(house, made["id"], "PT20M")
    assert moment(extended["expiresAt"]) == house.now + 20 * MINUTE
    assert (await extend(house, made["id"], "PT1M"))["expiresAt"] == extended["expiresAt"]
    house.clock[0] += 15 * MINUTE
    await swept(house)
    assert await held(house, "mug") == {"WB": 3}
    house.clock[0] += 5 * MINUTE
    await swept(house)
    assert await held(house, "mug") == {}
    assert (await extend(house, made["id"], "PT1M"))["__typename"] == "ReservationExpiredError"


async def test_nothing_is_held_past_the_moment_until_which_the_promise_can_be_kept(house: House) -> None:
    house.clock[0] += 110 * MINUTE
    made = await reserved(house, ("mug", 1), levels=["SAME_DAY"], ttl="PT60M")
    before = moment(made["option"]["orderBefore"])
    assert house.now < before < house.now + 60 * MINUTE
    assert moment(made["expiresAt"]) == before
    assert moment((await extend(house, made["id"], "PT60M"))["expiresAt"]) == before
    option = (await house.options(("pen", 1), methods=["PICKUP"]))["options"][0]
    pickup = await reserve(house, option["token"], key="pickup", ttl="PT60M")
    house.clock[0] += 30 * MINUTE
    assert moment((await extend(house, pickup["id"], "PT60M"))["expiresAt"]) == moment(option["latest"])


async def test_what_is_released_is_free_at_once_and_once(house: House) -> None:
    made = await reserved(house, ("mug", 3))
    assert await release(house, made["id"]) == made
    assert await held(house, "mug") == {}
    assert await release(house, made["id"]) == made
    assert await held(house, "mug") == {}
    error = await house.place("order", [("mug", 3)], reservationId=made["id"])
    assert error["__typename"] == "ReservationExpiredError"


async def test_the_same_key_answers_the_first_reservation_and_refuses_another_input(house: House) -> None:
    token = (await option(house, ("mug", 3)))["token"]
    made = await reserve(house, token)
    house.clock[0] += 14 * MINUTE
    other = (await option(house, ("mug", 2)))["token"]
    assert await reserve(house, token) == made
    house.clock[0] += 2 * MINUTE
    assert await reserve(house, token) == made  # and that although the option has expired
    for changed in ((other, "cart", None), (token, "cart", "PT5M")):
        error = await reserve(house, *changed)
        assert (error["__typename"], error["path"]) == ("IdempotencyConflictError", ["idempotencyKey"])
    error = await reserve(house, other, " ")
    assert (error["__typename"], error["path"]) == ("InvalidInputError", ["idempotencyKey"])


async def test_only_an_option_of_ours_that_still_holds_can_be_reserved(house: House) -> None:
    token = (await option(house, ("mug", 3)))["token"]
    for n, forged in enumerate(("", "nonsense", token[:-4] + "AAAA")):
        error = await reserve(house, forged, f"key {n}")
        assert (error["__typename"], error["path"]) == ("InvalidInputError", ["optionToken"])
    house.clock[0] += 16 * MINUTE
    assert (await reserve(house, token))["__typename"] == "OptionExpiredError"
    assert await held(house, "mug") == {}


async def test_an_order_takes_its_reservation_over_exactly_once(house: House) -> None:
    made = await reserved(house, ("mug", 3), ("lamp", 2))
    lines = [("mug", 3), ("lamp", 2)]
    order = await house.place("order", lines, reservationId=made["id"])
    assert order["__typename"] == "Order", order
    assert order["shippingPrice"] == made["option"]["price"]
    (work,) = await house.work(order["id"])
    assert work["location"]["code"] == "WB"
    assert await held(house, "mug") == {"WB": 3}
    assert await held(house, "lamp") == {"WB": 2}
    assert (await house.place("order", lines, reservationId=made["id"]))["id"] == order["id"]
    error = await house.place("another", lines, reservationId=made["id"])
    assert (error["__typename"], error["path"]) == ("ReservationExpiredError", ["reservationId"])
    error = await release(house, made["id"])
    assert (error["__typename"], error["status"]) == ("ActionNotAllowedError", "PLACED")
    assert (await extend(house, made["id"], "PT5M"))["__typename"] == "ReservationExpiredError"
    house.clock[0] += 20 * MINUTE
    await swept(house)
    assert await held(house, "mug") == {"WB": 3}


async def test_an_order_that_contradicts_its_reservation_is_refused_and_leaves_it_open(house: House) -> None:
    made = await reserved(house, ("mug", 3))
    cases: list[tuple[list[tuple[str, int]], dict[str, Any], str]] = [
        ([("mug", 2)], {}, "lines"),
        ([("mug", 3)], {"channel": "app"}, "channel"),
        ([("mug", 3)], {"level": "SAME_DAY"}, "level"),
        ([("mug", 3)], {"optionToken": made["option"]["token"]}, "reservationId"),
        ([("mug", 3)], {"reservationId": house.ids["WB"]}, "reservationId"),
    ]
    for n, (lines, more, path) in enumerate(cases):
        error = await house.place(f"order {n}", lines, **{"reservationId": made["id"], "method": None, **more})
        assert (error["__typename"], error["path"]) == ("InvalidInputError", [path])
    order = await house.place("order", [("mug", 3)], reservationId=made["id"], method=None)
    assert order["__typename"] == "Order"


async def test_an_incomplete_option_reserves_and_places_what_it_covers(house: House) -> None:
    made = await reserved(house, ("mug", 2), ("lamp", 30))
    assert made["option"]["missing"] == [{"sku": "lamp", "quantity": 4}]
    lots = sorted((line["sku"], line["quantity"]) for line in made["lines"])
    assert lots == [("lamp", 1), ("lamp", 5), ("lamp", 20), ("mug", 2)]
    order = await house.place("order", [("mug", 2), ("lamp", 30)], reservationId=made["id"])
    assert {(line["sku"], line["quantity"]) for line in order["lines"]} == {("mug", 2), ("lamp", 26)}


async def test_the_rest_of_an_incomplete_reservation_may_wait_for_stock(house: House) -> None:
    made = await reserved(house, ("mug", 2), ("lamp", 30))
    order = await house.place("order", [("mug", 2), ("lamp", 30)], reservationId=made["id"], allowBackorder=True)
    assert {(line["sku"], line["quantity"]) for line in order["lines"]} == {("mug", 2), ("lamp", 30)}
    assert sum((await held(house, "lamp")).values()) == 26


@pytest.mark.parametrize("why", ["sold", "suspended", "held back"])
async def test_where_the_planned_location_cannot_another_keeps_the_promise(house: House, why: str) -> None:
    chosen = await option(house, ("pen", 8))
    ((first, _),) = places = [(parcel["location"]["code"], parcel["lines"]) for parcel in chosen["parcels"]]
    if why == "sold":
        rows = [{"sku": "pen", "locationCode": first, "onHand": 7}]
        query = "mutation ($rows: [StockRowInput!]!) { importStock(rows: $rows) { updated } }"
        assert await house.ask(Role.ADMIN, query, rows=rows) == {"updated": 1}
    elif why == "suspended":
        query = "mutation ($id: ID!) { setLocationStatus(id: $id, status: SUSPENDED) { __typename } }"
        assert await house.ask(Role.ADMIN, query, id=house.ids[first]) == {"__typename": "Location"}
    else:
        async with house.gateway.database.transaction() as connection:
            hold = "INSERT INTO holdback (channel, sku, location_id, units) SELECT 'web', 'pen', id, 3 FROM location"
            await connection.execute(f"{hold} WHERE code = $1", first)
    made = await reserve(house, chosen["token"])
    ((second, lines),) = [(parcel["location"]["code"], parcel["lines"]) for parcel in made["option"]["parcels"]]
    assert {first, second} == {"SM", "SN"}
    assert lines == places[0][1]
    assert await held(house, "pen") == {second: 8}
    assert made["option"]["price"] == {"amount": chosen["price"]["amount"]}
    order = await house.place("order", [("pen", 8)], reservationId=made["id"])
    assert [work["location"]["code"] for work in await house.work(order["id"])] == [second]


async def test_where_nobody_can_keep_the_promise_it_is_out_of_stock(house: House) -> None:
    chosen = await option(house, ("pen", 8))
    for n in range(2):
        assert (await house.place(f"order {n}", [("pen", 8)], level="STANDARD"))["__typename"] == "Order"
    error = await reserve(house, chosen["token"])
    assert (error["__typename"], error["missing"]) == ("OutOfStockError", [{"sku": "pen", "quantity": 8}])
    assert await held(house, "pen") == {"SM": 8, "SN": 8}


async def test_what_was_planned_ahead_is_reserved_only_if_it_would_be_planned_so_now(house: House) -> None:
    ahead = await option(house, ("mug", 3), at=(house.now + 5 * MINUTE).isoformat())
    assert (await reserve(house, ahead["token"], "today"))["__typename"] == "Reservation"
    later = await option(house, ("mug", 3), at=(house.now + timedelta(days=3)).isoformat())
    assert (await reserve(house, later["token"], "not today"))["__typename"] == "OptionExpiredError"
    assert await held(house, "mug") == {"WB": 3}


async def test_a_pickup_is_reserved_at_its_store(house: House) -> None:
    found = await house.options(("pen", 2), methods=["PICKUP"])
    made = await reserve(house, found["options"][0]["token"])
    assert [line["location"]["code"] for line in made["lines"]] == ["SM"]
    more = {"method": "PICKUP", "shipTo": None, "reservationId": made["id"]}
    assert (await house.place("order", [("pen", 2)], **more))["__typename"] == "Order"
    assert await held(house, "pen") == {"SM": 2}


async def test_reservations_are_the_shops_and_nobody_finds_one_that_is_not_there(house: House) -> None:
    made = await reserved(house, ("mug", 3))
    read = "query ($id: ID!) { node(id: $id) { id } }"
    assert await house.ask(Role.STORE, read, "WB", id=made["id"]) is None
    assert (await house.ask(Role.OPERATIONS, read, id=made["id"]))["id"] == made["id"]
    for name in ("extendReservation", "releaseReservation"):
        more = 'ttl: "PT5M"' if name == "extendReservation" else ""
        query = f"mutation ($id: ID!) {{ {name}(id: $id {more}) {{ __typename ... on UserError {{ path }} }} }}"
        answer = await house.post(Role.STORE, query, "WB", id=made["id"])
        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
        missing = await house.ask(Role.STOREFRONT, query, id=house.ids["WB"])
        assert missing == {"__typename": "NotFoundError", "path": ["id"]}
