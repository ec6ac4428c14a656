"""What a policy will cost and how far it will reach, before anything is written.

Rule: slots are exact, spans are what a tier reaches once it is full, bytes are the slots times
what one commit takes: an upper bound where a commit stands in several tiers, as most do.
Cost: O(tiers).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rrdstore.policy.policy import Every, slots_of

if TYPE_CHECKING:
    from rrdstore.policy.policy import Policy


@dataclass(frozen=True, slots=True)
class TierForecast:
    """One tier: its text, the most commits it keeps, microseconds it covers (None: not a matter of time)."""

    tier: str
    slots: int
    reach: int | None
    bytes: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """A whole policy: the most commits, microseconds of the longest time tier, and bytes at most."""

    slots: int
    reach: int
    bytes: int
    tiers: tuple[TierForecast, ...]


def forecast(policy: Policy, bytes_per_commit: int) -> Forecast:
    """Slots, reach and bytes of `policy` if one kept commit takes `bytes_per_commit`.

    Raises ValueError if that is negative.
    """
    if bytes_per_commit < 0:
        raise ValueError(f"bytes per commit: found {bytes_per_commit}, expected at least 0")
    tiers = tuple(
        TierForecast(
            str(tier),
            slots_of(tier),
            tier.span if isinstance(tier, Every) else None,
            slots_of(tier) * bytes_per_commit,
        )
        for tier in policy.tiers
    )
    return Forecast(policy.slots, policy.reach, policy.slots * bytes_per_commit, tiers)
