"""The graph of the commits that are kept, as others are thinned between them.

Rule (graft): each kept commit knows its nearest kept ancestors, reduced: none of them is an ancestor of
another. Dropping C hands its ancestors on to its kept children, and what C stood for to the next kept
commit of its branch, so on a living branch the sum of 1 + thinned over kept commits is the number of
commits ever made on it.
Cost: O(children) a drop, O(kept) where lines that were merged have to be reduced.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from rrdstore.history.authors import inherit
from rrdstore.history.branch import NOBODY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rrdstore.history.commit import Record


class Graph:
    """The kept commits by number, their edges, and each branch's own line of them."""

    __slots__ = ("_children", "lines", "numbers", "records")

    def __init__(self) -> None:
        self.records: dict[int, Record] = {}
        self.numbers: list[int] = []
        """All kept, ascending."""
        self.lines: dict[int, list[int]] = {}
        """Of each branch id, the kept commits made on it, ascending."""
        # Tuples, as there is one child nearly always: a set for each commit took more than its record.
        self._children: dict[int, tuple[int, ...]] = {}

    def add(self, record: Record) -> None:
        """A new commit whose grafts are kept; O(1) if it is the newest."""
        number = record.number
        self.records[number] = record
        own = self.lines.get(record.branch)
        if own is None:
            own = self.lines[record.branch] = []
        for line in (self.numbers, own):
            if not line or number > line[-1]:
                line.append(number)
            else:
                insort(line, number)
        for ancestor in record.grafts:
            if ancestor in self._children:
                self._link(ancestor, number)
            else:
                self._children[ancestor] = (number,)

    def drop(self, record: Record) -> list[Record]:
        """Take a commit out; the records that changed by it, first the next of its branch that stands for it now."""
        number = record.number
        del self.records[number]
        del self.numbers[bisect_left(self.numbers, number)]
        line = self.lines[record.branch]
        at = bisect_left(line, number)
        del line[at]
        below = self._children.pop(number, ())
        if len(below) == 1 == len(record.grafts) and at < len(line) and line[at] == below[0]:
            # A line that nobody forked or merged here, which is nearly always: one before, one after.
            child, ancestor = self.records[line[at]], record.grafts[0]
            if len(child.grafts) == 1:
                child.grafts = record.grafts
                inherit(child, record)
                beside = self._children[ancestor]
                if len(beside) > 1:
                    below = tuple([child.number if kept == number else kept for kept in beside])
                self._children[ancestor] = below
                return [child]
        if not record.grafts and at < len(line) and below == (line[at],):
            # The oldest of such a line.
            child = self.records[line[at]]
            if child.grafts == (number,):
                child.grafts = ()
                inherit(child, record)
                return [child]
        changed = []
        if at < len(line) and record.branch != NOBODY:
            heir = self.records[line[at]]
            inherit(heir, record)
            changed.append(heir)
        elif not line:
            del self.lines[record.branch]
        for ancestor in record.grafts:
            self._unlink(ancestor, number)
        for child_number in below:
            child = self.records[child_number]
            self._regraft(child, number, record.grafts)
            if child not in changed:
                changed.append(child)
        return changed

    def _regraft(self, child: Record, number: int, ancestors: tuple[int, ...]) -> None:
        """Hand what `number` stood on to one that stood on it."""
        if child.grafts == (number,):
            child.grafts = ancestors
        else:
            others = [graft for graft in child.grafts if graft != number]
            for graft in others:
                self._unlink(graft, child.number)
            child.grafts = self.reduced([*others, *ancestors])
        for graft in child.grafts:
            self._link(graft, child.number)

    def _link(self, ancestor: int, number: int) -> None:
        below = self._children.get(ancestor)
        if below is None:
            self._children[ancestor] = (number,)
        elif number not in below:
            self._children[ancestor] = (*below, number)

    def _unlink(self, ancestor: int, number: int) -> None:
        left = tuple([below for below in self._children[ancestor] if below != number])
        if left:
            self._children[ancestor] = left
        else:
            del self._children[ancestor]

    def reduced(self, numbers: Iterable[int]) -> tuple[int, ...]:
        """`numbers` less those that are ancestors of another of them, in order."""
        wanted = tuple(numbers)
        if len(wanted) < 2:
            return wanted
        wanted = tuple(dict.fromkeys(wanted))
        least, records = min(wanted), self.records
        reached: set[int] = set()
        stack = [number for number in wanted if number != least]  # the least can stand on none of the others
        while stack:
            ancestors = records[stack.pop()].grafts
            while len(ancestors) == 1:  # a line that nobody merged into here, which is nearly all of it
                (ancestor,) = ancestors
                if ancestor < least or ancestor in reached:
                    break
                reached.add(ancestor)
                ancestors = records[ancestor].grafts
            else:
                for ancestor in ancestors:
                    if ancestor >= least and ancestor not in reached:
                        reached.add(ancestor)
                        stack.append(ancestor)
        return tuple(number for number in wanted if number not in reached)

    def ancestry(self, number: int) -> Iterator[Record]:
        """The commit and all its kept ancestors, newest first. O(log kept) each."""
        heap, seen = [-number], {number}
        heapify(heap)
        while heap:
            record = self.records.get(-heappop(heap))
            if record is None:
                continue  # thinned while the caller was looking
            yield record
            for ancestor in record.grafts:
                if ancestor not in seen:
                    seen.add(ancestor)
                    heappush(heap, -ancestor)

    def following(self, record: Record) -> Record | None:
        """The next kept commit of the same branch. O(log kept)."""
        line = self.lines[record.branch]
        at = bisect_right(line, record.number)
        return self.records[line[at]] if at < len(line) else None

    def reaches(self, number: int, ancestor: int) -> bool:
        """Whether a kept commit is another one or stands on it; exact, whatever was thinned. O(kept between them)."""
        stack, seen = [number], {number}
        while stack:
            at = stack.pop()
            if at == ancestor:
                return True
            for graft in self.records[at].grafts:
                if graft >= ancestor and graft not in seen:
                    seen.add(graft)
                    stack.append(graft)
        return False

    def around(self, number: int) -> tuple[Record | None, Record | None]:
        """The nearest kept commits of the whole store before and after `number`."""
        before, after = bisect_left(self.numbers, number), bisect_right(self.numbers, number)
        return (
            self.records[self.numbers[before - 1]] if before else None,
            self.records[self.numbers[after]] if after < len(self.numbers) else None,
        )
