"""Parcels: how they are booked, labelled, followed and called off, and when an order is complete."""

import asyncio
import base64
import hmac
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from gql import gql

from app import workers
from domain import inventory
from domain.vocabulary import Role
from tests.api.house import ERROR, House, know, opened
from tests.api.test_cancelling import cancel
from tests.api.test_store_work import picking, placed, reject, report

SHIPMENT = """id status trackingNumber trackingUrl labelUrl expectedLatest location { code }
    carrierService { code carrier } lines { sku quantity } events { at status description }"""
SECRET = b"a secret of carriers, 32 bytes!!"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers look for what is due more often than they would."""
    monkeypatch.setattr(workers, "LONGEST_SECONDS", 0.05)


async def pack(house: House, work: dict[str, Any]) -> None:
    """Let the office do all that comes before handing over."""
    told = ", ".join(f'{{lineId: "{line["id"]}", picked: {line["quantity"]}}}' for line in work["lines"])
    for step, arguments in (
        ("acceptAssignment", ""),
        ("startPicking", ""),
        ("reportPicked", f", lines: [{told}]"),
        ("packAssignment", ""),
    ):
        done = await house.do(step, work["id"], arguments=arguments, role=Role.OPERATIONS)
        assert done["__typename"] == "Assignment", done


async def shipments(house: House, order: str, role: Role = Role.OPERATIONS) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await house.order(order, f"shipments {{ {SHIPMENT} }}", role))["shipments"]
    return found


async def booked(house: House, order: str) -> list[dict[str, Any]]:
    """Return the order's shipments once each has its number."""
    async with asyncio.timeout(30):
        while True:
            found = await shipments(house, order)
            if found and all(each["trackingNumber"] for each in found):
                return found
            await asyncio.sleep(0.02)


async def packed(
    house: House, *lines: tuple[str, int], level: str = "SAME_DAY", key: str = "order"
) -> tuple[dict[str, Any], list[Any]]:
    order = await placed(house, *lines, level=level, key=key)
    for work in await house.work(order["id"]):
        await pack(house, work)
    return order, await booked(house, order["id"])


async def hand_over(house: House, order: dict[str, Any]) -> None:
    for work in await house.work(order["id"]):
        done = await house.do("handOverAssignment", work["id"], role=Role.OPERATIONS)
        assert done["__typename"] == "Assignment", done


async def record(
    house: House, number: str, status: str, more: str = "", role: Role = Role.OPERATIONS, *locations: str
) -> dict[str, Any]:
    query = f"""mutation {{ recordTracking(trackingNumber: "{number}", status: {status} {more}) {{
        __typename ... on Shipment {{ {SHIPMENT} }} {ERROR} }} }}"""
    answer: dict[str, Any] = await house.ask(role, query, *locations)
    return answer


async def said(house: House, order: dict[str, Any]) -> list[str]:
    return [entry["message"] for entry in (await house.order(order["id"], "timeline { message }"))["timeline"]]


async def test_packing_a_delivery_books_its_carrier_and_prints_a_label(house: House) -> None:
    _, (shipment,) = await packed(house, ("pen", 3))
    assert shipment["status"] == "CREATED"
    assert shipment["carrierService"] == {"code": "courier", "carrier": "CityCourier"}
    assert (shipment["lines"], shipment["location"]) == ([{"sku": "pen", "quantity": 3}], {"code": "SM"})
    number = shipment["trackingNumber"]
    assert len(number) == 18
    assert sum(int(digit) * (3, 1)[place % 2] for place, digit in enumerate(number)) % 10 == 0
    label = await house.http.get(shipment["labelUrl"])
    assert (label.status_code, label.headers["content-type"]) == (200, "application/pdf")
    assert label.content.startswith(b"%PDF-")


async def test_a_label_is_for_staff_and_for_whoever_knows_its_path_only(house: House) -> None:
    order, (shipment,) = await packed(house, ("pen", 3))
    (shown,) = await shipments(house, order["id"], Role.STOREFRONT)
    assert shown == {**shipment, "labelUrl": None}
    for key in ("", "x", shipment["id"], shipment["labelUrl"][8:-1]):
        assert (await house.http.get(f"/labels/{key}")).status_code == 404


