"""The budget: how much of the trees stays in memory.

Rule: loaded parts take the place of their stubs until half of the budget is in use; from there on they are handed
out and remembered by `parts` alone, which forgets all when it has the other half. What a tick stores counts as loaded.
At the next tick the writer lets go of the trees of all heads, and everything begins anew. What another thread or an
open snapshot has in hand stays whole: nothing is ever taken out of a part, only roots are let go of.
*Bound:* nodes that the engine holds <= budget / NODE, and those that no tick has stored yet; what the user holds
besides (a snapshot, a tree, a transaction) holds what it has reached while the first half lasted.
Without a budget all that was ever reached at a head stays: the fastest where a tree fits in memory.
Cost: O(1) a part loaded, and O(32) to count it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.storage.parts import Parts
from rrdstore.tree.node import Bucket, Node, Stub

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rrdstore.tree.node import Wide

NODE = 320
"""Bytes that a node takes, its share of directories, names and short values with it (bench/nodes.py)."""
LEAST = 256 << 10
"""The smallest budget: a few paths and the largest parts have to fit."""


class Budget:
    """What of the trees of one opening is in memory; no limit if `size` is 0."""

    def __init__(self, size: int = 0) -> None:
        self.size = max(size, LEAST) if size else 0
        self.parts = Parts(self.size // 2)
        self.keeps = True
        """Whether what is loaded now may take the place of its stub."""
        self._held = 0

    def loaded(self, number: int, part: Node | Bucket | Wide, encoded: int) -> Node | Bucket | Wide:
        """Remember a part that was loaded; it, or the one that another thread was quicker with."""
        if not self.size:
            return self.parts.add(number, part, encoded)
        taken = NODE * nodes_of(part)
        if self.keeps:
            self._take(taken)
        return self.parts.add(number, part, taken)

    def stored(self, parts: Iterable[Node | Bucket | Wide]) -> None:
        """A tick has stored these, which hang on the trees of heads."""
        if self.size:
            self._take(NODE * sum(map(nodes_of, parts)))

    def _take(self, size: int) -> None:
        self._held += size
        self.keeps = self._held < self.size // 2

    def forget(self) -> None:
        """The heads' trees are let go of, and so is everything else."""
        self.parts.forget()
        self._held, self.keeps = 0, True


def nodes_of(part: Node | Bucket | Wide) -> int:
    """How many nodes come into being with a part; one at least."""
    kids = part.kids if isinstance(part, Node) else part
    if kids.__class__ is not Bucket:
        return 1
    return isinstance(part, Node) + sum(node.__class__ is not Stub for node in kids.names.values()) or 1
