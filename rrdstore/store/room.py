"""How many bytes a change may take once it is stored: what is reserved for it when it is acknowledged.

Rule: every container on the way to a changed place is written again, with its names and the small leaves
inside; so are the value and a record. Reserved by the most that these can take, given back at the tick
when the true figure is known. Cost: O(edits x depth).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.tree.node import FANOUT, Node, child, size
from rrdstore.tree.path import split

if TYPE_CHECKING:
    from rrdstore.history.commit import Edit

RECORD = 256
"""A commit's fixed record, whatever it changed."""
OBJECT = 96
"""The fixed part of a stored node, its piece list and its share of a container's slots."""
ENTRY = 288
"""The most one name of a bucket takes beside a long name: the leaf inside and its numbers."""


def change_cost(root: Node, edits: tuple[Edit, ...]) -> int:
    """Bytes to reserve for these edits of the tree `root`."""
    cost = RECORD
    for edit in edits:
        node: Node | None = root
        cost += 2 * len(edit.path)
        if edit.value is not None:
            cost += OBJECT + len(edit.value) + len(edit.meta or b"")
        for name in split(edit.path):
            cost += OBJECT + len(name)
            if node is not None:
                cost += len(node.value) + len(node.meta) + _containers(size(node.kids))
                node = child(node.kids, name)
        if node is not None and edit.value is not None:
            cost += len(node.meta) + _containers(size(node.kids))
    return cost


def _containers(names: int) -> int:
    cost = min(names + 1, FANOUT) * ENTRY
    while names > FANOUT:
        cost += OBJECT + FANOUT * 8
        names //= FANOUT
    return cost
