"""Placing orders."""

from domain.placement.batcher import Batcher
from domain.placement.placing import NewOrder, Placement

__all__ = ["Batcher", "NewOrder", "Placement"]
