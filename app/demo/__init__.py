"""`crossdock demo`: a network of real cities, shoppers who order, and stores that work their orders off."""

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import typer

from app import auth, database, serving
from app.demo.network import DROP_SHIPPERS, HUBS, STORES, WAREHOUSES, DemoNetwork, make_network
from app.demo.operations import to_paste
from app.demo.traffic import Traffic
from app.settings import Settings, SetupError
from domain.imports import ImportOutcome, OnRowError
from domain.inventory import import_items, import_stock
from domain.network import import_carrier_services, import_locations
from domain.transaction import Connection, Database, open_pool
from domain.vocabulary import LocationKind, Role

NAMES = {
    LocationKind.WAREHOUSE: "warehouses",
    LocationKind.STORE: "stores",
    LocationKind.MICRO_HUB: "micro hubs",
    LocationKind.DROP_SHIPPER: "drop shippers",
}
FULL = [WAREHOUSES, STORES, HUBS, DROP_SHIPPERS]
PORTS_TRIED = 20
GUEST_TTL = timedelta(days=30)
STAFF_TTL = timedelta(days=3650)
STOP_SECONDS = 5.0
ANYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - nobody is bound to it here


def run(settings: Settings, *, country: str, orders_per_second: float = 1.0) -> None:
    """Serve the demo until Ctrl-C. What an earlier run left is used as it is.

    Raises SetupError, InvalidSettingError for a country that is none.
    """
    secret = settings.signing_secret()
    network = make_network(country)
    with _listen(settings) as listener, database.postgres(settings) as dsn:
        database.migrate(dsn)
        asyncio.run(fill(dsn, network))
        address = serving.address(listener)
        people = Background(_people(network, address, secret, orders_per_second))

        def ready() -> None:
            typer.echo(welcome(network, address, secret))
            people.start()

        try:
            serving.serve(settings, dsn, listener, ready=ready)
        finally:
            people.stop()


def _listen(settings: Settings) -> socket.socket:
    """Return a listening socket on the port set, or on the next that is free."""
    for port in range(settings.port, min(settings.port + PORTS_TRIED, 65_536)):
        with suppress(SetupError):
            return serving.listen(settings.host, port)
    return serving.listen(settings.host, settings.port)


async def fill(dsn: str, network: DemoNetwork) -> bool:
    """Load the network where it is not there yet; say whether it was loaded.

    The last level is written last, so where it is, everything is, and stays as people left it.
    """
    pool = await open_pool(dsn, size=2, statement_timeout_ms=120_000)
    now = datetime.now(UTC)
    all_or_none = OnRowError.REJECT_ALL
    try:
        filled = Database(pool)
        async with filled.reading() as connection:
            if await _is_there(connection, network):
                return False
        _loaded(await import_locations(filled, network.locations, on_error=all_or_none, now=now))
        _loaded(await import_carrier_services(filled, network.services, on_error=all_or_none))
        _loaded(await import_items(filled, [good.record for good in network.goods], on_error=all_or_none, now=now))
        _loaded(await import_stock(filled, network.stock, on_error=all_or_none, now=now))
    finally:
        await pool.close()
    return True


async def _is_there(connection: Connection, network: DemoNetwork) -> bool:
    last = network.stock[-1]
    found: bool = await connection.fetchval(
        """
        SELECT EXISTS (SELECT FROM stock s JOIN location l ON l.id = s.location_id WHERE s.sku = $1 AND l.code = $2)
        """,
        last.sku,
        last.location_code,
    )
    return found


def _loaded(outcome: ImportOutcome) -> None:
    if outcome.failed:
        raise SetupError(f"the demo cannot be loaded into this database: {outcome.failed[0].message}")


def _people(
    network: DemoNetwork, address: str, secret: str, orders_per_second: float
) -> Callable[[], Coroutine[None, None, None]]:
    for anywhere, here in ANYWHERE.items():
        address = address.replace(anywhere, here)
    codes = [location.code for location in network.locations]

    def token(role: Role, name: str, locations: Sequence[str] = ()) -> str:
        return auth.issue(secret, role=role, name=name, ttl=STAFF_TTL, now=datetime.now(UTC), locations=locations)

    return lambda: Traffic.run(
        network,
        address,
        shop=token(Role.STOREFRONT, "demo shoppers"),
        stores=token(Role.STORE, "demo stores", codes),
        office=token(Role.OPERATIONS, "demo trucks"),
        orders_per_second=orders_per_second,
    )


class Background:
    """Work that goes on in a thread of its own until it is stopped."""

    def __init__(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        self._work = work
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._until_stopped()), name="demo", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End it, and wait for that; nothing happens where it never began."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    async def _until_stopped(self) -> None:
        working = asyncio.create_task(self._work())
        await asyncio.to_thread(self._stop.wait)
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working


def welcome(network: DemoNetwork, address: str, secret: str) -> str:
    """Return what people need to look around: the address, a token for each role, and operations to paste."""
    kinds = [(kind, len(network.of_kind(kind))) for kind in LocationKind]
    made = ", ".join(f"{count} {NAMES[kind]}" for kind, count in kinds)
    smaller = "" if [count for _, count in kinds] == FULL else " (the country has too few cities for more)"
    store = network.of_kind(LocationKind.STORE)[0]
    lines = [
        f"Crossdock serves {network.country.name} on {address}/graphql",
        f"{made}{smaller}, {len(network.goods)} items. Shoppers order, stores work their orders off.",
        "",
        f"Tokens, good for {GUEST_TTL.days} days; send one as Authorization: Bearer <token>",
    ]
    for role in Role:
        codes = [store.code] if role is Role.STORE else []
        token = auth.issue(secret, role=role, name="guest", ttl=GUEST_TTL, now=datetime.now(UTC), locations=codes)
        lines += [f"  {role}{f' of {store.code}' if codes else ''}:", f"    {token}"]
    for title, operation in zip(("options", "an order", "a subscription"), to_paste(network), strict=True):
        lines += ["", f"To paste as OPERATIONS, {title}:", operation]
    return "\n".join([*lines, "", "Ctrl-C ends the demo; the next one goes on where it stood."])
