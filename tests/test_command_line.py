"""The command line as an operator meets it: another process, its output, its exit code."""

import asyncio
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from app import auth
from app.database import DatabaseUnfitError, migrate
from app.settings import InvalidSettingError, Settings, SetupError, load
from domain import migrations
from domain.vocabulary import Role

SECRET = "s" * 40


def crossdock(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line with no other setting than these."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CROSSDOCK_", "DATABASE_"))}
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def one_line(told: subprocess.CompletedProcess[str]) -> str:
    """Return the one line an expected failure consists of."""
    assert told.stdout == ""
    assert told.stderr.startswith("crossdock: ")
    assert told.stderr.count("\n") == 1
    return told.stderr.strip()


def test_token_prints_nothing_but_a_token_that_is_good_for_its_time() -> None:
    told = crossdock(
        "token", "--role", "STORE", "--location", "BER-1", "--ttl", "PT1H", "--scope", "viewer", CROSSDOCK_SECRET=SECRET
    )
    assert (told.returncode, told.stderr) == (0, "")
    now = datetime.now(UTC)
    viewer = auth.verify(SECRET, told.stdout.strip(), now=now)
    assert (viewer.role, viewer.scopes) == (Role.STORE, {"viewer"})
    with pytest.raises(auth.Unauthorized):
        auth.verify(SECRET, told.stdout.strip(), now=now + timedelta(hours=1))


def test_a_secret_is_made_once_and_kept_from_others(tmp_path: Path) -> None:
    for _ in range(2):
        told = crossdock("token", "--role", "admin", CROSSDOCK_DATA_DIR=str(tmp_path / "data"))
        kept = tmp_path / "data" / "secret"
        assert auth.verify(kept.read_text(), told.stdout.strip(), now=datetime.now(UTC)).role is Role.ADMIN
        assert kept.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "arguments",
    [
        ("--role", "KING"),
        ("--role", "ADMIN", "--ttl", "soon"),
        ("--role", "ADMIN", "--ttl", "PT0S"),
        ("--role", "STORE"),
        ("--role", "ADMIN", "--location", "BER-1"),
        ("--role", "STOREFRONT", "--scope", "availability", "--scope", "fulfilmentOptions"),
    ],
)
def test_a_token_nobody_could_use_is_refused_in_one_line(arguments: tuple[str, ...]) -> None:
    told = crossdock("token", *arguments, CROSSDOCK_SECRET=SECRET)
    assert one_line(told)
    assert told.returncode == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CROSSDOCK_PORT", "http"),
        ("CROSSDOCK_WORKERS", "0"),
        ("CROSSDOCK_LOG_LEVEL", "loud"),
        ("CROSSDOCK_BROADCAST_URL", "kafka://here"),
        ("DATABASE_URL", "mysql://here/db"),
        ("CROSSDOCK_DATABASE_URL", "nonsense"),
        ("DATABASE_URL", "postgresql://me:hun#ter2@here/db"),
        ("DATABASE_URL", "postgresql://me:hun/ter2@here/db"),
        ("DATABASE_URL", "postgresql://me:hun@ter2@here/db"),
        ("CROSSDOCK_BROADCAST_URL", "redis://:hun#ter2@here:6379"),
        ("CROSSDOCK_CARRIER_URL", "https://here:hun"),
        ("CROSSDOCK_DATA_DIR", "~nobody-of-that-name/data"),
        ("CROSSDOCK_FEED_RETENTION", "PT59S"),
        ("CROSSDOCK_FEED_RETENTION", "P999999D"),  # began before there were dates
        ("CROSSDOCK_POOL_MAX_SIZE", "none"),
        ("CROSSDOCK_RESERVATION_MINUTES", "61"),  # more than the most that is allowed
    ],
)
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSettingError, match=name) as told:
        load()
    assert "hun" not in str(told.value)


@pytest.mark.parametrize(
    "place", ["", "here", "me:h%2Fu@here:1/db?host=/tmp", "me@[::1]:1,here:2/db", "me@here:/db", "/db?password=a@b"]
)
def test_a_place_of_postgres_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://{place}")
    assert load().database_url == f"postgresql://{place}"


