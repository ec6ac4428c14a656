"""What a policy keeps of a set of commits, and why: the pure oracle of the incremental tiers.

Rule: `keep` and `drop` are disjoint and together all commits. Each kept one has its reasons, each
dropped one its winner: of the commits that hold the slots it might have had, the nearest in time.
Written from the definitions, sharing no code with the rings: sort, group, take the greatest.
Cost: O(n log n) for each tier. Prior art: restic's ApplyPolicy, which returns keep, remove, reasons.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, TypeAlias

from rrdstore.policy.policy import Count, Every, Last, Policy, Spread, Tier
from rrdstore.policy.reason import Reason, of_count, of_every, of_first, of_last, of_spread
from rrdstore.policy.step import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Commit: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Plan:
    """What stays, what goes, and why.

    `keep`: number to reasons. `drop`: number to the number that won its place. `picks`: what each
    tier of the policy holds, as (retention time, number), oldest first.
    """

    policy: Policy
    keep: Mapping[int, tuple[Reason, ...]]
    drop: Mapping[int, int]
    picks: tuple[tuple[Commit, ...], ...]


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What one tier says: why it holds what it holds, and who took the place of what it does not."""

    held: dict[Commit, list[Reason]]
    winners: dict[Commit, Commit]


def plan(policy: Policy, commits: Iterable[Commit], always: Mapping[int, str] | None = None) -> Plan:
    """What `policy` keeps of `commits`, given as (retention time in microseconds, number) in any order.

    `always` names what is kept besides, by number, with the reason: "head of main", "tag v1".
    Numbers in it that are not among the commits are ignored.
    """
    ordered = sorted(set(commits))
    always = always or {}
    verdicts = [_verdict(tier, ordered) for tier in policy.tiers] if ordered else []
    keep: dict[int, tuple[Reason, ...]] = {}
    drop: dict[int, int] = {}
    for commit in ordered:
        rt, number = commit
        reasons = [reason for verdict in verdicts for reason in verdict.held.get(commit, ())]
        if number in always:
            reasons.append(Reason(always[number]))
        if reasons:
            keep[number] = tuple(reasons)
        else:
            rivals = {verdict.winners[commit] for verdict in verdicts}
            drop[number] = min(rivals, key=lambda rival: (abs(rival[0] - rt), rival))[1]
    picks = tuple(tuple(sorted(verdict.held)) for verdict in verdicts) or ((),) * len(policy.tiers)
    return Plan(policy, keep, drop, picks)


def _verdict(tier: Tier, ordered: list[Commit]) -> _Verdict:
    newest = ordered[-1]
    match tier:
        case Last(rows):
            held = ordered[-rows:]
            reasons = {c: [of_last(str(tier), len(held) - 1 - i, rows)] for i, c in enumerate(held)}
            return _Verdict(reasons, dict.fromkeys(ordered[:-rows], held[0]))
        case Every(step, rows, first):
            verdict = _ring(ordered, lambda c: step.bucket(c[0]), rows, first=first)
            return _explained(verdict, lambda c: of_every(tier, c[0], newest[0]))
        case Count(numbers, rows, first):
            verdict = _ring(ordered, lambda c: c[1] // numbers, rows, first=first)
            return _explained(verdict, lambda c: of_count(tier, c[1], newest[1]))
        case Spread(rows):
            return _spread(str(tier), ordered, rows)


def _ring(ordered: list[Commit], bucket: Callable[[Commit], int], rows: int, *, first: bool) -> dict[Commit, Commit]:
    """Each commit's winner, itself if it stays: the commits of one ring position compete."""
    winners: dict[Commit, Commit] = {}
    by_position = sorted(ordered, key=lambda c: bucket(c) % rows)
    for _, group in groupby(by_position, key=lambda c: bucket(c) % rows):
        rivals = list(group)
        if first:
            last_bucket = max(map(bucket, rivals))
            winner = min(c for c in rivals if bucket(c) == last_bucket)
        else:
            winner = max(rivals)
        winners |= dict.fromkeys(rivals, winner)
    return winners


def _explained(winners: dict[Commit, Commit], reason: Callable[[Commit], Reason]) -> _Verdict:
    return _Verdict({winner: [reason(winner)] for winner in winners.values()}, winners)


def _spread(rule: str, ordered: list[Commit], rows: int) -> _Verdict:
    """The least doubling of one second at which at most `rows` buckets are occupied; and the first commit.

    At 2**44 seconds all times of 64 bits lie on two sides of the epoch; one step more takes both
    as one bucket.
    """
    level = 0
    while len({_aligned(rt, level) for rt, _ in ordered}) > rows:
        level += 1
    step = SECOND << level
    winners: dict[Commit, Commit] = {}
    held: dict[Commit, list[Reason]] = {ordered[0]: [of_first(rule)]}
    buckets = [list(group) for _, group in groupby(ordered, key=lambda c: _aligned(c[0], level))]
    newest = _aligned(ordered[-1][0], level)
    for members in buckets:
        winner = members[-1]
        winners |= dict.fromkeys(members, winner)
        reason = of_spread(rule, _aligned(winner[0], level), newest, step, rows - len(buckets))
        held.setdefault(winner, []).append(reason)
    return _Verdict(held, winners)


def _aligned(rt: int, level: int) -> int:
    """When the bucket of `rt` begins, in microseconds."""
    if level > 44:
        return -SECOND << 44
    return rt // (SECOND << level) * (SECOND << level)
