"""What the tests stand on: one real Postgres a session, one fresh database a test."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest
import structlog
from structlog.dev import ConsoleRenderer, plain_traceback

from app import embedded
from app.database import migrate

if TYPE_CHECKING:
    from tests.api.viewers import Town

TEMPLATE = "template_crossdock"
FURNISHED = "furnished_crossdock"
SETTLED = "settled_crossdock"
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
ENOUGH_BYTES = 2 * 1024**3

# As structlog does by itself, but for its tracebacks: one with everybody's locals takes seconds.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(),
        ConsoleRenderer(colors=False, exception_formatter=plain_traceback),
    ]
)

Administer = Callable[[str], None]


def make_folder(parent: Path | None) -> Path:
    """Make a folder that Postgres's account can reach, even where the checkout is closed to it."""
    folder = Path(tempfile.mkdtemp(prefix="crossdock-", dir=parent))
    folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
    return folder


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """A folder of this session's, for data directories of the tests' own."""
    folder = make_folder(None)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The DSN of a Postgres that runs for the whole session, in memory where there is enough: nobody needs it later."""
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH_BYTES
    folder = make_folder(MEMORY if roomy else None)
    with embedded.server(folder / "data", fsync="off", full_page_writes="off") as dsn:
        yield dsn
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def administer(postgres: str) -> Iterator[Administer]:
    """Execute a statement of the kind that knows no transaction, on one connection for the whole session."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        connection = runner.run(asyncpg.connect(postgres))
        yield lambda statement: runner.run(connection.execute(statement))
        runner.run(connection.close())


@pytest.fixture(scope="session")
def template(postgres: str, administer: Administer) -> str:
    """The name of a migrated database that nobody is connected to."""
    administer(f"CREATE DATABASE {TEMPLATE}")
    migrate(_database(postgres, TEMPLATE))
    return TEMPLATE


@pytest.fixture
def dsn(postgres: str, administer: Administer, template: str) -> Iterator[str]:
    """The DSN of a migrated, empty database of the test's own."""
    yield from _fresh(postgres, administer, f"TEMPLATE {template} STRATEGY file_copy")


@pytest.fixture(scope="module")
def module_dsn(postgres: str, administer: Administer, template: str) -> Iterator[str]:
    """The DSN of a database like that of `dsn`, for tests of one module that only read."""
    yield from _fresh(postgres, administer, f"TEMPLATE {template} STRATEGY file_copy")


@pytest.fixture(scope="module")
def shared_dsn(postgres: str, administer: Administer, template: str) -> Iterator[str]:
    """The DSN of a migrated database that the tests of one module share."""
    yield from _fresh(postgres, administer, f"TEMPLATE {template} STRATEGY file_copy")


@pytest.fixture
def empty_dsn(postgres: str, administer: Administer) -> Iterator[str]:
    """The DSN of a database without any table."""
    yield from _fresh(postgres, administer, "TEMPLATE template0")


@pytest.fixture(scope="session")
def furnished(postgres: str, administer: Administer, template: str) -> str:
    """The name of a database that holds the small network of the API's tests, and that nobody is connected to."""
    from tests.api.house import furnish, opened

    async def make() -> None:
        async with opened(_database(postgres, FURNISHED)) as house:
            await furnish(house)

    administer(f"CREATE DATABASE {FURNISHED} TEMPLATE {template} STRATEGY file_copy")
    asyncio.run(make())
    return FURNISHED


@pytest.fixture(scope="session")
def settled(postgres: str, administer: Administer, furnished: str) -> "tuple[str, Town]":
    """The name of a database that holds a town where work was done, and the town, whose house is closed."""
    from tests.api.viewers import moved_in

    administer(f"CREATE DATABASE {SETTLED} TEMPLATE {furnished} STRATEGY file_copy")
    return SETTLED, asyncio.run(moved_in(_database(postgres, SETTLED)))


@pytest.fixture
def furnished_dsn(postgres: str, administer: Administer, furnished: str) -> Iterator[str]:
    """The DSN of a database of the test's own that holds the small network."""
    yield from _fresh(postgres, administer, f"TEMPLATE {furnished} STRATEGY file_copy")


@pytest.fixture
def settled_dsn(postgres: str, administer: Administer, settled: "tuple[str, Town]") -> Iterator[str]:
    """The DSN of a database of the test's own that holds the town."""
    yield from _fresh(postgres, administer, f"TEMPLATE {settled[0]} STRATEGY file_copy")


@pytest.fixture(scope="module")
def module_settled_dsn(postgres: str, administer: Administer, settled: "tuple[str, Town]") -> Iterator[str]:
    """The DSN of a database like that of `settled_dsn`, for tests of one module that only read."""
    yield from _fresh(postgres, administer, f"TEMPLATE {settled[0]} STRATEGY file_copy")


def _fresh(postgres: str, administer: Administer, how: str) -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    administer(f"CREATE DATABASE {name} {how}")
    yield _database(postgres, name)
    administer(f"DROP DATABASE {name} WITH (FORCE)")


def _database(dsn: str, name: str) -> str:
    return f"{dsn.rpartition('/')[0]}/{name}"
