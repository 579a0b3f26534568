"""Locations and carrier services."""

import strawberry

from domain import network
from domain.imports import OnRowError
from domain.paging import Page
from domain.vocabulary import LocationKind, LocationService, LocationStatus
from schema.context import Info
from schema.inventory import ImportResult
from schema.network import (
    CarrierService,
    CarrierServiceInput,
    CarrierServiceResult,
    Location,
    LocationInput,
    LocationResult,
    LocationRowInput,
)
from schema.paging import Connection, page_of, uuid_of
from schema.scalars import GeoPointInput
from schema.viewer import Viewer


async def viewer(info: Info) -> Viewer:
    me, snapshot = info.context.viewer, await info.context.network()
    own = sorted((snapshot.locations[each] for each in me.location_ids), key=lambda location: location.code)
    scopes = None if me.scopes is None else sorted(me.scopes)
    return Viewer(role=me.role, name=me.name, locations=[Location.of(location) for location in own], scopes=scopes)


async def location(info: Info, id: strawberry.ID | None = None, code: str | None = None) -> Location | None:
    snapshot = await info.context.network()
    key = uuid_of(id, "Location") if id is not None else snapshot.id_by_code.get(code or "")
    row = snapshot.locations.get(key) if key else None
    return Location.of(row) if row and code in {None, row.code} else None


async def locations(
    info: Info,
    page: Page,
    near: GeoPointInput | None = None,
    within_km: float | None = None,
    kind: list[LocationKind] | None = None,
    services: list[LocationService] | None = None,
) -> Connection[Location]:
    point = near.value() if near else None
    found = network.find_locations(
        await info.context.network(), near=point, within_km=within_km, kinds=kind, services=services
    )
    return page_of(found, page, lambda row: row.code, Location.of)


async def carrier_services(info: Info) -> list[CarrierService]:
    return [CarrierService.of(service) for _, service in sorted((await info.context.network()).services.items())]


async def save_location(info: Info, input: LocationInput) -> LocationResult:
    async with info.context.database.transaction() as connection:
        row = await network.save_location(connection, input.value(), now=info.context.now())
    return Location.of(row)


async def set_location_status(info: Info, id: strawberry.ID, status: LocationStatus) -> LocationResult:
    async with info.context.database.transaction() as connection:
        key = uuid_of(id, "Location")
        row = await network.set_location_status(connection, key, status, now=info.context.now())
    return Location.of(row)


async def save_carrier_service(info: Info, input: CarrierServiceInput) -> CarrierServiceResult:
    async with info.context.database.transaction() as connection:
        row = await network.save_carrier_service(connection, input.value())
    return CarrierService.of(row)


async def import_locations(
    info: Info, rows: list[LocationRowInput], on_error: OnRowError = OnRowError.SKIP_ROW
) -> ImportResult:
    records = [row.value() for row in rows]
    outcome = await network.import_locations(info.context.database, records, on_error=on_error, now=info.context.now())
    return ImportResult.of(outcome)


async def import_carrier_services(
    info: Info, rows: list[CarrierServiceInput], on_error: OnRowError = OnRowError.SKIP_ROW
) -> ImportResult:
    changes = [row.value() for row in rows]
    return ImportResult.of(await network.import_carrier_services(info.context.database, changes, on_error=on_error))
