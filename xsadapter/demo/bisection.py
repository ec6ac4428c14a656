"""The first broken commit, of those that are kept.

Rule: what is broken stays broken, so half of the candidates go with each question. Where commits between two kept
ones were thinned, the answer stands for all of them: the break came after the last good one, and not after the first
broken one. Cost: log2(candidates) questions. Prior art: git bisect.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rrdstore import Commit


@dataclass(frozen=True, slots=True)
class Question:
    """One commit that was looked at, what was found, and how many candidates that left."""

    commit: Commit
    broken: bool
    left: int


@dataclass(frozen=True, slots=True)
class Break:
    """Between which two kept commits something broke, and how that was found."""

    good: Commit
    broken: Commit
    questions: tuple[Question, ...]

    @property
    def candidates(self) -> int:
        """How many commits may have done it: the first broken one, and those before it that were thinned."""
        return self.broken.thinned + 1

    def holds(self, number: int) -> bool:
        """Whether the commit of this number may have done it."""
        return self.good.number < number <= self.broken.number


def bisect(commits: Sequence[Commit], is_broken: Callable[[Commit], bool]) -> Break:
    """Find where `commits`, oldest first, begin to be broken; ValueError unless the first is not and the last is."""
    if len(commits) < 2 or is_broken(commits[0]) or not is_broken(commits[-1]):
        raise ValueError("expected at least two commits, the first of them good and the last broken")
    good, broken = 0, len(commits) - 1
    questions = []
    while broken - good > 1:
        middle = (good + broken) // 2
        found = is_broken(commits[middle])
        good, broken = (good, middle) if found else (middle, broken)
        questions.append(Question(commits[middle], found, broken - good))
    return Break(commits[good], commits[broken], tuple(questions))
