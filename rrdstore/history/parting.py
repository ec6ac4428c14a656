"""Parting: how the trees of dropped commits are let go of, at once or in pieces.

Rule: the tree of C is dropped at once, which is fastest, if little can go with it: what C's tree has and that of the
next kept commit N of its branch has not, was replaced or removed by the commits after C up to N. So it is at most
the nodes on the way of each of their edits, and what hangs on a place that one of them removed. If these edits are
many, if such a place had children, or if there is no N, the tree is left to the `remains`, to be taken apart in pieces.
Cost: O(1) a commit of one value, O(edits x depth) for others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.history.branch import NOBODY
from rrdstore.tree.path import split
from rrdstore.tree.remains import Remains, in_memory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rrdstore.history.commit import Edit, Record

LITTLE = 512
"""Edits between two kept commits up to which the tree of the first is dropped at once: some 2 ms."""
_A_COMMIT = 64
"""Nodes that are taken apart with a commit, as long as any are left."""
_AN_EDIT = 16
"""And with each of its edits: more than one replaces, so that no more is left in the long run than is done."""


class Parting:
    """What is known of how much each kept commit has replaced of the one before it, and what is to be taken apart."""

    __slots__ = ("_weights", "remains")

    def __init__(self, remains: Remains | None = None) -> None:
        self.remains = remains or Remains()
        self._weights: dict[int, int] = {}
        """Edits since the kept commit before, but for those of commits of one value, which are counted by `thinned`."""

    def admitted(self, record: Record, edits: Sequence[Edit], before: Record | None) -> None:
        """A commit was made on another: note how much it replaces, and do a part of what is left to do."""
        if len(edits) != 1 or edits[0].value is None:
            self._weigh(record.number, edits, before)
        if self.remains.parts:
            self.go_on(len(edits))

    def go_on(self, edits: int) -> None:
        """Do a part of what is left to do, with a commit of so many edits."""
        if self.remains.parts:
            self.remains.take_apart(_A_COMMIT + _AN_EDIT * edits)

    def _weigh(self, number: int, edits: Sequence[Edit], before: Record | None) -> None:
        root = None if before is None else before.root
        weight = len(edits)
        for step in edits:
            if step.value is None and root is not None:
                gone = in_memory(root, split(step.path))
                if gone is not None and gone.kids is not None:
                    weight += LITTLE
        if weight:
            self._weights[number] = weight

    def weigh(self, weights: Mapping[int, int], first: Record, staying: Record) -> None:
        """Some commits of a run replaced several places; the `first` has what those before the ones `staying` did."""
        for number, weight in weights.items():
            heir = number if number >= staying.number else first.number
            self._weights[heir] = self._weights.get(heir, 0) + weight

    def dropped(self, record: Record, heir: Record | None) -> None:
        """Let go of the tree of a commit that is kept no more; `heir`, the next of its branch, stands for it by now."""
        weights, weight = self._weights, LITTLE + 1
        own = weights.pop(record.number, 0) if weights else 0
        if heir is not None and heir.branch == record.branch != NOBODY:
            weight = heir.thinned - record.thinned
            if weights or own:
                known = weights.get(heir.number, 0)
                weight += known
                if own:
                    weights[heir.number] = known + own
        if weight > LITTLE and record.root is not None:
            self.remains.parts.append(record.root)
        record.root = None

    def stored(self, record: Record, heir: Record | None) -> None:
        """Let go of the tree of a commit that can be loaded again; `heir` is the next kept one of its branch."""
        if record.root is not None:
            if heir is None or heir.thinned + self._weights.get(heir.number, 0) > LITTLE:
                self.remains.parts.append(record.root)
            record.root = None