def test_a_secret_that_was_lost_is_no_secret(tmp_path: Path) -> None:
    (tmp_path / "secret").touch()
    with pytest.raises(SetupError, match="spoilt"):
        Settings(data_dir=tmp_path).signing_secret()


def test_a_wrong_setting_is_told_in_one_line_which_repeats_no_password() -> None:
    told = crossdock("token", "--role", "ADMIN", DATABASE_URL="mysql://me:hunter2@here/db")
    assert "DATABASE_URL" in one_line(told)
    assert "hunter2" not in told.stderr
    assert told.returncode == 2


def test_an_unknown_command_or_option_is_misuse() -> None:
    assert crossdock("dance").returncode == 2
    assert crossdock("serve", "--port", "99999").returncode == 2


def test_a_database_of_the_operators_needs_a_secret_of_the_operators() -> None:
    told = crossdock("serve", "--port", "0", DATABASE_URL="postgresql://localhost/crossdock")
    assert "CROSSDOCK_SECRET is required together with DATABASE_URL" in one_line(told)


def test_a_database_that_does_not_answer_is_told_without_its_password() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{closed.getsockname()[1]}/crossdock"
        told = crossdock("migrate", DATABASE_URL=f"postgresql://me:hunter2@{place}")
    assert place in one_line(told)
    assert "hunter2" not in told.stderr
    assert told.returncode == 1


def test_a_wrong_password_is_told(postgres: str) -> None:
    told = crossdock("migrate", DATABASE_URL=f"postgresql://crossdock:hunter2@{postgres.rpartition('@')[2]}")
    assert "password authentication failed" in one_line(told)


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = crossdock("serve", "--port", str(port), CROSSDOCK_DATA_DIR=str(tmp_path / "data"))
    assert f"port {port}" in one_line(told)


def test_migrate_brings_an_empty_database_to_the_newest_revision_and_then_changes_nothing(empty_dsn: str) -> None:
    for _ in range(2):
        told = crossdock("migrate", DATABASE_URL=empty_dsn)
        assert (told.returncode, told.stderr) == (0, "")
        assert migrations.newest() in told.stdout


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("CREATE TABLE location (id int)", '"location" already exists'),
        ("CREATE TABLE alembic_version AS SELECT 'ae1027a6acf' AS version_num", "holds other tables"),
        ("CREATE TABLE alembic_version AS SELECT '0000' AS version_num", "locate"),
        ("CREATE TABLE alembic_version (number int)", "version_num"),
        ("ALTER DATABASE {} SET default_transaction_read_only = on", "read-only"),
    ],
)
def test_a_database_that_is_not_for_us_is_told_and_left_as_it_is(empty_dsn: str, statement: str, reason: str) -> None:
    async def prepare() -> None:
        connection = await asyncpg.connect(empty_dsn)
        await connection.execute(statement.format(empty_dsn.rpartition("/")[2]))
        await connection.close()

    asyncio.run(prepare())
    with pytest.raises(DatabaseUnfitError, match=reason):
        migrate(empty_dsn)
    with pytest.raises(DatabaseUnfitError, match=reason):  # no half of it is there
        migrate(empty_dsn)


def test_the_database_url_has_two_names_of_which_ours_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://a/b")
    assert load().database_url == "postgresql://a/b"
    monkeypatch.setenv("CROSSDOCK_DATABASE_URL", "postgresql+asyncpg://c/d")
    assert load().database_url == "postgresql://c/d"


def test_the_command_line_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSDOCK_PORT", "9000")
    assert load().port == 9000
    assert load(port=9001).port == 9001
    with pytest.raises(InvalidSettingError, match="CROSSDOCK_PORT"):
        load(port=99999)


def test_a_child_process_reads_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSDOCK_DATA_DIR", "/somewhere")
    parent = load(workers=3)
    with pytest.raises(SetupError):
        parent.model_copy(update={"database_url": "postgresql://a/b"}).signing_secret()
    parent = parent.model_copy(update={"secret": Settings(secret=SECRET).secret})
    for name, value in parent.environment("postgresql://a/b").items():
        monkeypatch.setenv(name, value)
    child = load()
    assert child == parent.model_copy(update={"database_url": "postgresql://a/b"})
