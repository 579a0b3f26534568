"""`crossdock load` as an operator meets it: files in, a summary out, every bad row named."""

import asyncio
import csv
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from app import load as loading
from app.load import _ITEMS, UnreadableFileError, _open, _parts
from domain.inventory import ItemRow, StockRow, check
from domain.network import Networks
from domain.transaction import Database, open_pool

LOCATIONS = [
    {
        "code": "BER1",
        "name": "Berlin Nord",
        "kind": "STORE",
        "latitude": "52.53",
        "longitude": "13.38",
        "country": "DE",
        "postal_code": "10115",
        "city": "Berlin",
        "time_zone": "Europe/Berlin",
        "services": "SHIP|PICKUP",
        "tags": "flagship| city",
        "capacity_per_day": "40",
        "handling_time": "PT45M",
    }
]
ITEMS = [
    {
        "sku": "mug",
        "name": "Mug",
        "weight_grams": "300",
        "tags": "kitchen|sale",
        "barcodes": "4006381333931",
        "image_url": "",
    },
    {"sku": "cap", "name": "Cap", "weight_grams": "", "tags": "", "barcodes": "", "image_url": ""},
]
STOCK = [
    {"sku": "mug", "location_code": "BER1", "on_hand": "7", "safety_stock": "1"},
    {"sku": "cap", "location_code": "BER1", "on_hand": "3", "safety_stock": ""},
]
SERVICE = {
    "code": "parcel",
    "carrier": "ParcelPost",
    "name": "Standard",
    "level": "STANDARD",
    "countries": ["DE"],
    "currency": "EUR",
    "cutoff": None,
    "zones": [{"zone": "all", "maxKm": 900, "transitDays": [1, 2]}],
    "cost": [{"zone": "all", "maxGrams": 5000, "amount": "3.90"}],
    "shopperPrice": "4.95",
    "co2GramsPerKm": 0.9,
    "active": True,
}


