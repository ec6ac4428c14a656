"""A tree as what it has different from another: the journal's way to say what a kept commit holds.

Rule: the tree that a delta gives on the tree that it was made beside has the same names, values, metadata and commit
numbers as the one it was made from. Places that both share, by identity or by object number, are passed over.

    delta   = places, in preorder: depth:u16 flags:u8 (1 content, 2 gone) [name:u16, name: not for the root]
              [created:u64 modified:u64 value:u32 meta:u32, value, meta: if it has content]

A place without content has that of the tree beside; what is gone took all below it along.
Pure. No recursion over depth. Cost: O(what differs x log32 names).
"""

from __future__ import annotations

from struct import Struct, error
from typing import TYPE_CHECKING, cast

from rrdstore.errors import Corrupt
from rrdstore.tree.diff import inner
from rrdstore.tree.edit import EMPTY, new_edit
from rrdstore.tree.node import FANOUT, Inode, Node, Wide, child, entries, new_node, part, with_child, without_child

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rrdstore.tree.node import Bucket, Kids, Stub

_PLACE = Struct("<HBH")
_ROOT = Struct("<HB")
_CONTENT = Struct("<QQII")
_HAS_CONTENT, _GONE = 1, 2


def encode(root: Node, beside: Node | None) -> bytes:
    """What `root` has that `beside`, or nothing, has not; Corrupt if a part cannot be loaded."""
    parts: list[bytes] = []
    stack: list[tuple[int, str, Node | None, Node | None]] = [(0, "", root, beside)]
    while stack:
        depth, text, node, old = stack.pop()
        name = text.encode()
        content = node is not None and (old is None or not _alike(node, old))
        flags = _GONE if node is None else _HAS_CONTENT if content else 0
        parts.append(_PLACE.pack(depth, flags, len(name)) + name if depth else _ROOT.pack(0, flags))
        if node is None:
            continue
        if content:
            parts.append(_CONTENT.pack(node.created, node.modified, len(node.value), len(node.meta)))
            parts += (node.value, node.meta)
        kids = None if old is None else old.kids
        stack += [(depth + 1, below, here, there) for below, here, there in _differing(node.kids, kids)]
    return b"".join(parts)


def _alike(node: Node, old: Node) -> bool:
    return (node.value, node.meta, node.created, node.modified) == (old.value, old.meta, old.created, old.modified)


def _same(here: Node | Kids | Stub | None, there: Node | Kids | Stub | None) -> bool:
    if here is there:
        return True
    return here is not None and there is not None and here.number != 0 and here.number == there.number


def _differing(kids: Kids | None, was: Kids | None) -> Iterator[tuple[str, Node | None, Node | None]]:
    """The names at which two containers have not the same node, with both nodes."""
    stack: list[tuple[Kids | None, Kids | None, int]] = [(kids, was, 0)]
    while stack:
        here, there, depth = stack.pop()
        if _same(here, there):
            continue
        if here.__class__ is Wide and there.__class__ is Wide:
            unlike = (at for at in range(FANOUT) if not _same(here.slots[at], there.slots[at]))
            stack += [(part(here, at), part(there, at), depth + 1) for at in unlike]
            continue
        news, olds = entries(here), entries(there)
        for name, node in news.items():
            if not _same(node, olds.get(name)):
                yield name, inner(here, name, depth), inner(there, name, depth)
        for name in olds:
            if name not in news:
                yield name, None, inner(there, name, depth)


def edits(data: bytes) -> Iterator[tuple[tuple[str, ...], bytes | None, bytes | None]]:
    """The places of a delta that have content or are gone, as names, value and metadata. For repairs; struct.error."""
    names: list[str] = []
    at = 0
    while at < len(data):
        depth, flags = _ROOT.unpack_from(data, at)
        if depth:
            _, _, length = _PLACE.unpack_from(data, at)
            at += _PLACE.size + length
            names[depth - 1 :] = [data[at - length : at].decode()]
        else:
            at += _ROOT.size
        if flags & _GONE:
            yield tuple(names), None, None
        elif flags & _HAS_CONTENT:
            _, _, value, meta = _CONTENT.unpack_from(data, at)
            at += _CONTENT.size + value + meta
            yield tuple(names), data[at - meta - value : at - meta], data[at - meta : at]


class _Place:
    """A place whose node is not put together yet."""

    __slots__ = ("content", "kids", "name")

    def __init__(self, name: str, content: tuple[bytes, bytes, int, int], kids: Kids | None) -> None:
        self.name, self.content, self.kids = name, content, kids


def decode(data: bytes, beside: Node | None) -> Node:
    """The tree of a delta, and the one that it was made beside; Corrupt if they do not fit together."""
    try:
        return _decoded(data, beside)
    except (error, KeyError, ValueError, IndexError) as fault:
        raise Corrupt(
            "a net of the journal", f"a tree that ends in {fault!r}", "what its neighbour leads to"
        ) from fault


def _decoded(data: bytes, beside: Node | None) -> Node:
    mark = new_edit()
    open_places: list[_Place] = []
    at = 0
    while at < len(data):
        depth, flags = _ROOT.unpack_from(data, at)
        name, old = "", beside
        if depth:
            _, _, length = _PLACE.unpack_from(data, at)
            at += _PLACE.size + length
            name = data[at - length : at].decode()
            while len(open_places) > depth:
                _close(open_places, mark)
            parent = open_places[depth - 1]
            if flags & _GONE:
                parent.kids = without_child(cast("Bucket | Wide", parent.kids), name, mark)
                continue
            old = child(parent.kids, name)
        else:
            at += _ROOT.size
        if flags & _HAS_CONTENT:
            created, modified, value_size, meta_size = _CONTENT.unpack_from(data, at)
            at += _CONTENT.size + value_size + meta_size
            value, meta = data[at - meta_size - value_size : at - meta_size], data[at - meta_size : at]
        else:
            found = EMPTY if old is None else old
            value, meta, created, modified = found.value, found.meta, found.created, found.modified
        open_places.append(_Place(name, (value, meta, created, modified), None if old is None else old.kids))
    while len(open_places) > 1:
        _close(open_places, mark)
    return _root(open_places[0])


def _close(open_places: list[_Place], mark: int) -> None:
    place = open_places.pop()
    above = open_places[-1]
    above.kids = with_child(above.kids, place.name, new_node(*place.content, place.kids), mark)


def _root(place: _Place) -> Node:
    value, meta, created, modified = place.content
    return Inode(value, meta, created, modified, place.kids)
