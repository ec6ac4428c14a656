"""How many bytes a change may take once it is stored: what is reserved for it when it is acknowledged.

Rule: every container on the way to a changed place is written again, once a change, with its names and the
small leaves inside; so are the value and a record. Reserved by the most that these can take, given back at
the tick when the true figure is known. Cost: O(edits x depth), about 1 us a level.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, cast

from rrdstore.tree.node import BITS, DEEPEST, FANOUT, Bucket, Node, child, name_hash, part, size
from rrdstore.tree.path import split

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rrdstore.history.commit import Edit
    from rrdstore.tree.node import Kids, Wide

RECORD = 256
"""A commit's fixed record, whatever it changed."""
OBJECT = 192
"""The fixed part of a stored object, and what the smallest one counts for."""
ENTRY = 288
"""The most one name of a bucket takes beside the name: the leaf inside and its numbers."""
SETS = OBJECT + 8 * FANOUT
"""A set of sets: the numbers of its parts."""
UTF8 = 4
"""Bytes of a character at most."""

Touched: TypeAlias = "dict[str, Touched]"
"""The names below a place that lead to changes."""


def change_cost(root: Node, edits: tuple[Edit, ...]) -> int:
    """Bytes to reserve for these edits of the tree `root`."""
    cost = RECORD
    for edit in edits:
        if edit.value is not None:
            cost += OBJECT + _data(edit.value, edit.meta or b"")
    if len(edits) == 1:
        return cost + _one(root, split(edits[0].path))
    touched: Touched = {}
    for edit in edits:
        place = touched
        for name in split(edit.path):
            place = place.setdefault(name, {})
    return cost + _many(root, touched)


def _one(root: Node, names: tuple[str, ...]) -> int:
    """The containers on the way to one place."""
    cost = OBJECT
    node: Node | None = root
    for name in names:
        cost += OBJECT
        if node is None:
            cost += _entries(1, (name,))
            continue
        kids = node.kids
        if kids.__class__ is Bucket and len(kids.names) < FANOUT:
            own = kids.names
            length = len(node.value) + len(node.meta)
            cost += length + length // 16 + (len(own) + 1) * ENTRY + UTF8 * (len("".join(own)) + len(name))
            below = own.get(name)
            node = below if below.__class__ is Node else child(kids, name)
        else:
            cost += _data(node.value, node.meta) + _sets(kids, (name,))
            node = child(kids, name)
    if node is not None:
        cost += _data(node.value, node.meta) + _sets(node.kids, ())
    return cost


def _many(root: Node, touched: Touched) -> int:
    """The containers on the way to many places, each once."""
    cost = 0
    stack: list[tuple[Node | None, Touched]] = [(root, touched)]
    while stack:
        node, below = stack.pop()
        cost += OBJECT
        if node is None:
            cost += _entries(len(below), below)
            stack.extend((None, deeper) for deeper in below.values())
        else:
            cost += _data(node.value, node.meta) + _sets(node.kids, below)
            stack.extend((child(node.kids, name), deeper) for name, deeper in below.items())
    return cost


def _sets(kids: Kids | None, touched: Iterable[str]) -> int:
    """The sets below a node that are written again if these of its names are touched."""
    names = tuple(touched)
    if kids is None:
        return _entries(len(names), names)
    if kids.__class__ is Bucket:
        return _entries(len(kids.names) + len(names), kids.names) + UTF8 * len("".join(names))
    if size(kids) <= FANOUT + len(names):
        # It may become one bucket again: of those that are left, and they are this many at most.
        return FANOUT * ENTRY + sum(_in_wide(cast("Wide", kids), name) for name in names)
    return SETS + sum(_in_wide(cast("Wide", kids), name) for name in names)


def _in_wide(kids: Kids, name: str) -> int:
    """The sets on the way to one name, and the bucket it is or comes to be in."""
    cost, left, below = 0, name_hash(name), cast("Kids | None", kids)
    while below is not None and below.__class__ is not Bucket:
        cost += SETS
        below, left = part(cast("Wide", below), left & (FANOUT - 1)), left >> BITS
    own = below.names if below is not None else {}
    return cost + OBJECT + _entries(len(own) + 1, own) + UTF8 * len(name)


def _entries(count: int, names: Iterable[str]) -> int:
    """A set of so many names: one bucket, or at the worst a bucket each, and a set of sets for every 33 a level."""
    cost = UTF8 * len("".join(names)) + count * ENTRY
    return cost if count <= FANOUT else cost + count * OBJECT + DEEPEST * (count // (FANOUT + 1)) * SETS


def _data(value: bytes, meta: bytes) -> int:
    """Bytes of a value and its metadata, and what cutting it in pieces adds."""
    length = len(value) + len(meta)
    return length + length // 16
