"""Text that people send: what is stored is visible, bounded, and fits into Postgres."""

import re
import unicodedata
from collections.abc import Sequence

from domain.errors import InvalidInput

LONGEST_CODE = 64
LONGEST_TEXT = 500
LONGEST_LIST = 1000
UNUSABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters (NUL among them) and lone surrogates: Postgres or UTF-8 refuses them."""


def check_text(value: str, *, path: Sequence[str], longest: int = LONGEST_TEXT) -> str:
    """Return the text, or raise InvalidInput where it is blank, too long or holds control characters."""
    if not value.strip():
        raise InvalidInput(message="This must not be blank.", path=path)
    return check_optional_text(value, path=path, longest=longest)


def check_optional_text(value: str, *, path: Sequence[str], longest: int = LONGEST_TEXT) -> str:
    """Return the text, which may be blank, or raise InvalidInput where it is too long or holds control characters."""
    if len(value) > longest:
        raise InvalidInput(message=f"This is {len(value)} characters long; {longest} are allowed.", path=path)
    if UNUSABLE.search(value):
        raise InvalidInput(message="This holds control characters.", path=path)
    return value


def check_code(value: str, *, path: Sequence[str]) -> str:
    """Return a code (a SKU, a location's or a carrier service's), or raise InvalidInput."""
    check_text(value, path=path, longest=LONGEST_CODE)
    if value != value.strip():
        raise InvalidInput(message="A code must not begin or end with a space.", path=path)
    return value


def check_codes(values: Sequence[str], *, path: Sequence[str]) -> list[str]:
    """Return codes or tags, each once and in the order given, or raise InvalidInput."""
    if len(values) > LONGEST_LIST:
        raise InvalidInput(message=f"At most {LONGEST_LIST} are allowed.", path=path)
    return list(dict.fromkeys(check_code(value, path=(*path, str(n))) for n, value in enumerate(values)))


def plain(text: str) -> str:
    """Return the letters and digits of a text without case and accents, so that `Köln` and `KOLN` are one."""
    if text.isascii():
        return "".join(filter(str.isalnum, text.lower()))
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKD", text).casefold()))
