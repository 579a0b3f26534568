"""Carriers behind HTTP: they fail, hang and repeat, and a parcel is booked once all the same."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from starlette.responses import JSONResponse, RedirectResponse, Response

from app import carriers, workers
from app.carriers.aggregator import TRIES
from app.carriers.aggregator import Aggregator as Client
from app.settings import InvalidSettingError, Settings, load
from domain import inventory
from domain.carriers import BuiltIn, Parcel, Refused, Unreachable
from domain.places import Address
from tests.api.house import SECRET, House, know, opened
from tests.api.returning import delivered, open_counters, request, step
from tests.api.test_cancelling import cancel
from tests.api.test_shipments import booked, hand_over, pack, said, shipments
from tests.api.test_store_work import placed
from tests.carrier import LABEL, Aggregator, aggregator

HERE = Address(postal_code="12099", city="Berlin", country="DE", name="Lager Berlin")
PARCEL = Parcel(
    reference=uuid4(),
    number=1,
    carrier="ParcelPost",
    service_code="parcel",
    service_name="Standard",
    sender=HERE,
    recipient=replace(HERE, name="Ada"),
    grams=600,
    contents={"mug": 2},
)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers look for what is due more often than they would."""
    monkeypatch.setattr(workers, "LONGEST_SECONDS", 0.05)


@pytest.fixture
async def server() -> AsyncIterator[Aggregator]:
    """An aggregator on a real socket."""
    async with aggregator() as it:
        yield it


@pytest.fixture
async def client(server: Aggregator) -> AsyncIterator[Client]:
    """Our side of it, with little patience."""
    headers = {"Authorization": "Bearer open sesame"}
    async with httpx.AsyncClient(base_url=server.address, headers=headers) as http:
        yield Client(http, answer_seconds=0.3, first_pause_seconds=0.01)


@pytest.fixture
async def house(furnished_dsn: str, server: Aggregator) -> AsyncIterator[House]:
    """A house whose parcels are booked over HTTP. However a test goes, in the end the books have to agree."""
    async with opened(furnished_dsn, carrier_url=server.address, carrier_token="open sesame") as house:
        await know(house)
        yield house
        async with house.gateway.database.reading() as connection:
            assert await inventory.check(connection) == []


async def until(fact: Callable[[], Any]) -> None:
    async with asyncio.timeout(30):
        while not fact():
            await asyncio.sleep(0.02)


async def test_a_parcel_is_booked_with_all_that_a_carrier_has_to_know(client: Client, server: Aggregator) -> None:
    booking = await client.book(PARCEL)
    assert (booking.tracking_number, booking.tracking_url) == ("AG1", "https://a.example/AG1")
    address = {"lines": [], "postalCode": "12099", "city": "Berlin", "region": None, "country": "DE"}
    assert (
        server.booked[str(PARCEL.reference)].items()
        >= {
            "carrier": "ParcelPost",
            "service": "parcel",
            "grams": 600,
            "from": {"name": "Lager Berlin", **address},
            "to": {"name": "Ada", **address},
            "contents": [{"sku": "mug", "quantity": 2}],
        }.items()
    )
    assert (await client.label(PARCEL, "AG1")).content == LABEL


async def test_a_server_that_fails_is_asked_again_and_books_once(client: Client, server: Aggregator) -> None:
    server.answers("POST", Response(status_code=503), Response(status_code=429))
    assert (await client.book(PARCEL)).tracking_number == "AG1"
    assert (len(server.asked), len(server.booked)) == (3, 1)


async def test_a_server_that_hangs_is_asked_again_and_books_once(client: Client, server: Aggregator) -> None:
    server.answers("POST", None)
    assert (await client.book(PARCEL)).tracking_number == "AG1"
    assert (len(server.asked), len(server.booked)) == (2, 1)


async def test_a_server_that_wants_to_be_left_alone_is(client: Client, server: Aggregator) -> None:
    server.answers("POST", Response(status_code=429, headers={"Retry-After": "1"}))
    began = time.monotonic()
    await client.book(PARCEL)
    assert time.monotonic() - began >= 1


async def test_a_refusal_is_told_and_not_asked_again(client: Client, server: Aggregator) -> None:
    server.answers("POST", JSONResponse({"message": "No such\nstreet."}, status_code=422))
    with pytest.raises(Refused, match=r"^No such street\.$"):
        await client.book(PARCEL)
    assert len(server.asked) == 1


async def test_a_server_that_stays_away_is_given_up_for_now(client: Client, server: Aggregator) -> None:
    server.answers("POST", *[Response(status_code=500)] * TRIES)
    with pytest.raises(Unreachable, match="500"):
        await client.book(PARCEL)
    assert len(server.asked) == TRIES


