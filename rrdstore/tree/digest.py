"""Digests: the content of a tree, proved in 32 bytes.

Rule: BLAKE3 over a byte that tells the kind, then the parts, each with its length. Value, metadata
and children count; when and by which commit a node was set do not, so that equal content made in any
order digests equally. A node without children is hashed with the bucket it stands in. Only asked-for
digests are computed; they are kept on nodes with children and on containers, never on leaves: what
has one has them everywhere below. Digests are for proof, not for identity.
Cost: O(what was never hashed before). No recursion over depth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from blake3 import blake3

from rrdstore.tree.node import Bucket, Node, Stub, Wide, child, part

if TYPE_CHECKING:
    from rrdstore.tree.node import Kids, Stored

LEAF, NODE, BUCKET, WIDE = b"l", b"n", b"b", b"w"
SIZE = 32
_NONE = bytes(SIZE)

Part = Node | Bucket | Wide


def digest(root: Node) -> bytes:
    """The digest of the tree below and with `root`, 32 bytes."""
    if root.kids is None:
        return _hash(root)
    stack: list[Part] = [root]
    while stack:
        top = stack[-1]
        if top.hashed is None:
            missing = _missing(top)
            if missing:
                stack.extend(missing)
                continue
            cast("Stored", top).hashed = _hash(top)
        stack.pop()
    return cast("bytes", root.hashed)


def _missing(whole: Part) -> list[Part]:
    """Its parts, leaves excepted, that have no digest yet; all of them are loaded."""
    if isinstance(whole, Node):
        kids = whole.kids
        return [kids] if kids is not None and kids.hashed is None else []
    missing: list[Part] = []
    if whole.__class__ is Bucket:
        for name, found in whole.names.items():
            node = child(whole, name) if found.__class__ is Stub else cast("Node", found)
            if node is not None and node.kids is not None and node.hashed is None:
                missing.append(node)
        return missing
    wide = cast("Wide", whole)
    for index, slot in enumerate(wide.slots):
        below = part(wide, index) if slot.__class__ is Stub else cast("Kids | None", slot)
        if below is not None and below.hashed is None:
            missing.append(below)
    return missing


def _hash(whole: Part) -> bytes:
    """The digest of one part, those of its own parts being there."""
    if isinstance(whole, Node):
        pieces = [NODE, _counted(whole.value), _counted(whole.meta), _below(whole.kids)]
    elif whole.__class__ is Bucket:
        pieces = [BUCKET]
        for name, node in sorted(cast("dict[str, Node]", whole.names).items()):
            pieces.append(_counted(name.encode()))
            if node.kids is None:
                pieces += LEAF, _counted(node.value), _counted(node.meta)
            else:
                pieces += NODE, _below(node)
    else:
        pieces = [WIDE, *(_below(cast("Part | None", below)) for below in cast("Wide", whole).slots)]
    return blake3(b"".join(pieces)).digest()


def _below(below: Part | None) -> bytes:
    return _NONE if below is None else cast("bytes", below.hashed)


def _counted(data: bytes) -> bytes:
    return len(data).to_bytes(8, "little") + data
