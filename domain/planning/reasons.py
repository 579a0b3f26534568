"""Why a wish has no plan, or not all of it, in sentences."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from domain.planning.fences import SENTENCES
from domain.planning.ground import Ground
from domain.planning.problem import Problem, Unavailable
from domain.vocabulary import FulfillmentMethod, ServiceLevel, UnavailabilityCode


def too_many(level: ServiceLevel, problem: Problem) -> Unavailable:
    """Return why a delivery has no plan that keeps to the most parcels of its policy."""
    code = UnavailabilityCode.TOO_MANY_PARCELS
    message = SENTENCES[code].format(wish=_wish(level, problem), goods="the cart")
    return Unavailable(method=FulfillmentMethod.DELIVERY, level=level, code=code, message=message)


def _wish(level: ServiceLevel | None, problem: Problem) -> str:
    return "pickup" if level is None else f"{level.lower().replace('_', '-')} delivery to {problem.country}"


def reasons(ground: Ground, level: ServiceLevel | None, covered: NDArray[np.int64]) -> Iterator[Unavailable]:
    """Tell why there is no plan, where there is none, and of which lines less can be had than is wanted."""
    problem, wanted = ground.problem, ground.given.wanted
    if (covered >= wanted).all():
        return
    method = FulfillmentMethod.PICKUP if level is None else FulfillmentMethod.DELIVERY
    wish = _wish(level, problem)
    left = ground.left()
    if not covered.any() and (code := ground.stopped_by((left == 0).all(axis=1))):
        message = SENTENCES[code].format(wish=wish, goods="the cart")
        yield Unavailable(method=method, level=level, code=code, message=message)
    for index in np.flatnonzero(covered < wanted).tolist():
        line = problem.lines[index]
        code = ground.stopped_by(left[:, index] < wanted[index])
        if code is UnavailabilityCode.OUT_OF_STOCK:
            most = next(left[place, index] for place, screen in enumerate(ground.screens) if screen.code is code)
            found = f"more than {most}" if most else "any"
            who = "no location that offers" if level is None else "the locations that offer"
            has = "has" if level is None else "do not have"
            message = f"{line.quantity} of {line.sku} are wanted; {who} {wish} {has} {found}."
        elif covered.any() and code is not None:
            message = SENTENCES[code].format(wish=wish, goods=line.sku)
        else:
            continue
        yield Unavailable(method=method, level=level, sku=line.sku, code=code, message=message)
