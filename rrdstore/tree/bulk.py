"""Many new places at once: whole subtrees made from the leaves up, each container once and for good.

Rule: what is made is what as many `put` make, in whatever order the places come: the same nodes, shape and digests. A
place that nobody names, but that is above one, comes into being with no value and no metadata.
The places are gone through from the last to the first, so where parents come before their children, as all who write
trees write them, each node is met when all below it is there. What is met too early is put where it belongs at the end.
Cost: O(places), some 1.5 us each, beside O(depth x log32 names) for each directory that was there before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rrdstore.errors import Exists
from rrdstore.tree.edit import find, graft
from rrdstore.tree.node import FANOUT, Bucket, Inode, entries, size, spread, with_child
from rrdstore.tree.path import split
from rrdstore.tree.sharing import shared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rrdstore.tree.node import Kids, Node

Place = tuple[str, "Node"]
"""A path, and the node that is to be there: what it has below it does not count."""


def check(root: Node, paths: Sequence[str]) -> None:
    """Whether all of them are places that are new to `root`; InvalidPath, and Exists, also for what comes twice."""
    new = set(paths)
    if len(new) < len(paths):
        seen: set[str] = set()
        for path in paths:
            if path in seen:
                raise Exists("node", path)
            seen.add(path)
    text = "\0".join(paths)
    if not _are_paths(text, len(paths)):
        for path in paths:
            split(path)
    for path in paths:
        if path.rpartition("/")[0] not in new and find(root, split(path)) is not None:
            raise Exists("node", path)


def _are_paths(text: str, count: int) -> bool:
    """Whether these texts, with a NUL between two, are paths and none is the root, as far as can be seen at once."""
    ends = text.count("\0") == text.count("\0/") == count - 1 and text.startswith("/") and not text.endswith("/")
    return ends and text.isascii() and "//" not in text and "/\0" not in text


def planted(root: Node, places: Sequence[Place], number: int, edit: int) -> Node:
    """`root` with all these places, which `check` has looked at, as set by commit `number`."""
    below: dict[str, dict[str, Any]] = {}
    for path, leaf in reversed(places):
        node = leaf
        kids = below.pop(path, None)
        if kids is not None:
            node = Inode(node.value, node.meta, node.created, node.modified, gathered(kids, edit))
        above, _, name = path.rpartition("/")
        beside = below.get(above)
        if beside is None:
            below[above] = {shared(name): node}
        else:
            beside[shared(name)] = node
    for above in sorted(below, key=lambda path: path.count("/")):
        root = _joined(root, split(above or "/"), below[above], number, edit)
    return root


def gathered(names: dict[str, Any], edit: int) -> Kids:
    """A set of these names, in the shape that it has to have."""
    return Bucket(names, edit) if len(names) <= FANOUT else spread(list(names.items()), 0, edit)


def _joined(root: Node, above: tuple[str, ...], names: dict[str, Any], number: int, edit: int) -> Node:
    """`root` with new names below a place."""
    parent = find(root, above)
    if parent is None:
        return graft(root, above, Inode(b"", b"", number, number, gathered(names, edit)), number, edit)
    kids = parent.kids
    if kids is None or len(names) > size(kids):
        old = entries(kids)
        made = gathered({**old, **names}, edit)
    else:
        made = kids
        for name, node in names.items():
            made = with_child(made, name, node, edit)
    fresh = Inode(parent.value, parent.meta, parent.created, parent.modified, made)
    return graft(root, above, fresh, number, edit) if above else fresh
