"""Where the simulation takes place: a part of the demo's network, its stock, and the domain's own doors to it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any, TypeVar

from app.demo import fill
from app.demo.network import DemoNetwork, make_network
from domain import policies
from domain.network import Networks
from domain.placement import Batcher, Placement
from domain.planning.policy import Policy
from domain.promises import Promises
from domain.transaction import Connection, Database, Deadlock, open_pool
from domain.viewer import FOREVER, Viewer
from domain.vocabulary import LocationKind, Role

WAREHOUSES, STORES, GOODS = 2, 16, 40
CONNECTIONS = 6
POLICY = Policy(
    name="cheapest",
    respond_within=timedelta(hours=2),
    start_within=timedelta(hours=3),
    collect_within=timedelta(days=2),
)
OFFICE = Viewer(role=Role.OPERATIONS, name="the office", expires_at=FOREVER)

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class Town:
    """The network, and the moment it is there."""

    network: DemoNetwork
    database: Database
    networks: Networks
    promises: Promises
    placement: Placement
    seed: int
    now: datetime
    deadlocks: int = 0

    def chance(self, *what: object) -> Random:
        """Return what decides on something: the same for the same seed, whatever else happens."""
        return Random("/".join(map(str, (self.seed, *what))))  # noqa: S311 - a simulation, no secret

    async def transact(self, act: Callable[[Connection], Awaitable[T]]) -> T:
        """Do something in a transaction, and again where it and another waited for each other, as the API does."""
        for last in (False, False, True):
            try:
                async with self.database.transaction() as connection:
                    return await act(connection)
            except Deadlock:
                self.deadlocks += 1
                if last:
                    raise
        raise AssertionError

    async def rows(self, query: str, *arguments: object) -> list[Any]:
        """Return what a query finds."""
        async with self.database.reading() as connection:
            found: list[Any] = await connection.fetch(query, *arguments)
        return found


@asynccontextmanager
async def opened(dsn: str, *, seed: int, now: datetime) -> AsyncIterator[Town]:
    """Fill the migrated, empty database at `dsn`, and yield the town in it."""
    network = small(make_network("DE", seed=seed))
    await fill(dsn, network)
    pool = await open_pool(dsn, size=CONNECTIONS)
    database = Database(pool)
    async with database.transaction() as connection:
        await policies.save(connection, POLICY, activate=True, now=now)
    networks, promises = Networks(database), Promises(b"the secret of the town")
    yield Town(
        network=network,
        database=database,
        networks=networks,
        promises=promises,
        placement=Placement(database, networks, promises, Batcher(database, timedelta(days=1))),
        seed=seed,
        now=now,
    )
    await pool.close()


def small(network: DemoNetwork) -> DemoNetwork:
    """Return the network's first warehouses, stores and goods; nobody has the last of these yet."""
    places = [
        *network.of_kind(LocationKind.WAREHOUSE)[:WAREHOUSES],
        *network.of_kind(LocationKind.STORE)[:STORES],
    ]
    goods = network.goods[:GOODS]
    skus, codes = {good.record.sku for good in goods[:-1]}, {place.code for place in places}
    stock = tuple(level for level in network.stock if level.sku in skus and level.location_code in codes)
    return replace(network, locations=tuple(places), goods=goods, stock=stock)