async def test_a_parcel_goes_from_the_shelf_to_the_shopper_and_the_order_is_complete(house: House) -> None:
    order, (shipment,) = await packed(house, ("pen", 3))
    await hand_over(house, order)
    assert [each["status"] for each in await shipments(house, order["id"])] == ["HANDED_OVER"]
    assert (await house.order(order["id"]))["status"] == "FULFILLED"
    number = shipment["trackingNumber"]
    for minutes, status in enumerate(("IN_TRANSIT", "OUT_FOR_DELIVERY", "DELIVERED"), 1):
        house.clock[0] += timedelta(minutes=minutes)
        assert (await record(house, number, status))["status"] == status
    assert (await house.order(order["id"]))["status"] == "COMPLETED"
    assert [each["labelUrl"] for each in await shipments(house, order["id"])] == [None]
    assert (await house.http.get(shipment["labelUrl"])).status_code == 404
    assert (await said(house, order))[-4:] == [
        f"Parcel {number} is on its way with CityCourier.",
        f"CityCourier brings parcel {number} today.",
        f"CityCourier delivered parcel {number}.",
        "The shopper has everything.",
    ]


async def test_what_carriers_tell_late_twice_or_in_disorder_does_no_harm(house: House) -> None:
    order, (shipment,) = await packed(house, ("pen", 3))
    await hand_over(house, order)
    number = shipment["trackingNumber"]
    told = [(3, "DELIVERED"), (1, "IN_TRANSIT"), (3, "DELIVERED"), (2, "DELIVERY_FAILED"), (4, "IN_TRANSIT")]
    for hour, status in told:
        answer = await record(house, number, status, f', at: "2026-03-04T1{hour}:00:00Z"')
        assert answer["status"] == "DELIVERED", answer
    events = [(event["at"][11:13], event["status"]) for event in answer["events"]]
    assert events == [("11", "IN_TRANSIT"), ("12", "DELIVERY_FAILED"), ("13", "DELIVERED"), ("14", "IN_TRANSIT")]
    assert (await said(house, order)).count(f"CityCourier delivered parcel {number}.") == 1


async def test_an_older_event_that_comes_late_does_not_turn_a_parcel_back(house: House) -> None:
    order, (shipment,) = await packed(house, ("pen", 3))
    await hand_over(house, order)
    number = shipment["trackingNumber"]
    assert (await record(house, number, "OUT_FOR_DELIVERY", ', at: "2026-03-04T12:00:00Z"'))["status"] == (
        "OUT_FOR_DELIVERY"
    )
    assert (await record(house, number, "IN_TRANSIT", ', at: "2026-03-04T11:00:00Z"'))["status"] == "OUT_FOR_DELIVERY"
    assert (await record(house, number, "DELIVERY_FAILED", ', at: "2026-03-04T13:00:00Z"'))["status"] == (
        "DELIVERY_FAILED"
    )
    assert (await record(house, number, "IN_TRANSIT", ', at: "2026-03-04T14:00:00Z"'))["status"] == "IN_TRANSIT"


async def test_what_was_told_before_handing_over_counts_once_it_is_handed_over(house: House) -> None:
    order, (shipment,) = await packed(house, ("pen", 3))
    assert (await record(house, shipment["trackingNumber"], "DELIVERED"))["status"] == "CREATED"
    await hand_over(house, order)
    assert [each["status"] for each in await shipments(house, order["id"])] == ["DELIVERED"]
    assert (await house.order(order["id"]))["status"] == "COMPLETED"


@pytest.mark.parametrize("end", ["LOST", "RETURNED_TO_SENDER"])
async def test_a_parcel_that_does_not_arrive_leaves_the_order_fulfilled(house: House, end: str) -> None:
    order, parcels = await packed(house, ("rug", 1), ("pen", 3), level="STANDARD")
    assert len(parcels) == 2
    await hand_over(house, order)
    await record(house, parcels[0]["trackingNumber"], "DELIVERED")
    assert (await house.order(order["id"]))["status"] == "FULFILLED"
    assert (await record(house, parcels[1]["trackingNumber"], end))["status"] == end
    assert (await house.order(order["id"]))["status"] == "FULFILLED"


async def test_a_parcel_that_was_lost_may_be_found(house: House) -> None:
    order, (shipment,) = await packed(house, ("pen", 3))
    await hand_over(house, order)
    await record(house, shipment["trackingNumber"], "LOST")
    house.clock[0] += timedelta(days=3)
    assert (await record(house, shipment["trackingNumber"], "DELIVERED"))["status"] == "DELIVERED"
    assert (await house.order(order["id"]))["status"] == "COMPLETED"


async def test_what_is_refused_and_found_short_is_shipped_in_two_parcels_and_complete_when_both_arrive(
    house: House,
) -> None:
    order = await placed(house, ("mug", 3))
    (first,) = await house.work(order["id"])
    await reject(house, first)
    _, second = await house.work(order["id"])
    await picking(house, second)
    await report(house, second, (2, "OUT_OF_STOCK"))
    *_, third = await house.work(order["id"])
    assert len({each["location"]["code"] for each in (first, second, third)}) == 3
    assert third["lines"][0]["quantity"] == 1
    await house.do("packAssignment", second["id"], "SN")
    await pack(house, third)
    parcels = await booked(house, order["id"])
    assert [[line["quantity"] for line in each["lines"]] for each in parcels] == [[2], [1]]
    statuses = []
    for work, parcel in zip((second, third), parcels, strict=True):
        await house.do("handOverAssignment", work["id"], role=Role.OPERATIONS)
        await record(house, parcel["trackingNumber"], "DELIVERED")
        statuses.append((await house.order(order["id"]))["status"])
    assert statuses == ["PARTIALLY_FULFILLED", "COMPLETED"]
    decided = (await house.order(order["id"], "routing { trigger }"))["routing"]
    assert sorted(each["trigger"] for each in decided) == ["PLACED", "REJECTED", "SHORT_PICK"]


