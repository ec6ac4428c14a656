"""Slots: whether the policies of all branches fit a store together.

Rule: a file has rows for the slots it was created with and a share for branches; the sum of all policies
stays within that. What does not fit is refused, LimitReached, naming the least size of a store for which it
would. Cost: O(branches).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.errors import LimitReached
from rrdstore.policy import parse
from rrdstore.storage.layout import least

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rrdstore.history.branch import Line
    from rrdstore.policy import Policy

WHAT = "slots of policies"


def require_slots(names: Mapping[str, Line], first: str, name: str, policy: Policy, limit: int) -> None:
    """LimitReached unless `policy` fits as that of branch `name`, new or not, beside those of all others.

    `first` is the branch whose policy a store is created for; a `limit` of 0 is none.
    """
    slots = {other.name: parse(other.keep).slots for other in names.values()} | {name: policy.slots}
    wanted = sum(slots.values())
    if limit and wanted > limit:
        main = slots.get(first, policy.slots)
        raise LimitReached(WHAT, limit, wanted=wanted, least=least(main, wanted - main))
