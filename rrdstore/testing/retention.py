"""What a policy keeps, from its text and all commits ever made: rules 1 to 3 and 10 as they are written.

Rule: shares no code with rrdstore.policy; it may be slow, and reads only policies that are right. A slot holds the
greatest key (retention time, number) of its ring position, with `@first` the least of its newest bucket. What
byte pressure took is `buried`, by tier: it holds its slot and is not kept.
Cost: O(commits log commits) a tier.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

Key: TypeAlias = tuple[int, int]
"""(retention time in microseconds, number)."""

SECOND = 1_000_000
LENGTHS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "M": 365 * 7200, "y": 365 * 86_400}
"""Seconds of a unit, of a month and a year where they are only a length."""
FIRST = "first of all"
"""The slot of `*:N` beside its buckets; a bucket's own is "slot"."""


@dataclass(frozen=True)
class Tier:
    """One tier: `kind` is last, *, c or time; `bucket` says which step a key is in."""

    word: str
    kind: str
    rows: int
    first: bool = False
    bucket: Callable[[Key], int] = lambda _: 0


def tiers(policy: str) -> list[Tier]:
    """The tiers of a policy in canonical order: last, counts, times, `*`."""
    found = [_tier(word) for word in re.split(r"[\s,|]+", policy.strip())]
    return sorted(found, key=lambda tier: ("last", "c", "time", "*").index(tier.kind))


def _tier(written: str) -> Tier:
    word, at, _ = written.partition("@")
    rows, grid, step = word.partition("x")
    if not grid:
        step, _, rows = word.partition(":")
    if step in {"last", "*"}:
        return Tier(written, step, int(rows))
    count, unit = int(step[:-1]), step[-1]
    if unit == "c":
        return Tier(written, "c", int(rows), bool(at), lambda key: key[1] // count)
    length = count * LENGTHS[unit]
    many = int(rows) if rows.isdigit() else int(rows[:-1]) * LENGTHS[rows[-1]] // length
    if unit in "My":
        months = count * (12 if unit == "y" else 1)
        return Tier(written, "time", many, bool(at), lambda key: _months(key[0]) // months)
    return Tier(written, "time", many, bool(at), lambda key: key[0] // (length * SECOND))


def _months(rt: int) -> int:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=rt)
    return moment.year * 12 + moment.month - 1 - 1970 * 12


def slots(tier: Tier, keys: Sequence[Key]) -> dict[tuple[str, int], Key]:
    """Who holds each slot of a tier, of all that was ever offered, ascending."""
    if not keys:
        return {}
    if tier.kind == "last":
        return {("slot", at): key for at, key in enumerate(reversed(keys[-tier.rows :]))}
    if tier.kind == "*":
        length = SECOND
        while len({rt // length for rt, _ in keys}) > tier.rows:
            length *= 2
        return {("slot", rt // length): (rt, number) for rt, number in keys} | {(FIRST, 0): keys[0]}
    held: dict[tuple[str, int], Key] = {}
    for key in keys:
        position = ("slot", tier.bucket(key) % tier.rows)
        other = held.get(position)
        if other is None or not tier.first or tier.bucket(key) > tier.bucket(other):
            held[position] = key
    return held


def most(policy: str) -> int:
    """The most commits that it keeps: all slots, and the first of all of a `*`."""
    return sum(tier.rows + (tier.kind == "*") for tier in tiers(policy))


Buried: TypeAlias = set[tuple[int, str, Key]]
"""What pressure took: the tier by its place in the policy, "slot" or FIRST, and the key."""


def picks(policy: str, keys: Sequence[Key], buried: Collection[tuple[int, str, Key]] = ()) -> list[dict[str, set[Key]]]:
    """What each tier keeps, "slot" and FIRST apart."""
    kept = []
    for index, tier in enumerate(tiers(policy)):
        found: dict[str, set[Key]] = {"slot": set(), FIRST: set()}
        for (what, _), key in slots(tier, keys).items():
            if (index, what, key) not in buried:
                found[what].add(key)
        kept.append(found)
    return kept


def kept(policy: str, keys: Sequence[Key], buried: Collection[tuple[int, str, Key]] = ()) -> set[int]:
    """The numbers that some tier keeps."""
    return {number for found in picks(policy, keys, buried) for held in found.values() for _, number in held}


def tombstones(policy: str, keys: Sequence[Key], buried: Collection[tuple[int, str, Key]]) -> tuple[int, ...]:
    """How many slots of each tier hold one of these."""
    return tuple(
        sum((index, what, key) in buried for (what, _), key in slots(tier, keys).items())
        for index, tier in enumerate(tiers(policy))
    )


def words(policy: str, keys: Sequence[Key], buried: Collection[tuple[int, str, Key]], number: int) -> set[str]:
    """The tiers that keep a commit, as the policy writes them."""
    found = zip(tiers(policy), picks(policy, keys, buried), strict=True)
    said: set[str] = set()
    for tier, kept in found:
        for what, held in kept.items():
            if any(at == number for _, at in held):
                said |= {tier.word, "the first of all"} if what == FIRST else {tier.word}
    return said


def relieved(policy: str, keys: Sequence[Key], buried: Buried, held: Collection[int]) -> int | None:
    """Give up one commit under byte pressure, by rule 10: its number, None if none can go. `buried` grows by it.

    Of the tier with the most slots in use, the first of several, the pick whose loss leaves the smallest gap relative
    to its age; a tier's oldest and newest last; `held` never. Again, until one is kept by no tier.
    """
    while True:
        found = picks(policy, keys, buried)
        order = sorted(range(len(found)), key=lambda index: -sum(map(len, found[index].values())))
        weakest = next(
            ((index, key) for index in order for key in [_weakest(found[index], keys[-1][0], held)] if key), None
        )
        if weakest is None:
            return None
        index, key = weakest
        buried.add((index, "slot" if key in found[index]["slot"] else FIRST, key))
        if not any(key in held for each in picks(policy, keys, buried) for held in each.values()):
            return key[1]


def _weakest(found: Mapping[str, set[Key]], newest: int, held: Collection[int]) -> Key | None:
    own = sorted([*found["slot"], *found[FIRST]])
    gaps = [
        ((own[at + 1][0] - own[at - 1][0]) / (newest - own[at][0] + 1), own[at])
        for at in range(1, len(own) - 1)
        if own[at][1] not in held
    ]
    if gaps:
        return min(gaps)[1]
    return next((key for key in own[:1] + own[-1:] if key[1] not in held), None)
