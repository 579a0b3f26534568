"""State machines as tables: what may follow what, by whose doing, and what it does to stock."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, TypeVar

S = TypeVar("S", bound=StrEnum)


class Stock(StrEnum):
    """What a step does to stock."""

    STAYS = "stays as it is"
    FREED = "none of it is reserved any more"
    RELEASED = "what is not picked is reserved no more"
    RESERVED_ANEW = "reserved where the new plan has it"
    CORRECTED = "what was not found is on hand no more"
    LEFT = "what was picked is on hand no more"
    RETURNED = "what was picked is reserved no more"
    BACK = "what may be sold is on hand where it was received, or reserved for where it goes"


class Edge(NamedTuple):
    """A step from one state to another, and what it is called."""

    source: str
    target: str
    name: str = ""


def followers(kind: type[S], edges: Iterable[Edge]) -> Mapping[S, frozenset[S]]:
    """Return what may follow each state, by any step; a state may always stay."""
    found: dict[S, set[S]] = {state: {state} for state in kind}
    for edge in edges:
        found[kind(edge.source)].add(kind(edge.target))
    return {state: frozenset(targets) for state, targets in found.items()}


def check_step(next_of: Mapping[S, frozenset[S]], source: S, target: S) -> None:
    """Raise ValueError where no table knows a step: that is a fault of ours, and nothing of it is kept."""
    if target not in next_of[source]:
        message = f"No {type(source).__name__} leads from {source} to {target}."
        raise ValueError(message)


def diagram(first: Sequence[StrEnum], edges: Sequence[Edge], *, group: Collection[StrEnum] = (), name: str = "") -> str:
    """Return steps as a Mermaid state diagram, from the `first` states on.

    What all states of a group have in common is drawn once.
    """
    kind = type(first[0])
    lines = ["stateDiagram-v2", *(f"    [*] --> {state}" for state in first)]
    if group:
        lines += [f"    state {name} {{", *(f"        {state}" for state in kind if state in group), "    }"]
    labels: dict[tuple[str, str], list[str]] = {}
    for edge in _gathered(edges, group, name):
        labels.setdefault((edge.source, edge.target), []).append(edge.name)
    places = [*kind, name]
    for source, target in sorted(labels, key=lambda pair: (places.index(pair[0]), places.index(pair[1]))):
        told = ", ".join(dict.fromkeys(filter(None, labels[source, target])))
        lines.append(f"    {source} --> {target}{f': {told}' if told else ''}")
    left = {edge.source for edge in edges if edge.source != edge.target}
    return "\n".join([*lines, *(f"    {state} --> [*]" for state in kind if state not in left)])


def _gathered(edges: Sequence[Edge], group: Collection[StrEnum], name: str) -> list[Edge]:
    """Return edges, of which those that each state of a group has have become one; those within it are left out."""
    sources: dict[tuple[str, str], set[str]] = {}
    for edge in edges:
        sources.setdefault((edge.target, edge.name), set()).add(edge.source)
    common = {each for each, found in sources.items() if group and found | {each[0]} >= set(group)}
    kept = [edge for edge in edges if (edge.target, edge.name) not in common or edge.source not in group]
    return kept + [Edge(name, target, label) for target, label in sorted(common) if target not in group]
