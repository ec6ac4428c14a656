"""The spelling of restic and borg, `--keep-last 7 --keep-daily 30 ...`, as a policy.

Rule: with the history that it is for, the policy keeps at least what restic's forget would keep of it, and
just that where every hour, day, month and year of it has a commit; weeks are cut on Thursdays here, on
Mondays there. They count only periods that have a commit, where a tier counts all: so a tier is made as
long as the last N such periods were, and where there are fewer than N the oldest commit stays, as theirs
does. Without a history the tiers are N periods long: the policy that a branch goes on with.
Tiers must reach further as they get coarser. One that keeps only what a finer one keeps already is left
out; one that is not, but is too short (months beside weeks), is made longer. Each such thing is said.
Durations are restic's, 1y5m7d2h: there `m` is a month.
Cost: O(commits). Facts: restic's and borg's manual pages of `forget` and `prune`; docs/policy.md has the
differences, a test has restic's documented procedure beside this.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rrdstore.errors import PolicyError
from rrdstore.policy.policy import Every, Last, Policy, Spread, Tier
from rrdstore.policy.step import DAY, SECOND, UNITS, Step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PERIODS = {"hourly": "h", "daily": "d", "weekly": "w", "monthly": "M", "yearly": "y"}
"""What each option counts, finest first."""

_DURATION = re.compile(r"(?:[0-9]{1,6}[ymdh])+")
_PART = re.compile(r"([0-9]+)([ymdh])")
_LONGEST = {"M": 31 * DAY, "y": 366 * DAY}
"""Microseconds that a month and a year have at most."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """What was asked for: numbers by period, durations by period, "" being all commits whatever their period."""

    last: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    within: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Spelled:
    """The policy that it comes to, and what had to be done to make it one, a sentence each."""

    policy: Policy
    notes: tuple[str, ...]


def spelled(asked: Spelling, times: Sequence[int] | None = None) -> Spelled:
    """The policy for a history of these retention times (microseconds), or for whatever comes.

    PolicyError if nothing is asked for, or a number or a duration cannot be.
    """
    counted = {"last": asked.last, **asked.counts}
    for what, count in counted.items():
        if count < 0:
            raise PolicyError(f"--keep-{what} {count}", f"{count}", "at least 0; 'unlimited' is not constant space")
    durations = {what: _Duration.read(what, text) for what, text in asked.within.items()}
    history = None if times is None else sorted(times, reverse=True)
    last, steps, short = asked.last, [], False
    if "" in durations:
        if history is None:
            steps.append((Step(1, "s"), max(1, -(-durations[""].longest // SECOND))))
        elif history:
            cut = durations[""].before(history[0])
            last = max(last, sum(time > cut for time in history))
    for period, unit in PERIODS.items():
        step, count = Step(1, unit), asked.counts.get(period, 0)
        rows, lacks = (count, False) if history is None else _rows(step, count, history)
        if period in durations:
            rows = max(rows, durations[period].steps(step, history))
        short = short or lacks
        if rows:
            steps.append((step, rows))
    tiers: list[Tier] = [Last(last)] if last else []
    rising, notes = _rising(steps)
    tiers += rising
    if short:
        tiers.append(Spread(1))
        notes.append("there are fewer such periods than asked for: the oldest commit stays too, by *:1")
    if not tiers:
        raise PolicyError("", "nothing to keep", "a number, such as --keep-last 7 or --keep-daily 30")
    return Spelled(Policy(tuple(tiers)), tuple(notes))


def _rows(step: Step, count: int, history: Sequence[int]) -> tuple[int, bool]:
    """How many steps the last `count` that have a commit span, and whether there are fewer of them."""
    if not count or not history:
        return count, False
    buckets = list(dict.fromkeys(step.bucket(time) for time in history))
    if len(buckets) < count:
        return max(count, buckets[0] - buckets[-1] + 1), True
    return buckets[0] - buckets[count - 1] + 1, False


def _rising(steps: Sequence[tuple[Step, int]]) -> tuple[list[Every], list[str]]:
    """The same steps, each reaching further back than the one before: left out or made longer if not."""
    made: list[Every] = []
    notes: list[str] = []
    for step, rows in steps:
        tier = Every(step, rows)
        if made and tier.span <= made[-1].span:
            fine = made[-1]
            if _covers(fine, tier):
                notes.append(f"{tier} is left out: {fine} keeps all that it would")
                continue
        if made and tier.span <= made[-1].span:
            tier = Every(step, made[-1].span // step.length + 1)
            notes.append(f"{step}:{rows} reaches no further than {made[-1]}: it is {tier} here")
        made.append(tier)
    return made, notes


def _covers(fine: Every, coarse: Every) -> bool:
    """Whether whatever `coarse` keeps is the last of one of its steps to `fine` too, and within its reach."""
    if fine.step.unit == "w" and coarse.step.months:
        return False
    if fine.step.months or not coarse.step.months:
        return coarse.span <= fine.span
    return coarse.rows * coarse.step.count * _LONGEST[coarse.step.unit] <= fine.span


@dataclass(frozen=True, slots=True)
class _Duration:
    """Years and months, days, and hours, as in 1y5m7d2h."""

    months: int
    days: int
    hours: int

    @classmethod
    def read(cls, what: str, text: str) -> _Duration:
        if not _DURATION.fullmatch(text):
            option = f"--keep-within{'-' if what else ''}{what} {text}"
            raise PolicyError(option, repr(text), "a duration such as 1y5m7d2h: years, months, days, hours")
        sums = dict.fromkeys("ymdh", 0)
        for number, unit in _PART.findall(text):
            sums[unit] += int(number)
        return cls(12 * sums["y"] + sums["m"], sums["d"], sums["h"])

    @property
    def longest(self) -> int:
        """Microseconds that it has at most."""
        return self.months * _LONGEST["M"] + self.days * DAY + self.hours * UNITS["h"]

    def before(self, rt: int) -> int:
        """The moment so long before `rt`, by the calendar; the 31st of a month of 30 days is the 1st of the next."""
        month = Step(1, "M")
        bucket = month.bucket(rt)
        return month.start(bucket - self.months) + rt - month.start(bucket) - self.days * DAY - self.hours * UNITS["h"]

    def steps(self, step: Step, history: Sequence[int] | None) -> int:
        """How many steps, cut where steps are cut, have a part of it."""
        if not history:
            return -(-self.longest // step.length) + 1
        return step.bucket(history[0]) - step.bucket(self.before(history[0])) + 1
