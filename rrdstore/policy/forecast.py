"""What a policy will cost and how far it will reach, before anything is written.

Rule: slots are exact and bound what is kept. What will be in use follows from how often commits come: a tier
of a step keeps one for each step or one for each commit, whichever is rarer, as far back as its rows reach;
what a finer tier keeps of the same time is not counted twice. Spans are nominal (a month a twelfth of 365
days) but for `since`, which is by the UTC calendar. Bytes are the newest tree and what each commit beside
it takes: `bytes` with every slot in use, `expected` at the given rate.
Cost: O(tiers).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rrdstore.policy.policy import Count, Every, Last, slots_of

if TYPE_CHECKING:
    from rrdstore.policy.policy import Policy, Tier

CHANGE = 768
"""Bytes that a kept one-key commit takes: measured, trees of 10,000 keys as 10x10x10x10 and as 100x100; flat 614."""


@dataclass(frozen=True, slots=True)
class TierForecast:
    """One tier: its text, the most commits it keeps, microseconds it covers (None: not a matter of time).

    `used` is how many it will keep and `covers` how far back they will reach, in microseconds, once it is full
    of commits that come at the given rate; None without a rate, or where that has no end (`*`). `since` is the
    border that it reaches back to if it is full at the given moment.
    """

    tier: str
    slots: int
    reach: int | None
    bytes: int
    used: int | None = None
    covers: int | None = None
    since: int | None = None


@dataclass(frozen=True, slots=True)
class Forecast:
    """A whole policy: the most commits, microseconds of the longest time tier, and bytes at most.

    `kept` and `expected` are how many commits will be kept, and in how many bytes, at the given rate.
    """

    slots: int
    reach: int
    bytes: int
    tiers: tuple[TierForecast, ...]
    kept: int | None = None
    expected: int | None = None


def forecast(
    policy: Policy, bytes_per_commit: int = CHANGE, *, tree: int = 0, every: int | None = None, now: int | None = None
) -> Forecast:
    """Slots, reach and bytes of `policy` if one kept commit takes `bytes_per_commit` beside a newest `tree`.

    `every` is how many microseconds lie between two commits, `now` the moment that `since` looks back from.
    Raises ValueError for bytes below 0, or an `every` below 1.
    """
    for what, found, least in (("bytes per commit", bytes_per_commit, 0), ("tree", tree, 0), ("every", every, 1)):
        if found is not None and found < least:
            raise ValueError(f"{what}: found {found}, expected at least {least}")
    tiers = tuple(_tier(tier, bytes_per_commit, every, now) for tier in policy.tiers)
    kept = None if every is None else min(policy.slots, _together(policy, every))
    return Forecast(
        policy.slots,
        policy.reach,
        tree + policy.slots * bytes_per_commit,
        tiers,
        kept,
        None if kept is None else tree + kept * bytes_per_commit,
    )


def _tier(tier: Tier, bytes_per_commit: int, every: int | None, now: int | None) -> TierForecast:
    slots, since = slots_of(tier), None
    if isinstance(tier, Every) and now is not None:
        since = tier.step.start(tier.step.bucket(now) - tier.rows + 1)
    spacing = None if every is None else _spacing(tier, every)
    covers = None if spacing is None else spacing[0] * spacing[1]
    used = None if every is None else slots if spacing is None else spacing[1]
    return TierForecast(
        str(tier),
        slots,
        tier.span if isinstance(tier, Every) else None,
        slots * bytes_per_commit,
        used,
        covers,
        since,
    )


def _spacing(tier: Tier, every: int) -> tuple[int, int] | None:
    """Microseconds between two commits of a full tier, and how many it has; None where the step keeps growing."""
    match tier:
        case Last(rows):
            return every, rows
        case Count(step, rows):
            return step * every, rows
        case Every(step, rows):
            spacing = max(step.length, every)
            return spacing, max(1, min(rows, tier.span // spacing))
        case _:
            return None


def _together(policy: Policy, every: int) -> int:
    """How many different commits all tiers keep: each counts only where it reaches further back than finer ones."""
    spacings = [_spacing(tier, every) for tier in policy.tiers]
    spaced = sorted(spacing for spacing in spacings if spacing is not None)
    kept = reached = 0
    for spacing, rows in spaced:
        kept += max(0, spacing * rows - reached) // spacing
        reached = max(reached, spacing * rows)
    return kept + sum(slots_of(tier) for tier in policy.tiers if _spacing(tier, every) is None)
