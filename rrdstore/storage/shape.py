"""Shapes: whether a stored part of a tree is what these names and values always make.

Rule: a set of names is a bucket of 1 to 32, or 32 sets by five bits of hash if there are more, at every level; each
name lies in the set that its hash says; a wide set counts what is below it; a small leaf lies in its parent. So equal
trees have equal shapes, and one of another shape was not written by this code, whatever its checksum says.
Cost: O(names). Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from rrdstore.storage.codec import is_inline
from rrdstore.storage.protocol import Problem
from rrdstore.tree.node import BITS, DEEPEST, FANOUT, Bucket, Node, Stub, Wide, name_hash, size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rrdstore.tree.node import Kids

Part = Node | Bucket | Wide


class Place(NamedTuple):
    """Where an object stands: below which number, in which set of a wide directory (depth 0: a node)."""

    number: int
    above: int
    depth: int = 0
    prefix: int = 0


@dataclass(slots=True)
class Shapes:
    """What was seen of all objects so far; counts of sets are compared when all have been."""

    newest: int
    """The highest commit number given out."""
    _counts: dict[int, int] = field(default_factory=dict)
    _sums: list[tuple[int, int, tuple[int, ...]]] = field(default_factory=list)

    def see(self, place: Place, part: Part) -> Iterator[Problem]:
        """One object; what is wrong with it."""
        where = f"object {place.number}"
        if isinstance(part, Node) is not (place.depth == 0):
            yield Problem(
                where, f"a {part.__class__.__name__.lower()}", "a node" if not place.depth else "a set of names"
            )
            return
        if isinstance(part, Node):
            if not 0 <= part.created <= part.modified <= self.newest:
                found = f"made by commit {part.created}, set by {part.modified}"
                yield Problem(where, found, f"0 to {self.newest}, in order")
            if part.kids is not None:
                yield from self._kids(where, place, part.kids)
            return
        self._counts[place.number] = size(part)
        yield from self._kids(where, place, part)

    def _kids(self, where: str, place: Place, kids: Kids) -> Iterator[Problem]:
        count, depth = size(kids), place.depth
        if kids.__class__ is Bucket:
            if not 1 <= count <= FANOUT and depth < DEEPEST:
                yield Problem(where, f"a bucket of {count} names", f"1 to {FANOUT}")
            mask = (1 << BITS * depth) - 1
            for name, node in kids.names.items():
                if depth and name_hash(name) & mask != place.prefix:
                    yield Problem(where, f"the name {name!r}", f"names whose hash ends in {place.prefix:#x}")
                if isinstance(node, Node) and not is_inline(node):
                    yield Problem(where, f"{name!r} inside it", "an object of its own, as it is large")
                if isinstance(node, Node) and not 0 <= node.created <= node.modified <= self.newest:
                    found = f"{name!r} made by commit {node.created}, set by {node.modified}"
                    yield Problem(where, found, f"0 to {self.newest}, in order")
            return
        if count <= FANOUT:
            yield Problem(where, f"32 sets of {count} names", f"more than {FANOUT}")
        slots = kids.slots  # type: ignore[union-attr]  # it is no bucket
        self._sums.append((place.number, count, tuple(slot.number for slot in slots if slot is not None)))

    def counts(self) -> Iterator[Problem]:
        """Of each wide set, what it counts against what its own sets do; asked when all objects were seen."""
        for number, count, below in self._sums:
            if all(one in self._counts for one in below) and sum(self._counts[one] for one in below) != count:
                yield Problem(
                    f"object {number}", f"{count} names", f"{sum(self._counts[one] for one in below)} in its sets"
                )


def below(place: Place, part: Part) -> Iterator[Place]:
    """The places of the objects that a part refers to."""
    kids = part.kids if isinstance(part, Node) else part
    number, depth = place.number, place.depth
    if kids.__class__ is Bucket:
        for node in kids.names.values():
            if node.__class__ is Stub:
                yield Place(node.number, number)
    elif kids.__class__ is Wide:
        for index, slot in enumerate(kids.slots):
            if slot is not None:
                yield Place(slot.number, number, depth + 1, place.prefix | index << BITS * depth)
