"""Money: minor units inside, decimals at the edge, ISO 4217 throughout."""

from collections.abc import Sequence
from decimal import Decimal

from domain.errors import InvalidInput

MOST_MINOR_UNITS = 2**53

CURRENCIES = frozenset(
    """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLF CLP
CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR
ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT
MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD
SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES
VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
""".split()  # noqa: SIM905 - one code a line would fill four screens
)

EXPONENTS = {
    **dict.fromkeys(
        (
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ),
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    "CLF": 4,
}


def check_currency(code: str, *, path: Sequence[str]) -> str:
    """Return an ISO 4217 code, or raise InvalidInput."""
    if code not in CURRENCIES:
        raise InvalidInput(message=f"{code!r} is no currency; ISO 4217 codes look like EUR.", path=path)
    return code


def exponent(currency: str) -> int:
    """Return how many digits after the point a currency has."""
    return EXPONENTS.get(currency, 2)


def to_minor(amount: Decimal, currency: str, *, path: Sequence[str]) -> int:
    """Return an amount in minor units, or raise InvalidInput where it is negative, too large or too fine."""
    if not amount.is_finite() or amount < 0:
        raise InvalidInput(message="An amount is a number of 0 or more.", path=path)
    if amount > MOST_MINOR_UNITS or (minor := amount.scaleb(exponent(currency))) > MOST_MINOR_UNITS:
        raise InvalidInput(message="This amount is too large.", path=path)
    if amount != to_decimal(int(minor), currency):
        message = f"{currency} has {exponent(currency)} digits after the point; this amount has more."
        raise InvalidInput(message=message, path=path)
    return int(minor)


def to_decimal(minor: int, currency: str) -> Decimal:
    """Return minor units as an amount with all the digits of its currency."""
    return Decimal(minor).scaleb(-exponent(currency))
