"""The cities of the world are read by another process, once, and kept for all others."""

import asyncio
from pathlib import Path

import pytest

from domain import cities as world
from domain.cities import FILE, cities
from tests.api.house import opened


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose file was spoilt."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(world, "user_cache_path", lambda _: folder)
    monkeypatch.setattr(world._World, "cities", None)
    folder.mkdir()
    (folder / FILE).write_bytes(b"half a file")
    return folder


async def test_a_gateway_has_them_read_as_it_starts_once_however_many_ask_and_keeps_them_for_the_next(
    dsn: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(dsn):
        first, *others = await asyncio.gather(*(cities() for _ in range(4)))
    assert all(each is first for each in others)
    monkeypatch.setattr(world._World, "cities", None)
    monkeypatch.setattr(world.sys, "executable", "/nowhere")
    kept = await cities()
    assert kept is not first
    assert kept.find("DE", "Köln") == first.find("DE", "cologne") is not None


async def test_reading_that_fails_says_so_and_is_tried_again_also_without_a_home(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def homeless(_: str) -> Path:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr(world.sys, "executable", "false")
    for where in (lambda _: folder, homeless):
        monkeypatch.setattr(world, "user_cache_path", where)
        with pytest.raises(RuntimeError, match="could not be read"):
            await cities()
