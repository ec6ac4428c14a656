"""Undoing one change of a tree that an edit changes in place: what it put aside goes back to its place.

Rule: an edit copies a container the first time, and changes its copy after that. So a change replaces one thing in a
container that is the edit's already (a leaf or a directory under a name, a set of a wide one), or the root. With that
put back, by copying the path to it, the tree is what it was before: not only equal, but of the very containers that
the change had copied, which may be stored.
A name that came into a bucket of the edit's own has replaced nothing, and is removed.
Cost: O(depth) each.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from rrdstore.tree.edit import new_edit, remove, way_to
from rrdstore.tree.node import BITS, FANOUT, Bucket, Inode, Node, Wide, child, leaf_bytes, name_hash, part


class Undo(NamedTuple):
    """What a change replaced, and where."""

    names: tuple[str, ...]
    """The place that was changed; of what was made, the topmost."""
    depth: int
    """How many of the names lead to the directory in which it was replaced; -1 is the root itself."""
    level: int
    """In which of the directory's wide sets inside each other; -1 is what the name leads to."""
    old: Node | Bucket | Wide | None
    """What was there; None without a level is a name that replaced nothing."""
    made: bool
    """Whether the place came into being."""
    then: Undo | None = None
    """What is to be undone after it, as it was done before, by the same commit."""


def undo_of(names: tuple[str, ...], way: list[Any], node: Node | None, edit: int) -> Undo:
    """What takes back the change that `edit` is about to make; `way` and `node` are those of `way_to` of `names`."""
    lowest = way[-1]
    if node is not None and lowest.edit == edit:
        return Undo(names, len(names) - 1, -1, node, made=False)
    depth = level = -1
    directory: Any = None
    for one in way:
        if one.__class__ is not Bucket and one.__class__ is not Wide:
            depth, level, directory = depth + 1, -1, one
        elif one.edit != edit:
            if level < 0:
                break
            return Undo(names, depth, level, one, made=node is None)
        elif one.__class__ is Wide:
            level += 1
    else:
        if lowest.__class__ is Bucket:
            return Undo(names, depth, -1, None, made=True)
        if lowest.__class__ is Wide:
            return Undo(names, depth, level, None, made=True)
    # The directory is copied, or gets its first name: it goes back to where it was.
    return Undo(names, depth - 1, -1, directory, made=node is None)


def undone(root: Node, undo: Undo) -> Node:
    """`root` as before the change, which is the last that it has; nothing of `root` changes."""
    root = _one_undone(root, undo)
    while undo.then is not None:
        undo = undo.then
        root = _one_undone(root, undo)
    return root


def taken_back(before: Node, undo: Undo) -> Node:
    """The tree `before` a change that may have been made in part: where it was made in place, that root has it."""
    root, left = before, cast("Undo | None", undo)
    while left is not None:
        there = way_to(root, left.names).node
        if left.depth >= 0 and (there is not None if left.made else there is not left.old):
            root = _one_undone(root, left)
        left = left.then
    return root


def _one_undone(root: Node, undo: Undo) -> Node:
    names, depth, level, old, made, _ = undo
    if depth < 0:
        return cast("Node", old)
    edit = new_edit()
    if old is None and level < 0:
        return remove(root, names, edit)
    way = _way(root, names[: depth + 1], level)
    way.reverse()  # and not `reversed`, at whose pairs mypyc 2.4 crashes
    put_back: Any = old
    fresh = put_back
    # Of what came into being the sets of its own directory know, those that were not replaced.
    counted = level + 1 if made and depth == len(names) - 1 else 0
    for container, key in way:
        kind = container.__class__
        if kind is Bucket:
            copied = container.names.copy()
            weighed = container.weighed
            if weighed >= 0 and fresh is put_back:
                weighed += leaf_bytes(fresh) - leaf_bytes(copied[key])
            copied[key] = fresh
            fresh = Bucket(copied, edit, 0, container.order, weighed)
        elif kind is Wide:
            slots = container.slots.copy()
            slots[key] = fresh
            fresh = Wide(slots, container.count - (counted > 0), edit, 0, None if counted > 0 else container.order)
            counted -= 1
        else:
            fresh = Inode(container.value, container.meta, container.created, container.modified, fresh)
    return cast("Node", fresh)


def _way(root: Node, names: tuple[str, ...], level: int) -> list[tuple[Any, Any]]:
    """Each thing on the way to what was replaced, and what of it leads there."""
    way: list[tuple[Any, Any]] = []
    node: Any = root
    last = len(names) - 1
    for at, name in enumerate(names):
        kids = node.kids
        way.append((node, None))
        left, sets = name_hash(name) if kids.__class__ is Wide else 0, 0
        while kids.__class__ is Wide:
            index = left & (FANOUT - 1)
            way.append((kids, index))
            if at == last and sets == level:
                return way
            kids, left, sets = part(kids, index), left >> BITS, sets + 1
        way.append((kids, name))
        node = child(kids, name)
    return way
