"""What of a commit may join a run, and what comes of it: a leaf set again, places made, or a little of anything.

Rule: a leaf that is set again is small before and after. What is made is one place and what is missing above it.
Anything else is at most `EDITS` edits, which set small values and remove at most `NODES` nodes, all of them in memory.
Pure. Cost: O(depth), and O(nodes that are removed).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.tree.edit import find, grown, put_at, way_to
from rrdstore.tree.node import SMALL, Bucket, Node, Stub, new_node
from rrdstore.tree.path import split
from rrdstore.tree.sharing import shared_meta
from rrdstore.tree.undo import undo_of

if TYPE_CHECKING:
    from rrdstore.history.commit import Edit
    from rrdstore.tree.undo import Undo

EDITS = 32
"""Edits of one commit of a run, at most."""
PLAIN = 8
"""Edits of one that are made in place, at most."""
NODES = 64
"""Nodes that they remove, at most: about what there is of one domain of a host."""


def set_again(edits: tuple[Edit, ...], node: Node, number: int) -> Node | None:
    """The leaf that takes the place of a small one, if that is all there is to do."""
    _, value, meta = edits[0]
    if len(edits) > 1 or value is None or node.__class__ is not Node:
        return None
    own = node.meta if meta is None or meta == node.meta else shared_meta(meta)
    return None if len(value) + len(own) > SMALL else Node(value, own, node.created, number)


def weight_of(edits: tuple[Edit, ...], root: Node) -> int:
    """How many nodes a commit replaces or removes, if it is one of a few edits, and small; else 0."""
    if len(edits) > EDITS:
        return 0
    weight = 0
    for path, value, meta in edits:
        weight += 1
        if value is None:
            weight += _size(find(root, split(path)))
            if weight > NODES:
                return 0
        elif len(value) + len(meta or b"") > SMALL:
            return 0
    return weight


def _size(node: Node | None) -> int:
    """How many nodes there are at and below this one; more than NODES for many, and if not all are in memory."""
    if node is None:
        return 0
    size, left = 0, [node]
    while left:
        kids = left.pop().kids
        size += 1
        if kids is None:
            continue
        if kids.__class__ is not Bucket or size + len(kids.names) > NODES:
            return NODES + 1
        for one in kids.names.values():
            if isinstance(one, Stub):
                return NODES + 1
            left.append(one)
    return size


def plain(edits: tuple[Edit, ...], root: Node) -> bool:
    """Whether a commit of a few edits sets small leaves and makes places alone.

    Then each is taken back by itself. A directory's own value is not, if it was one before: what it has below would
    stay as later commits have made it.
    """
    if len(edits) > PLAIN:
        return False
    for path, value, _ in edits:
        node = find(root, split(path))
        if value is None or (node is not None and node.__class__ is not Node):
            return False
    return True


def laid(root: Node, edits: tuple[Edit, ...], number: int, edit: int, taken: list[Undo]) -> Node:
    """`root` with these, which are `plain`; what takes back each goes to the end of `taken` before it is made."""
    for path, value, meta in edits:
        to = way_to(root, split(path))
        names = to.names if to.node is not None else to.names[: to.levels]
        taken.append(undo_of(names, to.containers, to.node, edit)._replace(then=taken[-1] if taken else None))
        root = put_at(root, to, value or b"", meta, number, edit)
    return root


def made(edits: tuple[Edit, ...], names: tuple[str, ...], depth: int, number: int, edit: int) -> Node | None:
    """The node that comes into being below the first `depth` names, with the others below it, if that is all."""
    if len(edits) == 1 and len(names) == depth + 1 and (value := edits[0].value) is not None:
        return new_node(value, shared_meta(edits[0].meta or b""), number, number)
    contents = [(b"", b"")] * (len(names) - depth)
    longest = depth
    for path, value, meta in edits:
        place = names if path == edits[-1][0] else split(path)
        if value is None or len(place) <= longest or names[: len(place)] != place:
            return None
        longest = len(place)
        contents[longest - depth - 1] = value, meta or b""
    return grown(names[depth + 1 :], contents, number, edit)


def sizes(edits: tuple[Edit, ...], names: tuple[str, ...], depth: int) -> list[tuple[str, int]]:
    """The names that come into being, and how many bytes each has."""
    if len(names) == depth + 1:
        return [(names[-1], len(edits[-1].value or b"") + len(edits[-1].meta or b""))]
    known = {path.count("/"): len(value or b"") + len(meta or b"") for path, value, meta in edits}
    return [(names[at], known.get(at + 1, 0)) for at in range(depth, len(names))]
