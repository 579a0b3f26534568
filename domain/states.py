"""The state machines, told for people: diagrams and tables in Markdown, from the tables that decide."""

from collections.abc import Iterable
from enum import StrEnum

from domain import order_actions
from domain.assignments import moves as work
from domain.machine import diagram
from domain.returns import moves as goods
from domain.shipments import moves as parcels
from domain.vocabulary import AssignmentStatus, OrderStatus, ReturnStatus, ShipmentStatus


def markdown() -> str:
    """Return the machines, each with what may be done by whom, and what that does to stock."""
    order_table = _table(
        (action, [*rule.sources], [*rule.astray], rule.roles, rule.stock)
        for action, rule in order_actions.RULES.items()
    )
    moves: list[tuple[StrEnum, work.Move]] = [*work.MOVES.items(), *work.EVENTS.items()]
    work_table = _table(
        (name, [*move.sources], [], move.roles, move.stock + _FREE * (move.target in work.ENDS_DAY))
        for name, move in moves
    )
    working = diagram([AssignmentStatus.OFFERED, AssignmentStatus.HELD], work.edges())
    travelling = diagram([ShipmentStatus.CREATED], parcels.edges(), group=parcels.WITH_CARRIER, name="WITH_CARRIER")
    coming_back = _table(
        (action, [*move.sources | move.office], [], move.roles, move.stock) for action, move in goods.MOVES.items()
    )
    return "\n\n".join(
        (
            "### An order",
            _drawn(diagram([OrderStatus.RECEIVED], order_actions.edges())),
            order_table,
            "### An assignment",
            _drawn(working),
            work_table,
            "### A parcel",
            _drawn(travelling),
            "### A return",
            _drawn(diagram([ReturnStatus.REQUESTED], goods.edges())),
            coming_back,
        )
    )


_FREE = "; its room in the day is free"


def _drawn(text: str) -> str:
    return f"```mermaid\n{text}\n```"


def _table(rows: Iterable[tuple[StrEnum, list[StrEnum], list[StrEnum], frozenset[StrEnum], str]]) -> str:
    lines = ["| what | from | by | stock |", "|---|---|---|---|"]
    for what, sources, astray, roles, stock in rows:
        from_ = _listed(sources)
        lost = f"{_listed(astray)} with a parcel that will not arrive" if astray else ""
        place = "; ".join(filter(None, (from_, lost)))
        lines.append(f"| {what} | {place} | {_listed(roles) or 'Crossdock'} | {stock} |")
    return "\n".join(lines)


def _listed(members: Iterable[StrEnum]) -> str:
    found = set(members)
    return ", ".join(member for member in type(next(iter(found))) if member in found) if found else ""
