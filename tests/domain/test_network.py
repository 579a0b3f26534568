"""Locations and carrier services are checked, written once, and read as one snapshot."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.change import UNSET
from domain.errors import InvalidInput, NotFound, VersionConflict
from domain.ids import new_id
from domain.imports import OnRowError
from domain.network import (
    CarrierServiceChange,
    CarrierServiceRow,
    Closure,
    CostStep,
    Hours,
    LocationChange,
    LocationRecord,
    LocationRow,
    Networks,
    WeekdayLimit,
    ZoneReach,
    find_locations,
    import_carrier_services,
    import_locations,
    save_carrier_service,
    save_location,
    set_location_status,
)
from domain.places import Address
from domain.planning.problem import Opening, Point
from domain.transaction import Database, open_pool
from domain.vocabulary import ErrorCode, LocationKind, LocationService, LocationStatus, ServiceLevel

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
BERLIN = Point(latitude=52.52, longitude=13.405)
HAMBURG = Point(latitude=53.55, longitude=9.99)

STORE = LocationChange(
    code="BER1",
    name="Berlin Mitte",
    kind=LocationKind.STORE,
    address=Address(postal_code="10115", city="Berlin", country="DE", lines=("Chausseestr. 1",)),
    position=BERLIN,
    time_zone="Europe/Berlin",
)
RECORD = LocationRecord(
    code="HAM1",
    name="Hamburg Nord",
    kind=LocationKind.MICRO_HUB,
    latitude=HAMBURG.latitude,
    longitude=HAMBURG.longitude,
    country="DE",
    postal_code="20095",
    city="Hamburg",
    time_zone="Europe/Berlin",
)
PARCEL = CarrierServiceChange(
    code="parcel",
    carrier="ParcelPost",
    name="Standard",
    level=ServiceLevel.STANDARD,
    countries=["DE"],
    currency="EUR",
    cutoff="16:00",
    zones=[
        ZoneReach(zone="near", max_km=150, transit_days=[1, 1]),
        ZoneReach(zone="national", max_km=900, transit_days=[1, 2]),
    ],
    cost=[
        CostStep(zone="near", max_grams=5000, amount=Decimal("3.90")),
        CostStep(zone="national", max_grams=5000, amount=Decimal("4.60")),
    ],
    shopper_price=Decimal("4.95"),
    free_from=Decimal(60),
)


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    pool = await open_pool(dsn)
    yield Database(pool)
    await pool.close()


async def save(database: Database, change: LocationChange, **other: Any) -> LocationRow:
    async with database.transaction() as connection:
        return await save_location(connection, replace(change, **other), now=NOW)


async def offer(database: Database, change: CarrierServiceChange, **other: Any) -> CarrierServiceRow:
    async with database.transaction() as connection:
        return await save_carrier_service(connection, replace(change, **other))


async def revision(database: Database) -> int:
    return (await Networks(database).current()).revision


async def test_a_new_store_opens_as_stores_do_and_offers_what_stores_offer(database: Database) -> None:
    row = await save(database, STORE)
    assert [(hours["weekday"], hours["opens"], hours["closes"]) for hours in row.opening_hours] == [
        (weekday, "09:00", "20:00") for weekday in range(1, 7)
    ]
    assert row.services == ["SHIP", "PICKUP", "RETURN"]
    assert (row.status, row.handling_seconds, row.version, row.carrier_service_codes) == ("ACTIVE", 3600, 1, None)
    assert (row.latitude, row.longitude, row.address_lines) == (BERLIN.latitude, BERLIN.longitude, ["Chausseestr. 1"])


@pytest.mark.parametrize(
    ("kind", "services", "seconds"),
    [
        (LocationKind.WAREHOUSE, ["SHIP"], 7200),
        (LocationKind.DROP_SHIPPER, ["SHIP"], 86400),
        (LocationKind.MICRO_HUB, ["SHIP", "PICKUP"], 1800),
    ],
)
async def test_what_is_no_store_is_always_open(
    database: Database, kind: LocationKind, services: list[str], seconds: int
) -> None:
    row = await save(database, STORE, kind=kind)
    assert {(hours["opens"], hours["closes"]) for hours in row.opening_hours} == {("00:00", "24:00")}
    assert (len(row.opening_hours), row.services, row.handling_seconds) == (7, services, seconds)


async def test_what_a_change_leaves_out_stays_and_what_it_says_again_is_no_change(database: Database) -> None:
    first = await save(database, STORE, carrier_service_codes=[], tags=["city", "large", "city"])
    changed = await save(
        database,
        LocationChange(code="BER1"),
        opening_hours=[
            Hours(weekday=2, opens="14:00", closes="24:00"),
            Hours(weekday=2, opens="08:00", closes="12:00"),
        ],
        closures=[Closure(date=date(2026, 12, 25), reason="Christmas")],
        capacity=[WeekdayLimit(weekday=2, orders=40, units=None)],
        handling_time=timedelta(minutes=90),
        carrier_service_codes=None,
    )
    before = await revision(database)
    again = await save(
        database,
        STORE,
        tags=["city", "large"],
        opening_hours=[
            Hours(weekday=2, opens="08:00", closes="12:00"),
            Hours(weekday=2, opens="14:00", closes="24:00"),
        ],
    )
    assert (first.version, changed.version, again.version) == (1, 2, 2)
    assert (changed.tags, changed.name, changed.carrier_service_codes) == (["city", "large"], "Berlin Mitte", None)
    assert await revision(database) == before


@pytest.mark.parametrize(
    ("field", "value", "path"),
    [
        ("code", "", ("code",)),
        ("code", " BER1", ("code",)),
        ("code", "B\0R1", ("code",)),
        ("code", "B" * 65, ("code",)),
        ("name", None, ("name",)),
        ("name", "  ", ("name",)),
        ("name", "a\ud800b", ("name",)),
        ("name", "a" * 501, ("name",)),
        ("kind", UNSET, ("kind",)),
        ("address", Address(postal_code="1", city="Berlin", country="ZZ"), ("address", "country")),
        ("address", Address(postal_code=" ", city="Berlin", country="DE"), ("address", "postalCode")),
        ("address", Address(postal_code="1", city="", country="DE"), ("address", "city")),
        ("address", Address(postal_code="1", city="B", country="DE", lines=("a\0",)), ("address", "lines", "0")),
        ("address", UNSET, ("country",)),
        ("position", Point(latitude=90.1, longitude=0), ("position", "latitude")),
        ("position", Point(latitude=0, longitude=float("nan")), ("position", "longitude")),
        ("position", UNSET, ("position",)),
        ("time_zone", "Europe/Atlantis", ("timeZone",)),
        ("time_zone", UNSET, ("timeZone",)),
        ("tags", ["a", ""], ("tags", "1")),
        ("opening_hours", [Hours(weekday=0, opens="09:00", closes="10:00")], ("openingHours", "0", "weekday")),
        ("opening_hours", [Hours(weekday=8, opens="09:00", closes="10:00")], ("openingHours", "0", "weekday")),
        ("opening_hours", [Hours(weekday=1, opens="9:00", closes="10:00")], ("openingHours", "0", "opens")),
        ("opening_hours", [Hours(weekday=1, opens="24:00", closes="24:00")], ("openingHours", "0", "opens")),
        ("opening_hours", [Hours(weekday=1, opens="09:00", closes="24:30")], ("openingHours", "0", "closes")),
        ("opening_hours", [Hours(weekday=1, opens="09:00", closes="09:00")], ("openingHours", "0", "closes")),
        (
            "opening_hours",
            [Hours(weekday=1, opens="11:00", closes="13:00"), Hours(weekday=1, opens="09:00", closes="11:01")],
            ("openingHours", "0", "opens"),
        ),
        ("closures", [Closure(date=date(2026, 1, 1)), Closure(date=date(2026, 1, 1))], ("closures", "1", "date")),
        ("capacity", [WeekdayLimit(weekday=1, orders=-1)], ("capacity", "0", "orders")),
        ("capacity", [WeekdayLimit(weekday=1, units=2**40)], ("capacity", "0", "units")),
        ("capacity", [WeekdayLimit(weekday=1), WeekdayLimit(weekday=1)], ("capacity", "1", "weekday")),
        ("handling_time", timedelta(seconds=-1), ("handlingTime",)),
        ("handling_time", timedelta(days=366), ("handlingTime",)),
        ("carrier_service_codes", ["nobody"], ("carrierServiceCodes", "0")),
    ],
)
async def test_a_location_that_cannot_be_is_told_where(
    database: Database,
    field: str,
    value: Any,
    path: tuple[str, ...],
) -> None:
    with pytest.raises(InvalidInput) as fact:
        await save(database, STORE, **{field: value})
    assert tuple(fact.value.path) == path
    assert (await Networks(database).current()).locations == {}


async def test_a_change_of_an_older_version_conflicts(database: Database) -> None:
    await save(database, STORE, expected_version=0)
    await save(database, STORE, name="Berlin", expected_version=1)
    with pytest.raises(VersionConflict) as fact:
        await save(database, STORE, expected_version=1)
    assert fact.value.current_version == 2


async def test_saving_one_new_location_from_many_sides_makes_one(database: Database) -> None:
    rows = await asyncio.gather(*(save(database, STORE, name=f"Berlin {n}") for n in range(6)))
    assert len({row.id for row in rows}) == 1
    assert sorted(row.version for row in rows) == [1, 2, 3, 4, 5, 6]


async def test_a_status_is_set_once_and_an_unknown_location_is_not_found(database: Database) -> None:
    row = await save(database, STORE)
    for _ in range(2):
        async with database.transaction() as connection:
            row = await set_location_status(connection, row.id, LocationStatus.SUSPENDED, now=NOW)
    assert (row.status, row.version) == ("SUSPENDED", 2)
    with pytest.raises(NotFound):
        async with database.transaction() as connection:
            await set_location_status(connection, new_id(NOW), LocationStatus.ACTIVE, now=NOW)


async def test_locations_imported_twice_change_nothing(database: Database) -> None:
    rows = [RECORD, replace(RECORD, code="HAM2", capacity_per_day=30, tags=["harbour"])]
    first = await import_locations(database, rows, on_error=OnRowError.SKIP_ROW, now=NOW)
    before = await revision(database)
    silent = [*rows, LocationRecord(code="HAM1", name="")][1:]
    again = await import_locations(database, silent, on_error=OnRowError.SKIP_ROW, now=NOW)
    assert (first.created, again.unchanged, again.created, again.updated) == (2, 2, 0, 0)
    assert await revision(database) == before
    snapshot = await Networks(database).current()
    assert [limit["orders"] for limit in snapshot.location("HAM2").capacity] == [30] * 7
    assert snapshot.location("HAM1").version == 1


@pytest.mark.parametrize(
    ("bad", "path"),
    [
        (replace(RECORD, code=" "), ("code",)),
        (replace(RECORD, code="X", name=None), ("name",)),
        (replace(RECORD, code="X", kind=None), ("kind",)),
        (replace(RECORD, code="X", city=""), ("city",)),
        (replace(RECORD, code="X", country="Germany"), ("country",)),
        (replace(RECORD, code="X", postal_code="1" * 17), ("postalCode",)),
        (replace(RECORD, code="X", latitude=91.0), ("latitude",)),
        (replace(RECORD, code="X", longitude=None), ("latitude",)),
        (replace(RECORD, code="X", time_zone="CEST"), ("timeZone",)),
        (replace(RECORD, code="X", capacity_per_day=-1), ("capacityPerDay",)),
        (replace(RECORD, code="X", handling_time=timedelta(days=-1)), ("handlingTime",)),
        (RECORD, ()),
    ],
)
async def test_a_bad_location_is_named_and_spoils_nothing(
    database: Database, bad: LocationRecord, path: tuple[str, ...]
) -> None:
    rejected = await import_locations(database, [RECORD, bad], on_error=OnRowError.REJECT_ALL, now=NOW)
    assert (rejected.created, len(rejected.failed)) == (0, 1)
    assert (await Networks(database).current()).locations == {}
    skipped = await import_locations(database, [RECORD, bad], on_error=OnRowError.SKIP_ROW, now=NOW)
    (failure,) = skipped.failed
    assert (skipped.created, failure.row, failure.code, failure.path) == (1, 1, ErrorCode.INVALID_INPUT, path)


async def test_a_new_carrier_service_keeps_money_in_minor_units(database: Database) -> None:
    row = await offer(database, PARCEL)
    assert (row.shopper_price, row.free_from, [step["amount"] for step in row.cost]) == (495, 6000, [390, 460])
    assert (row.collects, row.delivers, row.active, row.version) == ([1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6], True, 1)


async def test_a_carrier_service_keeps_what_a_change_leaves_out(database: Database) -> None:
    await offer(database, PARCEL)
    changed = await offer(database, CarrierServiceChange(code="parcel", cutoff=None, free_from=None))
    before = await revision(database)
    again = await offer(database, PARCEL, cutoff=UNSET, free_from=UNSET)
    assert (changed.cutoff, changed.free_from, changed.shopper_price, changed.version) == (None, None, 495, 2)
    assert again.version == 2
    assert await revision(database) == before


@pytest.mark.parametrize(
    ("field", "value", "path"),
    [
        ("code", "\n", ("code",)),
        ("carrier", UNSET, ("carrier",)),
        ("name", " ", ("name",)),
        ("level", None, ("level",)),
        ("countries", [], ("countries",)),
        ("countries", ["DE", "Austria"], ("countries", "1")),
        ("currency", "EURO", ("currency",)),
        ("currency", UNSET, ("currency",)),
        ("location_codes", ["nowhere"], ("locationCodes", "0")),
        ("cutoff", "24:00", ("cutoff",)),
        ("deliver_by", "noon", ("deliverBy",)),
        ("collects", [], ("collects",)),
        ("delivers", [1, 8], ("delivers", "1")),
        ("max_grams", 0, ("maxGrams",)),
        ("zones", [], ("zones",)),
        ("zones", [ZoneReach(zone="near", max_km=0, transit_days=[1, 1])], ("zones", "0", "maxKm")),
        ("zones", [ZoneReach(zone="near", max_km=float("inf"), transit_days=[1, 1])], ("zones", "0", "maxKm")),
        ("zones", [ZoneReach(zone="near", max_km=1)], ("zones", "0", "transitDays")),
        (
            "zones",
            [ZoneReach(zone="near", max_km=1, transit_days=[1, 1], transit_minutes=[1, 1])],
            ("zones", "0", "transitDays"),
        ),
        ("zones", [ZoneReach(zone="near", max_km=1, transit_days=[2, 1])], ("zones", "0", "transitDays")),
        ("zones", [ZoneReach(zone="near", max_km=1, transit_minutes=[-1, 1])], ("zones", "0", "transitMinutes")),
        ("zones", [ZoneReach(zone="near", max_km=1, transit_minutes=[1])], ("zones", "0", "transitMinutes")),
        ("zones", [*PARCEL.zones, ZoneReach(zone="near", max_km=999, transit_days=[1, 1])], ("zones",)),  # type: ignore[misc]
        ("zones", [*PARCEL.zones, ZoneReach(zone="far", max_km=900, transit_days=[1, 1])], ("zones",)),  # type: ignore[misc]
        ("cost", [], ("cost",)),
        ("cost", [CostStep(zone="far", max_grams=1, amount=Decimal(1))], ("cost", "0", "zone")),
        ("cost", [CostStep(zone="near", max_grams=0, amount=Decimal(1))], ("cost", "0", "maxGrams")),
        ("cost", [CostStep(zone="near", max_grams=1, amount=Decimal(-1))], ("cost", "0", "amount")),
        ("cost", [CostStep(zone="near", max_grams=1, amount=Decimal("0.001"))], ("cost", "0", "amount")),
        ("cost", [CostStep(zone="near", max_grams=1, amount=Decimal(1))] * 2, ("cost", "1", "maxGrams")),
        ("shopper_price", Decimal("NaN"), ("shopperPrice",)),
        ("shopper_price", None, ("shopperPrice",)),
        ("free_from", Decimal("1e30"), ("freeFrom",)),
        ("co2_grams_per_km", -0.1, ("co2GramsPerKm",)),
        ("active", None, ("active",)),
    ],
)
async def test_a_carrier_service_that_cannot_be_is_told_where(
    database: Database,
    field: str,
    value: Any,
    path: tuple[str, ...],
) -> None:
    with pytest.raises(InvalidInput) as fact:
        await offer(database, PARCEL, **{field: value})
    assert tuple(fact.value.path) == path
    skipped = await import_carrier_services(
        database, [replace(PARCEL, code="other"), replace(PARCEL, **{field: value})], on_error=OnRowError.SKIP_ROW
    )
    assert (skipped.created, [failure.path for failure in skipped.failed]) == (1, [path])


async def test_new_zones_must_keep_the_zones_that_have_costs(database: Database) -> None:
    await offer(database, PARCEL)
    with pytest.raises(InvalidInput) as fact:
        await offer(
            database,
            CarrierServiceChange(code="parcel", zones=[ZoneReach(zone="near", max_km=9, transit_days=[1, 1])]),
        )
    assert tuple(fact.value.path) == ("cost", "1", "zone")


async def test_a_new_currency_needs_every_amount_anew(database: Database) -> None:
    await offer(database, PARCEL)
    with pytest.raises(InvalidInput) as fact:
        await offer(database, CarrierServiceChange(code="parcel", currency="JPY", cost=PARCEL.cost))
    assert tuple(fact.value.path) == ("shopperPrice",)
    yen = [CostStep(zone="near", max_grams=5000, amount=Decimal(600))]
    row = await offer(database, PARCEL, currency="JPY", cost=yen, shopper_price=Decimal(500), free_from=Decimal(9000))
    assert (row.currency, row.shopper_price, row.free_from) == ("JPY", 500, 9000)


async def test_carrier_services_imported_twice_change_nothing(database: Database) -> None:
    changes = [PARCEL, replace(PARCEL, code="other")]
    first = await import_carrier_services(database, changes, on_error=OnRowError.REJECT_ALL)
    before = await revision(database)
    again = await import_carrier_services(database, changes, on_error=OnRowError.REJECT_ALL)
    assert (first.created, again.unchanged) == (2, 2)
    assert await revision(database) == before


async def test_the_snapshot_follows_what_is_written_and_is_kept_until_then(database: Database) -> None:
    networks = Networks(database)
    await save(database, STORE)
    one = await networks.current()
    assert await networks.current() is one
    await save(
        database,
        STORE,
        closures=[Closure(date=date(2026, 5, 1))],
        opening_hours=[Hours(weekday=1, opens="08:30", closes="24:00")],
    )
    await offer(database, PARCEL)
    two = await networks.current()
    (site,), (service,) = two.planner.sites, two.planner.services
    assert two.revision > one.revision
    assert (site.openings, site.closures) == ((Opening(weekday=1, opens=510, closes=1440),), {date(2026, 5, 1)})
    assert (service.cutoff, service.free_from, service.zones[1].transit_days) == (time(16), 6000, (1, 2))
    assert two.locations[two.id_by_code["BER1"]].closures == [{"date": "2026-05-01", "reason": None}]


async def test_a_location_uses_the_active_services_for_its_kind_and_code(database: Database) -> None:
    await save(database, STORE)
    await save(database, STORE, code="BER2", kind=LocationKind.WAREHOUSE)
    await offer(database, PARCEL, code="all")
    await offer(database, PARCEL, code="hubs", location_kinds=[LocationKind.MICRO_HUB])
    await offer(database, PARCEL, code="one", location_codes=["BER1"])
    await offer(database, PARCEL, code="gone", active=False)
    await save(database, STORE, code="BER3", carrier_service_codes=["all", "hubs"])
    await save(database, STORE, code="BER4", services=[LocationService.PICKUP])
    snapshot = await Networks(database).current()
    used = {
        code: [service.code for service in snapshot.services_of(snapshot.location(code))]
        for code in ("BER1", "BER2", "BER3", "BER4")
    }
    assert used == {"BER1": ["all", "one"], "BER2": ["all"], "BER3": ["all"], "BER4": []}
    with pytest.raises(NotFound):
        snapshot.location("BER9")


async def test_locations_are_found_by_distance_kind_and_service(database: Database) -> None:
    await import_locations(database, [RECORD], on_error=OnRowError.REJECT_ALL, now=NOW)
    await save(database, STORE)
    snapshot = await Networks(database).current()

    def found(**wanted: Any) -> list[str]:
        return [location.code for location in find_locations(snapshot, **wanted)]

    assert found() == ["BER1", "HAM1"]
    assert found(near=HAMBURG) == ["HAM1", "BER1"]
    assert found(near=HAMBURG, within_km=200) == ["HAM1"]
    assert found(near=HAMBURG, within_km=260) == ["HAM1", "BER1"]
    assert found(kinds=[LocationKind.STORE]) == ["BER1"]
    assert found(services=[LocationService.PICKUP]) == ["BER1", "HAM1"]
    assert found(services=[LocationService.PICKUP, LocationService.RETURN]) == ["BER1"]
    for wanted in ({"within_km": 5.0}, {"near": BERLIN, "within_km": -1.0}, {"near": Point(latitude=99, longitude=0)}):
        with pytest.raises(InvalidInput):
            found(**wanted)
