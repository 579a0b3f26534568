"""Addresses are found offline: by postal code where one is known, else by city."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from domain.errors import InvalidInput
from domain.money import check_currency, exponent, to_decimal, to_minor
from domain.places import Address, PostalCodeRecord, import_postal_codes, resolve, validate
from domain.planning.problem import Point
from domain.text import plain
from domain.transaction import Database, open_pool


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    pool = await open_pool(dsn)
    yield Database(pool)
    await pool.close()


async def where(database: Database, city: str, country: str = "DE", postal_code: str = "0") -> Point | None:
    async with database.reading() as connection:
        return await resolve(connection, Address(postal_code=postal_code, city=city, country=country))


@pytest.mark.parametrize(
    ("city", "country", "latitude"),
    [
        ("München", "DE", 48.1),
        ("munich", "DE", 48.1),
        ("MUENCHEN", "DE", 48.1),
        ("Frankfurt am Main", "DE", 50.1),
        ("Frankfurt (Main)", "DE", 50.1),
        ("Rothenburg ob der Tauber", "DE", 49.4),
        ("Saint-Étienne", "FR", 45.4),
        ("saint etienne", "FR", 45.4),
        ("東京", "JP", 35.7),
        ("Москва", "RU", 55.8),
    ],
)
async def test_a_city_is_found_by_any_of_its_names(
    database: Database, city: str, country: str, latitude: float
) -> None:
    point = await where(database, city, country)
    assert point
    assert point.latitude == pytest.approx(latitude, abs=0.06)


async def test_of_cities_with_one_name_the_largest_wins(database: Database) -> None:
    point = await where(database, "Springfield", "US")
    assert point
    assert point.latitude == pytest.approx(37.2, abs=0.1)


@pytest.mark.parametrize(("city", "country"), [("Gotham", "DE"), ("München", "FR"), ("???", "DE"), ("Berlin", "ZZ")])
async def test_an_unknown_city_is_nowhere(database: Database, city: str, country: str) -> None:
    assert await where(database, city, country) is None


async def test_a_known_postal_code_comes_before_the_city_and_a_position_before_both(database: Database) -> None:
    await import_postal_codes(
        database, [PostalCodeRecord(country="GB", postal_code="SW1A 1AA", latitude=51.501, longitude=-0.141)]
    )
    assert await where(database, "Leeds", "GB", "sw1a1aa") == Point(latitude=51.501, longitude=-0.141)
    here = Point(latitude=1, longitude=2)
    async with database.reading() as connection:
        at = await resolve(connection, Address(postal_code="SW1A 1AA", city="Leeds", country="GB", position=here))
    assert at == here


async def test_postal_codes_loaded_twice_change_nothing_and_a_bad_row_spoils_nothing(database: Database) -> None:
    good = PostalCodeRecord(country="DE", postal_code="10115", latitude=52.5, longitude=13.4)
    bad = [
        PostalCodeRecord(country="DEU", postal_code="1", latitude=0, longitude=0),
        PostalCodeRecord(country="DE", postal_code="1", latitude=99, longitude=0),
        PostalCodeRecord(country="DE", postal_code="10 115", latitude=0, longitude=0),
    ]
    first = await import_postal_codes(database, [good, *bad])
    again = await import_postal_codes(database, [good])
    moved = await import_postal_codes(
        database, [PostalCodeRecord(country="DE", postal_code="10115", latitude=52.6, longitude=13.4)]
    )
    assert (first.created, [(failure.row, failure.path) for failure in first.failed]) == (
        1,
        [(1, ("country",)), (2, ("latitude",)), (3, ())],
    )
    assert (again.created, again.updated, again.unchanged, moved.updated) == (0, 0, 1, 1)


def test_names_are_compared_without_case_accents_and_signs() -> None:
    assert plain("  Saint-Étienne ") == plain("SAINT ETIENNE")
    assert plain("Straße") == plain("STRASSE")


ADDRESS = Address(
    name="Ada",
    lines=("Hof 3",),
    postal_code="10115",
    city="Berlin",
    region="BE",
    country="DE",
    position=Point(latitude=52.5, longitude=13.4),
)


def test_an_address_comes_back_as_it_was_stored() -> None:
    assert Address.from_json(ADDRESS.as_json()) == ADDRESS
    bare = Address(postal_code="1", city="B", country="DE")
    assert Address.from_json(bare.as_json()) == bare


@pytest.mark.parametrize(
    ("address", "path"),
    [
        (Address(postal_code="1", city=" ", country="DE"), "city"),
        (Address(postal_code="", city="B", country="DE"), "postalCode"),
        (Address(postal_code="1", city="B", country="de"), "country"),
        (Address(postal_code="1", city="B", country="DE", name="\0"), "name"),
        (Address(postal_code="1", city="B", country="DE", region="\x07"), "region"),
        (Address(postal_code="1", city="B", country="DE", lines=("x",) * 11), "lines"),
        (Address(postal_code="1", city="B", country="DE", position=Point(latitude=0, longitude=181)), "position"),
    ],
)
def test_an_address_that_cannot_be_is_told_where(address: Address, path: str) -> None:
    with pytest.raises(InvalidInput) as fact:
        validate(address, path=("shipTo",))
    assert tuple(fact.value.path)[:2] == ("shipTo", path)


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [("3.9", "EUR", 390), ("3.900", "EUR", 390), ("500", "JPY", 500), ("1.234", "KWD", 1234), ("0", "USD", 0)],
)
def test_money_goes_in_and_out_in_the_digits_of_its_currency(amount: str, currency: str, minor: int) -> None:
    assert to_minor(Decimal(amount), currency, path=()) == minor
    assert to_decimal(minor, currency) == Decimal(amount)
    assert -to_decimal(minor, currency).as_tuple().exponent == exponent(currency)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        ("-0.01", "EUR"),
        ("NaN", "EUR"),
        ("sNaN", "EUR"),
        ("Infinity", "EUR"),
        ("1e999999", "EUR"),
        ("1e-999999", "EUR"),
        ("90071992547409.93", "EUR"),
        ("0.001", "EUR"),
        ("1.5", "JPY"),
        ("1." + "0" * 40 + "1", "EUR"),
    ],
)
def test_an_amount_that_cannot_be_is_invalid(amount: str, currency: str) -> None:
    with pytest.raises(InvalidInput) as fact:
        to_minor(Decimal(amount), currency, path=("amount",))
    assert fact.value.path == ("amount",)


@pytest.mark.parametrize("code", ["eur", "EURO", "", "XXX", "ZZZ"])
def test_what_is_no_currency_is_invalid(code: str) -> None:
    with pytest.raises(InvalidInput):
        check_currency(code, path=())
