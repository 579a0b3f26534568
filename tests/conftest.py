"""What the tests stand on: one real Postgres a session, one fresh database a test."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from app import embedded
from app.database import migrate

TEMPLATE = "template_crossdock"


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """A folder of this session's that Postgres's account can reach even where the checkout is closed to it."""
    folder = Path(tempfile.mkdtemp(prefix="crossdock-"))
    folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(open_folder: Path) -> Iterator[str]:
    """The DSN of a Postgres that runs for the whole session; what it holds is not worth an fsync."""
    with embedded.server(open_folder / "session", fsync="off", full_page_writes="off") as dsn:
        yield dsn


@pytest.fixture(scope="session")
def template(postgres: str) -> str:
    """The name of a migrated database that nobody is connected to."""
    _administer(postgres, f"CREATE DATABASE {TEMPLATE}")
    migrate(_database(postgres, TEMPLATE))
    return TEMPLATE


@pytest.fixture
def dsn(postgres: str, template: str) -> Iterator[str]:
    """The DSN of a migrated, empty database of the test's own."""
    yield from _fresh(postgres, f"TEMPLATE {template} STRATEGY file_copy")


@pytest.fixture(scope="module")
def module_dsn(postgres: str, template: str) -> Iterator[str]:
    """The DSN of a database like that of `dsn`, for tests of one module that only read."""
    yield from _fresh(postgres, f"TEMPLATE {template} STRATEGY file_copy")


@pytest.fixture(scope="module")
def shared_dsn(postgres: str, template: str) -> Iterator[str]:
    """The DSN of a migrated database that the tests of one module share."""
    yield from _fresh(postgres, f"TEMPLATE {template} STRATEGY file_copy")


@pytest.fixture
def empty_dsn(postgres: str) -> Iterator[str]:
    """The DSN of a database without any table."""
    yield from _fresh(postgres, "TEMPLATE template0")


def _fresh(postgres: str, how: str) -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    _administer(postgres, f"CREATE DATABASE {name} {how}")
    yield _database(postgres, name)
    _administer(postgres, f"DROP DATABASE {name} WITH (FORCE)")


def _database(dsn: str, name: str) -> str:
    return f"{dsn.rpartition('/')[0]}/{name}"


def _administer(dsn: str, statement: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())