async def test_an_assignment_that_is_too_heavy_for_one_parcel_becomes_several(house: House) -> None:
    order = await placed(house, ("mug", 4), ("pen", 2))
    query = """mutation { saveCarrierService(input: { code: "courier", maxGrams: 700 }) { __typename } }"""
    assert await house.ask(Role.ADMIN, query) == {"__typename": "CarrierService"}
    (work,) = await house.work(order["id"])
    await pack(house, work)
    parcels = [each["lines"] for each in await booked(house, order["id"])]
    assert parcels == [
        [{"sku": "mug", "quantity": 2}, {"sku": "pen", "quantity": 2}],
        [{"sku": "mug", "quantity": 2}],
    ]
    await hand_over(house, order)
    for shipment in await shipments(house, order["id"]):
        assert (await house.order(order["id"]))["status"] == "FULFILLED"
        await record(house, shipment["trackingNumber"], "DELIVERED")
    assert (await house.order(order["id"]))["status"] == "COMPLETED"


async def test_cancelling_packed_work_calls_its_parcels_off(house: House) -> None:
    order, (shipment,) = await packed(house, ("pen", 3))
    assert (await cancel(house, order))["status"] == "CANCELLED"
    assert [each["status"] for each in await shipments(house, order["id"])] == ["CANCELLED"]
    assert f"Parcel {shipment['trackingNumber']} was called off." in await said(house, order)
    assert (await record(house, shipment["trackingNumber"], "DELIVERED"))["status"] == "CANCELLED"


async def test_a_pickup_has_no_parcels(house: House) -> None:
    order = await house.place("pickup", [("pen", 1)], method="PICKUP", pickupLocationId=house.ids["SM"])
    (work,) = await house.work(order["id"])
    await pack(house, work)
    assert await shipments(house, order["id"]) == []


async def test_a_store_records_the_tracking_of_its_own_parcels_only(house: House) -> None:
    order, (shipment,) = await packed(house, ("pen", 3))
    await hand_over(house, order)
    number = shipment["trackingNumber"]
    for location, kind in (("SN", "NotFoundError"), ("SM", "Shipment")):
        assert (await record(house, number, "IN_TRANSIT", "", Role.STORE, location))["__typename"] == kind


async def test_tracking_that_cannot_be_recorded_says_why(house: House) -> None:
    _, (shipment,) = await packed(house, ("pen", 3))
    number = shipment["trackingNumber"]
    for arguments, kind, path in (
        (("1234", "IN_TRANSIT"), "NotFoundError", "trackingNumber"),
        (("\\u0001", "IN_TRANSIT"), "NotFoundError", "trackingNumber"),
        ((number, "IN_TRANSIT", ', carrier: "ParcelPost"'), "NotFoundError", "trackingNumber"),
        ((number, "CREATED"), "ActionNotAllowedError", "status"),
        ((number, "CANCELLED"), "ActionNotAllowedError", "status"),
        ((number, "IN_TRANSIT", ', at: "2026-03-09T11:00:00Z"'), "InvalidInputError", "at"),
        ((number, "IN_TRANSIT", ', description: "\\u0001"'), "InvalidInputError", "description"),
    ):
        answer = await record(house, *arguments)
        assert (answer["__typename"], answer["path"]) == (kind, [path]), arguments


async def test_a_dashboard_hears_of_every_change_of_a_parcel(house: House) -> None:
    cursor = await house.ask(Role.OPERATIONS, "{ updatesCursor }")
    order, (shipment,) = await packed(house, ("pen", 3))
    await hand_over(house, order)
    await record(house, shipment["trackingNumber"], "DELIVERED")
    kinds = []
    async with house.socket(Role.OPERATIONS) as session:
        query = f'subscription {{ orderUpdates(after: "{cursor}") {{ kind status }} }}'
        async with asyncio.timeout(30):
            async for update in session.subscribe(gql(query)):
                kinds.append(tuple(update["orderUpdates"].values()))
                if kinds[-1][1] == "COMPLETED":
                    break
    parcel = [each for each in kinds if each[0] == "SHIPMENT_STATUS_CHANGED"]
    assert parcel == [
        ("SHIPMENT_STATUS_CHANGED", status) for status in ("IN_FULFILLMENT", "IN_FULFILLMENT", "FULFILLED")
    ]


