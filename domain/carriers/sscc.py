"""Serial Shipping Container Codes: the 18 digits that GS1 numbers parcels with.

GS1 General Specifications, 3.3.1 (application identifier 00) and 7.9.1 (check digit calculations).
"""

OWN_USE = "040"
"""Extension digit 0, then prefix 04, which GS1 leaves to each company for numbers that stay within it."""
SERIAL_DIGITS = 14


def sscc(number: int) -> str:
    """Return the code of the parcel of that number, 1 to 10**14 - 1: unique where the numbers are."""
    body = f"{OWN_USE}{number:0{SERIAL_DIGITS}d}"
    return body + check_digit(body)


def check_digit(body: str) -> str:
    """Return the digit that makes the weighted sum a multiple of ten; weights 3 and 1 alternate from the right."""
    total = sum(int(digit) * (3, 1)[place % 2] for place, digit in enumerate(reversed(body)))
    return str(-total % 10)
