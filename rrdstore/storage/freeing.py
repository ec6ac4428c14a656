"""Freeing: which objects die with a commit, found by walking it beside its neighbours.

Rule: stored commits form lines, each sharing with the one before it, place by place, and with no other
(`storing`). Dropping C between P and N frees what C has at a place where N has not the same object, unless
its number is at most P's `top`, the last number given out when P was stored: then P has it there too.
Nothing is counted, no list is on disk, and what is shared is never looked at. What N was seen to replace of C when
it was stored is remembered in memory (`replaced`, handed on by `kept`): that is the same set, and then no object need
be read whole. After an opening, and for what is too much, the walk says.
Children are freed before their parents, so a walk that a crash cut short is done again: an object that is
missing took all of its own with it. Of one that is damaged nothing is known, so what only it leads to stays
where it is, for `check` to name: a leak is better than a loss, and than a store that cannot go on.
Cost: O(what C shares with neither). Checked against a full mark by tests and by `check`. Prior art: ZFS's
birth times; its dead lists lose data here as soon as there are merges or reverts.
"""

from __future__ import annotations

import logging
from itertools import islice
from typing import TYPE_CHECKING, cast

from rrdstore.errors import Corrupt
from rrdstore.storage.codec import references, referred
from rrdstore.storage.packing import LENGTH_BITS, Missing
from rrdstore.tree.node import BITS, FANOUT, name_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from random import Random

    from rrdstore.storage.codec import References
    from rrdstore.storage.objects import Objects
    from rrdstore.storage.records import Dying

log = logging.getLogger("rrdstore")

_REMEMBERED = 8192
_AT_ONCE = 16
"""Objects that are freed before it is looked whether the transaction has become large enough."""
_Place = tuple[int, "int | References", int]
"""An object, what is across from it (a number, or references where that has another shape), its levels of hash.

Of an object whose own are done, the levels are -1.
"""


class Freeing:
    """The walk over objects, without making nodes of them. Remembers the references of objects seen lately."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._seen: dict[int, References] = {}

    def references(self, number: int) -> References:
        """What an object refers to; Missing, Corrupt."""
        found = self._seen.get(number)
        if found is None:
            kind, data = self._objects.read(number)
            if len(self._seen) >= _REMEMBERED:
                self._seen.clear()
            found = self._seen[number] = references(kind, data, number)
        return found

    def free(self, dying: Dying) -> Iterator[int]:
        """Let go of what a dropped commit alone had, children first, some at a time: how many. Corrupt."""
        objects = self._objects
        if dying.objects is None:
            walk = self.private(dying.root, dying.floor, dying.beside)
            while found := [number << LENGTH_BITS for number in islice(walk, _AT_ONCE)]:
                objects.free_known(found)
                yield len(found)
            return
        known = iter(sorted(dying.objects) if isinstance(dying.objects, tuple) else dying.objects)
        while some := list(islice(known, _AT_ONCE)):
            objects.free_known(some)
            yield len(some)

    def private(self, root: int, floor: int, beside: int) -> Iterator[int]:
        """The objects of tree `root` above `floor` that tree `beside` (0: none) has not there; children first."""
        stack: list[_Place] = [(root, beside, 0)] if root > floor and root != beside else []
        while stack:
            number, other, depth = stack.pop()
            if depth < 0:
                self._seen.pop(number, None)
                yield number
                continue
            try:
                below = self.references(number)
                across = other
                if below and across.__class__ is int:
                    across = self.references(across) if across else {}
                pairs = self._pairs(below, cast("References", across), depth, floor) if below else ()
            except Missing as fault:
                if fault.number == number:
                    continue
                raise
            except Corrupt as fault:
                log.warning("not all of a dropped commit can be freed: %s", fault)
                continue
            stack.append((number, 0, -1))
            stack += pairs

    def guess(self, root: int, beside: int, ways: int, choose: Random) -> int:
        """About how many bytes tree `root` has that tree `beside` has not; Missing, Corrupt. O(ways x depth).

        Level by level, of each at most so many objects, chosen at random, that stand for all: right on average, and
        exact where there are no more. Source: Knuth, Estimating the efficiency of backtrack programs, 1975, of one way.
        """
        total, stands = 0.0, 1.0
        level: list[_Place] = [(root, beside, 0)] if root != beside else []
        while level:
            if len(level) > ways:
                stands *= len(level) / ways
                level = choose.sample(level, ways)
            below: list[_Place] = []
            for number, other, depth in level:
                total += stands * self._objects.weight(number)
                references = self.references(number)
                if references:
                    across = self.references(other) if other.__class__ is int and other else other or {}
                    below += self._pairs(references, cast("References", across), depth, 0)
            level = below
        return round(total)

    def _pairs(self, below: References, across: References, depth: int, floor: int) -> list[_Place]:
        """The children above the floor that are not the same across, each with what is there."""
        if isinstance(below, list):
            if isinstance(across, list):
                both = zip(below, across, strict=True)
                return [(child, other, depth + 1) for child, other in both if child > floor and child != other]
            return [(child, across, depth + 1) for child in below if child > floor]
        if isinstance(across, dict):
            pairs = ((child, across.get(name, 0)) for name, child in below.items() if child > floor)
        else:
            pairs = ((child, self._under(across, name, depth)) for name, child in below.items() if child > floor)
        return [(child, other, 0) for child, other in pairs if child != other]

    def _under(self, across: References, name: str, depth: int) -> int:
        """The number that a wide set, `depth` levels of hash down, has under a name."""
        left = name_hash(name) >> (BITS * depth)
        while isinstance(across, list):
            below = across[left & (FANOUT - 1)]
            across = self.references(below) if below else {}
            left >>= BITS
        return across.get(name, 0)


def weigh(roots: Iterable[int], references: Callable[[int], References], weight: Callable[[int], int]) -> int:
    """What all objects that these trees reach count for together; Missing, Corrupt. O(objects)."""
    seen: set[int] = set()
    stack = list(roots)
    total = 0
    while stack:
        number = stack.pop()
        if number not in seen:
            seen.add(number)
            total += weight(number)
            stack += referred(references(number))
    return total
