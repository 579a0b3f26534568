"""The demo's network: warehouses, stores, micro hubs and drop shippers in the real cities of a country."""

import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from app.demo.carriers import make_services
from app.demo.cities import City, Country, distance_km, moved, read_country
from app.demo.goods import BULKY_GRAMS, Good, make_goods
from domain.inventory import StockRecord
from domain.network import CarrierServiceChange, LocationRecord
from domain.planning.problem import Point
from domain.vocabulary import LocationKind

WAREHOUSES, STORES, HUBS, DROP_SHIPPERS = 4, 120, 12, 2
LARGE_CITIES = 40
"""Warehouses stand in these many largest cities."""
STORE_RANGE = 150
"""How many different goods a store in a city of a million has a place for."""
MILLION = 1_000_000
SOLD_OUT = 0.12

# Invented quarters, each in its direction from the centre.
QUARTERS = (
    ("Central", 0.4, 20),
    ("North", 4.0, 0),
    ("South", 4.2, 180),
    ("West", 4.6, 270),
    ("East", 4.4, 90),
    ("Station", 1.6, 60),
    ("Riverside", 2.4, 140),
    ("Parkside", 3.0, 220),
    ("Hillside", 5.2, 315),
    ("Market", 1.2, 250),
    ("Harbour", 6.0, 120),
    ("Old Town", 0.9, 330),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoNetwork:
    """Everything the demo loads, and the cities its shoppers live in."""

    country: Country
    locations: tuple[LocationRecord, ...]
    services: tuple[CarrierServiceChange, ...]
    goods: tuple[Good, ...]
    stock: tuple[StockRecord, ...]

    def of_kind(self, kind: LocationKind) -> list[LocationRecord]:
        """Return the locations of a kind."""
        return [location for location in self.locations if location.kind is kind]


def make_network(country: str, *, seed: int = 1) -> DemoNetwork:
    """Return the network of a country; the same seed makes the same. A country of few cities gets a smaller one.

    Raises InvalidSettingError where there is no such country, or no city in it.
    """
    random = Random(seed)  # noqa: S311 - a demo, no secret
    found = read_country(country)
    goods = make_goods(random)
    places = [*_warehouses(found.cities), *_stores(found.cities), *_hubs(found.cities), *_drop_shippers(found.cities)]
    locations = _records(places, found.code)
    cities = [place.city for place in places]
    reach = max(
        (distance_km(one.city.position, city.position) for one in places[:1] for city in found.cities), default=0
    )
    return DemoNetwork(
        country=found,
        locations=locations,
        services=make_services(found, reach_km=2 * reach),
        goods=goods,
        stock=tuple(_stock(random, list(zip(locations, cities, strict=True)), goods)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    kind: LocationKind
    name: str
    city: City
    position: Point


def _warehouses(cities: Sequence[City]) -> list[_Place]:
    """Choose the largest city, then again and again the large one farthest from all chosen."""
    large, chosen = list(cities[:LARGE_CITIES]), [cities[0]]
    while len(chosen) < min(WAREHOUSES, len(large)):
        far = {city.name: min(distance_km(city.position, other.position) for other in chosen) for city in large}
        chosen.append(max(large, key=lambda city: far[city.name]))
    return [
        _Place(
            kind=LocationKind.WAREHOUSE,
            name=f"{city.name} Warehouse",
            city=city,
            position=moved(city.position, km=9, bearing=200),
        )
        for city in chosen
    ]


def _stores(cities: Sequence[City]) -> Iterator[_Place]:
    """Give each next store to the city with the most people for each it would then have."""
    counts = [0] * len(cities)
    for _ in range(min(STORES, len(cities) * len(QUARTERS))):
        open_to = [n for n, count in enumerate(counts) if count < len(QUARTERS)]
        # Half a power: a city of four times the people has twice the stores.
        counts[max(open_to, key=lambda n: math.sqrt(cities[n].population) / (counts[n] + 1))] += 1
    for city, count in zip(cities, counts, strict=True):
        for name, km, bearing in QUARTERS[:count]:
            at = moved(city.position, km=km, bearing=bearing)
            yield _Place(kind=LocationKind.STORE, name=f"{city.name} {name}", city=city, position=at)


def _hubs(cities: Sequence[City]) -> list[_Place]:
    return [
        _Place(
            kind=LocationKind.MICRO_HUB,
            name=f"{city.name} Hub",
            city=city,
            position=moved(city.position, km=1, bearing=160),
        )
        for city in cities[:HUBS]
    ]


def _drop_shippers(cities: Sequence[City]) -> list[_Place]:
    chosen = cities[HUBS:][:DROP_SHIPPERS] or cities[-1:]
    return [
        _Place(
            kind=LocationKind.DROP_SHIPPER,
            name=f"{city.name} Supply",
            city=city,
            position=moved(city.position, km=12, bearing=100),
        )
        for city in chosen
    ]


def _records(places: Sequence[_Place], country: str) -> tuple[LocationRecord, ...]:
    taken: dict[str, int] = {}
    records = []
    for number, place in enumerate(places):
        base = f"{country}-{_slug(place.name) or number}"[:56]
        taken[base] = taken.get(base, 0) + 1
        records.append(
            LocationRecord(
                code=base if taken[base] == 1 else f"{base}-{taken[base]}",
                name=place.name,
                kind=place.kind,
                latitude=place.position.latitude,
                longitude=place.position.longitude,
                country=country,
                postal_code=f"{10_000 + number * 7:05}",
                city=place.city.name,
                time_zone=place.city.time_zone,
                tags=["demo"],
                capacity_per_day=60 if place.kind is LocationKind.STORE else None,
            )
        )
    return tuple(records)


def _slug(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().upper()
    return "-".join("".join(letter if letter.isalnum() else " " for letter in letters).split())


def _stock(
    random: Random, places: Sequence[tuple[LocationRecord, City]], goods: Sequence[Good]
) -> Iterator[StockRecord]:
    """Stock warehouses deep and stores shallow, by demand and people; of the rest a part has run out."""
    for location, city in places:
        match location.kind:
            case LocationKind.WAREHOUSE:
                for good in goods:
                    yield _level(location, good, int(60 + 60_000 * good.demand * random.uniform(0.6, 1.4)), 10)
            case LocationKind.DROP_SHIPPER:
                for good in goods:
                    if good.category in {"home", "garden"}:
                        yield _level(location, good, random.randint(20, 200), 0)
            case _:
                size = min(1.0, max(0.4, math.sqrt(city.population / MILLION)))
                hub = location.kind is LocationKind.MICRO_HUB
                for good in _range(random, goods, int(STORE_RANGE * (0.6 if hub else size))):
                    if hub and (good.record.weight_grams or 0) > BULKY_GRAMS:
                        continue
                    mean = 2 + 900 * good.demand * size
                    on_hand = 0 if random.random() < SOLD_OUT else max(0, round(random.gauss(mean, mean / 2)))
                    yield _level(location, good, on_hand, 1 if mean > 4 else 0)  # noqa: PLR2004 - a shelf of five


def _range(random: Random, goods: Sequence[Good], count: int) -> list[Good]:
    """Return the goods a store has a place for: the most wanted, and some of the long tail."""
    sure = count * 2 // 3
    return [*goods[:sure], *random.sample(goods[sure:], count - sure)]


def _level(location: LocationRecord, good: Good, on_hand: int, safety: int) -> StockRecord:
    return StockRecord(sku=good.record.sku, location_code=location.code, on_hand=on_hand, safety_stock=safety)
