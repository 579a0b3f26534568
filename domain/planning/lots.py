"""How a quantity that no location has alone is divided: into lots, each of which one location can take."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_LOTS = 200
"""A cart is divided into so many lots at most; what is left over then is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lots:
    """What the solver covers: `quantity[lot]` units of `line[lot]`, at the legs `able[leg, lot]`.

    However lots are spread over legs that are able to take them, no site gives more than it has.
    """

    line: NDArray[np.int64]
    quantity: NDArray[np.int64]
    able: NDArray[np.bool_]
    divided: bool = False
    """Whether a line is in more than one lot."""

    @property
    def whole(self) -> NDArray[np.int64]:
        """The places of the lots that are all of their line."""
        return np.flatnonzero(np.bincount(self.line)[self.line] == 1)


def divide(
    room: NDArray[np.int64], sites: NDArray[np.int64], stock: NDArray[np.int64], wanted: NDArray[np.int64]
) -> Lots:
    """Return each line as one lot where a leg can take all of it, and else in as few lots as cover what there is.

    `room` is what one parcel of each leg can take (legs, lines), `sites` where the legs are, `stock` what is there
    (sites, lines), `wanted` the quantities (lines,).
    """
    most = room.max(axis=0, initial=0)
    lines: list[int] = []
    quantities: list[int] = []
    able: list[NDArray[np.bool_]] = []
    for line in np.flatnonzero(most).tolist():
        if most[line] >= wanted[line]:
            sizes, takes = [int(wanted[line])], [room[:, line] >= wanted[line]]
        else:
            limit = MOST_LOTS - len(lines) - (wanted.size - line - 1)
            sizes, takes = _split(room[:, line], sites, stock[:, line], int(wanted[line]), limit)
        lines += [line] * len(sizes)
        quantities += sizes
        able += takes
    return Lots(
        line=np.array(lines, dtype=np.int64),
        quantity=np.array(quantities, dtype=np.int64),
        able=np.array(able, dtype=np.bool_).reshape(len(lines), sites.size).T,
        divided=len(set(lines)) < len(lines),
    )


def _split(
    room: NDArray[np.int64], sites: NDArray[np.int64], stock: NDArray[np.int64], wanted: int, limit: int
) -> tuple[list[int], list[NDArray[np.bool_]]]:
    """Return the sizes of the lots of one line, descending, and which legs may take each."""
    most = np.zeros_like(stock)
    np.maximum.at(most, sites, room)
    left = stock.copy()
    sizes: list[int] = []
    owners: list[int] = []
    while wanted and len(sizes) < limit:
        free = np.minimum(most, left)
        owner = int(free.argmax())
        size = min(int(free[owner]), wanted)
        if not size:
            break
        sizes.append(size)
        owners.append(owner)
        left[owner] -= size
        wanted -= size
    able = []
    for size, owner in zip(sizes, owners, strict=True):
        # Beside its owner, a lot may go wherever there is enough for all the lots that may go there.
        welcome = (left >= size) & (most >= size)
        welcome[owner] = False
        left[welcome] -= size
        welcome[owner] = True
        able.append(welcome[sites] & (room >= size))
    return sizes, able
