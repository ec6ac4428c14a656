"""A tree as a plain dict and back, for storages that keep no objects of the engine, and for tests.

Rule: what `grown` makes of `flat` is the same tree: values, metadata, and which commits made and last set each node.
Cost: O(nodes); nothing is shared with the tree it came from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from rrdstore.tree import edit
from rrdstore.tree.node import new_node
from rrdstore.tree.path import split
from rrdstore.tree.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rrdstore.tree.node import Node

Flat: TypeAlias = "dict[str, tuple[bytes, bytes, int, int]]"
"""Of each path: value, metadata, and the numbers of the commits that made and last set it."""


def flat(root: Node) -> Flat:
    """All nodes of a tree, parents first."""
    return {path: (node.value, node.meta, node.created, node.modified) for path, node in Tree(root).descend()}


def grown(tree: Mapping[str, tuple[bytes, bytes, int, int]]) -> Node:
    """The tree of all these nodes, parents first."""
    root: Node = edit.EMPTY
    mark = edit.new_edit()
    for path, fields in tree.items():
        names = split(path)
        there = edit.find(root, names)
        root = edit.graft(root, names, new_node(*fields, None if there is None else there.kids), 0, mark)
    return root
