"""What differs between two trees down to who made each node, and how to do it again.

Rule: other than `rrdstore.tree.diff`, it also sees a node that was set again to what it was. So parts are
the same only if they are one object in memory or in the file; digests, which know content alone, do not
count. Cost: O(changes x 32 x log32 names); no recursion over depth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.tree import edit
from rrdstore.tree.bulk import planted
from rrdstore.tree.diff import inner
from rrdstore.tree.node import Inode, Node, Wide, entries, new_node, part
from rrdstore.tree.path import join

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rrdstore.tree.node import Bucket, Kids, Stub

    Shared = Node | Bucket | Wide | Stub

Step = tuple[tuple[str, ...], Node | None]
"""A place, and the node it has now: its own fields count, not its children. None: the subtree is gone."""


def delta(old: Node | None, new: Node) -> Iterator[Step]:
    """The steps from `old` to `new`, parents first, siblings by name."""
    stack: list[tuple[tuple[str, ...], Node | None, Node | None]] = [((), old, new)]
    while stack:
        names, was, now = stack.pop()
        if now is None:
            yield names, None
            continue
        if was is None or _fields(was) != _fields(now):
            yield names, now
        below = _differing(None if was is None else was.kids, now.kids)
        stack.extend(
            ((*names, name), before, after)
            for name, before, after in sorted(below, key=lambda row: row[0], reverse=True)
        )


def applied(root: Node, steps: Sequence[Step]) -> Node:
    """`root` after these steps; KeyError where one removes what is not there."""
    if root.kids is None:
        whole = _whole(root, steps)
        if whole is not None:
            return whole
    mark = edit.new_edit()
    for names, node in steps:
        if node is None:
            root = edit.remove(root, names, mark)
            continue
        there = edit.find(root, names)
        kids = None if there is None else there.kids
        root = edit.graft(root, names, new_node(node.value, node.meta, node.created, node.modified, kids), 0, mark)
    return root


def _whole(root: Node, steps: Sequence[Step]) -> Node | None:
    """The tree that steps make of a root with nothing below it, in half of the time; None if they do more."""
    top, rest = (steps[0][1], steps[1:]) if steps and not steps[0][0] else (root, steps)
    places = [(join(names), node) for names, node in rest if names and node is not None]
    if top is None or len({path for path, _ in places}) < len(rest):
        return None  # Something is removed, or comes twice.
    return planted(Inode(top.value, top.meta, top.created, top.modified), places, 0, edit.new_edit())


def _fields(node: Node) -> tuple[bytes, bytes, int, int]:
    return node.value, node.meta, node.created, node.modified


def _same(a: Shared | None, b: Shared | None) -> bool:
    return a is b or (a is not None and b is not None and a.number != 0 and a.number == b.number)


def _differing(a: Kids | None, b: Kids | None, depth: int = 0) -> Iterator[tuple[str, Node | None, Node | None]]:
    """The names whose nodes are not one object, with both nodes."""
    if _same(a, b):
        return
    if isinstance(a, Wide) and isinstance(b, Wide):
        for index, (left, right) in enumerate(zip(a.slots, b.slots, strict=True)):
            if not _same(left, right):
                yield from _differing(part(a, index), part(b, index), depth + 1)
        return
    olds, news = entries(a), entries(b)
    for name in olds.keys() | news.keys():
        if not _same(olds.get(name), news.get(name)):
            yield name, inner(a, name, depth), inner(b, name, depth)
