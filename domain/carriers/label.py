"""The label of the built-in carrier: one page of 100 x 150 mm, the usual roll of a label printer."""

from collections.abc import Iterator
from io import BytesIO

from domain.carriers.interface import Parcel
from domain.places import Address

WIDTH_MM, HEIGHT_MM, MARGIN_MM = 100, 150, 8
BAR_MM = 0.495
"""The width of the narrowest bar: GS1 General Specifications, 5.4.6, want 0.495 to 0.94 mm on parcels."""
BARS_HEIGHT_MM = 32
FUNCTION_1 = "\xf1"
"""Says that what follows is GS1's: reportlab's name for FNC1."""
SSCC_IDENTIFIER = "00"
LONGEST_LINE = 42


def draw(parcel: Parcel, tracking_number: str) -> bytes:
    """Return the label of a parcel whose number is an SSCC, as PDF.

    The fonts of every PDF reader know the letters of Western Europe; another one is printed as a question mark.
    """
    from reportlab.graphics.barcode.code128 import Code128
    from reportlab.lib.units import mm
    from reportlab.pdfgen.canvas import Canvas

    page = BytesIO()
    canvas = Canvas(page, pagesize=(WIDTH_MM * mm, HEIGHT_MM * mm), invariant=True)
    canvas.setTitle(tracking_number)
    y = (HEIGHT_MM - MARGIN_MM) * mm
    for size, text in _lines(parcel):
        y -= size * 1.25
        canvas.setFont("Helvetica-Bold" if size > 10 else "Helvetica", size)  # noqa: PLR2004 - what is large is bold
        canvas.drawString(MARGIN_MM * mm, y, _printable(text))
    bars = Code128(
        FUNCTION_1 + SSCC_IDENTIFIER + tracking_number,
        barWidth=BAR_MM * mm,
        barHeight=BARS_HEIGHT_MM * mm,
        quiet=False,
    )
    left = (WIDTH_MM * mm - bars.width) / 2
    bars.drawOn(canvas, left, 14 * mm)
    canvas.setFont("Helvetica", 10)
    canvas.drawCentredString(WIDTH_MM * mm / 2, 8 * mm, f"({SSCC_IDENTIFIER}) {tracking_number}")
    canvas.save()
    return page.getvalue()


def _lines(parcel: Parcel) -> Iterator[tuple[int, str]]:
    """Yield what is printed, from the top, each line with the size of its letters in points."""
    units = sum(parcel.contents.values())
    yield 16, f"{parcel.carrier}: {parcel.service_name}"
    yield 9, f"{parcel.grams / 1000:.2f} kg, {units} {'unit' if units == 1 else 'units'}"
    yield 9, ""
    yield 9, "From"
    yield from ((9, text) for text in _address(parcel.sender))
    yield 9, ""
    yield 9, "To"
    yield from ((13, text) for text in _address(parcel.recipient))


def _address(address: Address) -> Iterator[str]:
    if address.name:
        yield address.name
    yield from address.lines[:4]
    yield f"{address.postal_code} {address.city}"
    yield f"{address.region}, {address.country}" if address.region else address.country


def _printable(text: str) -> str:
    short = text if len(text) <= LONGEST_LINE else text[: LONGEST_LINE - 3] + "..."
    return short.encode("cp1252", "replace").decode("cp1252")
