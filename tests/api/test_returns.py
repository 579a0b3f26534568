"""Returns: what may come back, how it does, what becomes of it, and what the shopper gets."""

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app import workers
from domain import feed, inventory
from domain.returns import expiry
from domain.timers import run_due
from domain.vocabulary import Role
from schema.webhooks import delivery_of
from tests.api.house import House, know, opened
from tests.api.returning import (
    OPTIONS,
    RETURN,
    close_counter,
    delivered,
    inspect,
    open_counters,
    receive,
    register,
    request,
    save_policy,
    step,
    wanted,
)
from tests.api.test_cancelling import cancel
from tests.api.test_shipments import hand_over, packed, record
from tests.api.test_walk import following, take

UPDATES = """subscription ($order: ID, $location: ID, $after: Cursor) {
    returnUpdates(orderId: $order, locationId: $location, after: $after) { cursor status return { number } } }"""
NEW = {"condition": "NEW"}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers look for what is due more often than they would."""
    monkeypatch.setattr(workers, "LONGEST_SECONDS", 0.05)


async def options(house: House, order: dict[str, Any], *quantities: int, role: Role = Role.STOREFRONT) -> Any:
    lines = wanted(order, *quantities) if quantities else None
    return await house.ask(role, OPTIONS, order=order["id"], lines=lines)


async def returned(house: House, order: dict[str, Any]) -> list[int]:
    return [line["returned"] for line in (await house.order(order["id"], "lines { returned }"))["lines"]]


async def until(house: House, id: str, field: str) -> dict[str, Any]:  # noqa: A002
    """Return a return once that field of it is filled."""
    query = f"query ($id: ID!) {{ node(id: $id) {{ ... on Return {{ {RETURN} }} }} }}"
    async with asyncio.timeout(30):
        while True:
            found: dict[str, Any] = await house.ask(Role.STOREFRONT, query, id=id)
            if found[field]:
                return found
            await asyncio.sleep(0.02)


async def test_goods_come_back_to_another_store_than_announced_and_are_sold_once_inspected(
    house: House,
) -> None:
    await open_counters(house)
    order = await delivered(house, ("pen", 3))
    found = await options(house, order)
    assert [(each["method"], each["location"]["code"]) for each in found["options"]] == [
        ("IN_STORE", "SM"), ("IN_STORE", "SN"), ("CARRIER", "WB"),
    ]  # fmt: skip
    assert found["options"][0]["distanceKm"] < found["options"][1]["distanceKm"]
    assert [(line["returnable"], line["code"]) for line in found["lines"]] == [(3, None)]
    assert found["lines"][0]["latestBy"] == "2026-04-04T00:00:00+02:00"  # thirty days, over the change of the clock
    async with (
        following(house, UPDATES, Role.STOREFRONT, order=order["id"]) as shopper,
        following(house, UPDATES, Role.STORE, "SN", location=house.ids["SN"]) as tablet,
    ):
        back = await request(house, order, 2, at="SM")
        assert (back["status"], back["announcedLocation"], back["allowedActions"]) == (
            "APPROVED", {"code": "SM"}, ["CANCEL"],
        )  # fmt: skip
        assert (await house.order(order["id"], "returns { number }", Role.STOREFRONT)) == {
            "returns": [{"number": back["number"]}]
        }
        here = await receive(house, back, "SN")
        assert (here["status"], here["receivedLocation"], here["allowedActions"]) == (
            "RECEIVED", {"code": "SN"}, ["INSPECT"],
        )  # fmt: skip
        assert await returned(house, order) == [2]
        assert (await house.levels("pen"))["SN"] == (10, 0, 10)
        done = await inspect(house, here, NEW, by="SN")
        assert (done["status"], done["refund"]) == ("INSPECTED", {"amount": "20.00", "currency": "EUR"})
        assert (done["lines"][0]["disposition"], done["lines"][0]["transferTo"]) == ("RESTOCK", None)
        assert (await house.levels("pen"))["SN"] == (12, 0, 12)
        closed = await step(house, "closeReturn", done, "", "SN")
        assert (closed["status"], closed["allowedActions"]) == ("CLOSED", [])
        heard = await take(shopper, 5)
        assert [each["status"] for each in heard] == ["REQUESTED", "APPROVED", "RECEIVED", "INSPECTED", "CLOSED"]
        assert [each["status"] for each in await take(tablet, 3)] == ["RECEIVED", "INSPECTED", "CLOSED"]
    async with following(house, UPDATES, Role.STOREFRONT, order=order["id"], after=heard[1]["cursor"]) as again:
        assert [each["cursor"] for each in await take(again, 3)] == [each["cursor"] for each in heard[2:]]
    number = back["number"]
    assert [entry["message"] for entry in closed["timeline"]] == [
        f"Return {number} of 2 x pen was requested.",
        f"Return {number} was approved.",
        f"Berlin Nord received return {number}.",
        "Berlin Nord: 2 x pen, new: restocked, 20.00 EUR to refund.",
        f"Berlin Nord inspected return {number}.",
        f"Return {number} was closed: 20.00 EUR to refund.",
    ]
    assert house.gateway
    async with house.gateway.database.reading() as connection:
        told = [delivery_of(update) for update in await feed.read(connection, feed.NOWHERE) if update.return_id]
    bodies = [json.loads(each.body)["data"] for each in told]
    assert [body.get("refund") for body in bodies] == [None] * 3 + [{"amount": "20.00", "currency": "EUR"}] * 2
    assert {(body["returnId"], body["orderId"]) for body in bodies} == {(back["id"], order["id"])}
    assert {each.subject for each in told} == {each.subject for each in told[:1]}  # in order, with the order's own


async def test_a_carrier_brings_goods_back_with_a_label_and_its_reports_move_the_return(house: House) -> None:
    await open_counters(house)
    await save_policy(house, carrierPrice="3.50", deductions=[{"condition": "OPENED", "share": "0.333"}])
    order = await delivered(house, ("pen", 3))
    (way,) = [each for each in (await options(house, order))["options"] if each["method"] == "CARRIER"]
    assert (way["carrierService"], way["price"]) == ({"code": "parcel"}, {"amount": "3.50"})
    back = await until(house, (await request(house, order, 3, method="CARRIER"))["id"], "labelUrl")
    label = await house.http.get(back["labelUrl"])
    assert (label.status_code, label.content[:5]) == (200, b"%PDF-")
    for status in ("IN_TRANSIT", "DELIVERED", "IN_TRANSIT"):
        moved = await record(house, back["trackingNumber"], status)
        assert moved["__typename"] == "Return", moved
    assert (await until(house, back["id"], "status"))["status"] == "IN_TRANSIT"
    assert (await step(house, "cancelReturn", back, role=Role.STOREFRONT))["found"] == "IN_TRANSIT"
    here = await step(house, "receiveReturn", back, f', locationId: "{house.ids["WB"]}"')
    assert (here["status"], here["labelUrl"]) == ("RECEIVED", None)
    assert (await house.http.get(back["labelUrl"])).status_code == 404
    line = f'lines: [{{lineId: "{here["lines"][0]["id"]}", condition: OPENED}}]'
    done = await step(house, "inspectReturn", here, f", {line}")
    assert (done["lines"][0]["disposition"], done["lines"][0]["refund"]["amount"]) == ("REFURBISH", "20.01")
    assert done["refund"]["amount"] == "16.51"
    query = 'query ($at: ID) { stockLevels(skus: ["pen"], location: $at) { edges { node { onHand damaged } } } }'
    (edge,) = (await house.ask(Role.ADMIN, query, at=house.ids["WB"]))["edges"]
    assert edge["node"] == {"onHand": 0, "damaged": 3}


async def test_what_is_lost_on_its_way_back_is_called_off_and_no_label_says_any_more_where_somebody_lives(
    house: House,
) -> None:
    await open_counters(house)
    order, (shipment,) = await packed(house, ("pen", 3))
    await hand_over(house, order)
    await record(
        house, shipment["trackingNumber"], "DELIVERED", ', at: "1970-01-01T00:00:00Z"'
    )  # a clock that is wrong
    assert (await options(house, order))["lines"][0]["latestBy"] == "2026-04-04T00:00:00+02:00"
    back = await until(house, (await request(house, order, 3, method="CARRIER"))["id"], "labelUrl")
    assert (await record(house, back["trackingNumber"], "LOST"))["__typename"] == "Return"
    assert (await options(house, order))["lines"][0]["returnable"] == 0
    off = await step(house, "cancelReturn", back)
    assert (off["status"], off["labelUrl"], off["allowedActions"]) == ("CANCELLED", None, [])
    assert (await house.http.get(back["labelUrl"])).status_code == 404
    assert (await record(house, back["trackingNumber"], "IN_TRANSIT"))["__typename"] == "Return"  # it is found
    assert (await receive(house, back, "SM"))["__typename"] == "NotFoundError"
    found = await register(house, "SM", ("pen", 3), orderNumber=order["number"], postalCode="10115")
    assert (found["status"], found["lines"][0]["quantity"]) == ("RECEIVED", 3)


HARMS = (
    ("UPDATE order_line SET returned = 1", "pen of order {order}: 1 returned, its returns come to 2."),
    ("UPDATE order_line SET fulfilled = 1", "pen of order {order}: 2 returned or announced of 1 fulfilled."),
    ("UPDATE return_line SET refund = 2001", "pen of order {order}: 2001 refunded of 2000 paid."),
    (
        "UPDATE customer_return SET status = 'RECEIVED'",
        "Return {back} is RECEIVED: 1 of 1 lines inspected, 2000 refunded, received at SM.",
    ),
    (
        "UPDATE customer_return SET received_location_id = NULL",
        "Return {back} is INSPECTED: 1 of 1 lines inspected, 2000 refunded, received at no location.",
    ),
    (
        "UPDATE return_line SET disposition = 'TRANSFER'",
        "Return {back} is INSPECTED: 1 of 1 lines inspected, 2000 refunded, received at SM.",
    ),
    (
        "UPDATE return_line SET quantity = 3",
        "pen of order {order}: 3 inspected, the ledger says 2 came back.",
    ),
    (
        "UPDATE stock_movement SET reason = 'RECEIVED' WHERE reason = 'RETURNED'",
        "pen of order {order}: 2 inspected, the ledger says 0 came back.",
    ),
    ("UPDATE customer_return SET order_id = gen_random_uuid()", "Return {back} belongs to no order."),
)


async def test_check_finds_returns_that_do_not_agree_with_orders_and_stock(furnished_dsn: str) -> None:
    async with opened(furnished_dsn) as house:
        await know(house)
        await open_counters(house)
        order = await delivered(house, ("pen", 3))
        back = await inspect(house, await receive(house, await request(house, order, 2), "SM"), NEW)
        tables = ("customer_return", "return_line", "order_line", "stock_movement")
        async with house.gateway.database.reading() as connection:  # type: ignore[union-attr]
            assert await inventory.check(connection) == []
            for table in tables:
                await connection.execute(f"CREATE TABLE kept_{table} AS TABLE {table}")
            for harm, finding in HARMS:
                await connection.execute(harm)
                found = await inventory.check(connection)
                assert finding.format(order=order["number"], back=back["number"]) in found, (harm, found)
                for table in tables:
                    await connection.execute(f"SET session_replication_role = replica; DELETE FROM {table}")
                    await connection.execute(f"INSERT INTO {table} TABLE kept_{table}")
            assert await inventory.check(connection) == []


async def test_policies_say_until_when_for_how_much_and_whether_somebody_has_to_agree(house: House) -> None:
    await open_counters(house)
    saved = await save_policy(house, inStorePrice="1.00", autoApprove=False, days=14)
    assert (saved["version"], saved["days"], saved["inStorePrice"]["amount"]) == (2, 14, "1.00")
    assert (await save_policy(house, days=14))["version"] == 2
    assert (await save_policy(house, version=1, days=3))["currentVersion"] == 2
    for path, wrong in (
        (["days"], {"days": -1}),
        (["deductions", "0", "share"], {"deductions": [{"condition": "NEW", "share": "1.5"}]}),
        (["currency"], {"currency": "XXX"}),
        (["name"], {"name": "a\nb"}),
    ):
        refused = await save_policy(house, **wrong)
        assert (refused["__typename"], refused["path"]) == ("InvalidInputError", path)
    never = await save_policy(house, name="underwear", itemTags=["underwear"], days=0, priority=200)
    names = [each["name"] for each in await house.ask(Role.OPERATIONS, "{ returnPolicies { name } }")]
    assert (never["priority"], names) == (200, ["underwear", "standard"])
    order = await delivered(house, ("pen", 3))
    back = await request(house, order, 2)
    assert (back["status"], back["allowedActions"], back["price"]["amount"]) == ("REQUESTED", ["CANCEL"], "1.00")
    assert (await receive(house, back, "SM"))["__typename"] == "NotFoundError"  # announced nowhere, and not approved
    declined = await step(house, "declineReturn", back, ', reason: "Worn."')
    assert (declined["status"], declined["timeline"][-1]["message"]) == (
        "DECLINED", f"Return {back['number']} was declined: Worn.",
    )  # fmt: skip
    assert (await step(house, "approveReturn", back))["allowed"] == []
    again = await request(house, order, 3, key="again")
    assert [(await step(house, "approveReturn", again))["status"] for _ in range(2)] == ["APPROVED", "APPROVED"]
    assert (await step(house, "cancelReturn", again, role=Role.STOREFRONT))["status"] == "CANCELLED"
    assert await save_policy(house, name="final sale", channels=["web"], days=0, priority=300)
    assert (await options(house, order))["lines"][0]["message"] == "It is not taken back."
    assert (await request(house, order, 1, key="sale"))["message"] == "pen: It is not taken back."
    await save_policy(house, name="final sale", channels=["outlet"])
    house.clock[0] = datetime(2026, 3, 18, 22, 59, 59, tzinfo=UTC)  # a second before midnight in Berlin
    assert (await request(house, order, 1, key="in time"))["status"] == "REQUESTED"
    house.clock[0] += timedelta(seconds=1)
    assert (await options(house, order))["lines"][0]["message"] == "It was taken back until 2026-03-18."
    late = await request(house, order, 1, key="late")
    assert (late["__typename"], late["code"], late["path"]) == (
        "ReturnNotEligibleError", "RETURN_NOT_ELIGIBLE", ["lines", "0", "quantity"],
    )  # fmt: skip


async def test_a_return_of_which_nothing_comes_expires_two_weeks_after_its_last_day_and_may_be_asked_for_again(
    house: House,
) -> None:
    await open_counters(house)
    order = await delivered(house, ("pen", 4))
    (last_day,) = {each["latestBy"] for each in (await options(house, order))["options"]}
    sent, gone = [await request(house, order, 1, method="CARRIER", key=key) for key in ("sent", "gone")]
    sent, gone = [await until(house, each["id"], "labelUrl") for each in (sent, gone)]
    await record(house, sent["trackingNumber"], "IN_TRANSIT")
    await save_policy(house, autoApprove=False)
    slow, unheard = [await request(house, order, 1, key=key) for key in ("slow", "unheard")]
    expires_at = datetime.fromisoformat(last_day) + timedelta(days=14)
    for each, waits in ((sent, None), (gone, expires_at), (slow, expires_at), (unheard, expires_at)):
        found = (await until(house, each["id"], "status"))["expiresAt"]
        assert (found and datetime.fromisoformat(found)) == waits
    house.clock[0] = expires_at - timedelta(days=10)
    slow = await step(house, "approveReturn", slow)
    assert datetime.fromisoformat(slow["expiresAt"]) == house.now + timedelta(days=14)
    assert house.gateway is not None
    database, places = house.gateway.database, house.gateway.networks
    handlers = {expiry.LOOK: expiry.look, expiry.EXPIRY: expiry.handler(places)}
    async with following(house, UPDATES, Role.OPERATIONS, order=order["id"]) as told:
        house.clock[0] = expires_at
        for _ in range(2):  # beside the house's own
            await asyncio.gather(*(run_due(database, handlers, now=house.now) for _ in range(3)))
        assert {(each["return"]["number"], each["status"]) for each in await take(told, 2)} == {
            (back["number"], "CANCELLED") for back in (gone, unheard)
        }
        assert told.empty()
    ended = await step(house, "cancelReturn", gone)  # which changes nothing any more
    assert (ended["status"], ended["labelUrl"], ended["expiresAt"]) == ("CANCELLED", None, None)
    said = f"Return {gone['number']} was cancelled: nothing of it has come in time."
    assert [each["message"] for each in ended["timeline"]].count(said) == 1
    assert [(await until(house, each["id"], "status"))["status"] for each in (sent, slow)] == ["IN_TRANSIT", "APPROVED"]
    assert (await receive(house, gone, "SM"))["__typename"] == "NotFoundError"
    await save_policy(house, days=90)
    assert (await options(house, order))["lines"][0]["returnable"] == 2


async def test_no_more_comes_back_than_came_and_a_repeated_request_is_one(house: House) -> None:
    await open_counters(house)
    order = await delivered(house, ("pen", 3), ("mug", 1))
    first = await request(house, order, 2, 0)
    assert await request(house, order, 2, 0) == first
    assert (await request(house, order, 1, 0))["__typename"] == "IdempotencyConflictError"
    for quantities, kind in (((2, 0), "ReturnNotEligibleError"), ((0, 0), "InvalidInputError"), ((-1, 1), None)):
        answer = await request(house, order, *quantities, key=str(quantities))
        assert answer["__typename"] == (kind or "InvalidInputError"), answer
    second = await request(house, order, 1, 1, key="second")
    found = await options(house, order)
    assert (found["options"], [line["returnable"] for line in found["lines"]]) == ([], [0, 0])
    assert "returned already" in found["lines"][0]["message"]
    for back in (first, second):
        here = await receive(house, back, "SM")
        said = [{"condition": "DAMAGED", "refund": "3.33"} for _ in here["lines"]]
        if len(said) > 1:
            part = await inspect(house, here, said[0], {})
            assert (part["status"], part["refund"]["amount"]) == ("RECEIVED", "3.33")
            assert (await inspect(house, here, said[0], {}))["version"] == part["version"]
            twice = await inspect(house, here, NEW, said[1])
            assert (twice["__typename"], twice["path"]) == ("ActionNotAllowedError", ["lines", "0", "lineId"])
            said[0] = {}
        dear = [{"condition": "NEW", "refund": "20.01"} if each else {} for each in said]
        refused = await inspect(house, here, *dear)
        assert (refused["__typename"], refused["path"][-1]) == ("InvalidInputError", "refund")
        done = await inspect(house, here, *said)
        assert (done["status"], {line["disposition"] for line in done["lines"]}) == ("INSPECTED", {"DISPOSE"})
        assert (await inspect(house, here, *said))["version"] == done["version"]
        assert (await inspect(house, here, *dear))["__typename"] == "ActionNotAllowedError"
    assert await returned(house, order) == [3, 1]
    assert (await house.levels("pen"))["SM"] == (7, 0, 7)


async def test_what_has_not_come_to_the_shopper_cannot_come_back(house: House) -> None:
    await open_counters(house)
    order, _ = await packed(house, ("pen", 3))
    assert (await request(house, order, 1))["found"] == "IN_FULFILLMENT"
    assert (await options(house, order))["lines"][0]["message"] == "Nothing of it has left its location."
    await hand_over(house, order)
    assert (await request(house, order, 1))["message"] == "pen: It is still on its way."
    house.clock[0] += timedelta(days=2)  # no carrier told of it, but it was promised for before
    assert (await request(house, order, 1))["status"] == "APPROVED"
    none = await house.post(Role.STOREFRONT, OPTIONS, order=order["id"], lines=[{**wanted(order, 1)[0], "quantity": 0}])
    assert none["errors"][0]["extensions"]["code"] == "INVALID_INPUT"
    ghost = {**order, "id": house.ids["SM"]}
    assert (await request(house, ghost, 1, key="ghost"))["path"] == ["orderId"]
    closed = await request(house, order, 1, at="WH", key="nowhere")
    assert (closed["__typename"], closed["path"]) == ("InvalidInputError", ["locationId"])


async def test_of_an_order_in_two_parcels_only_what_has_arrived_comes_back(house: House) -> None:
    await open_counters(house)
    order, parcels = await packed(house, ("pen", 14))
    await hand_over(house, order)
    first, second = sorted(parcels, key=lambda each: -each["lines"][0]["quantity"])
    await record(house, first["trackingNumber"], "DELIVERED")
    assert (await options(house, order))["lines"][0]["returnable"] == 10
    assert (await request(house, order, 11))["message"] == "pen: 10 can be returned."
    assert (await request(house, order, 10, key="all of it"))["status"] == "APPROVED"
    house.clock[0] += timedelta(days=40)  # the first is too old by now, the other has just come
    await record(house, second["trackingNumber"], "DELIVERED", f', at: "{house.now.isoformat()}"')
    assert (await options(house, order))["lines"][0]["returnable"] == 4


async def test_at_the_counter_a_gift_comes_back_by_number_and_postal_code_or_blind(house: House) -> None:
    await open_counters(house, "SN")
    order = await delivered(house, ("pen", 3))
    gift = {"orderNumber": order["number"], "postalCode": " 101 15"}
    for path, wrong in (
        (["orderNumber"], {**gift, "postalCode": "10117"}),
        (["orderNumber"], {**gift, "orderNumber": "x\n"}),
        (["postalCode"], {"orderNumber": order["number"]}),
    ):
        assert (await register(house, "SN", ("pen", 1), **wrong))["path"] == path
    assert (await register(house, "SN", ("mug", 1), **gift))["path"] == ["lines", "0", "sku"]
    assert (await register(house, "SN", ("pen", 4), **gift))["__typename"] == "ReturnNotEligibleError"
    assert (await register(house, "SM", ("pen", 1), **gift))["path"] == ["locationId"]
    back = await register(house, "SN", ("pen", 1), **gift)
    assert (back["status"], back["method"], back["receivedLocation"]) == ("RECEIVED", "IN_STORE", {"code": "SN"})
    assert await register(house, "SN", ("pen", 1), **gift) == back
    assert await returned(house, order) == [1]
    blind = await register(house, "SN", ("pen", 2), ("mug", 1), idempotencyKey="blind")
    assert (blind["order"], blind["refund"]) == (None, {"amount": "0.00", "currency": "EUR"})
    done = await inspect(house, blind, {"condition": "NEW", "refund": "7.00"}, {"condition": "DEFECTIVE"}, by="SN")
    assert (done["refund"]["amount"], [line["disposition"] for line in done["lines"]]) == (
        "7.00", ["RESTOCK", "SEND_BACK"],
    )  # fmt: skip
    assert ((await house.levels("pen"))["SN"], (await house.levels("mug"))["SN"]) == ((12, 0, 12), (4, 0, 4))
    assert (await register(house, "SN", ("spoon", 1), idempotencyKey="what"))["path"] == ["lines", "0", "sku"]
    await close_counter(house, "SN")
    assert (await register(house, "SN", ("pen", 1), idempotencyKey="no more"))["path"] == ["locationId"]
    assert (await register(house, "SN", ("pen", 1), **gift))["id"] == back["id"]


async def test_nobody_finds_a_postal_code_out_by_trying_nor_whether_an_order_has_a_number(house: House) -> None:
    """However many try at once, with a number that an order has or with one that none has: five are answered."""
    await open_counters(house, "SN")
    order = await delivered(house, ("pen", 3))

    async def tried(number: str, *codes: str) -> Counter[str]:
        said = [{"orderNumber": number, "postalCode": code, "idempotencyKey": f"{number} {code}"} for code in codes]
        answers = await asyncio.gather(*(register(house, "SN", ("pen", 1), **each) for each in said))
        return Counter(answer["__typename"] for answer in answers)

    wrong, locked = "NotFoundError", "ReturnNotEligibleError"
    for number in (order["number"], "X 1"):
        assert await tried(number, *(f"1010{n}" for n in range(9))) == {wrong: 5, locked: 4}
    assert await tried(order["number"], "10115") == {locked: 1}
    house.clock[0] += timedelta(minutes=15)
    for right in ("10115", "10 115"):  # it lets the wrong ones be forgotten
        assert await tried(order["number"], *(f"1010{n}" for n in range(4))) == {wrong: 4}
        assert await tried(order["number"], right) == {"Return": 1}
    assert house.gateway is not None
    async with house.gateway.database.reading() as connection:
        assert await connection.fetchval("SELECT count(*) FROM postal_code_guess") == 0, "nor is the other number kept"
    assert await tried(order["number"], *(f"1010{n}" for n in range(6))) == {wrong: 5, locked: 1}
    assert await tried(order["number"], "10 115") == {"Return": 1}, "what was taken in is answered again"


async def sold(house: House, at: str, sku: str, units: int) -> None:
    """Let a store sell so many over its counter."""
    query = """mutation ($sku: String!, $at: ID!, $delta: Int!, $reason: MovementReason!, $key: String!) { adjustStock(
        sku: $sku, locationId: $at, delta: $delta, reason: $reason, idempotencyKey: $key) { __typename } }"""
    for delta, reason in ((units, "RECEIVED"), (-units, "SOLD")):
        key = f"{at} {sku} {reason}"
        answer = await house.ask(Role.OPERATIONS, query, sku=sku, at=house.ids[at], delta=delta, reason=reason, key=key)
        assert answer == {"__typename": "StockLevel"}, answer


async def test_what_sells_elsewhere_is_sent_there_if_that_is_worth_the_way_and_the_inspector_has_the_last_word(
    house: House,
) -> None:
    await open_counters(house)
    order = await delivered(house, ("pen", 4))
    await sold(house, "SN", "pen", 280)
    sent = await register(house, "SM", ("pen", 4), orderNumber=order["number"], postalCode="10115")
    done = await inspect(house, sent, NEW)
    (line,) = done["lines"]
    assert (line["disposition"], line["transferTo"]) == ("TRANSFER", {"code": "SN"})
    assert line["explanation"].startswith("Here it is worth ")
    assert "at Berlin Nord 39." in line["explanation"]
    assert (await house.levels("pen"))["SM"] == (10, 4, 6)
    query = "{ transfers(status: [REQUESTED]) { edges { node { from { code } to { code } lines { sku quantity } } } } }"
    (edge,) = (await house.ask(Role.OPERATIONS, query))["edges"]
    assert edge["node"] == {
        "from": {"code": "SM"}, "to": {"code": "SN"}, "lines": [{"sku": "pen", "quantity": 4}],
    }  # fmt: skip
    for key, said, disposition in (("kept", "RESTOCK", "RESTOCK"), ("sent", "TRANSFER", "TRANSFER")):
        back = await register(house, "SM", ("pen", 1), idempotencyKey=key)
        done = await inspect(house, back, {**NEW, "disposition": said})
        assert (done["lines"][0]["disposition"], done["lines"][0]["explanation"][:23]) == (
            disposition, "The inspector chose it.",
        )  # fmt: skip
    blind = await register(house, "SM", ("pen", 6), idempotencyKey="blind")
    assert (await inspect(house, blind, {**NEW, "refund": "60.00"}))["lines"][0]["disposition"] == "TRANSFER"
    async with house.gateway.database.transaction() as connection:  # type: ignore[union-attr]
        await connection.execute("UPDATE location SET kind = 'DROP_SHIPPER' WHERE code = 'SN'")
    theirs = await register(house, "SM", ("pen", 6), idempotencyKey="theirs")
    assert (await inspect(house, theirs, {**NEW, "refund": "60.00"}))["lines"][0]["disposition"] == "RESTOCK"
    lonely = await register(house, "SM", ("rug", 1), idempotencyKey="lonely")
    nowhere = await inspect(house, lonely, {**NEW, "disposition": "TRANSFER"})
    assert nowhere["lines"][0]["transferTo"] == {"code": "WH"}
    shut = "mutation ($id: ID!) { setLocationStatus(id: $id, status: CLOSED) { __typename } }"
    await house.ask(Role.OPERATIONS, shut, id=house.ids["WH"])
    back = await register(house, "SM", ("rug", 1), idempotencyKey="shut")
    refused = await inspect(house, back, {**NEW, "disposition": "TRANSFER"})
    assert (refused["__typename"], refused["path"]) == ("InvalidInputError", ["lines"])
    assert (await inspect(house, back, NEW))["lines"][0]["disposition"] == "RESTOCK"


async def test_what_comes_back_goes_to_an_order_that_waits_for_it(house: House) -> None:
    await open_counters(house)
    order = await delivered(house, ("pen", 10))
    await delivered_rest(house)
    waiting = await house.place("waits", [("pen", 2)], level="SAME_DAY", allowBackorder=True)
    assert waiting["status"] == "BACKORDERED"
    await sold(house, "SN", "pen", 280)
    back = await receive(house, await request(house, order, 2), "SM")
    done = await inspect(house, back, NEW)
    assert (done["lines"][0]["disposition"], done["lines"][0]["explanation"]) == (
        "RESTOCK", "Orders wait for 2 of it.",
    )  # fmt: skip
    async with asyncio.timeout(30):
        while (await house.order(waiting["id"]))["status"] != "ROUTED":
            await asyncio.sleep(0.02)
    assert [work["location"]["code"] for work in await house.work(waiting["id"])] == ["SM"]


async def delivered_rest(house: House) -> None:
    """Let somebody have the pens of the other store."""
    rest = await house.place("rest", [("pen", 10)], level="SAME_DAY")
    assert rest["__typename"] == "Order", rest


async def test_a_parcel_that_could_not_be_delivered_is_received_inspected_and_restocked(house: House) -> None:
    order, (shipment,) = await packed(house, ("pen", 3))
    await hand_over(house, order)
    assert (await record(house, shipment["trackingNumber"], "RETURNED_TO_SENDER"))["__typename"] == "Shipment"
    query = f"query ($order: ID) {{ returns(where: {{order: $order}}) {{ edges {{ node {{ {RETURN} }} }} }} }}"
    async with asyncio.timeout(30):
        while not (edges := (await house.ask(Role.STORE, query, "SM", order=order["id"]))["edges"]):
            await asyncio.sleep(0.02)
    back = edges[0]["node"]
    assert (back["status"], back["method"], back["announcedLocation"]) == ("IN_TRANSIT", "CARRIER", {"code": "SM"})
    here = await receive(house, back, "SM")  # which takes no returns of shoppers
    assert (await house.levels("pen"))["SM"] == (7, 0, 7)
    done = await inspect(house, here, NEW)
    assert (done["lines"][0]["disposition"], done["refund"]["amount"]) == ("RESTOCK", "0.00")
    assert (await house.levels("pen"))["SM"] == (10, 0, 10)
    assert await returned(house, order) == [0]
    await step(house, "closeReturn", done, "", "SM")
    again = "mutation ($id: ID!) { replaceShipment(id: $id) { ... on Order { status lines { fulfilled returned } } } }"
    sent = {"status": "ROUTED", "lines": [{"fulfilled": 0, "returned": 0}]}
    assert [await house.ask(Role.OPERATIONS, again, id=shipment["id"]) for _ in range(2)] == [sent, sent]
    assert sum(reserved for _, reserved, _ in (await house.levels("pen")).values()) == 3
    assert "RETURN" not in (await house.order(order["id"], "allowedActions"))["allowedActions"]


async def test_a_store_knows_of_no_return_of_another_until_the_goods_are_brought_to_it(house: House) -> None:
    await open_counters(house)
    order = await delivered(house, ("pen", 3))
    back = await request(house, order, 1, at="SM")
    query = "query ($id: ID!) { node(id: $id) { id } returns { totalCount } }"
    for store, seen in (("SM", True), ("SN", False)):
        answer = (await house.post(Role.STORE, query, store, id=back["id"]))["data"]
        assert (answer["node"] is not None, answer["returns"]["totalCount"]) == (seen, int(seen))
    assert (await receive(house, back, "SM", by="SN"))["path"] == ["locationId"]
    here = await receive(house, back, "SN")
    assert (await receive(house, back, "SN"))["version"] == here["version"]
    assert (await receive(house, back, "SM"))["found"] == "RECEIVED"
    assert (await inspect(house, here, NEW, by="SM"))["__typename"] == "ActionNotAllowedError"
    assert (await step(house, "closeReturn", here, "", "SN"))["allowed"] == ["INSPECT"]


async def test_what_came_back_is_not_sent_again_though_its_parcel_is_lost(house: House) -> None:
    order, (parcel,) = await packed(house, ("pen", 3))
    await hand_over(house, order)
    house.clock[0] += timedelta(days=5)  # nobody said that it arrived, nor that it did not
    back = await request(house, order, 1)
    await record(house, parcel["trackingNumber"], "LOST")
    query = """mutation ($id: ID!) { replaceShipment(id: $id) { __typename
        ... on ActionNotAllowedError { message } } }"""
    sent = house.ask(Role.OPERATIONS, query, id=parcel["id"])
    assert await sent == {
        "__typename": "ActionNotAllowedError",
        "message": "Only what will not arrive is sent again: some of it came back, or is announced to.",
    }
    before = await house.order(order["id"], "status allowedActions timeline { message }")
    assert before["allowedActions"] == ["REQUEST_RETURN"]
    assert (await cancel(house, order))["__typename"] == "ActionNotAllowedError"
    assert await house.order(order["id"], "status allowedActions timeline { message }") == before
    await step(house, "cancelReturn", back)
    assert "CANCEL" in (await house.order(order["id"], "allowedActions"))["allowedActions"]
    assert (await house.ask(Role.OPERATIONS, query, id=parcel["id"]))["__typename"] == "Order"


async def test_parcels_of_one_line_are_not_given_up_both_where_one_of_its_units_came_back(house: House) -> None:
    order, parcels = await packed(house, ("pen", 11))
    assert len(parcels) == 2
    await hand_over(house, order)
    house.clock[0] += timedelta(days=5)
    assert (await request(house, order, 1))["__typename"] == "Return"
    for parcel in parcels:
        await record(house, parcel["trackingNumber"], "LOST")
    done = await cancel(house, order)
    assert (done["status"], done["lines"][0]["fulfilled"]) == ("FULFILLED", parcels[1]["lines"][0]["quantity"])
    assert "CANCEL" not in (await house.order(order["id"], "allowedActions"))["allowedActions"]
