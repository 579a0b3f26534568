"""The network as one immutable snapshot: what the planner reads, and what everything else looks locations up in."""

import asyncio
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from domain.errors import InvalidInput, NotFound
from domain.network.calendar import minutes
from domain.network.rows import CarrierServiceRow, LocationRow
from domain.network.sitting import Sitting
from domain.places import check_position
from domain.planning.calendar import handling_left, opened_for
from domain.planning.network import distances_km, make_network
from domain.planning.problem import DayCapacity, Network, Opening, Point, Service, Site, Tariff, Zone
from domain.policies import Policies, active
from domain.transaction import Connection, Database
from domain.vocabulary import LocationKind, LocationService, LocationStatus, RatingKind, ServiceLevel

LEARN_SECONDS = 600.0
WATCH_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All locations, carrier services and policies at one revision; `planner` holds the first two as its own values.

    `services` are by code, inactive ones too; `site_by_id` is a location's place in `planner.sites`. For how long stock
    sits moves from day to day: `sitting` is the process's knowledge of it, the same for all snapshots.
    """

    revision: int
    planner: Network
    locations: Mapping[UUID, LocationRow]
    id_by_code: Mapping[str, UUID]
    site_by_id: Mapping[UUID, int]
    services: Mapping[str, CarrierServiceRow]
    policies: Policies
    sitting: Sitting

    def location(self, code: str) -> LocationRow:
        """Return the location of that code, or raise NotFound."""
        if code not in self.id_by_code:
            raise NotFound(message=f"There is no location {code!r}.")
        return self.locations[self.id_by_code[code]]

    def only(self, location_id: UUID, *, left: timedelta | None = None) -> "Snapshot":
        """Return the same with no other location to be asked.

        With `left`, which is what is left to do of work that was begun there: that is finished, though the location
        takes no more or its days are full.
        """
        number = self.site_by_id[location_id]
        site = self.planner.sites[number]
        if left is not None:
            suspended = site.status is LocationStatus.SUSPENDED
            status = LocationStatus.ACTIVE if suspended else site.status
            site = replace(site, status=status, capacity=(), handling=left)
        acceptance = {site.code: float(self.planner.acceptance[number])}
        planner = make_network(self.revision, [site], self.planner.services, acceptance)
        return replace(self, planner=planner, site_by_id={location_id: 0})

    def left_to_do(self, location_id: UUID, since: datetime, now: datetime) -> timedelta:
        """Return how much of a location's handling time is left of work that it began at `since`."""
        return handling_left(self.planner.sites[self.site_by_id[location_id]], since, now)

    def deadline(self, location_id: UUID, within: timedelta | None, now: datetime) -> datetime | None:
        """Return when a location has been open for so long after `now`; None where it has all the time.

        One that does not open in sight is measured by the wall clock.
        """
        if within is None:
            return None
        return opened_for(self.planner.sites[self.site_by_id[location_id]], now, within) or now + within

    def idle_days(
        self, skus: Sequence[str], *, now: datetime, policies: Policies | None = None
    ) -> NDArray[np.int64] | None:
        """Return for how long items have sat at the sites, as `Problem.idle_days`; None where no policy looks at it."""
        if RatingKind.MARKDOWN not in (policies or self.policies).ratings:
            return None
        return self.sitting.days(skus, len(self.planner.sites), now=now)

    def services_of(self, location: LocationRow) -> list[CarrierServiceRow]:
        """Return the active carrier services that a location may use, by code; none where it does not ship."""
        if LocationService.SHIP not in location.services:
            return []
        own = location.carrier_service_codes
        return [
            service
            for code, service in sorted(self.services.items())
            if service.active
            and (not service.location_kinds or location.kind in service.location_kinds)
            and (not service.location_codes or location.code in service.location_codes)
            and (own is None or code in own)
        ]


class Networks:
    """Hands out the present snapshot; it is read anew once the network's revision has moved.

    How locations answered of late is read now and then by `keep`, for how long stock sat by `watch` where a policy in
    force looks at it, and neither for a decision.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._snapshot: Snapshot | None = None
        self._acceptance: Mapping[str, float] = {}
        self._sitting = Sitting(database)
        self._loading = asyncio.Lock()

    async def keep(self) -> None:
        """Learn for ever how locations answer what they are offered."""
        while True:
            await self.learn()
            await asyncio.sleep(LEARN_SECONDS)

    async def learn(self) -> None:
        """Read how locations have answered; the next snapshot tells it."""
        async with self._database.reading() as connection:
            acceptance = dict(await connection.fetch(_ACCEPTANCE))
        if acceptance != self._acceptance:
            self._acceptance, self._snapshot = acceptance, None

    async def watch(self) -> None:
        """Learn for ever for how long the stock that carts ask for has sat."""
        while True:
            await self._sitting.asked()
            await self.look()
            await asyncio.sleep(WATCH_SECONDS)

    async def look(self) -> None:
        """Read for how long the stock has sat that carts have asked for since."""
        await self._sitting.read_wanted((await self.current()).site_by_id)

    async def knowing(self, codes: Collection[str]) -> Snapshot:
        """Return the last snapshot that was read if it knows these locations, at no price; else the present one."""
        if self._snapshot is not None and all(code in self._snapshot.id_by_code for code in codes):
            return self._snapshot
        return await self.current()

    async def current(self, connection: Connection | None = None) -> Snapshot:
        """Return the present snapshot at the price of one small read.

        Never give a connection whose transaction writes the network: what it reads is kept for everybody.
        """
        if connection is None:
            async with self._database.reading() as reading:
                return await self.current(reading)
        revision = await _revision(connection)
        if self._snapshot is None or self._snapshot.revision != revision:
            async with self._loading:
                if self._snapshot is None or self._snapshot.revision != revision:
                    self._snapshot = await _load(connection, self._acceptance, self._sitting)
        return self._snapshot


# Of its last hundred answers. A location begins with ten that it has not given yet, all of them good: one refusal among
# few is no record.
_ACCEPTANCE = """
SELECT l.code, ((10 + count(*) FILTER (WHERE a.status NOT IN ('REJECTED', 'EXPIRED')))::float8 / (10 + count(*)))
  FROM location l
 CROSS JOIN LATERAL (
           SELECT status FROM assignment
            WHERE location_id = l.id AND status NOT IN ('HELD', 'OFFERED', 'CANCELLED')
              AND reject_reason IS DISTINCT FROM 'CLOSED'
            ORDER BY due_at DESC, id DESC LIMIT 100
       ) a
 GROUP BY l.code
