"""The demo's carriers: an invented parcel service and a city courier, one product for each service level."""

import math
from dataclasses import replace
from decimal import Decimal

from app.demo.cities import Country
from domain.money import exponent
from domain.network import CarrierServiceChange, CostStep, ZoneReach
from domain.vocabulary import LocationKind, ServiceLevel

WORKDAYS, BUT_SUNDAY, EVERY_DAY = (range(1, last + 1) for last in (5, 6, 7))
NATIONAL_KM = 900

# What one euro buys, roughly: prices in the demo shall look right, nobody is paid with them.
EURO = {
    "ARS": 1000, "BRL": 6, "CLP": 1000, "CNY": 8, "COP": 4500, "CZK": 25, "DKK": 7, "EGP": 50, "HUF": 400, "IDR": 17000,
    "INR": 90, "JPY": 160, "KRW": 1500, "MXN": 20, "NGN": 1600, "NOK": 12, "PHP": 60, "PKR": 300, "PLN": 4, "RUB": 100,
    "SEK": 11, "THB": 37, "TRY": 37, "TWD": 35, "TZS": 2800, "UAH": 45, "UGX": 4000, "VND": 27000, "ZAR": 20,
}  # fmt: skip


def price(euros: str, currency: str) -> Decimal:
    """Return about what so many euros are in a currency, in digits it has."""
    factor = EURO.get(currency, 1 if exponent(currency) else 100)
    return (Decimal(euros) * factor).quantize(Decimal(1).scaleb(-exponent(currency)))


def make_services(country: Country, *, reach_km: float) -> tuple[CarrierServiceChange, ...]:
    """Return a service of each level; the national zone goes `reach_km` or NATIONAL_KM, whichever is more."""
    far = max(NATIONAL_KM, math.ceil(reach_km / 100) * 100)
    prefix, currency = country.code.lower(), country.currency

    def cost(zone: str, *steps: tuple[int, str]) -> list[CostStep]:
        return [CostStep(zone=zone, max_grams=grams, amount=price(euros, currency)) for grams, euros in steps]

    parcel = CarrierServiceChange(
        code=f"{prefix}-parcel-standard",
        carrier="ParcelPost",
        name="Standard",
        level=ServiceLevel.STANDARD,
        countries=[country.code],
        currency=currency,
        location_kinds=[LocationKind.WAREHOUSE, LocationKind.STORE, LocationKind.DROP_SHIPPER],
        cutoff="16:00",
        deliver_by="18:00",
        collects=WORKDAYS,
        delivers=BUT_SUNDAY,
        max_grams=31_500,
        zones=[
            ZoneReach(zone="near", max_km=150, transit_days=[1, 1]),
            ZoneReach(zone="national", max_km=far, transit_days=[1, 2 if far == NATIONAL_KM else 5]),
        ],
        cost=[*cost("near", (5000, "3.90"), (31_500, "7.20")), *cost("national", (5000, "4.60"), (31_500, "8.90"))],
        shopper_price=price("4.95", currency),
        free_from=price("60", currency),
        co2_grams_per_km=0.9,
    )
    express = replace(
        parcel,
        code=f"{prefix}-parcel-express",
        name="Express",
        level=ServiceLevel.EXPRESS,
        location_kinds=[LocationKind.WAREHOUSE, LocationKind.STORE],
        cutoff="17:00",
        zones=[ZoneReach(zone="national", max_km=far, transit_days=[1, 1 if far == NATIONAL_KM else 2])],
        cost=cost("national", (5000, "7.40"), (31_500, "12.80")),
        shopper_price=price("8.90", currency),
        free_from=None,
        co2_grams_per_km=1.0,
    )
    next_day = replace(
        express,
        code=f"{prefix}-parcel-next-day",
        name="Next day before noon",
        level=ServiceLevel.NEXT_DAY,
        cutoff="18:00",
        deliver_by="12:00",
        max_grams=20_000,
        zones=[ZoneReach(zone="national", max_km=NATIONAL_KM, transit_days=[1, 1])],
        cost=cost("national", (5000, "11.90"), (20_000, "17.50")),
        shopper_price=price("14.90", currency),
        co2_grams_per_km=1.1,
    )
    same_day = CarrierServiceChange(
        code=f"{prefix}-courier-same-day",
        carrier="CityCourier",
        name="This evening",
        level=ServiceLevel.SAME_DAY,
        countries=[country.code],
        currency=currency,
        location_kinds=[LocationKind.STORE, LocationKind.MICRO_HUB],
        cutoff="15:00",
        deliver_by="21:00",
        collects=EVERY_DAY,
        delivers=EVERY_DAY,
        max_grams=15_000,
        zones=[ZoneReach(zone="city", max_km=25, transit_days=[0, 0])],
        cost=cost("city", (15_000, "6.80")),
        shopper_price=price("7.90", currency),
        co2_grams_per_km=12,
    )
    instant = replace(
        same_day,
        code=f"{prefix}-courier-instant",
        name="Within the hour",
        level=ServiceLevel.INSTANT,
        cutoff=None,
        deliver_by=None,
        max_grams=10_000,
        zones=[ZoneReach(zone="city", max_km=8, transit_minutes=[30, 75])],
        cost=cost("city", (10_000, "8.50")),
        shopper_price=price("9.90", currency),
        co2_grams_per_km=25,
    )
    return parcel, express, next_day, same_day, instant
