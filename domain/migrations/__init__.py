"""The steps that bring a database to the tables of `domain.tables`."""

from pathlib import Path

HERE = Path(__file__).parent


def newest() -> str:
    """Return the last revision: files of versions/ are named by theirs, 0001_tables.py, and follow one another."""
    return max(path.name.partition("_")[0] for path in (HERE / "versions").glob("[0-9]*_*.py"))


def sql(name: str) -> str:
    """Return the statement kept in sql/, a function too long to be read within Python."""
    return (HERE / "sql" / f"{name}.sql").read_text()
