"""The whole graph of a store that never forgets: commits with all their parents, branches, and merge bases searched.

Rule: nothing is approximated and nothing stored: bases come from the sets of all ancestors, several of them are
merged recursively, git's way. Cost: O(commits) and more.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from rrdstore.testing.trees import Tree, merged

if TYPE_CHECKING:
    from rrdstore.testing import retention


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
    alive: bool = True
    own: list[int] = field(default_factory=list)
    """All commits made on it."""
    offered: list[retention.Key] = field(default_factory=list)
    """What its tiers have seen: all of them, after `tune` those that were kept then and later ones."""
    buried: retention.Buried = field(default_factory=set)
    """What byte pressure took out of the tiers."""

    def copy(self) -> Line:
        """The same, to go on by itself."""
        return replace(self, own=list(self.own), offered=list(self.offered), buried={*self.buried})


@dataclass(slots=True)
class Outcome:
    """What a merge comes to: `made` or `clashes`, or neither because there is nothing new."""

    made: Made | None = None
    clashes: frozenset[str] = frozenset()


class Past:
    """All commits ever made, by number."""

    def __init__(self) -> None:
        self.commits: dict[int, Made] = {}

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
        """The recursive merge of several bases, git's way; the older side stands where they clash."""
        tree = self.commits[numbers[0]].tree
        for done, number in enumerate(numbers[1:], 1):
            against = self.base_tree(sorted({base for n in numbers[:done] for base in self.bases(n, number)}))
            tree, _ = merged(against, tree, self.commits[number].tree)
        return tree

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
