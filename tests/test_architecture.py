"""The house stays as it was drawn: who may import whom, how long anything is, what the database looks like."""

import ast
import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_mock_engine

from app import database
from app.__main__ import cli
from app.settings import PREFIX, Settings
from domain import migrations
from domain.tables import metadata

ROOT = Path(__file__).parent.parent
PACKAGES = ("app", "resolvers", "schema", "domain")
VAGUE_NAMES = {"utils", "util", "helpers", "common", "base", "manager", "service", "services", "misc"}
LONGEST_FUNCTION = 40
LONGEST_FILE = 400
LONGER = {
    "domain/migrations/versions/0001_tables.py": "as long as the tables it makes, and never read again",
    "domain/migrations/versions/0001_tables.py:upgrade": "it makes every table",
    "domain/migrations/versions/0002_stock_in_motion.py:upgrade": "it makes the tables of stock in motion",
}

SHAPE = {
    "columns": """
        SELECT table_name, column_name, udt_name, is_nullable, column_default, character_maximum_length
        FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
        AND conrelid::regclass::text <> 'alembic_version'""",
    "indexes": """
        SELECT indexname, indexdef FROM pg_indexes
        WHERE schemaname = 'public' AND tablename <> 'alembic_version'""",
    "sequences": "SELECT sequencename, start_value FROM pg_sequences WHERE schemaname = 'public'",
    "storage": """
        SELECT relname, reloptions FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND reloptions IS NOT NULL""",
}
LEFT = """
    SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
    AND relname NOT LIKE 'alembic_version%'
    UNION ALL SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT typname::text FROM pg_type WHERE typnamespace = 'public'::regnamespace
    AND typname NOT LIKE '%alembic_version'"""


def sources() -> Iterator[Path]:
    """Yield the project's own modules."""
    for package in PACKAGES:
        yield from (ROOT / package).rglob("*.py")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_imports_point_inward_and_in_one_direction() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    told = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout


def test_no_file_is_longer_than_it_should_be() -> None:
    lengths = {name(path): len(path.read_text().splitlines()) for path in sources()}
    assert {file: length for file, length in lengths.items() if length > LONGEST_FILE and file not in LONGER} == {}


def test_no_function_is_longer_than_it_should_be() -> None:
    lengths = {
        f"{name(path)}:{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    long = {function: length for function, length in lengths.items() if length > LONGEST_FUNCTION}
    assert {function: length for function, length in long.items() if function not in LONGER} == {}


def test_what_is_allowed_to_be_longer_still_is() -> None:
    for entry in LONGER:
        file, _, function = entry.partition(":")
        text = (ROOT / file).read_text()
        assert len(text.splitlines()) > LONGEST_FILE or f"def {function}" in text, (
            f"{entry} needs no exception any more"
        )


def test_every_file_is_named_after_what_it_holds() -> None:
    assert [name(path) for path in sources() if VAGUE_NAMES & {path.stem, path.parent.name}] == []


def test_every_setting_is_described_and_has_an_effect() -> None:
    used = "".join(path.read_text() for path in sources() if path.name != "settings.py")
    for setting, field in Settings.model_fields.items():
        assert field.description, setting
        assert f".{setting}" in used or setting == "secret", f"nobody reads {setting}"


def test_the_readme_tells_each_setting_with_its_default() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+) \|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    told = {name: (default, text) for name, default, text in rows if name.startswith(PREFIX)}
    assert list(told) == [PREFIX + setting.upper() for setting in Settings.model_fields]
    for setting, field in Settings.model_fields.items():
        default, text = told[PREFIX + setting.upper()]
        assert text == field.description
        if field.default_factory is None:
            assert default == ("unset" if field.default is None else f"`{field.default}`")


def test_the_readme_names_no_command_that_is_not_there() -> None:
    named = set(re.findall(r"\bcrossdock ([a-z]+)\b", (ROOT / "README.md").read_text()))
    assert named <= {
        str(command.name or getattr(command.callback, "__name__", "")) for command in cli.registered_commands
    }


def test_the_lock_file_holds_a_hash_for_each_package_and_no_address() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    pins = re.split(r"\n(?=\S)", lock.strip())
    assert [pin for pin in pins if "==" not in pin or "--hash=sha256:" not in pin] == []


def test_the_newest_revision_is_alembics_head() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrations.HERE))
    assert ScriptDirectory.from_config(config).get_heads() == [migrations.newest()]


async def shape(dsn: str) -> dict[str, set[tuple[object, ...]]]:
    """Return what a database consists of."""
    connection = await asyncpg.connect(dsn)
    try:
        return {
            kind: {tuple(str(value) for value in row) for row in await connection.fetch(statement)}
            for kind, statement in SHAPE.items()
        }
    finally:
        await connection.close()


async def test_the_migrated_database_equals_the_metadata(dsn: str, empty_dsn: str) -> None:
    statements: list[str] = []
    engine = create_mock_engine(
        "postgresql+asyncpg://", lambda statement, *_, **__: statements.append(str(statement.compile(engine)))
    )
    metadata.create_all(engine, checkfirst=False)
    connection = await asyncpg.connect(empty_dsn)
    await connection.execute(";".join(statements))
    await connection.close()
    migrated, declared = await shape(dsn), await shape(empty_dsn)
    for kind in SHAPE:
        assert migrated[kind] ^ declared[kind] == set(), kind


def test_an_empty_database_is_migrated_up_and_down_and_up(empty_dsn: str) -> None:
    async def left() -> list[str]:
        connection = await asyncpg.connect(empty_dsn)
        try:
            return [row[0] for row in await connection.fetch(LEFT)]
        finally:
            await connection.close()

    database.migrate(empty_dsn)
    full = asyncio.run(left())
    assert "customer_order" in full
    database.downgrade(empty_dsn, "base")
    assert asyncio.run(left()) == []
    database.migrate(empty_dsn)
    assert sorted(asyncio.run(left())) == sorted(full)


def test_a_database_of_a_later_version_is_refused(dsn: str) -> None:
    async def pretend() -> None:
        connection = await asyncpg.connect(dsn)
        await connection.execute("UPDATE alembic_version SET version_num = '9999'")
        await connection.close()

    asyncio.run(pretend())
    with pytest.raises(database.DatabaseTooNewError, match="9999"):
        database.migrate(dsn)


def test_processes_that_migrate_at_once_wait_for_each_other(empty_dsn: str) -> None:
    code = "import sys; from app import database; database.migrate(sys.argv[1])"
    crowd = [subprocess.Popen([sys.executable, "-c", code, empty_dsn]) for _ in range(2)]
    assert [process.wait(60) for process in crowd] == [0, 0]