def load(dsn: str, **files: Path) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CROSSDOCK_", "DATABASE_"))}
    options = [part for name, path in files.items() for part in (f"--{name.replace('_', '-')}", str(path))]
    return subprocess.run(
        [sys.executable, "-m", "app", "load", *options],
        env={**inherited, "DATABASE_URL": dsn, "CROSSDOCK_SECRET": "s" * 40},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def table(path: Path, rows: Sequence[Mapping[str, str]], *, encoding: str = "utf-8") -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def stored(dsn: str) -> tuple[list[ItemRow], list[StockRow], list[str]]:
    """Return the items, the levels, and what the checker finds."""

    async def read() -> tuple[list[ItemRow], list[StockRow], list[str]]:
        pool = await open_pool(dsn)
        items = await pool.fetch("SELECT * FROM item ORDER BY sku", record_class=ItemRow)
        levels = await pool.fetch("SELECT * FROM stock ORDER BY sku", record_class=StockRow)
        async with pool.acquire() as connection:
            findings = await check(connection)
        await pool.close()
        return items, levels, findings

    return asyncio.run(read())


def test_a_network_is_loaded_from_files_and_loading_it_again_changes_nothing(dsn: str, tmp_path: Path) -> None:
    files = {
        "stock": table(tmp_path / "stock.csv", STOCK),
        "items": table(tmp_path / "items.csv", ITEMS, encoding="utf-8-sig"),
        "services": tmp_path / "services.json",
        "locations": table(tmp_path / "locations.csv", LOCATIONS),
        "postal_codes": table(
            tmp_path / "codes.csv",
            [{"country": "DE", "postal_code": "10115", "latitude": "52.53", "longitude": "13.38"}],
        ),
    }
    files["services"].write_text(json.dumps([SERVICE]))
    first, again = load(dsn, **files), load(dsn, **files)
    assert (first.returncode, again.returncode) == (0, 0), first.stderr
    assert [line.rpartition("/")[2] for line in first.stdout.splitlines()] == [
        "codes.csv: 1 created, 0 updated, 0 unchanged, 0 failed",
        "locations.csv: 1 created, 0 updated, 0 unchanged, 0 failed",
        "services.json: 1 created, 0 updated, 0 unchanged, 0 failed",
        "items.csv: 2 created, 0 updated, 0 unchanged, 0 failed",
        "stock.csv: 2 created, 0 updated, 0 unchanged, 0 failed",
    ]
    assert [line.partition(": ")[2] for line in again.stdout.splitlines()] == [
        f"0 created, 0 updated, {count} unchanged, 0 failed" for count in (1, 1, 1, 2, 2)
    ]
    items, levels, findings = stored(dsn)
    assert [(item.sku, item.weight_grams, item.tags) for item in items] == [
        ("cap", 0, []),
        ("mug", 300, ["kitchen", "sale"]),
    ]
    assert [(level.sku, level.on_hand, level.safety_stock, level.version) for level in levels] == [
        ("cap", 3, 0, 1),
        ("mug", 7, 1, 1),
    ]
    assert findings == []

    async def network() -> None:
        pool = await open_pool(dsn)
        snapshot = await Networks(Database(pool)).current()
        store, service = snapshot.location("BER1"), snapshot.services["parcel"]
        assert (store.services, store.tags, store.handling_seconds) == (["SHIP", "PICKUP"], ["flagship", "city"], 2700)
        assert (service.cutoff, service.shopper_price, service.cost[0]["amount"]) == (None, 495, 390)
        await pool.close()

    asyncio.run(network())


def test_every_bad_row_is_named_with_its_line_and_the_good_ones_are_taken(dsn: str, tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text(
        "sku,name,tags,weight_grams,colour,colour\n"
        'mug,Mug,"kitchen|\nsale",300,red,\n'
        "\n"
        "cap,Cap,,heavy,,\n"
        ",Nameless,,1,,\n"
        "pen,Pen\n"
        "bag,Bag,,-5,,\n"
        "mug,Again,,1,,\n"
        "hat,,,1,,\n"
        "jar,Jar,,5,,\n"
    )
    told = load(dsn, items=path)
    assert told.returncode == 1
    assert "2 created, 0 updated, 0 unchanged, 6 failed" in told.stdout
    assert f"{path}: passing over the columns colour" in told.stderr
    bad = {
        line.partition(f"{path}:")[2].partition(": ")[0]: line
        for line in told.stderr.splitlines()
        if f"{path}:" in line
    }
    assert {line for line in bad if line.isdigit()} == {"5", "6", "7", "8", "9", "10"}
    assert "weight_grams" in bad["5"]
    assert "sku" in bad["6"]
    assert "2 cells; the columns are 6" in bad["7"]
    assert "weightGrams" in bad["8"]
    assert "Line 2 is about the same thing" in bad["9"]
    assert "name" in bad["10"]


def test_a_row_knows_its_line_wherever_a_part_ends_and_whatever_its_cells_hold(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_bytes(b'\n\nsku,name\r\na,"A\r\nB"\nb,B\n\n\nc,"C\r\nC\n\nC\rC"\n"d\n",D\n\n\n\n\n\ne,E\rf,F')
    rows = [["a", "A\r\nB"], ["b", "B"], ["c", "C\r\nC\n\nC\rC"], ["d\n", "D"], ["e", "E"], ["f", "F"]]
    for size in range(1, 9):
        with _open(path) as file:
            parts = list(_parts(path, file, replace(_ITEMS, rows_at_once=size)))
        assert {tuple(columns) for columns, _, _ in parts} == {("sku", "name")}
        assert [line for _, lines, _ in parts for line in lines] == [4, 6, 9, 14, 21, 22]
        assert [cells for _, _, part in parts for cells in part] == rows


def test_a_bad_element_of_a_list_of_services_is_named_with_its_line(dsn: str, tmp_path: Path) -> None:
    path = tmp_path / "services.json"
    wrong = [
        SERVICE,
        {**SERVICE, "code": "a", "colour": "red"},
        {**SERVICE, "code": "b", "level": "SLOW"},
        {**SERVICE, "code": "c", "zones": [{"zone": "all", "maxKm": 1}]},
        "parcel",
    ]
    path.write_text("[" + ",\n".join(map(json.dumps, wrong)) + "\n]\n")
    told = load(dsn, services=path)
    assert told.returncode == 1
    assert "1 created, 0 updated, 0 unchanged, 4 failed" in told.stdout
    reasons = {f"{path}:2: colour", f"{path}:3: level", f"{path}:4: zones.0.transitDays", f"{path}:5: "}
    assert all(reason in told.stderr for reason in reasons), told.stderr


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("items", None, "cannot read"),
        ("items", b"", "has no column sku"),
        ("stock", b"sku,on_hand\nmug,1\n", "has no column location_code"),
        ("items", b"sku,name\nmug,M\xfcg\n", "is not UTF-8"),
        ("items", b'sku,name\nmug,"M"ug\n', "cannot read"),
        ("services", b"{}", "holds no JSON list"),
        ("services", b"[{]", "cannot read"),
        ("services", b"[" * 100_000, "nested too deeply"),
        ("services", b"[1" + b"0" * 5000 + b"]", "cannot read"),
        ("stock", b"sku,location_code,on_hand,on_hand\nmug,BER1,1,2\n", "more than one column on_hand"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(
    dsn: str, tmp_path: Path, name: str, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnreadableFileError, match=reason):
        loading.run(dsn, **{name: path})


def test_what_can_be_read_only_once_is_refused_instead_of_loading_nothing(dsn: str) -> None:
    end, other = os.pipe()
    os.close(other)
    with pytest.raises(UnreadableFileError, match="write it to one first"):
        loading.run(dsn, items=Path(f"/dev/fd/{end}"))
    os.close(end)


def test_loading_nothing_is_misuse(dsn: str) -> None:
    assert load(dsn).returncode == 2


def test_a_long_file_is_taken_in_parts_and_a_row_knows_its_like_across_them(dsn: str, tmp_path: Path) -> None:
    rows = [{"sku": f"S{number}", "name": "Thing"} for number in range(12_000)]
    told = load(dsn, items=table(tmp_path / "items.csv", [*rows, rows[3]]))
    assert "12000 created, 0 updated, 0 unchanged, 1 failed" in told.stdout
    assert ":12002: Line 5 is about the same thing." in told.stderr
