"""The command line. What a command needs is imported when it runs, so that `crossdock token` is quick."""

import asyncio
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from app import logs, settings
from app.settings import InvalidSettingError, Settings, SetupError
from domain.vocabulary import Role

FAILED, MISUSED = 1, 2

Host = Annotated[str | None, typer.Option(help="The address to listen on.", show_default="127.0.0.1")]
Port = Annotated[
    int | None, typer.Option(min=0, max=65535, help="The port to listen on, 0 for a free one.", show_default="8000")
]
Workers = Annotated[int | None, typer.Option(min=1, max=256, help="How many processes serve.", show_default="1")]

cli = typer.Typer(
    help="A Distributed Order Management System behind one GraphQL endpoint.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@cli.command()
def serve(host: Host = None, port: Port = None, workers: Workers = None) -> None:
    """Serve the API until Ctrl-C."""
    from app import database, serving

    chosen = _settings(host=host, port=port, workers=workers)
    chosen.signing_secret()
    with serving.listen(chosen.host, chosen.port) as listener, database.postgres(chosen) as dsn:
        database.migrate(dsn)
        place = serving.address(listener)
        serving.serve(chosen, dsn, listener, ready=lambda: typer.echo(f"Crossdock serves on {place}/graphql"))


@cli.command()
def demo(
    country: Annotated[str, typer.Option(help="The country of the network, as ISO 3166 alpha-2.")] = "DE",
    orders_per_second: Annotated[float, typer.Option(min=0.01, max=100, help="How often somebody orders.")] = 1.0,
    host: Host = None,
    port: Port = None,
    workers: Workers = None,
) -> None:
    """Serve a network of real cities, with shoppers who order and stores that work their orders off."""
    from app import demo

    chosen = _settings(host=host, port=port, workers=workers)
    demo.run(chosen, country=country, orders_per_second=orders_per_second)


@cli.command()
def migrate() -> None:
    """Bring the database to the tables of this version."""
    from app import database
    from domain import migrations

    with database.postgres(_settings()) as dsn:
        database.migrate(dsn)
        typer.echo(f"The database is at revision {migrations.newest()}.")


@cli.command()
def check() -> None:
    """Prove that the ledger, the stock and the orders agree; end with 1 where they do not."""
    from app import database
    from domain import inventory

    async def ask(dsn: str) -> list[str]:
        connection = await database.connect(dsn)
        try:
            return await inventory.check(connection)
        finally:
            await connection.close()

    with database.postgres(_settings()) as dsn:
        database.migrate(dsn)
        with database.answering(dsn):
            faults = asyncio.run(ask(dsn))
    for fault in faults:
        typer.echo(fault)
    if faults:
        raise typer.Exit(FAILED)
    typer.echo("The ledger, the stock and the orders agree.")


@cli.command()
def simulate(
    orders: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many orders are placed.")] = 2000,
    seed: Annotated[int, typer.Option(help="What chance begins with: the same number, the same shoppers.")] = 1,
) -> None:
    """Pass days of orders through a Postgres of its own, with people as people are; end with 1 unless all ends well."""
    from app import simulate as simulation

    summary = simulation.run(_settings(), orders=orders, seed=seed)
    typer.echo(str(summary))
    if summary.faults:
        raise typer.Exit(FAILED)


@cli.command()
def load(
    locations: Annotated[Path | None, typer.Option(help="A CSV of locations.")] = None,
    items: Annotated[Path | None, typer.Option(help="A CSV of items.")] = None,
    stock: Annotated[Path | None, typer.Option(help="A CSV of stock levels.")] = None,
    services: Annotated[Path | None, typer.Option(help="A JSON list of CarrierServiceInput.")] = None,
    postal_codes: Annotated[Path | None, typer.Option(help="A CSV of country,postal_code,latitude,longitude.")] = None,
) -> None:
    """Load a network from files; each bad row is told with its line and its reason."""
    from app import database
    from app import load as loading

    chosen = _settings()
    with database.postgres(chosen) as dsn:
        database.migrate(dsn)
        with database.answering(dsn):
            bad = loading.run(
                dsn, locations=locations, items=items, stock=stock, services=services, postal_codes=postal_codes
            )
    if bad:
        raise typer.Exit(FAILED)


@cli.command()
def schema(
    federation: Annotated[bool, typer.Option("--federation", help="As a composer of subgraphs reads it.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="As a page for people, docs/reference.md.")] = False,
) -> None:
    """Print the contract in GraphQL's schema language."""
    from app.execution import build_schema
    from app.reference import reference
    from schema.federation import subgraph

    contract = build_schema()
    sdl = contract.as_str()
    typer.echo(reference(contract) if markdown else subgraph(sdl) if federation else sdl, nl=not markdown)


@cli.command()
def states() -> None:
    """Print the state machines of orders, assignments, parcels and returns as Markdown."""
    from domain.states import markdown

    typer.echo(markdown())


@cli.command()
def token(
    role: Annotated[str, typer.Option(help="STOREFRONT, STORE, OPERATIONS or ADMIN.")],
    location: Annotated[list[str] | None, typer.Option(help="A location's code, for a STORE; may be repeated.")] = None,
    ttl: Annotated[str, typer.Option(help="How long it is good for, as an ISO 8601 duration.")] = "PT8H",
    name: Annotated[str, typer.Option(help="Who bears it, for the record.")] = "command line",
    scope: Annotated[
        list[str] | None,
        typer.Option(help="A root field it opens (fulfillmentOptions), instead of all of the role's; may be repeated."),
    ] = None,
) -> None:
    """Print a token for the API, and nothing else."""
    from app import auth

    chosen = _settings()
    try:
        signed = auth.issue(
            chosen.signing_secret(),
            role=_role(role),
            locations=location or [],
            scopes=_scopes(scope or [], subgraph=chosen.federation),
            ttl=auth.parse_ttl(ttl),
            name=name,
            now=datetime.now(UTC),
        )
    except ValueError as error:
        raise InvalidSettingError(str(error)) from None
    typer.echo(signed)


def main() -> None:
    """Run the command line: an expected failure is one line on the standard error, never a traceback."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # one way to stop: what is open is closed on the way out
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
    try:
        cli(prog_name="crossdock")
    except SetupError as error:
        typer.echo(f"crossdock: {' '.join(str(error).split())}", err=True)
        sys.exit(MISUSED if isinstance(error, InvalidSettingError) else FAILED)


def _role(name: str) -> Role:
    try:
        return Role(name.upper())
    except ValueError:
        raise ValueError(f"{name} is no role: {', '.join(Role)}") from None


def _scopes(names: list[str], *, subgraph: bool) -> list[str]:
    if names:
        from app.execution import build_schema

        known = build_schema(subgraph=subgraph).root_fields()
        for name in names:
            if name not in known:
                raise ValueError(f"there is no root field {name}")
    return names


def _settings(*, host: str | None = None, port: int | None = None, workers: int | None = None) -> Settings:
    chosen = settings.load(host=host, port=port, workers=workers)
    logs.configure(chosen)
    return chosen


if __name__ == "__main__":
    main()
