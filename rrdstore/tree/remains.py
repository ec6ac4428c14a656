"""Remains: trees that nobody wants any more, taken apart in pieces.

When the last reference to a root goes, Python frees all that hangs on it in one go: 127 ms for 500,000 nodes. So a
root is left here, and taken apart a bounded number of nodes at a time.

Rule: nothing is taken out of a part. What hangs on it is put into the list first, so that when the part goes it takes
with it itself and the small leaves of one bucket. A part that somebody else holds too (another tree, a snapshot, a
thread that reads) is not looked into: its reference here is dropped, and it lives on. Who holds it is told by
Python's own counts, and a wrong one would cost time, nothing else; nobody can come to hold a part that only this list
holds. So a part is taken apart by whoever leaves it last.
Cost: O(1) to leave a tree; some 0.5 us a node to take it apart, and 3 us for each container that is on the way.
May be left to from any thread.
"""

from __future__ import annotations

from collections import deque
from itertools import compress
from sys import getrefcount
from typing import Any, TypeAlias

from rrdstore.tree.node import BITS, FANOUT, Bucket, Inode, Node, Wide, name_hash

Part: TypeAlias = Node | Bucket | Wide

_ONCE: int = next(map(getrefcount, [object()]))
"""What `getrefcount` says, asked by `map`, of what one container holds and nobody else."""
_HAND = [object()]
_ALONE: int = getrefcount(_HAND[0])
"""And what it says of the one thing in a list, asked by index."""
_PARTS = frozenset({Inode, Bucket, Wide})
"""What may have much below it. A leaf goes with its bucket."""


def _own(parts: list[Part], others: int) -> list[Part]:
    """Those in a list that only so many others hold."""
    alone = (_ONCE + others).__eq__
    # First all the counts: `compress` has what it looks at in its hand.
    return list(compress(parts, list(map(alone, map(getrefcount, parts)))))


def in_memory(root: Node, names: tuple[str, ...]) -> Node | None:
    """The node at `names`, or None if there is none or it is not loaded; O(depth), and nothing is loaded."""
    node: Any = root
    for name in names:
        kids = node.kids
        if kids.__class__ is Wide:
            left = name_hash(name)
            while kids.__class__ is Wide:
                kids = kids.slots[left & (FANOUT - 1)]
                left >>= BITS
        node = kids.names.get(name) if kids.__class__ is Bucket else None
        if not isinstance(node, Node):
            return None
    return node  # type: ignore[no-any-return]  # what is left at the end is a Node


class Remains:
    """The list of what is to be taken apart."""

    __slots__ = ("parts",)

    def __init__(self) -> None:
        self.parts: deque[Part] = deque()
        """What is left to do; the last first."""

    def leave(self, parts: list[Part]) -> None:
        """Let go of trees and parts, of which the caller has the list alone; it is empty then. O(parts)."""
        self.parts.extend([part for part in _own(parts, 0) if part.__class__ in _PARTS])
        parts.clear()

    def forget(self) -> None:
        """Free all at once."""
        self.parts.clear()

    def take_apart(self, nodes: int) -> bool:
        """Free about so many nodes; whether nothing is left."""
        parts = self.parts
        below: Any
        inside: list[Any]
        while nodes > 0:
            try:
                hand: list[Any] = [parts.pop()]
            except IndexError:
                return True
            nodes -= 1
            if getrefcount(hand[0]) == _ALONE and hand[0].__class__ is Inode:
                hand[0] = hand[0].kids  # Here the node goes.
            if getrefcount(hand[0]) != _ALONE or hand[0] is None:
                continue
            below = hand[0].names.values() if hand[0].__class__ is Bucket else hand[0].slots
            inside = [one for one in below if one.__class__ in _PARTS]
            nodes -= len(below) - len(inside)
            parts.extend(_own(inside, 1) if inside else ())
            below, inside = None, []  # And here the set, when the hand is empty.
        return not parts