@pytest.mark.parametrize("status", [401, 404])
async def test_what_is_no_fault_of_the_parcel_is_neither_a_refusal_nor_asked_again_at_once(
    client: Client, server: Aggregator, status: int
) -> None:
    server.answers("POST", Response(status_code=status))
    with pytest.raises(Unreachable, match=str(status)):
        await client.book(PARCEL)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        Response(b"<html>", media_type="text/html"),
        JSONResponse({}),
        JSONResponse({"trackingNumber": ""}),
        JSONResponse({"trackingNumber": "A\nB"}),
        JSONResponse({"trackingNumber": "A", "trackingUrl": "javascript:alert(1)"}),
        RedirectResponse("http://127.0.0.1:1/"),
    ],
    ids=["no JSON", "no number", "empty number", "two lines", "a script", "a redirect"],
)
async def test_an_answer_that_makes_no_sense_books_nothing(
    client: Client, server: Aggregator, answer: Response
) -> None:
    server.answers("POST", answer)
    with pytest.raises(Unreachable):
        await client.book(PARCEL)


@pytest.mark.parametrize(
    "answer",
    [
        Response(b"<script>alert(1)</script>", media_type="text/html"),
        Response(b"", media_type="application/pdf"),
        Response(b"x" * 1_000_001, media_type="application/pdf"),
    ],
    ids=["HTML", "nothing", "too much"],
)
async def test_what_is_no_label_is_not_kept(client: Client, server: Aggregator, answer: Response) -> None:
    await client.book(PARCEL)
    server.answers("GET label", *[answer] * TRIES)
    with pytest.raises(Unreachable):
        await client.label(PARCEL, "AG1")


async def test_packing_does_not_wait_for_a_carrier_that_is_away_and_the_booking_is_made_up_for(
    house: House, server: Aggregator
) -> None:
    server.answers("POST", *[Response(status_code=401)] * 2)
    order = await placed(house, ("pen", 3))
    (work,) = await house.work(order["id"])
    await pack(house, work)
    await until(lambda: server.asked)
    (shipment,) = await shipments(house, order["id"])
    assert (shipment["status"], shipment["trackingNumber"], shipment["labelUrl"]) == ("CREATED", None, None)
    await hand_over(house, order)
    for asked in (2, 3):
        house.clock[0] += timedelta(minutes=1)
        await until(lambda asked=asked: server.asked.count("POST") == asked)
    (shipment,) = await booked(house, order["id"])
    assert (shipment["status"], shipment["trackingNumber"], len(server.booked)) == ("HANDED_OVER", "AG1", 1)
    assert shipment["trackingUrl"] == "https://a.example/AG1"
    label = await house.http.get(shipment["labelUrl"])
    assert (label.content, label.headers["content-type"]) == (LABEL, "application/zpl")
    assert "CityCourier carries parcel AG1." in await said(house, order)


async def test_a_booking_whose_label_fails_is_made_again_and_still_there_once(house: House, server: Aggregator) -> None:
    server.answers("GET label", Response(status_code=404))
    order = await placed(house, ("pen", 3))
    await pack(house, (await house.work(order["id"]))[0])
    await until(lambda: "GET label" in server.asked)
    house.clock[0] += timedelta(minutes=1)
    await booked(house, order["id"])
    assert (server.asked, len(server.booked)) == (["POST", "GET label"] * 2, 1)


async def test_nobody_holds_a_transaction_while_a_carrier_thinks(house: House, server: Aggregator) -> None:
    server.answers("POST", None)
    order = await placed(house, ("pen", 3))
    await pack(house, (await house.work(order["id"]))[0])
    await asyncio.wait_for(server.held.wait(), 10)
    async with house.gateway.database.reading() as connection:
        open_ones = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
        )
    assert open_ones == 0
    server.go_on.set()
    await booked(house, order["id"])


async def test_work_called_off_while_its_carrier_thinks_is_called_off_there_too(
    house: House, server: Aggregator
) -> None:
    server.answers("POST", None)
    order = await placed(house, ("pen", 3))
    await pack(house, (await house.work(order["id"]))[0])
    await asyncio.wait_for(server.held.wait(), 10)
    assert (await cancel(house, order))["status"] == "CANCELLED"
    await until(lambda: len(server.cancelled) == 1)
    server.go_on.set()
    await until(lambda: len(server.cancelled) == 2)
    assert set(server.cancelled) == set(server.booked)
    assert [each["status"] for each in await shipments(house, order["id"])] == ["CANCELLED"]


async def test_a_parcel_that_the_carrier_does_not_call_off_any_more_is_told(house: House, server: Aggregator) -> None:
    server.answers("DELETE", JSONResponse({"message": "It is in the van."}, status_code=422))
    order = await placed(house, ("pen", 3))
    await pack(house, (await house.work(order["id"]))[0])
    await booked(house, order["id"])
    await cancel(house, order)
    async with asyncio.timeout(30):
        while "CityCourier does not call off parcel AG1: It is in the van." not in await said(house, order):
            await asyncio.sleep(0.02)