"""


async def _revision(connection: Connection) -> int:
    revision: int = await connection.fetchval("SELECT revision FROM network_revision")
    return revision


async def _load(connection: Connection, acceptance: Mapping[str, float], sitting: Sitting) -> Snapshot:
    # The revision comes first: what is written while the rest is read makes the next call read again.
    revision = await _revision(connection)
    locations = await connection.fetch('SELECT * FROM location ORDER BY code COLLATE "C"', record_class=LocationRow)
    services = await connection.fetch(
        'SELECT * FROM carrier_service ORDER BY code COLLATE "C"', record_class=CarrierServiceRow
    )
    planner = make_network(
        revision, map(_site, locations), (_service(row) for row in services if row.active), acceptance
    )
    return Snapshot(
        revision=revision,
        planner=planner,
        locations={location.id: location for location in locations},
        id_by_code={location.code: location.id for location in locations},
        site_by_id={location.id: n for n, location in enumerate(locations)},
        services={service.code: service for service in services},
        policies=Policies(await active(connection)),
        sitting=sitting,
    )


def _site(row: LocationRow) -> Site:
    codes = row.carrier_service_codes
    return Site(
        code=row.code,
        kind=LocationKind(row.kind),
        status=LocationStatus(row.status),
        country=row.country,
        position=Point(latitude=row.latitude, longitude=row.longitude),
        time_zone=ZoneInfo(row.time_zone),
        services=frozenset(map(LocationService, row.services)),
        openings=tuple(
            Opening(weekday=hours["weekday"], opens=minutes(hours["opens"]), closes=minutes(hours["closes"]))
            for hours in row.opening_hours
        ),
        closures=frozenset(date.fromisoformat(closure["date"]) for closure in row.closures),
        handling=timedelta(seconds=row.handling_seconds),
        tags=frozenset(row.tags),
        service_codes=None if codes is None else frozenset(codes),
        public_holidays=row.public_holidays,
        capacity=tuple(
            DayCapacity(weekday=day["weekday"], orders=day["orders"], units=day["units"]) for day in row.capacity
        ),
    )


def _service(row: CarrierServiceRow) -> Service:
    return Service(
        code=row.code,
        carrier=row.carrier,
        name=row.name,
        level=ServiceLevel(row.level),
        countries=frozenset(row.countries),
        currency=row.currency,
        location_kinds=frozenset(map(LocationKind, row.location_kinds)),
        location_codes=frozenset(row.location_codes),
        cutoff=time.fromisoformat(row.cutoff) if row.cutoff else None,
        deliver_by=time.fromisoformat(row.deliver_by) if row.deliver_by else None,
        collects=frozenset(row.collects),
        delivers=frozenset(row.delivers),
        max_grams=row.max_grams,
        zones=tuple(
            Zone(
                name=zone["zone"],
                max_km=zone["maxKm"],
                transit_days=_pair(zone["transitDays"]),
                transit_minutes=_pair(zone["transitMinutes"]),
            )
            for zone in row.zones
        ),
        tariffs=tuple(
            Tariff(zone=step["zone"], max_grams=step["maxGrams"], amount=step["amount"])
            for step in sorted(row.cost, key=lambda step: step["maxGrams"])
        ),
        shopper_price=row.shopper_price,
        free_from=row.free_from,
        co2_grams_per_km=row.co2_grams_per_km,
    )


def _pair(span: list[int] | None) -> tuple[int, int] | None:
    return (span[0], span[1]) if span else None


def find_locations(
    snapshot: Snapshot,
    *,
    near: Point | None = None,
    within_km: float | None = None,
    kinds: Collection[LocationKind] | None = None,
    services: Collection[LocationService] | None = None,
) -> list[LocationRow]:
    """Return the locations of these kinds that offer all these services, nearest first, or by code without a point."""
    if within_km is not None and not (near and 0 < within_km < math.inf):
        raise InvalidInput(message="withinKm is a number above 0, and goes with near.", path=("withinKm",))
    far = distances_km(snapshot.planner, check_position(near, path=("near",))) if near else None
    found = [
        (0.0 if far is None else float(far[n]), location)
        for n, location in enumerate(snapshot.locations.values())
        if (kinds is None or location.kind in kinds)
        and (services is None or all(service in location.services for service in services))
        and (far is None or within_km is None or far[n] <= within_km)
    ]
    return [location for _, location in sorted(found, key=lambda pair: (pair[0], pair[1].code))]
