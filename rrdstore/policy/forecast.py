"""What a policy will cost and how far it will reach, before anything is written.

Rule: slots are exact and bound what is kept. What will be kept follows from how often commits come, at irregular
times: in the long run every slot is in use, for nothing expires, and a tier covers its span, or where commits are
rarer than its step about as many of them as it has slots. What several tiers keep is not counted twice. Spans are
nominal (a month a twelfth of 365 days) but for `since`, which is by the UTC calendar. Bytes are the newest tree and
what each commit beside it takes: `bytes` with every slot in use, `expected` at the given rate.
Cost: O(tiers), and a few milliseconds with a rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import expm1
from typing import TYPE_CHECKING

from rrdstore.policy.policy import Count, Every, Last, slots_of

if TYPE_CHECKING:
    from rrdstore.policy.policy import Policy, Tier

CHANGE = 432
"""Bytes of room that a kept one-key commit takes: measured, 10,000 keys as 10x10x10x10; as 100x100 384, flat 394."""


@dataclass(frozen=True, slots=True)
class TierForecast:
    """One tier: its text, the most commits it keeps, microseconds it covers (None: not a matter of time).

    `covers` is how far back it will reach, in microseconds, once it is full of commits that come at the given rate;
    None without a rate, or where that has no end (`*`). `since` is the border that it reaches back to if it is full
    of commits made lately at the given moment.
    """

    tier: str
    slots: int
    reach: int | None
    bytes: int
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
    series_paths: int = 0
    """How many paths of series can be recorded."""
    series_bytes: int = 0
    """What each path of a series takes beside all that, declared or not; 0 if no tier is one of time."""


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
    return TierForecast(
        str(tier),
        slots,
        tier.span if isinstance(tier, Every) else None,
        slots * bytes_per_commit,
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
            return max(step.length, every), rows
        case _:
            return None


@dataclass(frozen=True, slots=True)
class _Odds:
    """Of a commit so many commits old: whether a tier chose it (`chosen`, a part of all), and still has it."""

    chosen: float
    turn: float
    """After how many commits its slot comes round."""
    kept: float
    """The part of such turns that no commit falls in."""

    @classmethod
    def of(cls, tier: Tier, every: int) -> _Odds | None:
        """None for a spread, which keeps what it has whatever the pace."""
        match tier:
            case Last(rows):
                return cls(1.0, rows, 0.0)
            case Count(step, rows):
                return cls(1 / step, step * rows, 0.0)
            case Every(step, rows):
                steps = step.length / every
                some = -expm1(-steps)
                return cls(some / steps, rows * steps, 1 - some)
            case _:
                return None

    def has(self, age: float) -> float:
        """The part of those chosen that it still has at an age, in commits."""
        return float(self.kept ** int(age / self.turn))


def _together(policy: Policy, every: int) -> int:
    """How many different commits all tiers keep.

    What a coarser tier chose, the finer ones chose as well; whether they still have it is a matter of each.
    """
    found = [_Odds.of(tier, every) for tier in policy.tiers]
    odds = sorted((each for each in found if each is not None), key=lambda each: -each.chosen)
    # A spread has half its slots in use to all of them, as its step doubles, and the first of all.
    spread = sum(tier.rows * 3 // 4 + 1 for tier, each in zip(policy.tiers, found, strict=True) if each is None)
    kept, age = 0.0, 0.0
    # Ages in steps of a twentieth, and to where no tier has one in a thousand any more.
    while any(each.has(age) > 1e-3 for each in odds):
        step = max(1.0, age / 20)
        gone, part = 1.0, 0.0
        for at, each in enumerate(odds):
            gone *= 1 - each.has(age + step / 2)
            below = odds[at + 1].chosen if at + 1 < len(odds) else 0.0
            part += (each.chosen - below) * (1 - gone)
        kept += part * step
        age += step
    return round(kept) + spread
