"""Freeing: which objects die with a commit, found by walking it beside its neighbours.

Rule: stored commits form lines, each sharing with the one before it, place by place, and with no other
(`storing`). Dropping C between P and N frees what C has at a place where N has not the same object, unless
its number is at most P's `top`, the last number given out when P was stored: then P has it there too.
Nothing is counted, no list is kept, and what is shared is never looked at.
Children are freed before their parents, so a walk that a crash cut short is done again: an object that is
missing took all of its own with it.
Cost: O(what C shares with neither). Checked against a full mark by tests and by `check`. Prior art: ZFS's
birth times; its dead lists lose data here as soon as there are merges or reverts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.storage.codec import references, referred
from rrdstore.storage.objects import Missing, Objects
from rrdstore.tree.node import BITS, FANOUT, name_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rrdstore.storage.codec import References

_REMEMBERED = 4096


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

    def private(self, root: int, floor: int, beside: int) -> Iterator[int]:
        """The objects of tree `root` above `floor` that tree `beside` (0: none) has not there; children first."""
        stack: list[tuple[int, int | References, int, bool]] = [(root, beside, 0, False)]
        while stack:
            number, other, depth, entered = stack.pop()
            if entered:
                self._seen.pop(number, None)
                yield number
                continue
            if number <= floor or number == other:
                continue
            try:
                below = self.references(number)
            except Missing:
                continue
            stack.append((number, 0, 0, True))
            if below:
                across = self._across(other)
                stack.extend((child, found, level, False) for child, found, level in self._pairs(below, across, depth))

    def _across(self, other: int | References) -> References:
        if other.__class__ is int:
            return self.references(other) if other else {}
        return other  # type: ignore[return-value]  # it is no number

    def _pairs(self, below: References, across: References, depth: int) -> Iterator[tuple[int, int | References, int]]:
        """Each child, what is across from it at the same place, and its levels of hash."""
        if below.__class__ is dict:
            if across.__class__ is dict:
                for name, child in below.items():
                    yield child, across.get(name, 0), 0
            else:
                for name, child in below.items():
                    yield child, self._under(across, name, depth), 0
            return
        for index in range(FANOUT):
            child = below[index]  # type: ignore[index]  # a list, as it is no dict
            if child:
                yield child, across[index] if across.__class__ is list else across, depth + 1

    def _under(self, across: References, name: str, depth: int) -> int:
        """The number that a wide set, `depth` levels of hash down, has under a name."""
        left = name_hash(name) >> (BITS * depth)
        while across.__class__ is list:
            below = across[left & (FANOUT - 1)]
            across = self.references(below) if below else {}
            left >>= BITS
        return across.get(name, 0)  # type: ignore[union-attr]  # a dict, as it is no list


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
