"""Digests: the content of a tree, proved in 32 bytes.

Rule: BLAKE3 over a byte that tells the kind, then the parts, each with its length. Value, metadata
and children count; when and by which commit a node was set do not, so that equal content made in any
order digests equally. Only asked-for digests are computed; they are kept on nodes with children and
on containers, never on leaves. Digests are for proof, not for identity.
Cost: O(what was never hashed before). No recursion over depth.
"""

from __future__ import annotations

from typing import cast

from blake3 import blake3

from rrdstore.tree.node import Bucket, Node, Stub, Wide

NODE, BUCKET, WIDE = b"n", b"b", b"w"
SIZE = 32
_NONE = bytes(SIZE)

Part = Node | Bucket | Wide


def digest(root: Node) -> bytes:
    """The digest of the tree below and with `root`, 32 bytes."""
    stack: list[Part] = [root]
    leaves: dict[int, bytes] = {}
    while stack:
        part = stack[-1]
        if part.hashed is not None or id(part) in leaves:
            stack.pop()
            continue
        missing = [below for below in _parts(part) if below.hashed is None and id(below) not in leaves]
        leaf_parts = [below for below in missing if below.__class__ is Node and below.kids is None]
        for leaf in leaf_parts:
            leaves[id(leaf)] = _hash(leaf, leaves)
        if len(leaf_parts) < len(missing):
            stack.extend(below for below in missing if id(below) not in leaves)
            continue
        stack.pop()
        hashed = _hash(part, leaves)
        for leaf in leaf_parts:
            del leaves[id(leaf)]
        if part.__class__ is Node and part.kids is None:
            return hashed  # only a root without children comes here
        part.hashed = hashed
    return cast("bytes", root.hashed)


def _parts(part: Part) -> list[Part]:
    if part.__class__ is Node:
        kids = part.kids
        return [] if kids is None else [kids]
    found: list[Part] = []
    if part.__class__ is Bucket:
        names = part.names
        for name, node in names.items():
            if node.__class__ is Stub:
                names[name] = loaded = cast("Node", node.load())
                found.append(loaded)
            else:
                found.append(cast("Node", node))
        return found
    slots = cast("Wide", part).slots
    for index, below in enumerate(slots):
        if below.__class__ is Stub:
            slots[index] = cast("Bucket | Wide", below.load())
        if slots[index] is not None:
            found.append(cast("Bucket | Wide", slots[index]))
    return found


def _hash(part: Part, leaves: dict[int, bytes]) -> bytes:
    def of(below: object) -> bytes:
        if below is None:
            return _NONE
        return cast("Part", below).hashed or leaves[id(below)]

    if part.__class__ is Node:
        node = part
        return blake3(b"".join((NODE, _counted(node.value), _counted(node.meta), of(node.kids)))).digest()
    if part.__class__ is Bucket:
        names = part.names
        return blake3(BUCKET + b"".join(_counted(name.encode()) + of(names[name]) for name in sorted(names))).digest()
    return blake3(WIDE + b"".join(map(of, cast("Wide", part).slots))).digest()


def _counted(data: bytes) -> bytes:
    return len(data).to_bytes(4, "little") + data
