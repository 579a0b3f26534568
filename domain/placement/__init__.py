"""Placing orders."""

from domain.placement.batcher import Batcher
from domain.placement.placing import Placement
from domain.placement.wanted import NewOrder

__all__ = ["Batcher", "NewOrder", "Placement"]