async def test_a_parcel_that_the_carrier_refuses_is_told_and_not_tried_again(house: House, server: Aggregator) -> None:
    server.answers("POST", JSONResponse({"message": "No such street."}, status_code=400))
    order = await placed(house, ("pen", 3))
    await pack(house, (await house.work(order["id"]))[0])
    async with asyncio.timeout(30):
        while "CityCourier does not take parcel no. 1: No such street." not in await said(house, order):
            await asyncio.sleep(0.02)
    house.clock[0] += timedelta(hours=1)
    async with house.gateway.database.reading() as connection:
        assert await connection.fetchval("SELECT count(*) FROM timer WHERE kind = 'book_shipment'") == 0
    assert server.asked == ["POST"]


async def test_a_parcel_is_asked_after_every_hour_until_it_has_arrived(house: House, server: Aggregator) -> None:
    order = await placed(house, ("pen", 3))
    await pack(house, (await house.work(order["id"]))[0])
    await booked(house, order["id"])
    await hand_over(house, order)
    server.events.append({"status": "DELIVERED", "at": (house.now + timedelta(days=3)).isoformat()})  # it expects
    for hour, status in enumerate(("IN_TRANSIT", "CREATED", "DELIVERED"), 1):
        house.clock[0] += timedelta(hours=1)
        server.events.append({"status": status, "at": house.now.isoformat()})
        await until(lambda hour=hour: server.asked.count("GET events") == hour)
    async with asyncio.timeout(30):
        while (await house.order(order["id"]))["status"] != "COMPLETED":
            await asyncio.sleep(0.02)
    (shipment,) = await shipments(house, order["id"])
    assert [event["status"] for event in shipment["events"]] == ["IN_TRANSIT", "DELIVERED"]
    async with asyncio.timeout(30), house.gateway.database.reading() as connection:
        while await connection.fetchval("SELECT count(*) FROM timer WHERE kind LIKE '%shipment'"):
            await asyncio.sleep(0.02)


async def test_a_carrier_of_ones_own_comes_as_an_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pigeons.py").write_text(
        "from domain.carriers import BuiltIn, Booking\n"
        "class Pigeons(BuiltIn):\n"
        "    async def book(self, parcel):\n"
        "        return Booking(tracking_number='COO')\n"
    )
    info = tmp_path / "pigeons-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pigeons\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[crossdock.carriers]\nPigeonPost = pigeons:Pigeons\n")
    monkeypatch.syspath_prepend(tmp_path)
    settings = Settings(secret=SECRET)  # type: ignore[call-arg, arg-type]
    async with carriers.opened(settings) as found:
        assert (await found.find("PigeonPost").book(PARCEL)).tracking_number == "COO"
        assert isinstance(found.find("ParcelPost"), BuiltIn)


def test_what_carriers_share_with_us_reaches_every_process_that_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    dsn = "postgresql://localhost/crossdock"
    given = {"carrier_url": "https://a.example/v1", "carrier_token": "open sesame"}
    secret = "whsec_" + base64.b64encode(b"24 to 64 bytes, at random").decode()
    settings = Settings(database_url=dsn, secret=SECRET, carrier_webhook_secret=secret, **given)  # type: ignore[call-arg, arg-type]
    for name, value in settings.environment(dsn).items():
        monkeypatch.setenv(name, value)
    assert load() == settings


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("CROSSDOCK_CARRIER_URL", "ftp://a.example"),
        ("CROSSDOCK_CARRIER_WEBHOOK_SECRET", "whsec_c2hvcnQ="),
        ("CROSSDOCK_CARRIER_WEBHOOK_SECRET", "guess me"),
    ],
)
def test_a_setting_of_carriers_that_cannot_be_used_is_named_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, setting: str, value: str
) -> None:
    monkeypatch.setenv(setting, value)
    with pytest.raises(InvalidSettingError, match=setting) as told:
        load()
    assert value not in str(told.value)


@pytest.mark.parametrize("way", ["to a shopper", "back"])
async def test_what_a_carrier_booked_after_it_was_called_off_and_nobody_heard_of_is_called_off_again(
    house: House, server: Aggregator, way: str
) -> None:
    if way == "back":
        await open_counters(house)
        sold = await delivered(house, ("pen", 3))
    server.answers("POST", None)
    server.answers("GET label", Response(status_code=404))
    if way == "back":
        back = await request(house, sold, 3, method="CARRIER")
    else:
        order = await placed(house, ("pen", 3))
        await pack(house, (await house.work(order["id"]))[0])
    await asyncio.wait_for(server.held.wait(), 10)
    off = await (step(house, "cancelReturn", back) if way == "back" else cancel(house, order))
    assert off["status"] == "CANCELLED"
    await until(lambda: len(server.cancelled) == 1)
    server.go_on.set()
    await until(lambda: not server.next_answers["GET label"])
    house.clock[0] += timedelta(minutes=10)
    await until(lambda: len(server.cancelled) == 2)
    assert set(server.cancelled) <= set(server.booked)