def signed(message: object, house: House, *, key: bytes = SECRET, age: timedelta = timedelta()) -> dict[str, Any]:
    """Return a message as httpx sends it, with the headers of the Standard Webhooks specification."""
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    sent = str(int((house.now - age).timestamp()))
    digest = hmac.digest(key, b"msg_1." + sent.encode() + b"." + body, "sha256")
    signature = f"v1,{base64.b64encode(digest).decode()}"
    headers = {"webhook-id": "msg_1", "webhook-timestamp": sent, "webhook-signature": f"v1a,other {signature}"}
    return {"content": body, "headers": headers}


@pytest.fixture
async def hearing(furnished_dsn: str) -> AsyncIterator[House]:
    """A house whose carriers have a secret to sign with."""
    secret = "whsec_" + base64.b64encode(SECRET).decode()
    async with opened(furnished_dsn, carrier_webhook_secret=secret) as house:
        await know(house)
        yield house


async def test_a_carrier_tells_by_a_signed_message_what_happened(hearing: House) -> None:
    order, (shipment,) = await packed(hearing, ("pen", 3))
    await hand_over(hearing, order)
    event = {"trackingNumber": shipment["trackingNumber"], "at": "2026-03-04T12:00:00+01:00"}
    message = {"events": [{**event, "status": "DELIVERED"}, {**event, "status": "IN_TRANSIT", "description": "Mitte"}]}
    for _ in range(2):
        answer = await hearing.http.post("/carriers/CityCourier/events", **signed(message, hearing))
        assert answer.status_code == 204
    assert (await hearing.order(order["id"]))["status"] == "COMPLETED"
    (found,) = await shipments(hearing, order["id"])
    assert [each["status"] for each in found["events"]] == ["DELIVERED", "IN_TRANSIT"]


async def test_a_message_that_is_not_the_carriers_or_makes_no_sense_is_refused(hearing: House) -> None:
    _, (shipment,) = await packed(hearing, ("pen", 3))
    event = {"trackingNumber": shipment["trackingNumber"], "at": "2026-03-04T11:00:00Z", "status": "IN_TRANSIT"}
    good = signed({"events": [event]}, hearing)
    later = {"events": [{**event, "at": "2026-03-09T11:00:00Z"}]}
    for sent, status in (
        ({"content": good["content"]}, 401),
        ({**good, "content": good["content"] + b" "}, 401),
        (signed({"events": [event]}, hearing, key=b"guessed"), 401),
        (signed({"events": [event]}, hearing, age=timedelta(minutes=6)), 401),
        (signed({"events": [event]}, hearing, age=-timedelta(minutes=6)), 401),
        (signed(b"x" * 2_000_000, hearing), 413),
        (signed(b"not JSON", hearing), 400),
        (signed({"events": []}, hearing), 400),
        (signed({"events": [{**event, "at": "2026-03-04T11:00:00"}]}, hearing), 400),
        (signed({"events": [{**event, "status": "CREATED"}]}, hearing), 400),
        (signed(later, hearing), 400),
        (signed({"events": [{**event, "trackingNumber": "1234"}]}, hearing), 404),
        (signed({"events": [{**event, "trackingNumber": "\0"}]}, hearing), 404),
    ):
        answer = await hearing.http.post("/carriers/CityCourier/events", **sent)
        assert (answer.status_code, list(answer.json())) == (status, ["message"]), answer.text
    assert (await hearing.http.post("/carriers/ParcelPost/events", **good)).status_code == 404
    assert (await hearing.http.post("/carriers/CityCourier/events", **good)).status_code == 204


async def test_without_a_secret_no_carrier_is_heard(house: House) -> None:
    answer = await house.http.post("/carriers/CityCourier/events", **signed({"events": []}, house))
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("harm", "finding"),
    [
        ("UPDATE shipment SET assignment_id = gen_random_uuid()", "Parcel 1 belongs to no assignment."),
        (
            "UPDATE shipment_line SET quantity = 2",
            "pen of assignment CD100001-1: 3 picked, but its parcels hold 2.",
        ),
        (
            "DELETE FROM shipment_line",
            "pen of assignment CD100001-1: 3 picked, but its parcels hold 0.",
        ),
    ],
)
async def test_check_finds_parcels_that_do_not_hold_what_was_picked(
    furnished_dsn: str, harm: str, finding: str
) -> None:
    async with opened(furnished_dsn) as house:
        await know(house)
        await packed(house, ("pen", 3))
        async with house.gateway.database.reading() as connection:
            assert await inventory.check(connection) == []
            await connection.execute(harm)
            assert await inventory.check(connection) == [finding]
