"""What a policy would have kept of a history that there was.

Rule: the commits go through the rings in order, one by one, as they would have come; so `most` is what a
store would have held at its fullest, and what is left at the end is what `plan` says of all of them.
A gap is the time between two neighbours of all that is kept; how bad it is depends on its age.
Cost: about 1 µs a commit.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from rrdstore.policy.draw import Row, draw
from rrdstore.policy.tiers import Fill, Rings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rrdstore.policy.policy import Policy
    from rrdstore.policy.ring import Key

GAPS = 5
"""How many gaps are told."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Nothing is kept between these two retention times (microseconds), though `dropped` commits were made."""

    start: int
    end: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Replay:
    """What a policy would have kept. Times are microseconds."""

    policy: Policy
    commits: int
    """Made in the history."""
    kept: tuple[Key, ...]
    """What is left at the end, oldest first, as (time, number)."""
    most: int
    """Kept at any one moment."""
    first: int | None
    last: int | None
    """Times of the first and the last commit of the history."""
    tiers: tuple[Fill, ...]
    picks: tuple[tuple[Key, ...], ...]
    gaps: tuple[Gap, ...]
    """The largest in which something was dropped, largest first."""

    @property
    def reach(self) -> int:
        """Microseconds from the oldest kept commit to the last."""
        return self.kept[-1][0] - self.kept[0][0] if self.kept else 0

    def lines(self, width: int = 64, *, ascii_only: bool = False) -> list[str]:
        """The tiers and all together as `draw` has them. ValueError for a width below 8."""
        rows = [
            Row(fill.tier, [rt for rt, _ in picks], fill.rows)
            for fill, picks in zip(self.tiers, self.picks, strict=True)
        ]
        rows.append(Row("together", [rt for rt, _ in self.kept], self.policy.slots))
        return draw(rows, self.last or 0, width, ascii_only=ascii_only)


def replay(policy: Policy, commits: Iterable[Key]) -> Replay:
    """Feed a history to the tiers of `policy`: commits as (time in microseconds, number), in any order."""
    ordered = sorted(set(commits))
    rings, most = Rings(policy), 0
    for rt, number in ordered:
        rings.offer(rt, number)
        most = max(most, len(rings.kept))
    picks = rings.picks()
    kept = tuple(sorted({key for keys in picks for key in keys}))
    first, last = (ordered[0][0], ordered[-1][0]) if ordered else (None, None)
    return Replay(policy, len(ordered), kept, most, first, last, rings.fill(), picks, _gaps(ordered, kept))


def _gaps(ordered: list[Key], kept: tuple[Key, ...]) -> tuple[Gap, ...]:
    if not ordered:
        return ()
    places = {key: place for place, key in enumerate(ordered)}
    held, last = set(kept), ordered[-1]
    gaps = []
    for before, after in pairwise(sorted({ordered[0], *kept, last})):
        dropped = places[after] - places[before] - (before in held) + (after == last and last not in held)
        if dropped:
            gaps.append(Gap(before[0], after[0], dropped))
    return tuple(sorted(gaps, key=lambda gap: (gap.start - gap.end, gap.start))[:GAPS])
