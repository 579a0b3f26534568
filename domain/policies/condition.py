"""Conditions: expressions in CEL (cel.dev) over an order, that say which orders a policy decides on.

An expression sees `channel`, `method`, `currency`, `level`, `country` and `postalCode` (null for a pickup), `total`
(what the goods are worth, in units of the currency; null where a price is unknown), `tags`, and `lines`, each with
`sku`, `quantity`, `unitPrice` and the item's `tags`. It may compare, count (`size`), look into text (`startsWith`,
`endsWith`, `contains`) and into lists (`in`, `all`, `exists`), but not build any: what it costs grows with its length
and the order's, and with nothing else.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from domain.errors import InvalidInput
from domain.money import to_decimal
from domain.vocabulary import FulfillmentMethod, ServiceLevel

if TYPE_CHECKING:
    import cel

LONGEST_CONDITION = 1000
NEWLINE = "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class LineFacts:
    """What a condition sees of a line; `unit_price` in minor units, None where unknown, `tags` are the item's."""

    sku: str
    quantity: int
    unit_price: int | None = None
    tags: Collection[str] = ()


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a condition sees of an order; `level`, `country` and `postal_code` are None for a pickup."""

    channel: str
    method: FulfillmentMethod = FulfillmentMethod.DELIVERY
    level: ServiceLevel | None = None
    currency: str
    country: str | None
    postal_code: str | None
    tags: Collection[str]
    lines: Sequence[LineFacts]

    @cached_property
    def total(self) -> float | None:
        """What the goods are worth, in units of the currency; None where a price is not known."""
        prices = [(line.quantity, line.unit_price) for line in self.lines]
        worth = [count * price for count, price in prices if price is not None]
        return self._units(sum(worth)) if len(worth) == len(prices) else None

    @cached_property
    def _bound(self) -> "tuple[cel.Context, set[str]]":
        import cel

        return cel.Context(), set()

    def context(self, names: Collection[str]) -> "cel.Context":
        """Return the order as CEL sees it, with at least these variables: what was looked at once is converted once."""
        context, bound = self._bound
        for name in set(names) - bound:
            context.add_variable(name, self._value(name))
        bound.update(names)
        return context

    def _value(self, name: str) -> object:
        match name:
            case "postalCode":
                return self.postal_code
            case "tags":
                return list(self.tags)
            case "lines":
                return [self._line(line) for line in self.lines]
        value: object = getattr(self, name)
        return value

    def _line(self, line: LineFacts) -> dict[str, object]:
        price = None if line.unit_price is None else self._units(line.unit_price)
        return {"sku": line.sku, "quantity": line.quantity, "unitPrice": price, "tags": list(line.tags)}

    def _units(self, minor: int) -> float:
        return float(to_decimal(minor, self.currency))


class Condition:
    """An expression, compiled; an empty one always holds. `variables` are those of an order that it looks at."""

    def __init__(self, text: str) -> None:
        """Compile an expression; raise InvalidInput that names the line and the column of the mistake."""
        self._program = _compiled(text) if text.strip() else None
        self.variables = VARIABLES.intersection(self._program.variables()) if self._program else frozenset[str]()
        if not isinstance(_tried(self), bool):
            raise _mistake("This is neither true nor false.")

    def holds(self, facts: Facts) -> bool:
        """Tell whether it holds for an order; raise what CEL raises where it compares what cannot be compared."""
        return self.result(facts) is True

    def result(self, facts: Facts) -> object:
        """Return what the expression comes to."""
        if self._program is None:
            return True
        value: object = self._program.execute(facts.context(self.variables))
        return value


VARIABLES = frozenset({"channel", "method", "level", "currency", "country", "postalCode", "total", "tags", "lines"})
_LISTS = frozenset({"tags", "lines"})
_FIELDS = frozenset({"sku", "quantity", "unitPrice", "tags"})
_WORDS = frozenset({"true", "false", "null", "in"})
_LOOPS = frozenset({"all", "exists"})
_CALLS = _LOOPS | {"size", "startsWith", "endsWith", "contains", "has"}
_TOKEN = re.compile(
    r"""
    (?P<skip>   \s+ | //[^\n]* )
  | (?P<text>   '(?:\\.|[^'\\\n])*' | "(?:\\.|[^"\\\n])*" )
  | (?P<number> \d+ (?:\.\d+)? )
  | (?P<name>   [A-Za-z_]\w* )
  | (?P<sign>   && | \|\| | [=!<>]= | [^\s\w] )
    """,
    re.VERBOSE | re.ASCII,
)
_SIGNS = frozenset(["&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "?", ":", "(", ")", "[", "]", ",", ".", "-"])
_CEL_ERROR = re.compile(r"ERROR: <input>:(\d+):(\d+): (?:Syntax error: )?(.*?)(?: expecting \{.*)?$", re.MULTILINE)


class _Token(NamedTuple):
    """A word of an expression, and where it begins."""

    at: int
    kind: str
    text: str


_NOTHING = _Token(0, "", "")
_SAMPLE = Facts(
    channel="web",
    method=FulfillmentMethod.DELIVERY,
    level=ServiceLevel.STANDARD,
    currency="EUR",
    country="DE",
    postal_code="10115",
    tags=("gift",),
    lines=(LineFacts(sku="mug", quantity=1, unit_price=1290, tags=("fragile",)),),
)


def _compiled(text: str) -> "cel.Program":
    """Return the expression's program, or raise InvalidInput with the place of what CEL or we do not allow."""
    import cel  # most gateways have no condition, and it brings a toolkit for terminals along

    if len(text) > LONGEST_CONDITION:
        raise _mistake(f"This is {len(text)} characters long; {LONGEST_CONDITION} are allowed.")
    try:
        program = cel.compile(text)
    except ValueError as error:
        found = _CEL_ERROR.search(str(error))
        raise _mistake(f"{found[1]}:{found[2]}: {found[3]}." if found else "This is no CEL expression.") from None
    for at, message in _faults(list(_tokens(text))):
        raise _mistake(f"{text.count(NEWLINE, 0, at) + 1}:{at - text.rfind(NEWLINE, 0, at)}: {message}")
    return program


