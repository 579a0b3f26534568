"""The demo: a believable network from real cities, loaded once, with people who shop and work."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from graphql import parse, validate

from app import demo
from app.demo.carriers import price
from app.demo.cities import distance_km
from app.demo.goods import ean13
from app.demo.network import DemoNetwork, make_network
from app.demo.operations import ALL, to_paste
from app.execution import build_schema
from app.settings import InvalidSettingError, load
from domain.cart import CartLine
from domain.feed import Cursor, read
from domain.inventory import check
from domain.network import LocationRecord, Networks
from domain.options import OptionsRequest, fulfillment_options
from domain.planning.problem import Parcel, Point
from domain.promises import Promises
from domain.transaction import Database, open_pool
from domain.vocabulary import FulfillmentMethod, LocationKind, ServiceLevel

READY_SECONDS = 60


@cache
def network_of(country: str) -> DemoNetwork:
    return make_network(country)


@pytest.fixture
def germany() -> DemoNetwork:
    return network_of("DE")


def test_the_network_of_germany_is_whole_and_the_same_each_time(germany: DemoNetwork) -> None:
    assert Counter(location.kind for location in germany.locations) == {
        LocationKind.WAREHOUSE: 4,
        LocationKind.STORE: 120,
        LocationKind.MICRO_HUB: 12,
        LocationKind.DROP_SHIPPER: 2,
    }
    assert len({location.code for location in germany.locations}) == 138
    assert len({good.record.sku for good in germany.goods}) == len({good.record.name for good in germany.goods}) == 400
    assert {service.level for service in germany.services} == set(ServiceLevel)
    assert make_network("de") == germany


def test_stores_stand_in_the_largest_cities_several_in_the_very_largest(germany: DemoNetwork) -> None:
    stores = Counter(location.city for location in germany.of_kind(LocationKind.STORE))
    assert stores["Berlin"] > stores["Hamburg"] > 1
    assert len(stores) > 50
    berlin = [location for location in germany.of_kind(LocationKind.STORE) if location.city == "Berlin"]
    assert len({(store.latitude, store.longitude) for store in berlin}) == len(berlin)


def test_warehouses_stand_far_apart(germany: DemoNetwork) -> None:
    cities = {city.name: city.position for city in germany.country.cities}
    places = [cities[str(location.city)] for location in germany.of_kind(LocationKind.WAREHOUSE)]
    assert min(distance_km(one, other) for one in places for other in places if one is not other) > 200


def test_barcodes_end_in_their_check_digit(germany: DemoNetwork) -> None:
    assert ean13("400638133393") == "4006381333931"
    for good in germany.goods:
        (barcode,) = good.record.barcodes or ()
        digits = [int(digit) for digit in barcode]
        assert len(digits) == 13
        assert (sum(digits[::2]) + 3 * sum(digits[1::2])) % 10 == 0


def test_stock_is_deep_in_warehouses_shallow_in_stores_and_partly_sold_out(germany: DemoNetwork) -> None:
    kinds = {location.code: location.kind for location in germany.locations}
    mean: dict[LocationKind, list[int]] = {}
    for row in germany.stock:
        mean.setdefault(kinds[row.location_code], []).append(row.on_hand or 0)
    deep, shallow = mean[LocationKind.WAREHOUSE], mean[LocationKind.STORE]
    assert sum(deep) / len(deep) > 10 * sum(shallow) / len(shallow)
    assert 0.05 < shallow.count(0) / len(shallow) < 0.4
    assert len(shallow) < 120 * 400


@pytest.mark.parametrize("country", ["XX", "Germany", ""])
def test_an_unknown_country_is_a_clear_error(country: str) -> None:
    with pytest.raises(InvalidSettingError, match="--country"):
        make_network(country)


@pytest.mark.parametrize(("euros", "currency", "said"), [("4.95", "EUR", "4.95"), ("4.95", "JPY", "792")])
def test_prices_have_the_digits_of_their_currency(euros: str, currency: str, said: str) -> None:
    assert str(price(Decimal(euros), currency)) == said


@pytest.mark.parametrize("country", ["JP", "VA"])
def test_a_network_loads_whole_once_and_stays_as_people_left_it(dsn: str, country: str) -> None:
    network = network_of(country)
    assert asyncio.run(demo.fill(dsn, network)) is True

    async def sell() -> None:
        pool = await open_pool(dsn)
        await pool.execute("UPDATE location SET name = 'Ours' WHERE code = $1", network.locations[0].code)
        await pool.close()

    async def found() -> tuple[int, int, int, list[str]]:
        pool = await open_pool(dsn)
        async with pool.acquire() as connection:
            count = "SELECT (SELECT count(*) FROM location WHERE name = 'Ours'), (SELECT count(*) FROM stock)"
            ours, levels = await connection.fetchrow(count)
            facts = len(await read(connection, Cursor(0, 0, 0), limit=10_000))
            findings = await check(connection)
        await pool.close()
        return ours, levels, facts, findings

    asyncio.run(sell())
    assert asyncio.run(demo.fill(dsn, network)) is False
    assert asyncio.run(found()) == (1, len(network.stock), len(network.stock), [])
    if stores := network.of_kind(LocationKind.STORE):
        assert asyncio.run(sent_to(dsn, network, stores[0])), "a store is sent what it lacks"


async def sent_to(dsn: str, network: DemoNetwork, store: LocationRecord) -> list[Parcel]:
    """Return what a store would be sent, were the shopper to pick up there the first item that it lacks."""
    held = {row.sku for row in network.stock if row.location_code == store.code}
    sku = next(good.record.sku for good in network.goods if good.record.sku not in held)
    request = OptionsRequest(
        lines=(CartLine(sku=sku, quantity=1),),
        currency=network.country.currency,
        near=Point(latitude=store.latitude, longitude=store.longitude),
        methods=(FulfillmentMethod.PICKUP,),
        pickup_locations=50,
    )
    pool = await open_pool(dsn)
    async with pool.acquire() as connection:
        snapshot = await Networks(Database(pool)).current(connection)
        promises = Promises(b"the secret of the demo")
        found = await fulfillment_options(connection, snapshot, promises, request, now=datetime.now(UTC))
    await pool.close()
    parcels = [parcel for option in found.options for parcel in option.promise.plan.parcels]
    return [parcel for parcel in parcels if parcel.destination_code == store.code]


def test_all_that_is_said_and_all_that_is_printed_is_valid(germany: DemoNetwork) -> None:
    schema = build_schema()._schema
    for operation in (*ALL, *to_paste(germany), *to_paste(network_of("JP"))):
        assert validate(schema, parse(operation)) == []


def test_a_country_of_few_cities_gets_a_smaller_network_and_is_told_so(germany: DemoNetwork) -> None:
    assert "too few cities" in demo.welcome(network_of("VA"), "http://here", "s" * 40)
    assert "too few cities" not in demo.welcome(germany, "http://here", "s" * 40)


def test_where_the_port_is_taken_the_next_free_one_is() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        taken = busy.getsockname()[1]
        with demo._listen(load(host="127.0.0.1", port=taken)) as listener:
            assert taken < listener.getsockname()[1] < taken + 20


class Running:
    """A demo in a process of its own."""

    def __init__(self, data_dir: Path) -> None:
        names = ("CROSSDOCK_", "DATABASE_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(names)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app", "demo", "--port", "0"],
            env={**inherited, "CROSSDOCK_DATA_DIR": str(data_dir)},
            stdout=subprocess.PIPE,
            text=True,
        )
        self.told = ""

    def await_ready(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.told += line
            if line.startswith("Ctrl-C"):
                return
        pytest.fail(f"the demo ended: {self.told}")

    def ask(self, query: str, **variables: object) -> Any:
        (address,) = re.findall(r" on (http\S+)", self.told)
        (token,) = re.findall(r"OPERATIONS:\n +(\S+)", self.told)
        request = urllib.request.Request(  # noqa: S310 - our own address
            address,
            json.dumps({"query": query, "variables": variables}).encode(),
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - our own address
            return json.load(answer)["data"]

    @property
    def order(self) -> str:
        """The order it prints."""
        return self.told.partition("an order:\n")[2].partition("\n\nTo paste")[0]

    def stop(self, number: signal.Signals) -> float:
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.communicate(timeout=30)
        return time.monotonic() - began


@pytest.fixture
def data_dir(open_folder: Path) -> Path:
    return open_folder / "demo"


def test_shoppers_order_stores_work_and_the_next_demo_goes_on(data_dir: Path) -> None:
    """A demo is ready soon, busy at once, ends at a signal, and its next run finds what it left."""
    began = time.monotonic()
    first = Running(data_dir)
    try:
        first.await_ready()
        assert time.monotonic() - began < READY_SECONDS
        count = "query ($status: [AssignmentStatus!]) { assignments(where: { status: $status }) { totalCount } }"
        deadline = time.monotonic() + 60
        while not first.ask(count, status=["PICKING", "PACKED", "READY_FOR_PICKUP", "HANDED_OVER"])["assignments"][
            "totalCount"
        ]:
            assert time.monotonic() < deadline, "no store works"
            time.sleep(0.5)
        placed = first.ask(first.order)
        assert placed["placeOrder"]["__typename"] == "Order"
    finally:
        assert first.stop(signal.SIGTERM) < 5
    second = Running(data_dir)
    try:
        second.await_ready()
        again = second.ask(second.order)
        assert again["placeOrder"]["number"] == placed["placeOrder"]["number"]
    finally:
        assert second.stop(signal.SIGINT) < 5
