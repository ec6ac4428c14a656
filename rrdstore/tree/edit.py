"""Changes to a tree: the path to the place is copied, everything else is shared.

Rule: an edit (one commit, one transaction) copies a container at most once; after that it changes
its own copy, told by the `edit` mark that every container carries. A mark is never given out twice,
so what an ended edit made is safe from all later ones.
Cost: O(depth x log32 names) a change; no recursion over depth, a path may have 1,536 levels.
"""

from __future__ import annotations

from itertools import count

from rrdstore.tree.node import Node, child, with_child, without_child

EMPTY = Node(b"", b"", 0, 0)
"""The tree that holds nothing: a root with no value."""

_marks = count(1)


def new_edit() -> int:
    """A mark that no edit has had before."""
    return next(_marks)


def find(root: Node, names: tuple[str, ...]) -> Node | None:
    """The node at `names`, or None; O(depth)."""
    node: Node | None = root
    for name in names:
        node = child(node.kids, name)  # type: ignore[union-attr]  # the loop ends where it would be None
        if node is None:
            return None
    return node


def put(root: Node, names: tuple[str, ...], value: bytes, meta: bytes | None, number: int, edit: int) -> Node:
    """`root` with this value at `names`, as set by commit `number`; `meta` None keeps what is there.

    Missing parents come into being with no value and no metadata.
    """
    trail: list[Node | None] = []
    node: Node | None = root
    for name in names:
        trail.append(node)
        if node is not None:
            node = child(node.kids, name)
    if node is None:
        fresh = Node(value, b"" if meta is None else meta, number, number)
    else:
        fresh = Node(value, node.meta if meta is None else meta, node.created, number, node.kids)
    return _rebuilt(trail, names, fresh, number, edit)


def graft(root: Node, names: tuple[str, ...], node: Node, number: int, edit: int) -> Node:
    """`root` with the whole subtree `node` at `names`; missing parents as in `put`."""
    trail: list[Node | None] = []
    at: Node | None = root
    for name in names:
        trail.append(at)
        if at is not None:
            at = child(at.kids, name)
    return _rebuilt(trail, names, node, number, edit)


def _rebuilt(trail: list[Node | None], names: tuple[str, ...], node: Node, number: int, edit: int) -> Node:
    for depth in range(len(names) - 1, -1, -1):
        parent = trail[depth]
        if parent is None:
            node = Node(b"", b"", number, number, with_child(None, names[depth], node, edit))
            continue
        kids = with_child(parent.kids, names[depth], node, edit)
        if kids is parent.kids:
            # Ours already, and so is all above it, back to the root.
            parent.hashed = None
            for above in trail[:depth]:
                above.hashed = None  # type: ignore[union-attr]  # a parent that exists has parents that exist
            return trail[0]  # type: ignore[return-value]  # likewise
        node = Node(parent.value, parent.meta, parent.created, parent.modified, kids)
    return node


def remove(root: Node, names: tuple[str, ...], edit: int) -> Node:
    """`root` without the subtree at `names` (not the root); KeyError if there is none."""
    trail: list[Node] = []
    node = root
    for name in names:
        trail.append(node)
        below = child(node.kids, name)
        if below is None:
            raise KeyError(name)
        node = below
    parent = trail.pop()
    kids = without_child(parent.kids, names[-1], edit)  # type: ignore[arg-type]  # it has a child
    if kids is parent.kids:
        for above in (parent, *trail):
            above.hashed = None
        return root
    fresh = Node(parent.value, parent.meta, parent.created, parent.modified, kids)
    above_it: list[Node | None] = list(trail)
    return _rebuilt(above_it, names[:-1], fresh, 0, edit)
