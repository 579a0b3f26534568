"""Carrier services: what people say about them, checked, and written."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any, TypeAlias, cast
from uuid import uuid4

from domain.change import UNSET, Unset
from domain.errors import DomainError, InvalidInput, VersionConflict
from domain.imports import ImportOutcome, OnRowError, check_each
from domain.money import check_currency, to_minor
from domain.network.calendar import check_clock, check_weekdays
from domain.network.rows import (
    CarrierServiceRow,
    Columns,
    CostJson,
    ZoneJson,
    lock,
    write_carrier_services,
)
from domain.places import check_country
from domain.text import LONGEST_LIST, check_code, check_codes, check_text
from domain.transaction import Connection, Database
from domain.vocabulary import LocationKind, ServiceLevel

HEAVIEST_GRAMS = 1_000_000_000
FARTHEST_KM = 100_000
LONGEST_TRANSIT = 10_000
MOST_CO2 = 100_000
"""Grams a km: what a parcel emits on the longest way still fits into 31 bits."""
MOST_COST = 10**12
"""Minor units: what ten parcels cost is still less than what the planner takes for impossible."""
Path = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneReach:
    """How far a zone goes, and how long the way takes: `(least, most)` days or minutes, exactly one of them."""

    zone: str
    max_km: float
    transit_days: Sequence[int] | None = None
    transit_minutes: Sequence[int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostStep:
    """What a parcel of up to `max_grams` costs in a zone."""

    zone: str
    max_grams: int
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierServiceChange:
    """What is to be said about a carrier service, new or known by its code; UNSET stays as it is."""

    code: str
    carrier: str | Unset | None = UNSET
    name: str | Unset | None = UNSET
    level: ServiceLevel | Unset | None = UNSET
    countries: Sequence[str] | Unset | None = UNSET
    currency: str | Unset | None = UNSET
    location_kinds: Sequence[LocationKind] | Unset | None = UNSET
    location_codes: Sequence[str] | Unset | None = UNSET
    cutoff: str | Unset | None = UNSET
    deliver_by: str | Unset | None = UNSET
    collects: Sequence[int] | Unset | None = UNSET
    delivers: Sequence[int] | Unset | None = UNSET
    max_grams: int | Unset | None = UNSET
    zones: Sequence[ZoneReach] | Unset | None = UNSET
    cost: Sequence[CostStep] | Unset | None = UNSET
    shopper_price: Decimal | Unset | None = UNSET
    free_from: Decimal | Unset | None = UNSET
    co2_grams_per_km: float | Unset | None = UNSET
    active: bool | Unset | None = UNSET
    expected_version: int | None = None


async def save_carrier_service(connection: Connection, change: CarrierServiceChange) -> CarrierServiceRow:
    """Change the carrier service of that code, or make it; return it as it then is.

    Raise InvalidInput, or VersionConflict where `expected_version` is not the present one.
    """
    columns = _columns(change)
    await lock(connection)
    row = (await _known(connection, [change.code])).get(change.code)
    await _check_locations(connection, change)
    whole = _whole(row, change, columns)
    if row and not whole:
        return row
    return (await write_carrier_services(connection, [whole]))[0]


async def import_carrier_services(
    database: Database, changes: Sequence[CarrierServiceChange], *, on_error: OnRowError
) -> ImportOutcome:
    """Take rows about carrier services, in one transaction."""
    outcome = ImportOutcome()
    checked = check_each(changes, key=lambda change: change.code, check=_columns, outcome=outcome)
    async with database.transaction() as connection:
        await lock(connection)
        known = await _known(connection, [changes[number].code for number, _ in checked])
        written: list[Columns] = []
        for number, columns in checked:
            change = changes[number]
            try:
                await _check_locations(connection, change)
                row = known.get(change.code)
                whole = _whole(row, change, columns)
            except DomainError as error:
                outcome.fail(number, error)
            else:
                outcome.count(new=row is None, changed=bool(whole))
                written += [whole] if whole else []
        if not outcome.rejects(on_error):
            await write_carrier_services(connection, written)
    return outcome


async def _known(connection: Connection, codes: Sequence[str]) -> Mapping[str, CarrierServiceRow]:
    sql = "SELECT * FROM carrier_service WHERE code = ANY($1)"
    return {row.code: row for row in await connection.fetch(sql, codes, record_class=CarrierServiceRow)}


async def _check_locations(connection: Connection, change: CarrierServiceChange) -> None:
    if not isinstance(change.location_codes, Sequence):
        return
    codes = list(change.location_codes)
    known = await connection.fetch("SELECT code FROM location WHERE code = ANY($1)", codes)
    unknown = set(codes) - {row["code"] for row in known}
    if unknown:
        number = next(n for n, code in enumerate(codes) if code in unknown)
        raise InvalidInput(message=f"There is no location {codes[number]!r}.", path=("locationCodes", str(number)))


def _whole(row: CarrierServiceRow | None, change: CarrierServiceChange, columns: Columns) -> Columns:
    """Return the whole carrier service as it is to be, or nothing where that is what it is."""
    version = row.version if row else 0
    if change.expected_version is not None and change.expected_version != version:
        message = f"The carrier service's version is {version}."
        raise VersionConflict(message=message, path=("expectedVersion",), current_version=version)
    missing = [field for field in _NEEDED if getattr(change, field) is UNSET]
    if row is None and missing:
        message = f"A new carrier service needs {', '.join(_NEEDED)}; this one lacks {', '.join(missing)}."
        raise InvalidInput(message=message, path=(missing[0],))
    before: Columns = dict(row) if row else {**_DEFAULTS, "id": uuid4(), "code": change.code}
    after = {**before, **columns, **_money(row, change)}
    _check_zones(cast("list[ZoneJson]", after["zones"]), cast("list[CostJson]", after["cost"]))
    return {} if after == before else {**after, "version": version + 1}


def _money(row: CarrierServiceRow | None, change: CarrierServiceChange) -> Columns:
    """Return the amounts of a change in minor units; a new currency needs every amount anew."""
    currency = row.currency if row and change.currency is UNSET else str(change.currency)
    if row and currency != row.currency:
        old = {"cost": change.cost, "shopperPrice": change.shopper_price}
        old |= {"freeFrom": change.free_from} if row.free_from is not None else {}
        for field, amount in old.items():
            if amount is UNSET:
                raise InvalidInput(message=f"A new currency needs a new {field}.", path=(field,))
    columns: dict[str, object] = {}
    if isinstance(change.shopper_price, Decimal):
        columns["shopper_price"] = to_minor(change.shopper_price, currency, path=("shopperPrice",))
    if change.free_from is None:
        columns["free_from"] = None
    elif isinstance(change.free_from, Decimal):
        columns["free_from"] = to_minor(change.free_from, currency, path=("freeFrom",))
    if isinstance(change.cost, Sequence):
        columns["cost"] = _cost(change.cost, currency)
    return columns


def _cost(steps: Sequence[CostStep], currency: str) -> list[CostJson]:
    found: dict[tuple[str, int], CostJson] = {}
    for n, step in enumerate(steps):
        path = ("cost", str(n))
        _grams(step.max_grams, (*path, "maxGrams"))
        if (step.zone, step.max_grams) in found:
            raise InvalidInput(message="This zone and weight have a cost already.", path=(*path, "maxGrams"))
        amount = to_minor(step.amount, currency, path=(*path, "amount"))
        if amount > MOST_COST:
            raise InvalidInput(message="This amount is too large.", path=(*path, "amount"))
        found[step.zone, step.max_grams] = CostJson(zone=step.zone, maxGrams=step.max_grams, amount=amount)
    return list(found.values())


def _check_zones(zones: Sequence[ZoneJson], cost: Sequence[CostJson]) -> None:
    names = {zone["zone"] for zone in zones}
    for n, step in enumerate(cost):
        if step["zone"] not in names:
            raise InvalidInput(message=f"There is no zone {step['zone']!r}.", path=("cost", str(n), "zone"))


_NEEDED = ("carrier", "name", "level", "countries", "currency", "zones", "cost")

_DEFAULTS: Columns = {
    "location_kinds": [],
    "location_codes": [],
    "cutoff": None,
    "deliver_by": None,
    "collects": [1, 2, 3, 4, 5],
    "delivers": [1, 2, 3, 4, 5, 6],
    "max_grams": None,
    "shopper_price": 0,
    "free_from": None,
    "co2_grams_per_km": 0.0,
    "active": True,
}

_CLEARABLE = frozenset({"cutoff", "deliver_by", "max_grams"})


def _columns(change: CarrierServiceChange) -> Columns:
    """Return the columns that the change sets, checked; the amounts wait until the currency is known."""
    check_code(change.code, path=("code",))
    columns: dict[str, object] = {}
    for name, (field, check) in _CHECKS.items():
        value = getattr(change, name)
        if value is UNSET:
            continue
        if value is None and name not in _CLEARABLE:
            raise InvalidInput(message="This cannot be null; leave it out to keep what it is.", path=(field,))
        checked = None if value is None else check(value, (field,))
        if name not in _AMOUNTS:
            columns[name] = checked
    return columns


def _countries(codes: Sequence[str], path: Path) -> list[str]:
    _check_length(codes, path)
    return list(dict.fromkeys(check_country(code, path=(*path, str(n))) for n, code in enumerate(codes)))


def _zones(zones: Sequence[ZoneReach], path: Path) -> list[ZoneJson]:
    _check_length(zones, path)
    for n, zone in enumerate(zones):
        check_text(zone.zone, path=(*path, str(n), "zone"))
        if not (math.isfinite(zone.max_km) and 0 < zone.max_km <= FARTHEST_KM):
            message = f"A reach is a number of km above 0, up to {FARTHEST_KM}."
            raise InvalidInput(message=message, path=(*path, str(n), "maxKm"))
        if (zone.transit_days is None) == (zone.transit_minutes is None):
            message = "A zone has either transitDays or transitMinutes."
            raise InvalidInput(message=message, path=(*path, str(n), "transitDays"))
    if len({zone.zone for zone in zones}) < len(zones):
        raise InvalidInput(message="Each zone has a name of its own.", path=path)
    if any(near.max_km >= far.max_km for near, far in pairwise(zones)):
        raise InvalidInput(message="Zones come in the order of their reach, nearest first.", path=path)
    return [
        ZoneJson(
            zone=zone.zone,
            maxKm=zone.max_km,
            transitDays=_transit(zone.transit_days, (*path, str(n), "transitDays")),
            transitMinutes=_transit(zone.transit_minutes, (*path, str(n), "transitMinutes")),
        )
        for n, zone in enumerate(zones)
    ]


def _transit(span: Sequence[int] | None, path: Path) -> list[int] | None:
    if span is None:
        return None
    match list(span):
        case [least, most] if 0 <= least <= most <= LONGEST_TRANSIT:
            return [least, most]
        case _:
            message = f"A transit is two whole numbers, the least and the most, from 0 to {LONGEST_TRANSIT}."
            raise InvalidInput(message=message, path=path)


def _grams(value: int, path: Path) -> int:
    if not 0 < value <= HEAVIEST_GRAMS:
        raise InvalidInput(message=f"A weight is a number of grams from 1 to {HEAVIEST_GRAMS}.", path=path)
    return value


def _co2(value: float, path: Path) -> float:
    if not (math.isfinite(value) and 0 <= value <= MOST_CO2):
        raise InvalidInput(message=f"This is a number of grams from 0 to {MOST_CO2}.", path=path)
    return value


def _check_length(values: Sequence[object], path: Path) -> None:
    if not 0 < len(values) <= LONGEST_LIST:
        raise InvalidInput(message=f"Name at least one, and at most {LONGEST_LIST}.", path=path)


_Check: TypeAlias = tuple[str, Callable[[Any, Path], object]]
_CHECKS: Mapping[str, _Check] = {
    "carrier": ("carrier", lambda value, path: check_text(value, path=path)),
    "name": ("name", lambda value, path: check_text(value, path=path)),
    "level": ("level", lambda value, _: value),
    "countries": ("countries", _countries),
    "currency": ("currency", lambda value, path: check_currency(value, path=path)),
    "location_kinds": ("locationKinds", lambda value, _: [kind for kind in LocationKind if kind in value]),
    "location_codes": ("locationCodes", lambda value, path: check_codes(value, path=path)),
    "cutoff": ("cutoff", lambda value, path: check_clock(value, path=path)),
    "deliver_by": ("deliverBy", lambda value, path: check_clock(value, path=path)),
    "collects": ("collects", lambda value, path: check_weekdays(value, path=path)),
    "delivers": ("delivers", lambda value, path: check_weekdays(value, path=path)),
    "max_grams": ("maxGrams", _grams),
    "zones": ("zones", _zones),
    "cost": ("cost", _check_length),
    "shopper_price": ("shopperPrice", lambda value, _: value),
    "co2_grams_per_km": ("co2GramsPerKm", _co2),
    "active": ("active", lambda value, _: value),
}
_AMOUNTS = frozenset({"cost", "shopper_price"})
