"""Who carries parcels: a plug-in for a carrier of its name, else the aggregator where one is set, else the built-in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import entry_points

import httpx

from app.carriers.aggregator import Aggregator
from app.settings import Settings
from domain.carriers import BuiltIn, Carrier

GROUP = "crossdock.carriers"
"""Entry points of this group are named after the carrier that they serve, and are called without arguments."""


@dataclass(frozen=True, slots=True)
class Carriers:
    """The carriers by their names, as carrier services write them."""

    plug_ins: dict[str, Carrier] = field(default_factory=dict)
    aggregator: Aggregator | None = None
    built_in: BuiltIn = field(default_factory=BuiltIn)

    def find(self, name: str) -> Carrier:
        """Return who carries for a carrier of that name."""
        return self.plug_ins.get(name) or self.aggregator or self.built_in


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Carriers]:
    """Yield the carriers that are installed and set, the way to the aggregator open."""
    plug_ins: dict[str, Carrier] = {each.name: each.load()() for each in entry_points(group=GROUP)}
    if settings.carrier_url is None:
        yield Carriers(plug_ins)
        return
    token = settings.carrier_token.get_secret_value() if settings.carrier_token else None
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(base_url=settings.carrier_url, headers=headers) as client:
        yield Carriers(plug_ins, Aggregator(client))
