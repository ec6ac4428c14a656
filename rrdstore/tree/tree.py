"""A tree as its reader sees it: a root that never changes, and the walks over it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from rrdstore.errors import NotFound
from rrdstore.tree.digest import digest
from rrdstore.tree.edit import find, nodes_of, way_to
from rrdstore.tree.node import Bucket, Node, Stub, child, listing
from rrdstore.tree.order import Late
from rrdstore.tree.path import join, split

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rrdstore.tree.node import Kids, Source
    from rrdstore.tree.order import Notes


class Tree:
    """All that was there at one moment. Immutable, so it may be read from any thread."""

    __slots__ = ("root", "source")

    def __init__(self, root: Node, source: Source | None = None) -> None:
        self.root = root
        self.source = source
        """Whose object numbers its parts carry."""

    def get(self, path: str) -> Node | None:
        """The node at `path`, or None; O(depth)."""
        return find(self.root, split(path))

    def reach(self, names: tuple[str, ...]) -> Node | None:
        """As `get`, by the components of a path: for who has them already."""
        return find(self.root, names)

    def stat(self, path: str) -> Node:
        """The node at `path`; NotFound if there is none. O(depth)."""
        node = find(self.root, split(path))
        if node is None:
            raise NotFound("node", path)
        return node

    def list(self, path: str) -> tuple[str, ...]:
        """The names below `path`, sorted; NotFound. O(depth), and O(n log n) the first time it is asked."""
        return listing(self.stat(path).kids)

    def order(self, path: str) -> tuple[tuple[str, ...], Notes]:
        """The same as they were sorted last, and which came (True) and went (False) since, in that order; NotFound.

        For who carries along what he made of a listing: while little changes the names are the same tuple, and only
        notes are added. O(depth), and O(n log n) the first time it is asked.
        """
        kids = self.stat(path).kids
        found = None if kids is None else kids.order
        return (found.names, found.notes) if found.__class__ is Late else (listing(kids), ())

    def walk(self, path: str) -> Iterator[Node]:
        """The nodes on the way to `path`: the root first, to the named node or its nearest ancestor that exists.

        What permission checks and watch look-ups ride on: count the nodes to know how far it went.
        """
        way = way_to(self.root, split(path))
        nodes = nodes_of(way.containers)
        return iter(nodes if way.node is None else [*nodes, way.node])

    def descend(self, path: str = "/") -> Iterator[tuple[str, Node]]:
        """Every node at and below `path`, parents first, siblings by name; NotFound. O(nodes), no recursion."""
        return _descend(split(path), self.stat(path))

    def outline(self, path: str = "/", level: int = 1) -> Iterator[tuple[int, str, Node]]:
        """The same without the node itself, and each by its name: level, name, node; NotFound.

        Those directly below `path` have this `level`. O(nodes), a third of what `descend` takes; no recursion.
        """
        return _outline(self.stat(path).kids, level)

    def digest(self) -> bytes:
        """32 bytes that prove the content; O(what was never hashed before)."""
        return digest(self.root)

    def __contains__(self, path: str) -> bool:
        return find(self.root, split(path)) is not None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tree) and (self.root is other.root or self.digest() == other.digest())

    __hash__ = None  # type: ignore[assignment]  # equal by content, which is too dear for a hash


def _descend(names: tuple[str, ...], node: Node) -> Iterator[tuple[str, Node]]:
    stack = [(names, node)]
    while stack:
        names, node = stack.pop()
        yield join(names), node
        for name in reversed(listing(node.kids)):
            below = child(node.kids, name)
            if below is not None:
                stack.append(((*names, name), below))


def _outline(kids: Kids | None, level: int) -> Iterator[tuple[int, str, Node]]:
    sets, stack, level = [kids], [_named(kids)], level - 1
    found: Any
    while stack:
        here = level + len(stack)
        for name, found in stack[-1]:
            if found.__class__ is Node:
                yield here, name, found
                continue
            node = cast("Node", child(sets[-1], name)) if found.__class__ is Stub else found
            yield here, name, node
            if node.kids is not None:
                sets.append(node.kids)
                stack.append(_named(node.kids))
                break
        else:
            stack.pop()
            sets.pop()


def _named(kids: Kids | None) -> Iterator[tuple[str, Node | Stub]]:
    """Names and nodes of a set, by name; what a wide one has is loaded when its turn comes."""
    if kids.__class__ is Bucket:
        # The order of a few is not kept: that takes more than to find it again.
        found = kids.names.items()
        return iter(sorted(found) if len(found) > 1 else found)
    return ((name, cast("Node", child(kids, name))) for name in listing(kids))
