"""What a store will be, before it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rrdstore.policy import DEFAULT, forecast, parse
from rrdstore.storage.layout import least, plan
from rrdstore.store.size import parse_size

if TYPE_CHECKING:
    from rrdstore.policy import Forecast


@dataclass(frozen=True, slots=True)
class Estimate:
    """A size and a policy, in figures. Bytes."""

    keep: str
    size: int
    least: int
    """The smallest size that this policy can have."""
    room: int
    """Bytes that the kept commits share; 0 if the size is too small."""
    forecast: Forecast
    """The most commits and the reach of each tier; its bytes are room for each commit on average."""


def estimate(size: str | int, keep: str = DEFAULT) -> Estimate:
    """What `create` would make of this size and policy; PolicyError. O(log size)."""
    policy, wanted = parse(keep), parse_size(size)
    smallest = least(policy.slots)
    room = plan(wanted, policy.slots).room if wanted >= smallest else 0
    return Estimate(str(policy), wanted, smallest, room, forecast(policy, room // policy.slots))
