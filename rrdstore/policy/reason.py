"""Why a commit stays, and until when at the earliest.

Rule: a reason names the tier as the policy writes it, the bucket the commit stands for, and a
lower bound on its stay, given that commits arrive in order: nothing leaves before `until`, nor
before `commits` more were made, and then only if newer commits take its slot. Time alone never
removes anything.
Cost: O(1) each.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rrdstore.policy.policy import Count, Every

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Reason:
    """One rule that keeps a commit.

    `start`, `end`: its bucket, microseconds, if the rule has buckets of time. `until`: it stays
    at least until a commit of that retention time. `commits`: it stays at least until so many
    more were made. Both None: it stays for ever, or as long as what the rule names exists.
    """

    rule: str
    start: int | None = None
    end: int | None = None
    until: int | None = None
    commits: int | None = None

    def __str__(self) -> str:
        bucket = "" if self.start is None or self.end is None else f" [{moment(self.start)} to {moment(self.end)})"
        if self.until is not None:
            return f"{self.rule}{bucket} until {moment(self.until)} at the earliest"
        if self.commits is not None:
            more = "the next commit" if self.commits == 1 else f"{self.commits} more commits"
            return f"{self.rule}{bucket} until {more} at the earliest"
        return f"{self.rule}{bucket}"


def of_every(tier: Every, rt: int, newest: int) -> Reason:
    """The reason of the pick with retention time `rt` where the tier has seen times up to `newest`."""
    bucket = tier.step.bucket(rt)
    start, end = tier.step.start(bucket), tier.step.start(bucket + 1)
    if newest < end and not tier.first:
        return Reason(str(tier), start, end, commits=1)
    return Reason(str(tier), start, end, until=tier.step.start(bucket + tier.rows))


def of_count(tier: Count, number: int, newest: int) -> Reason:
    """The reason of pick `number` where the tier has seen numbers up to `newest`."""
    bucket = number // tier.step
    if newest // tier.step == bucket and not tier.first:
        return Reason(str(tier), commits=1)
    return Reason(str(tier), commits=max(1, (bucket + tier.rows) * tier.step - newest))


def of_last(rule: str, newer: int, rows: int) -> Reason:
    """The reason of one of the newest `rows` commits, `newer` of them above it."""
    return Reason(rule, commits=rows - newer)


def of_spread(rule: str, start: int, newest: int, step: int, free: int) -> Reason:
    """The reason of the pick in the bucket that begins at `start`.

    `newest` is where the newest bucket begins, `step` how long each is, both in microseconds, and
    `free` how many rows are left. The next doubling is the earliest moment a closed bucket can
    lose its pick.
    """
    if newest == start:
        return Reason(rule, start, start + step, commits=1)
    return Reason(rule, start, start + step, until=newest + (free + 1) * step)


def of_first(rule: str) -> Reason:
    """The reason of the first commit ever."""
    return Reason(f"{rule}, the first of all")


def moment(micros: int) -> str:
    """A UTC time for people, `2026-01-31 12:00:00Z`; outside the years 1 to 9999 as `@seconds`."""
    try:
        time = _EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        return f"@{micros // 1_000_000}"
    return time.replace(tzinfo=None).isoformat(" ") + "Z"
