"""Which changes may use the reserve of room: those after which the tree takes no more than before.

Rule: deleting always works, so a change that removes something counts as shrinking even if it sets a little beside it,
as whoever keeps an index of names must. What it sets is measured against what was at each place, and what is more
against what it removes.
Cost: O(edits x depth), and as many removed nodes as make up for what was set; asked only where room is short.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rrdstore.tree.edit import depth, find
from rrdstore.tree.node import Stub, entries
from rrdstore.tree.path import split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rrdstore.history.commit import Edit
    from rrdstore.tree.node import Node

_NODE = 40
"""Bytes beside name, value and metadata."""


def shrinks(root: Node, edits: Sequence[Edit]) -> bool:
    """Whether the tree `root` takes no more after these edits, of which at least one removes, or there is none."""
    gone = {split(edit.path) for edit in edits if edit.value is None}
    if not gone:
        return not edits
    more = sum(_growth(root, edit, gone) for edit in edits if edit.value is not None)
    tops = [names for names in gone if not any(names[:level] in gone for level in range(len(names)))]
    return more <= 0 or _weighs(root, tops, more)


def _growth(root: Node, edit: Edit, gone: set[tuple[str, ...]]) -> int:
    names, value = split(edit.path), len(edit.value or b"")
    there = depth(root, names)
    for level in range(1, len(names) + 1):
        if names[:level] in gone:  # It counts as removed, with all below: what is set there is new.
            there = min(there, level - 1)
    here = find(root, names) if there == len(names) else None
    if here is not None:
        return value + len(here.meta if edit.meta is None else edit.meta) - len(here.value) - len(here.meta)
    return sum(_NODE + len(name) for name in names[there:]) + value + len(edit.meta or b"")


def _weighs(root: Node, tops: Sequence[tuple[str, ...]], enough: int) -> bool:
    """Whether what is at and below these places takes that much."""
    for names in tops:
        top = find(root, names)
        waiting = [] if top is None else [(names[-1] if names else "", top)]
        while waiting:
            name, node = waiting.pop()
            enough -= _NODE + len(name) + len(node.value) + len(node.meta)
            if enough <= 0:
                return True
            for below, child in entries(node.kids).items():
                waiting.append((below, cast("Node", child.load() if child.__class__ is Stub else child)))
    return False
