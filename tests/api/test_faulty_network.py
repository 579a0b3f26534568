"""Bad input about the network: each fault is answered with its typed error, at its path, and leaves no trace."""

from typing import Any

import pytest

from tests.api.faults import (
    CODE,
    CONTROL,
    LATITUDE,
    LONG,
    LONGITUDE,
    OPTIONAL,
    TEXT,
    each,
    named,
    put,
    refused,
    verdict,
)
from tests.api.house import BERLIN, SERVICES, House

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLOCK = ("", "9:00", "25:00", "09:60", "noon", CONTROL)
HOURS = {"weekday": 1, "opens": "09:00", "closes": "12:00"}
LOCATION = {"code": "SM", "address": BERLIN, "openingHours": [HOURS], "capacity": [{"weekday": 1}], "closures": []}
SAVE_LOCATION = ("saveLocation", "$input: LocationInput!", "input: $input")
LOCATIONS = {
    "code": CODE,
    "name": (None, *TEXT),
    "kind": (None,),
    "address": (None,),
    "address.name": OPTIONAL,
    "address.lines.0": OPTIONAL,
    "address.lines": ([""] * 11,),
    "address.postalCode": ("", " ", CONTROL, "1" * 17),
    "address.city": TEXT,
    "address.region": OPTIONAL,
    "address.country": ("", "XX", "Germany"),
    "address.position > address.position.latitude": ({"latitude": 91, "longitude": 0},),
    "position > position.latitude": tuple({"latitude": value, "longitude": 0} for value in LATITUDE),
    "position > position.longitude": tuple({"latitude": 0, "longitude": value} for value in LONGITUDE),
    "timeZone": (None, "", "Mars/Base", "../etc/passwd", LONG),
    "tags": (None, [f"tag {n}" for n in range(1001)]),
    "tags > tags.0": tuple([value] for value in CODE),
    "services": (None,),
    "openingHours": (None, [HOURS] * 1001),
    "openingHours > openingHours.1.opens": ([HOURS, {**HOURS, "opens": "11:59", "closes": "13:00"}], [HOURS, HOURS]),
    "openingHours.0.weekday": (0, 8, -1, 2**31 - 1),
    "openingHours.0.opens": ("24:00", *CLOCK),
    "openingHours.0.closes": ("08:00", "09:00", "24:01", *CLOCK),
    "closures > closures.1.date": ([{"date": "2026-12-24"}] * 2,),
    "closures > closures.0.reason": tuple([{"date": "2026-12-24", "reason": value}] for value in OPTIONAL),
    "publicHolidays": ("", "de", "DEU", "XX", "DE-", "DE-XX", "DE-BE-10", CONTROL, LONG),
    "capacity.0.weekday": (0, 8),
    "capacity.0.orders": (-1, 2**31 - 1),
    "capacity.0.units": (-1, 2**31 - 1),
    "capacity > capacity.1.weekday": ([{"weekday": 1}] * 2,),
    "handlingTime": ("P366D", "P999999W", None),
    "carrierServiceCodes > carrierServiceCodes.0": (["unknown"], [""], [CONTROL]),
    "carrierServiceCodes > carrierServiceCodes.1": (["parcel", "unknown"],),
}

PARCEL: dict[str, Any] = {**SERVICES[0]}
ZONES: list[dict[str, Any]] = PARCEL["zones"]
SAVE_SERVICE = ("saveCarrierService", "$input: CarrierServiceInput!", "input: $input")
CARRIERS = {
    "code": CODE,
    "carrier": (None, *TEXT),
    "name": (None, *TEXT),
    "level": (None,),
    "countries": (None, []),
    "countries.0": ("", "XX", "de"),
    "currency": (None, "", "XXX", "eur"),
    "locationKinds": (None,),
    "locationCodes": (None,),
    "locationCodes > locationCodes.0": (["unknown"], [""], [CONTROL]),
    "cutoff": ("24:00", *CLOCK),
    "deliverBy": CLOCK,
    "collects": (None, []),
    "collects.0": (0, 8),
    "delivers": (None, []),
    "delivers.0": (0, 8, -1),
    "maxGrams": (0, -1, 2**31 - 1),
    "zones": (None, [], ZONES[::-1], [ZONES[0], {**ZONES[1], "zone": "near"}]),
    "zones.0.zone": TEXT,
    "zones.0.maxKm": (0, -1, 1e308, 100_001),
    "zones.0.transitDays": (None, [], [1], [2, 1], [-1, 1], [1, 2, 3], [0, 10_001]),
    "zones.0.transitMinutes > zones.0.transitDays": ([1, 1],),
    "cost": (None, []),
    "cost.0.zone": ("nowhere", ""),
    "cost.0.maxGrams": (0, -1, 2**31 - 1),
    "cost.0.amount": ("-1", "1.001", "10000000000.01", "90071992547409.93"),
    "cost > cost.1.maxGrams": ([PARCEL["cost"][0]] * 2,),
    "shopperPrice": (None, "-1", "1.001", "90071992547409.93"),
    "freeFrom": ("-1", "1.001", "90071992547409.93"),
    "co2GramsPerKm": (None, -1, 100_001, 1e308),
    "active": (None,),
}


@pytest.mark.parametrize(("place", "value", "told"), each(LOCATIONS), ids=named)
async def test_a_location_with_one_thing_wrong_is_refused(
    shared_house: House, place: str, value: object, told: str
) -> None:
    error = await refused(shared_house, *SAVE_LOCATION, input=put(LOCATION, place, value))
    assert verdict(error) == ("InvalidInputError", "INVALID_INPUT", told)


@pytest.mark.parametrize(("place", "value", "told"), each(CARRIERS), ids=named)
async def test_a_carrier_service_with_one_thing_wrong_is_refused(
    shared_house: House, place: str, value: object, told: str
) -> None:
    error = await refused(shared_house, *SAVE_SERVICE, input=put(PARCEL, place, value))
    assert verdict(error) == ("InvalidInputError", "INVALID_INPUT", told)


@pytest.mark.parametrize("version", [0, -1, 7, 2**31 - 1])
@pytest.mark.parametrize(("operation", "code"), [(SAVE_LOCATION, "SM"), (SAVE_SERVICE, "parcel")], ids=named)
async def test_who_changes_an_older_version_is_told_the_present_one(
    shared_house: House, operation: tuple[str, str, str], code: str, version: int
) -> None:
    error = await refused(shared_house, *operation, input={"code": code, "expectedVersion": version})
    assert verdict(error) == ("VersionConflictError", "VERSION_CONFLICT", "expectedVersion")
    assert error["currentVersion"] == 1


@pytest.mark.parametrize(("operation", "first"), [(SAVE_LOCATION, "name"), (SAVE_SERVICE, "carrier")], ids=named)
async def test_what_is_new_has_to_be_whole(shared_house: House, operation: tuple[str, str, str], first: str) -> None:
    error = await refused(shared_house, *operation, input={"code": "new"})
    assert verdict(error) == ("InvalidInputError", "INVALID_INPUT", first)


@pytest.mark.parametrize("id", ["", "unknown", "é", "SXRlbR9tdWc", "TG9jYXRpb24feA"], ids=named)
async def test_a_location_that_is_not_there_has_no_status(shared_house: House, id: str) -> None:  # noqa: A002
    error = await refused(shared_house, "setLocationStatus", "$id: ID!", "id: $id, status: CLOSED", id=id)
    assert verdict(error) == ("NotFoundError", "NOT_FOUND", "id")
