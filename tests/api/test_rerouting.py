"""Orders that go another way: to another address, from other locations, or once more where a parcel went astray."""

from datetime import timedelta
from typing import Any

import pytest

from app import workers
from domain import inventory
from domain.vocabulary import Role
from tests.api.house import BERLIN, ERROR, House
from tests.api.test_backorders import receive
from tests.api.test_cancelling import FIELDS, cancel, cancel_lines, change
from tests.api.test_shipments import booked, hand_over, pack, packed, record, said, shipments
from tests.api.test_store_work import picking, placed, reject

HAMBURG = {"postalCode": "20095", "city": "Hamburg", "country": "DE", "lines": ["Jungfernstieg 1"], "name": "Ada"}
PARIS = {"postalCode": "75001", "city": "Paris", "country": "FR"}
NOW = "version status shippingPrice { amount } promisedLatest shipTo { city }"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers look for what is due more often than they would."""
    monkeypatch.setattr(workers, "LONGEST_SECONDS", 0.05)


async def move(house: House, order: dict[str, Any], to: dict[str, Any], version: int | None = None) -> dict[str, Any]:
    query = f"""mutation ($id: ID!, $to: AddressInput!, $version: Int) {{
        changeOrderAddress(id: $id, shipTo: $to, expectedVersion: $version) {{
            __typename ... on Order {{ id {NOW} }} {ERROR} ... on VersionConflictError {{ currentVersion }}
            ... on NoFulfillmentOptionError {{ unavailable {{ code }} }} }} }}"""
    answer: dict[str, Any] = await house.ask(Role.STOREFRONT, query, id=order["id"], to=to, version=version)
    return answer


async def reroute(house: House, order: dict[str, Any], *block: str) -> dict[str, Any]:
    ids = ", ".join(f'"{house.ids[code]}"' for code in block)
    return await change(house, "rerouteOrder", f'id: "{order["id"]}", blockLocations: [{ids}]')


async def replace(house: House, shipment: dict[str, Any]) -> dict[str, Any]:
    return await change(house, "replaceShipment", f'id: "{shipment["id"]}"')


async def places(house: House, order: dict[str, Any]) -> list[tuple[str, str]]:
    return [(work["location"]["code"], work["status"]) for work in await house.work(order["id"])]


async def test_an_order_moves_to_the_locations_that_serve_its_new_address_at_the_price_it_had(house: House) -> None:
    order = await placed(house, ("mug", 2), level="STANDARD")
    (before,) = await places(house, order)
    moved = await move(house, order, HAMBURG)
    assert (moved["status"], moved["shippingPrice"], moved["shipTo"]) == (
        "ROUTED", order["shippingPrice"], {"city": "Hamburg"},
    )  # fmt: skip
    assert await move(house, order, HAMBURG) == moved
    assert await places(house, order) == [(before[0], "CANCELLED"), ("WH", "OFFERED")]
    assert (await house.levels("mug"))[before[0]][1] == 0
    assert "Sent to 20095 Hamburg, DE instead by storefront." in await said(house, order)
    decided = (await house.order(order["id"], "routing { trigger }"))["routing"]
    assert {each["trigger"] for each in decided} == {"PLACED", "ORDER_CHANGED"}


async def test_an_order_that_moves_is_promised_anew_and_not_late_by_what_was_promised_before(house: House) -> None:
    order = await placed(house, ("mug", 2), level="STANDARD")
    before = (await house.order(order["id"], NOW))["promisedLatest"]
    house.clock[0] += timedelta(hours=3, minutes=30)  # the carrier comes today, and nobody makes that any more
    assert (await move(house, order, HAMBURG))["promisedLatest"] > before
    found = await house.order(order["id"], "late timeline { kind }")
    assert not found["late"]
    assert "ORDER_LATE" not in [entry["kind"] for entry in found["timeline"]]


async def test_an_address_that_nobody_serves_changes_nothing(house: House) -> None:
    order = await placed(house, ("mug", 2), level="STANDARD")
    before = await house.order(order["id"], NOW)
    refused = await move(house, order, PARIS)
    assert refused["__typename"] == "NoFulfillmentOptionError"
    assert {reason["code"] for reason in refused["unavailable"]} == {"NOT_SERVED"}
    nowhere = await move(house, order, {**PARIS, "city": "Nirgendwo", "country": "DE"})
    assert nowhere["unavailable"] == [{"code": "DESTINATION_UNKNOWN"}]
    wrong = await move(house, order, {**PARIS, "country": "XX"})
    assert (wrong["__typename"], wrong["path"]) == ("InvalidInputError", ["shipTo", "country"])
    stale = await move(house, order, HAMBURG, version=9)
    assert (stale["__typename"], stale["currentVersion"]) == ("VersionConflictError", before["version"])
    assert await house.order(order["id"], NOW) == before


async def test_what_is_packed_gets_another_label_and_goes_on(house: House) -> None:
    order, (first,) = await packed(house, ("mug", 2), level="STANDARD")
    moved = await move(house, order, {**BERLIN, "postalCode": "13347"})
    assert moved["__typename"] == "Order", moved
    assert [status for _, status in await places(house, order)] == ["PACKED"]
    old, new = await booked(house, order["id"])
    assert (old["id"], old["status"], new["status"]) == (first["id"], "CANCELLED", "CREATED")
    assert new["lines"] == old["lines"]
    await hand_over(house, order)
    assert [each["status"] for each in await shipments(house, order["id"])] == ["CANCELLED", "HANDED_OVER"]
    refused = await move(house, order, HAMBURG)
    assert refused["__typename"] == "ActionNotAllowedError"


async def test_what_is_packed_keeps_its_promise_where_no_new_work_is_taken_or_could_be_ready(house: House) -> None:
    order, _ = await packed(house, ("pen", 3))
    before = (await house.order(order["id"], NOW))["promisedLatest"]
    suspend = f'mutation {{ setLocationStatus(id: "{house.ids["SM"]}", status: SUSPENDED) {{ __typename }} }}'
    await house.ask(Role.OPERATIONS, suspend)
    house.clock[0] += timedelta(hours=2, minutes=50)  # the courier comes in ten minutes, and handling takes an hour
    moved = await move(house, order, {**BERLIN, "lines": ["Torstr. 1"]})
    assert (moved.get("status"), moved.get("promisedLatest")) == ("IN_FULFILLMENT", before)
    assert await places(house, order) == [("SM", "PACKED")]


async def test_work_that_has_begun_needs_only_what_is_left_of_its_handling_time(house: House) -> None:
    order = await placed(house, ("pen", 3))
    before = (await house.order(order["id"], NOW))["promisedLatest"]
    (work,) = await house.work(order["id"])
    house.clock[0] += timedelta(hours=2)
    await picking(house, work)
    house.clock[0] += timedelta(minutes=30)  # the courier comes in half an hour, and handling takes an hour
    moved = await move(house, order, {**BERLIN, "lines": ["Torstr. 1"]})
    assert (moved.get("status"), moved.get("promisedLatest")) == ("IN_FULFILLMENT", before)
    assert await places(house, order) == [("SM", "PICKING")]


async def test_what_is_packed_too_far_away_is_put_back_and_sent_from_nearer(house: House) -> None:
    order, _ = await packed(house, ("pen", 3))
    (work,) = await house.work(order["id"])
    away = await move(house, order, HAMBURG)
    assert away["__typename"] == "NoFulfillmentOptionError"  # no courier of this evening rides in Hamburg
    await receive(house, "pen", "WH", 5)
    store = {"code": "SH", "name": "Hamburg", "kind": "STORE", "latitude": 53.55, "longitude": 10.0, "country": "DE",
             "postalCode": "20095", "city": "Hamburg", "timeZone": "Europe/Berlin", "services": ["SHIP"]}  # fmt: skip
    make = "mutation ($rows: [LocationRowInput!]!) { importLocations(rows: $rows) { created } }"
    await house.ask(Role.ADMIN, make, rows=[store])
    stock = "mutation ($rows: [StockRowInput!]!) { importStock(rows: $rows) { created } }"
    await house.ask(Role.ADMIN, stock, rows=[{"sku": "pen", "locationCode": "SH", "onHand": 5}])
    assert (await move(house, order, HAMBURG))["status"] == "ROUTED"
    assert await places(house, order) == [("SM", "CANCELLED"), ("SH", "OFFERED")]
    assert (await house.levels("pen"))["SM"] == (10, 3, 7)
    assert (await house.do("restockAssignment", work["id"], "SM"))["__typename"] == "Assignment"
    assert (await house.levels("pen"))["SM"] == (10, 0, 10)


async def test_an_order_is_kept_from_locations_until_others_are_named(house: House) -> None:
    order = await placed(house, ("pen", 3))
    done = await reroute(house, order, "SM")
    assert await reroute(house, order, "SM") == done
    assert await places(house, order) == [("SM", "CANCELLED"), ("SN", "OFFERED")]
    assert "Routed anew by operations without Berlin Mitte." in await said(house, order)
    assert {"trigger": "MANUAL"} in (await house.order(order["id"], "routing { trigger }"))["routing"]
    before = await house.order(order["id"], f"{FIELDS} timeline {{ message }}")
    assert (await reroute(house, order, "SM", "SN"))["__typename"] == "NoFulfillmentOptionError"
    assert await house.order(order["id"], f"{FIELDS} timeline {{ message }}") == before
    *_, work = await house.work(order["id"])
    await reject(house, work)
    assert (await house.order(order["id"]))["status"] == "UNROUTABLE"  # SM is not asked
    assert (await reroute(house, order, "SN"))["status"] == "ROUTED"
    assert (await places(house, order))[-1] == ("SM", "OFFERED")
    assert (await house.levels("pen"))["SN"] == (10, 0, 10)


async def test_work_that_has_begun_moves_only_from_where_it_must_not_be(house: House) -> None:
    order = await placed(house, ("pen", 3))
    (work,) = await house.work(order["id"])
    await pack(house, work)
    assert (await change(house, "rerouteOrder", f'id: "{order["id"]}"'))["status"] == "IN_FULFILLMENT"
    assert await places(house, order) == [("SM", "PACKED")]
    assert (await reroute(house, order, "SM"))["status"] == "ROUTED"
    assert await places(house, order) == [("SM", "CANCELLED"), ("SN", "OFFERED")]
    assert [each["status"] for each in await shipments(house, order["id"])] == ["CANCELLED"]
    pickup = {"method": "PICKUP", "pickupLocationId": house.ids["SM"]}
    collected = await house.place("pickup", [("pen", 1)], **pickup)
    refused = await reroute(house, collected, "SM")
    assert (refused["__typename"], refused["path"]) == ("InvalidInputError", ["blockLocations", "0"])


async def test_an_order_without_any_location_is_tried_again(house: House) -> None:
    order = await house.place("order", [("rug", 3)], level="STANDARD")
    assert (await reroute(house, order, "WH"))["__typename"] == "NoFulfillmentOptionError"
    (work,) = await house.work(order["id"])
    await house.do("rejectAssignment", work["id"], role=Role.OPERATIONS, arguments=", reason: TOO_BUSY")
    assert (await house.order(order["id"]))["status"] == "UNROUTABLE"
    assert (await reroute(house, order))["status"] == "ROUTED"  # who was busy is asked again
    moved = await move(house, order, {**BERLIN, "lines": ["Torstr. 1"]})
    assert moved["status"] == "ROUTED"  # and has the work now, whatever it said before


async def test_a_lost_parcel_is_sent_again_and_the_order_complete_when_that_arrives(house: House) -> None:
    order, (lost,) = await packed(house, ("pen", 3))
    await hand_over(house, order)
    refused = await replace(house, lost)
    assert (refused["__typename"], refused["found"]) == ("ActionNotAllowedError", "HANDED_OVER")
    await record(house, lost["trackingNumber"], "LOST")
    assert {"CANCEL", "REPLACE"} <= set((await house.order(order["id"], FIELDS))["allowedActions"])
    replaced = await replace(house, lost)
    assert (replaced["status"], replaced["lines"]) == (
        "ROUTED", [{"quantity": 3, "fulfilled": 0, "cancelled": 0, "backordered": 0}],
    )  # fmt: skip
    assert await replace(house, lost) == replaced
    assert (await house.levels("pen"))["SM"] == (7, 3, 4)
    *_, work = await house.work(order["id"])
    await pack(house, work)
    *_, again = await booked(house, order["id"])
    await house.do("handOverAssignment", work["id"], role=Role.OPERATIONS)
    await record(house, again["trackingNumber"], "DELIVERED")
    assert (await house.order(order["id"]))["status"] == "COMPLETED"
    assert f"What parcel {lost['trackingNumber']} held is sent again by operations." in await said(house, order)


async def test_what_comes_back_can_be_cancelled_instead_and_what_nobody_has_stays_as_it_is(house: House) -> None:
    order, parcels = await packed(house, ("rug", 3), ("pen", 3), level="STANDARD")
    await hand_over(house, order)
    for parcel in parcels:
        heavy = parcel["lines"][0]["sku"] == "rug"
        await record(house, parcel["trackingNumber"], "RETURNED_TO_SENDER" if heavy else "DELIVERED")
    before = await house.order(order["id"], FIELDS)
    (back,) = [parcel for parcel in parcels if parcel["lines"][0]["sku"] == "rug"]
    assert (await replace(house, back))["__typename"] == "NoFulfillmentOptionError"
    assert await house.order(order["id"], FIELDS) == before
    done = await cancel(house, order)
    assert (done["status"], [line["cancelled"] for line in done["lines"]]) == ("COMPLETED", [3, 0])
    for _ in range(2):
        refused = await replace(house, back)
        assert (refused["__typename"], refused["found"], refused["allowed"]) == (
            "ActionNotAllowedError", "RETURNED_TO_SENDER", ["REQUEST_RETURN"],
        )  # fmt: skip


async def test_lines_of_a_lost_parcel_are_cancelled_as_a_whole_and_another_parcel_is_sent_again(house: House) -> None:
    order, parcels = await packed(house, ("rug", 2), ("pen", 3), level="STANDARD")
    await hand_over(house, order)
    for parcel in parcels:
        await record(house, parcel["trackingNumber"], "LOST")
    assert "CANCEL_LINES" in (await house.order(order["id"], FIELDS))["allowedActions"]
    for units, why in (
        (1, "1 x rug are picked, or part of a parcel that is cancelled as a whole."),
        (3, "Of rug, 1 to 2 can be cancelled."),
    ):
        refused = await cancel_lines(house, order, units, 0)
        assert (refused["path"], refused["message"]) == (["lines", "0", "quantity"], why)
    done = await cancel_lines(house, order, 2, 0)
    assert (done["status"], [(line["fulfilled"], line["cancelled"]) for line in done["lines"]]) == (
        "FULFILLED", [(0, 2), (3, 0)],
    )  # fmt: skip
    assert "2 x rug cancelled by operations: Too many." in await said(house, order)
    rugs, pens = sorted(parcels, key=lambda parcel: parcel["lines"][0]["sku"] == "pen")
    assert (await replace(house, rugs))["message"] == (
        "Only what will not arrive is sent again: what it held is cancelled."
    )
    assert [bool(parcel["givenUpAt"]) for parcel in await given_up(house, order)] == [
        parcel["id"] == rugs["id"] for parcel in parcels
    ]
    assert (await replace(house, pens))["status"] == "ROUTED"
    assert (await cancel_lines(house, order, 0, 3))["status"] == "CANCELLED"
    await agree(house)


async def test_a_parcel_that_arrives_though_it_was_given_up_counts_in_place_of_what_is_cancelled(house: House) -> None:
    abandoned, (lost,) = await packed(house, ("pen", 3))
    replaced, (other,) = await packed(house, ("pen", 2), key="other")
    for order, parcel in ((abandoned, lost), (replaced, other)):
        await hand_over(house, order)
        await record(house, parcel["trackingNumber"], "LOST")
    assert (await cancel(house, abandoned))["status"] == "CANCELLED"
    assert (await replace(house, other))["status"] == "ROUTED"
    for parcel in (lost, other) * 2:
        await record(house, parcel["trackingNumber"], "DELIVERED", ', at: "2026-03-04T14:00:00Z"')
    for order, still in ((abandoned, False), (replaced, True)):
        assert [bool(parcel["givenUpAt"]) for parcel in await given_up(house, order)] == [still]
    found = await house.order(abandoned["id"], FIELDS)
    assert (found["status"], found["lines"][0]["fulfilled"], found["allowedActions"]) == (
        "COMPLETED", 3, ["REQUEST_RETURN"],
    )  # fmt: skip
    assert (await said(house, abandoned))[-3:] == [
        f"CityCourier delivered parcel {lost['trackingNumber']}.",
        f"What parcel {lost['trackingNumber']} held was given up, and counts as fulfilled again.",
        "The shopper has everything.",
    ]
    assert (await said(house, replaced))[-1] == f"What parcel {other['trackingNumber']} held was sent again meanwhile."
    assert (await house.order(replaced["id"]))["status"] == "ROUTED"
    await agree(house)
    done = await cancel(house, replaced)  # the shopper has it already
    assert (done["status"], done["lines"][0]["fulfilled"], done["lines"][0]["cancelled"]) == ("COMPLETED", 2, 0)
    assert (await house.levels("pen"))["SM"] == (5, 0, 5)
    await agree(house)


async def given_up(house: House, order: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await house.order(order["id"], "shipments { id givenUpAt }"))["shipments"]
    return found


async def agree(house: House) -> None:
    """Fail where the books do not agree."""
    async with house.gateway.database.reading() as connection:
        assert await inventory.check(connection) == []


@pytest.mark.parametrize("rest", ["nobody has it", "it is on hold"])
async def test_a_part_that_was_lost_is_done_without_whatever_becomes_of_the_rest(house: House, rest: str) -> None:
    order = await house.place("order", [("pen", 3), ("rug", 3)], level="STANDARD")
    pens, rugs = sorted(await house.work(order["id"]), key=lambda work: work["lines"][0]["sku"])
    await pack(house, pens)
    (parcel,) = await booked(house, order["id"])
    await house.do("handOverAssignment", pens["id"], role=Role.OPERATIONS)
    await record(house, parcel["trackingNumber"], "LOST")
    if rest == "nobody has it":
        await reject(house, rugs)
        assert (await house.order(order["id"]))["status"] == "PARTIALLY_FULFILLED"
        assert (await cancel_lines(house, order, 3, 0))["status"] == "UNROUTABLE"
        return
    assert (await cancel_lines(house, order, 3, 0))["status"] == "ROUTED"
    assert (await change(house, "holdOrder", f'id: "{order["id"]}"'))["status"] == "ON_HOLD"
    await record(house, parcel["trackingNumber"], "DELIVERED")
    assert (await change(house, "releaseOrder", f'id: "{order["id"]}"'))["status"] == "PARTIALLY_FULFILLED"
