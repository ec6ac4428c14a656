"""Who wrote what a kept commit stands for.

Rule: a kept commit knows the authors of itself and of the dropped commits that it stands for, each with how many they
made: at most eight, the rest are "others", the difference to 1 + `thinned`. When a commit is dropped its heir's
counts and its own are added up; of more than eight names the greatest stay, ties by name. So with at most eight
authors among what it stands for, the counts are exact; else each is at most the truth.
None stands for one commit, its own author's. Cost: O(8) a drop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rrdstore.history.commit import Record

AUTHORS = 8
"""How many a kept commit names."""


def inherit(heir: Record, dropped: Record) -> None:
    """Let `heir` stand for `dropped` and all it stood for: its count, and who wrote."""
    heir.thinned += dropped.thinned + 1
    counts = {dropped.author: 1} if dropped.authors is None else dict(dropped.authors)
    if heir.authors is None:
        counts[heir.author] = counts.get(heir.author, 0) + 1
    else:
        for name, count in heir.authors.items():
            counts[name] = counts.get(name, 0) + count
    heir.authors = counts if len(counts) <= AUTHORS else greatest(counts)


def stand_for(heir: Record, names: Iterable[str]) -> None:
    """The same for commits that each of these made after it, one inheriting of the other, but for the count.

    O(1) each, as one more name than there may be drops one of them at once.
    """
    counts = {heir.author: 1} if heir.authors is None else dict(heir.authors)
    for name in names:
        if name in counts:
            counts[name] += 1
        elif len(counts) < AUTHORS:
            counts[name] = 1
        else:
            last = max((one for one, count in counts.items() if count == 1), default="")
            if last > name:
                del counts[last]
                counts[name] = 1
    heir.authors = counts


def greatest(counts: Mapping[str, int]) -> dict[str, int]:
    """The eight greatest of these, greatest first, ties by name."""
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:AUTHORS])


def written(record: Record) -> dict[str, int]:
    """The authors of what a commit stands for, itself too, greatest first, ties by name."""
    return {record.author: 1} if record.authors is None else greatest(record.authors)
