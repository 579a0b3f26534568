"""Returns: what shoppers bring or send back, and what could not be delivered to them."""

from domain.returns.counter import Counter, Registration, Shown
from domain.returns.desk import Desk, NewReturn
from domain.returns.eligible import Returnable, Wanted
from domain.returns.inspection import Inspected, Inspection
from domain.returns.moves import allowed_actions
from domain.returns.policies import PolicyChange, ReturnPolicyRow, all_policies, policies, save_policy
from domain.returns.postage import Post, Postage
from domain.returns.reading import (
    ReturnFilter,
    ReturnLineRow,
    ReturnRow,
    ReturnTimelineRow,
    lines,
    lines_of,
    listing,
    newest,
    returns,
    returns_of_orders,
    timeline_of,
    visible,
)
from domain.returns.ways import ReturnOptions, Way, return_options, takes_returns

__all__ = [
    "Counter",
    "Desk",
    "Inspected",
    "Inspection",
    "NewReturn",
    "PolicyChange",
    "Post",
    "Postage",
    "Registration",
    "ReturnFilter",
    "ReturnLineRow",
    "ReturnOptions",
    "ReturnPolicyRow",
    "ReturnRow",
    "ReturnTimelineRow",
    "Returnable",
    "Shown",
    "Wanted",
    "Way",
    "all_policies",
    "allowed_actions",
    "lines",
    "lines_of",
    "listing",
    "newest",
    "policies",
    "return_options",
    "returns",
    "returns_of_orders",
    "save_policy",
    "takes_returns",
    "timeline_of",
    "visible",
]