def _tokens(text: str) -> Iterator[_Token]:
    for found in _TOKEN.finditer(text):
        if found.lastgroup and found.lastgroup != "skip":
            yield _Token(found.start(), found.lastgroup, found.group())


def _faults(tokens: Sequence[_Token]) -> Iterator[tuple[int, str]]:
    """Yield where something is not allowed, and what."""
    loops: dict[str, int] = {}  # the variable of each loop that we are in, and how many brackets were open before it
    opened = 0
    before = _NOTHING
    for n, token in enumerate(tokens):
        after = tokens[n + 1] if n + 1 < len(tokens) else _NOTHING
        opened += (token.text in "([") - (token.text in ")]")
        loops = {name: outside for name, outside in loops.items() if outside < opened}
        called = token.kind == "name" and after.text == "("
        if message := _call_fault(token, loops) if called else _fault(token, before, loops):
            yield token.at, message
        if called and token.text in _LOOPS:
            loops[tokens[n + 2].text] = opened
        before = token


def _call_fault(token: _Token, bound: Collection[str]) -> str | None:
    if token.text not in _CALLS:
        return f"There is no function {token.text}; there are {', '.join(sorted(_CALLS))}."
    return f"{token.text} cannot stand within another." if bound and token.text in _LOOPS else None


def _fault(token: _Token, before: _Token, bound: Collection[str]) -> str | None:
    """Return why a token may not stand where it does."""
    match token.kind:
        case "text" if before.kind == "text":
            return "Texts of several lines are not known here."
        case "sign" if token.text not in _SIGNS:
            return f"{token.text} is not known here."
        case "name" if before.text == "." and token.text not in _FIELDS:
            return f"There is no field {token.text}; a line has {', '.join(sorted(_FIELDS))}."
        case "name" if before.text != "." and token.text not in {*VARIABLES, *_WORDS, *bound}:
            return f"There is no variable {token.text}; there are {', '.join(sorted(VARIABLES))}."
        case "name" if before.text != "." and bound and token.text in _LISTS.difference(bound):
            return f"{token.text} cannot be read within all or exists."
    return None


def _tried(condition: Condition) -> object:
    """Return what a condition comes to for some order; raise InvalidInput where it compares what cannot be compared."""
    try:
        return condition.result(_SAMPLE)
    except TypeError:
        raise _mistake("This compares values of different kinds.") from None
    except (RuntimeError, LookupError, ArithmeticError, ValueError):
        return False  # with another order it may be well


def _mistake(message: str) -> InvalidInput:
    return InvalidInput(message=message, path=("condition",))
