"""Spots: where a node was found, for who asks for it again.

Rule: a spot is the bucket that a name stands in. As long as this is the newest tree's, what the name leads to there is
what the tree has at that path, whatever is set meanwhile in place. It is known no more once `Branch.replace` has copied
the bucket, which says so in the one that is left. All else that may take a bucket out of the tree tells nobody: who
keeps spots forgets them after any other commit, after a tick, and when `replace` has another root than before.
What is not in memory has no spot, as what is loaded may not stay.

Cost: a third of a look-up, and of the memory that it touches: a level is six places, each read after the other.
"""

from __future__ import annotations

from sys import intern
from typing import TYPE_CHECKING, Any

from rrdstore.tree.node import BITS, FANOUT, Bucket, Stub, Wide, name_hash

if TYPE_CHECKING:
    from rrdstore.tree.node import Kids, Node

LEFT = -1
"""The `edit` of a bucket whose copy has taken its place."""


class Spot:
    """A name in a bucket."""

    __slots__ = ("_bucket", "_name")

    def __init__(self, bucket: Bucket, name: str) -> None:
        self._bucket = bucket
        self._name = name

    @property
    def node(self) -> Node | None:
        """What is there now; None if that is known no more, and to be looked up. O(1)."""
        bucket = self._bucket
        found = bucket.names.get(self._name) if bucket.edit != LEFT else None
        return None if type(found) is Stub else found  # type: ignore[return-value]  # a Node or None


def spot(root: Node, names: tuple[str, ...]) -> Spot | None:
    """Where a node is; None if it is not there, or not in memory, or is the root. O(depth)."""
    node, bucket = root, None
    try:
        for name in names:
            bucket = _bucket(node.kids, name)
            if bucket is None:
                return None
            found = bucket.names[name]
            if type(found) is Stub:
                return None
            node = found  # type: ignore[assignment]  # a Node
    except KeyError:
        return None
    return None if bucket is None or bucket.edit == LEFT else Spot(bucket, intern(names[-1]))


def _bucket(kids: Kids | None, name: str) -> Bucket | None:
    """The bucket that a name would stand in; None if it is not in memory."""
    found: Any = kids
    if type(found) is Wide:
        left = name_hash(name)
        while type(found) is Wide:
            found = found.slots[left & (FANOUT - 1)]
            left >>= BITS
    return found if type(found) is Bucket else None
