"""Where the parts of a tree that are not loaded come from: its storage, which the tree does not keep alive.

Rule: whoever holds a tree holds its storage beside it (`Tree.source`), so the way back need not hold it again; then no
cycle of references leads through a tree, and a tree goes when its last holder does, whether the cyclic collector
sees nodes (interpreted) or passes them by (compiled, `acyclic` in rrdstore/tree/node.py).
Cost: O(1) beside what loading takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import ref

from rrdstore.errors import Closed

if TYPE_CHECKING:
    from rrdstore.tree.node import Bucket, Node, Source, Wide


class Loader:
    """The source of the stubs that a storage makes."""

    __slots__ = ("_storage",)

    def __init__(self, storage: Source) -> None:
        self._storage = ref(storage)

    @property
    def keeps(self) -> bool:
        """Whether what is loaded now may take the place of its stub."""
        storage = self._storage()
        return storage is not None and storage.keeps

    def load(self, number: int) -> Node | Bucket | Wide:
        """The object of this number; as the storage's, and Closed if that is gone."""
        storage = self._storage()
        if storage is None:
            raise Closed("the store of this tree")
        return storage.load(number)
