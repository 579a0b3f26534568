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
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # images and their builders like to set it, people do not
    async with opened(dsn), asyncio.timeout(60):
        while not (first := world._World.cities):
            await asyncio.sleep(0.02)
    assert all(each is first for each in await asyncio.gather(*(cities() for _ in range(4))))
    for name in ("cities", "reading"):
        monkeypatch.setattr(world._World, name, None)
    monkeypatch.setattr(world.sys, "executable", "/nowhere")
    kept = await cities()
    assert kept is not first
    assert kept.find("DE", "Köln") == first.find("DE", "cologne") is not None


async def test_where_reading_fails_that_is_said_and_tried_again_later_also_without_a_home(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def homeless(_: str) -> Path:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr(world._World, "reading", None)
    (folder / FILE).write_bytes(b"")
    cases = [("false", lambda _: folder), ("/nowhere", lambda _: folder), ("false", homeless)]
    for executable, where in cases:
        monkeypatch.setattr(world.sys, "executable", executable)
        monkeypatch.setattr(world, "user_cache_path", where)
        monkeypatch.setattr(world._World, "again_at", 0.0)
        with pytest.raises(RuntimeError, match="cities") as first:
            await cities()
        with pytest.raises(RuntimeError) as again:
            await cities()
        assert again.value is first.value
