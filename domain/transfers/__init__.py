"""Stock that goes from one location to another, and what of it an order waits for at its store."""

from domain.transfers.bound import coming, shut, take_back
from domain.transfers.reading import (
    TransferAction,
    TransferLineRow,
    TransferRow,
    allowed_actions,
    lines_of,
    listing,
    transfers,
    visible,
)
from domain.transfers.work import (
    Line,
    NewTransfer,
    cancel_transfer,
    create_transfer,
    dispatch_transfer,
    receive_transfer,
)

__all__ = [
    "Line",
    "NewTransfer",
    "TransferAction",
    "TransferLineRow",
    "TransferRow",
    "allowed_actions",
    "cancel_transfer",
    "coming",
    "create_transfer",
    "dispatch_transfer",
    "lines_of",
    "listing",
    "receive_transfer",
    "shut",
    "take_back",
    "transfers",
    "visible",
]
