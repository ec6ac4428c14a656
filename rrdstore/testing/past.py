"""The whole graph of a store that never forgets: commits with all their parents, branches, and merge bases searched.

Rule: nothing is approximated and nothing stored: bases come from the sets of all ancestors, several of them are
merged recursively, git's way. Cost: O(commits) and more.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from rrdstore.testing.merges import Sides, joined

if TYPE_CHECKING:
    from rrdstore.testing import retention
    from rrdstore.testing.merges import Rules
    from rrdstore.testing.trees import Tree


@dataclass(slots=True)
class Made:
    """A commit as it was made."""

    number: int
    branch: int
    parents: tuple[int, ...]
    rt: int
    wall: int
    tree: Tree
    stamps: dict[str, tuple[int, int]]
    """Of each path the numbers of the commits that made it and last set it."""
    message: str
    author: str
    reach: int
    """Itself and all its ancestors, a bit for each number."""


@dataclass(slots=True)
class Line:
    """A branch, living or deleted. Numbers are commits', `upstream` a line's; 0 is none."""

    id: int
    name: str
    keep: str
    head: int
    fork: int
    upstream: int
    base: int
    """All that it and its upstream have in common: a commit, of nobody where two are."""
    alive: bool = True
    older: int = 0
    """The base before the last merge, 0 if that went past another."""
    before: list[int] = field(default_factory=list)
    """The same, as the best common ancestors that they had."""
    side: int = 0
    """The line that merged last."""
    lease: int = 0
    until: int = 0
    own: list[int] = field(default_factory=list)
    """All commits made on it."""
    offered: list[retention.Key] = field(default_factory=list)
    """What its tiers have seen: all of them, after `tune` those that were kept then and later ones."""
    buried: retention.Buried = field(default_factory=set)
    """What byte pressure took out of the tiers."""

    def copy(self) -> Line:
        """The same, to go on by itself."""
        return replace(self, own=[*self.own], offered=[*self.offered], buried={*self.buried}, before=[*self.before])


@dataclass(slots=True)
class Outcome:
    """What a merge comes to: `made` or `clashes`, or neither because there is nothing new."""

    made: Made | None = None
    clashes: frozenset[str] = frozenset()


class Past:
    """All commits ever made, by number."""

    def __init__(self) -> None:
        self.commits: dict[int, Made] = {}
        self.rules: Rules = ()
        """What merges and bases go by; set before the first merge."""
        self._trees: dict[tuple[int, ...], Tree] = {}

    def is_ancestor(self, number: int, of: int) -> bool:
        """Whether it is, or is the same."""
        return bool(self.commits[of].reach >> number & 1)

    def best(self, reach: int) -> list[int]:
        """Of a set of commits, as bits, those that are no ancestors of another of them, ascending."""
        found = []
        while reach:
            newest = reach.bit_length() - 1
            found.append(newest)
            reach &= ~self.commits[newest].reach
        return found[::-1]

    def bases(self, a: int, b: int) -> list[int]:
        """The best common ancestors, by the whole graph."""
        return self.best(self.commits[a].reach & self.commits[b].reach)

    def base_tree(self, numbers: list[int]) -> Tree:
        """The recursive merge of several bases, git's way, marked where they clash (`merges.joined`)."""
        key = tuple(numbers)
        if key not in self._trees:
            first = self.commits[numbers[0]]
            tree, stamps = first.tree, first.stamps
            for done, number in enumerate(numbers[1:], 1):
                against = self.base_tree(self.best(self._common(numbers[:done], number)))
                other = self.commits[number]
                tree = joined(Sides(against, tree, other.tree, stamps, other.stamps, self.rules))
            self._trees[key] = tree
        return self._trees[key]

    def _common(self, numbers: list[int], number: int) -> int:
        """What any of some commits has in common with another, as bits."""
        reach = 0
        for one in numbers:
            reach |= self.commits[one].reach
        return reach & self.commits[number].reach

    def grafts(self, number: int, kept: set[int]) -> set[int]:
        """The nearest kept ancestors, less those that are ancestors of another."""
        nearest: set[int] = set()
        seen: set[int] = set()
        stack = list(self.commits[number].parents)
        while stack:
            top = stack.pop()
            if top in kept:
                nearest.add(top)
            elif top not in seen:
                seen.add(top)
                stack.extend(self.commits[top].parents)
        return set(self.best(sum(1 << near for near in nearest)))
