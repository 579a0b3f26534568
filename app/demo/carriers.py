"""The demo's carriers: an invented parcel service and a city courier, one product for each service level."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from importlib.resources import files

from app.demo.cities import Country
from app.load.records import read_service
from domain.change import Unset
from domain.money import exponent
from domain.network import CarrierServiceChange, ZoneReach
from domain.vocabulary import ServiceLevel

FAR = frozenset({ServiceLevel.STANDARD, ServiceLevel.EXPRESS})

# What one euro buys, roughly: prices in the demo shall look right, nobody is paid with them.
EURO = {
    "ARS": 1000, "BRL": 6, "CLP": 1000, "CNY": 8, "COP": 4500, "CZK": 25, "DKK": 7, "EGP": 50, "HUF": 400, "IDR": 17000,
    "INR": 90, "JPY": 160, "KRW": 1500, "MXN": 20, "NGN": 1600, "NOK": 12, "PHP": 60, "PKR": 300, "PLN": 4, "RUB": 100,
    "SEK": 11, "THB": 37, "TRY": 37, "TWD": 35, "TZS": 2800, "UAH": 45, "UGX": 4000, "VND": 27000, "ZAR": 20,
}  # fmt: skip


def price(euros: Decimal, currency: str) -> Decimal:
    """Return about what so many euros are in a currency, in digits it has."""
    factor = EURO.get(currency, 1 if exponent(currency) else 100)
    return (euros * factor).quantize(Decimal(1).scaleb(-exponent(currency)))


def make_services(country: Country, *, reach_km: float) -> tuple[CarrierServiceChange, ...]:
    """Return a service of each level, in the country's money; parcels go `reach_km`, overnight ones never as far."""
    said = json.loads(files("app.demo").joinpath("carriers.json").read_text(encoding="utf-8"))
    return tuple(_at_home(read_service(service), country, reach_km) for service in said)


def _at_home(service: CarrierServiceChange, country: Country, reach_km: float) -> CarrierServiceChange:
    def local(amount: Decimal | Unset | None) -> Decimal | Unset | None:
        return price(amount, country.currency) if isinstance(amount, Decimal) else amount

    zones = service.zones if isinstance(service.zones, Sequence) else []
    steps = service.cost if isinstance(service.cost, Sequence) else []
    return replace(
        service,
        code=f"{country.code.lower()}-{service.code}",
        countries=[country.code],
        currency=country.currency,
        zones=[_stretched(zone, reach_km) if service.level in FAR else zone for zone in zones],
        cost=[replace(step, amount=price(step.amount, country.currency)) for step in steps],
        shopper_price=local(service.shopper_price),
        free_from=local(service.free_from),
    )


def _stretched(zone: ZoneReach, reach_km: float) -> ZoneReach:
    """Let the zone of the whole country reach all of a larger one, in more days."""
    if zone.zone != "national" or reach_km <= zone.max_km or not zone.transit_days:
        return zone
    least, most = zone.transit_days
    return replace(zone, max_km=math.ceil(reach_km / 100) * 100, transit_days=[least, most + 2])
