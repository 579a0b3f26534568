"""What the tests ask the system about processes."""

from pathlib import Path

import psutil


def postmaster(data_dir: Path) -> int | None:
    """Return the process id of a data directory's Postgres, which its own file tells."""
    try:
        return int((data_dir / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0])
    except FileNotFoundError:
        return None


def alive(pid: int) -> bool:
    """Tell whether the process runs; one that has ended and waits to be reaped does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def children(pid: int, name: str) -> set[int]:
    """Return the process ids of the running children whose command line holds `name`."""
    found = set()
    for child in psutil.Process(pid).children():
        try:
            if name in child.cmdline():
                found.add(child.pid)
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found
