"""Digests: the content of a tree, proved in 32 bytes.

Rule: BLAKE3 over a byte that tells the kind, then the parts, each with its length. Value, metadata
and children count; when and by which commit a node was set do not, so that equal content made in any
order digests equally. A node without children is hashed with the bucket it stands in. Only asked-for
digests are computed; they are kept on nodes with children and on containers, never on leaves: what
has one has them everywhere below. Digests are for proof, not for identity.
Cost: O(what was never hashed before). No recursion over depth.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, cast

from blake3 import blake3

from rrdstore.tree.node import FANOUT, Bucket, Node, Wide, child, part

if TYPE_CHECKING:
    from rrdstore.tree.node import Stored

LEAF, NODE, BUCKET, WIDE = b"l", b"n", b"b", b"w"
SIZE = 32
_NONE = bytes(SIZE)

Part = Node | Bucket | Wide


def digest(root: Node) -> bytes:
    """The digest of the tree below and with `root`, 32 bytes."""
    if root.kids is None:
        return _hash(root, [None])
    # What is loaded is held here until it is hashed in: its source may not let it stay where it hangs.
    stack: list[tuple[Part, list[Part | None] | None]] = [(root, None)]
    while stack:
        top, parts = stack.pop()
        if top.hashed is not None:
            continue
        if parts is None:
            parts = _parts(top)
            stack.append((top, parts))
            stack += [(one, None) for one in parts if one is not None and one.hashed is None and not _is_leaf(one)]
        else:
            cast("Stored", top).hashed = _hash(top, parts)
    return cast("bytes", root.hashed)


def _is_leaf(one: Part) -> bool:
    return isinstance(one, Node) and one.kids is None


def _parts(whole: Part) -> list[Part | None]:
    """All that it consists of, loaded: of a bucket in the order of its names as they lie."""
    if isinstance(whole, Node):
        return [whole.kids]
    if whole.__class__ is Bucket:
        return [child(whole, name) for name in list(whole.names)]
    return [part(cast("Wide", whole), index) for index in range(FANOUT)]


def _hash(whole: Part, parts: list[Part | None]) -> bytes:
    """The digest of one part, those of its own parts being there."""
    if isinstance(whole, Node):
        pieces = [NODE, _counted(whole.value), _counted(whole.meta), _below(parts[0])]
    elif whole.__class__ is Bucket:
        pieces = [BUCKET]
        for name, found in sorted(zip(whole.names, parts, strict=True), key=itemgetter(0)):
            node = cast("Node", found)
            pieces.append(_counted(name.encode()))
            if node.kids is None:
                pieces += LEAF, _counted(node.value), _counted(node.meta)
            else:
                pieces += NODE, _below(node)
    else:
        pieces = [WIDE, *map(_below, parts)]
    return blake3(b"".join(pieces)).digest()


def _below(below: Part | None) -> bytes:
    return _NONE if below is None else cast("bytes", below.hashed)


def _counted(data: bytes) -> bytes:
    return len(data).to_bytes(8, "little") + data
