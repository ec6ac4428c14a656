"""Changes to a tree: the path to the place is copied, everything else is shared.

Rule: an edit (one commit, one transaction) copies a container at most once; after that it changes
its own copy, told by the `edit` mark that every container carries. A mark is never given out twice,
so what an ended edit made is safe from all later ones.
Cost: O(depth x log32 names) a change; no recursion over depth, a path may have 1,536 levels.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from rrdstore.tree.node import (
    BITS,
    FANOUT,
    SMALL,
    Bucket,
    Inode,
    Node,
    Stub,
    Wide,
    child,
    leaf_bytes,
    name_bytes,
    name_hash,
    new_node,
    part,
    unhash,
    with_child,
    without_child,
)
from rrdstore.tree.sharing import shared, shared_meta

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rrdstore.tree.node import Kids

EMPTY = Inode(b"", b"", 0, 0)
"""The tree that holds nothing: a root with no value."""

_marks = count(1)


def new_edit() -> int:
    """A mark that no edit has had before."""
    return next(_marks)


def find(root: Node, names: tuple[str, ...]) -> Node | None:
    """The node at `names`, or None; O(depth)."""
    # Without a call for each level, as `way_to`, and by what is there mostly first: a READ is little else.
    node = root
    try:
        for name in names:
            kids = node.kids
            if type(kids) is Bucket:
                found = kids.names[name]
            else:
                left = name_hash(name)
                while type(kids) is Wide:
                    index = left & (FANOUT - 1)
                    left >>= BITS
                    below = kids.slots[index]
                    kids = part(kids, index) if type(below) is Stub else below  # type: ignore[assignment]  # likewise
                if kids is None:
                    return None
                found = kids.names[name]  # type: ignore[union-attr]  # a Bucket, whose class was not asked again
            node = child(kids, name) if type(found) is Stub else found  # type: ignore[assignment]  # there is one
    except KeyError:
        return None
    return node


def depth(root: Node, names: tuple[str, ...]) -> int:
    """How many of the levels to `names` are there, beside the root; O(depth)."""
    node = root
    for level, name in enumerate(names):
        below = child(node.kids, name)
        if below is None:
            return level
        node = below
    return len(names)


def put(root: Node, names: tuple[str, ...], value: bytes, meta: bytes | None, number: int, edit: int) -> Node:
    """`root` with this value at `names`, as set by commit `number`; `meta` None keeps what is there.

    Missing parents come into being with no value and no metadata.
    """
    return put_at(root, way_to(root, names), value, meta, number, edit)


def put_at(root: Node, to: Way, value: bytes, meta: bytes | None, number: int, edit: int) -> Node:
    """The same where a way of this very tree leads, which is used up."""
    names, way, indexes, node = to
    if node is None:
        return _added(way, names, value, meta, number, edit)
    if meta is None or meta == node.meta:
        meta = node.meta
    elif meta:
        meta = shared_meta(meta)
    if node.kids is None and names and len(value) + len(meta) <= SMALL:
        return replaced(root, names, way, indexes, node, Node(value, meta, node.created, number), edit)
    fresh = Inode(value, meta, node.created, number, node.kids)
    return replaced(root, names, way, indexes, node, fresh, edit)


class Way(NamedTuple):
    """What lies on the way to a node, of one moment."""

    names: tuple[str, ...]
    containers: list[Any]
    """Nodes, and the sets in them, without the node itself; if there is none, as far as there is a way."""
    indexes: list[int]
    """At which of the 32 sets of each wide one it goes on."""
    node: Node | None

    @property
    def levels(self) -> int:
        """How many nodes there are on it, the root among them. O(1)."""
        # A set for each, but perhaps the last, and those inside of a wide one.
        return (len(self.containers) - len(self.indexes) + 1) // 2


_way = tuple.__new__  # a third of what calling a named tuple costs


def way_to(root: Node, names: tuple[str, ...]) -> Way:
    """The way to a node; what was not in memory is loaded. O(depth)."""
    # Without a call for each level: this is what a commit costs. What is met on the way is typed `Any`, as a
    # `cast` is a call too.
    way: list[Any] = []
    indexes: list[int] = []
    node: Any = root
    for name in names:
        kids = node.kids
        way.append(node)
        if kids.__class__ is Wide:
            left = name_hash(name)
            while kids.__class__ is Wide:
                index = left & (FANOUT - 1)
                way.append(kids)
                indexes.append(index)
                left >>= BITS
                below = kids.slots[index]
                kids = part(kids, index) if below.__class__ is Stub else below
        if kids is None:
            return _way(Way, (names, way, indexes, None))
        way.append(kids)
        node = kids.names.get(name)
        if node is None:
            break
        if node.__class__ is Stub:
            node = child(kids, name)
    return _way(Way, (names, way, indexes, node))


def nodes_of(way: list[Any]) -> list[Node]:
    """The nodes among what lies on a way."""
    return [one for one in way if one.__class__ is not Bucket and one.__class__ is not Wide]


def replaced(
    root: Node, names: tuple[str, ...], way: list[Any], indexes: list[int], node: Node, fresh: Node, edit: int
) -> Node:
    """`root` with `fresh` in the place of `node`; `way` and `indexes`, as `way_to` gave them, are used up. O(depth)."""
    lowest = True
    for name in reversed(names):
        kids = way.pop()
        weighed = kids.weighed
        if lowest:
            lowest = False
            if weighed >= 0:
                if fresh.__class__ is Node is node.__class__:  # Nearly always, and spared two calls.
                    weighed += len(fresh.value) + len(fresh.meta) - len(node.value) - len(node.meta)
                else:
                    weighed += leaf_bytes(fresh) - leaf_bytes(node)
        if kids.edit == edit:
            kids.names[name] = fresh
            kids.weighed = weighed
            _unhash(kids, way)
            return root
        copied = kids.names.copy()
        copied[name] = fresh
        below: Any = Bucket(copied, edit, 0, kids.order, weighed)
        above = way.pop()
        while above.__class__ is Wide:
            if above.edit == edit:
                above.slots[indexes.pop()] = below
                _unhash(above, way)
                return root
            copied = above.slots.copy()
            copied[indexes.pop()] = below
            below = Wide(copied, above.count, edit, 0, above.order)
            above = way.pop()
        fresh = Inode(above.value, above.meta, above.created, above.modified, below)
    return fresh


def hung(way: list[Any], names: tuple[str, ...], fresh: Node, number: int, edit: int) -> Node:
    """The root, with `fresh` at `names`, where nothing is yet; `way` leads to what is to be above it. O(depth)."""
    lowest = way[-1]
    if lowest.__class__ is Bucket and lowest.edit == edit and way[-2].__class__ is not Wide:
        inside, name = lowest.names, names[-1]
        if len(inside) < FANOUT:
            # One more beside others that this edit has made: what most are.
            if lowest.weighed >= 0:
                lowest.weighed += leaf_bytes(fresh) + name_bytes(name)
            inside[shared(name)] = fresh
            lowest.order = None
            _unhash(lowest, way)
            return way[0]  # type: ignore[no-any-return]  # the root
    return _rebuilt(nodes_of(way), names, fresh, number, edit)


def _added(way: list[Any], names: tuple[str, ...], value: bytes, meta: bytes | None, number: int, edit: int) -> Node:
    """As `put`, where there is nothing yet, and a way as far as there is one."""
    trail: list[Node | None] = [*nodes_of(way)]
    trail += [None] * (len(names) - len(trail))
    return _rebuilt(trail, names, new_node(value, shared_meta(meta or b""), number, number), number, edit)


def _unhash(kids: Kids, way: list[Any]) -> None:
    """Forget the digests of a set changed in place and of all above it: what has one has them everywhere below."""
    if kids.hashed is not None:
        kids.hashed = None
        for above in way:
            above.hashed = None


def put_chain(root: Node, names: tuple[str, ...], steps: Sequence[tuple[bytes, bytes]], number: int, edit: int) -> Node:
    """`root` with new nodes at `names` and above, a value and metadata each, the highest first; nothing was there.

    As so many `put`, at the cost of one: O(depth), where they cost its square.
    """
    if not steps:
        return root
    highest = names[: len(names) - len(steps) + 1]
    node = grown(names[len(highest) :], steps, number, edit)
    return _rebuilt(_trail(root, highest)[0], highest, node, number, edit)


def grown(names: tuple[str, ...], steps: Sequence[tuple[bytes, bytes]], number: int, edit: int) -> Node:
    """A new node, and one below another to the last of `names`; `steps` are value and metadata of it and of these."""
    value, meta = steps[-1]
    node = new_node(value, shared_meta(meta), number, number)
    for depth in range(len(names) - 1, -1, -1):
        value, meta = steps[depth]
        node = Inode(value, shared_meta(meta), number, number, with_child(None, names[depth], node, edit))
    return node


def graft(root: Node, names: tuple[str, ...], node: Node, number: int, edit: int) -> Node:
    """`root` with the whole subtree `node` at `names`; missing parents as in `put`.

    The subtree comes from outside this edit: what the edit made itself may stand in one place only.
    """
    if not names and node.__class__ is Node:
        return Inode(node.value, node.meta, node.created, node.modified)
    trail, _ = _trail(root, names)
    return _rebuilt(trail, names, node, number, edit)


def remove(root: Node, names: tuple[str, ...], edit: int) -> Node:
    """`root` without the subtree at `names` (not the root); KeyError if there is none."""
    trail, node = _trail(root, names)
    if node is None:
        raise KeyError(names)
    parent = cast("Node", trail.pop())
    kids = without_child(cast("Kids", parent.kids), names[-1], edit)
    if kids is parent.kids:
        _forget(cast("list[Node]", [*trail, parent]), names)
        return root
    # A root that is left with nothing below it stays what a root is.
    make = new_node if trail else Inode
    fresh = make(parent.value, parent.meta, parent.created, parent.modified, kids)
    return _rebuilt(trail, names[:-1], fresh, 0, edit)


def _trail(root: Node, names: tuple[str, ...]) -> tuple[list[Node | None], Node | None]:
    """The nodes above the place, None where there is none yet, and the node at the place."""
    trail: list[Node | None] = []
    node: Node | None = root
    for name in names:
        trail.append(node)
        if node is not None:
            kids = node.kids
            below = kids.names.get(name) if kids.__class__ is Bucket else None
            node = child(kids, name) if below is None or below.__class__ is Stub else below  # type: ignore[assignment]  # no stub
    return trail, node


def _rebuilt(trail: Sequence[Node | None], names: tuple[str, ...], node: Node, number: int, edit: int) -> Node:
    """The root, with `node` at `names`; `trail` is what stands above the place now."""
    for depth in range(len(names) - 1, -1, -1):
        parent = trail[depth]
        if parent is None:
            node = Inode(b"", b"", number, number, with_child(None, names[depth], node, edit))
            continue
        kids = with_child(parent.kids, names[depth], node, edit)
        if kids is parent.kids:
            # Ours already, and so is all above it, back to the root.
            above = cast("list[Node]", trail[: depth + 1])  # a parent that exists has parents that exist
            _forget(above, names)
            return above[0]
        node = Inode(parent.value, parent.meta, parent.created, parent.modified, kids)
    return node


def _forget(trail: Sequence[Node], names: tuple[str, ...]) -> None:
    """Forget the digests above a change in place: those of `trail` and of the sets that lead along it.

    What has a digest has digests everywhere below; so if the last has none, none above it has.
    """
    if trail[-1].hashed is not None:
        for node, name in zip(trail, names, strict=False):  # the names may go on below the trail
            cast("Inode", node).hashed = None
            unhash(node.kids, name)
