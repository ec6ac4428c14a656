"""What a handler sees of the tree, and how it changes it: live, or inside a transaction.

Rule: a handler asks for a node by naming what of it will decide the reply or the effect ("exists",
"value", "meta", "list"); a live view needs that for nothing, a transaction keeps it as its read set.
So a handler reads only through here. `Live` is the head of the branch: every change is a commit of
its own, and the events are queued before the handler returns, hence before the reply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from xsadapter.engine.events import tell
from xsadapter.paths import parent

if TYPE_CHECKING:
    from collections.abc import Sequence

    import rrdstore
    from xsadapter.engine.head import Head
    from xsadapter.engine.watches import Watches


What = Literal["exists", "value", "meta", "list"]


class View(Protocol):
    """The tree as one request sees it."""

    author: str

    def node(self, path: str, what: What) -> rrdstore.Node | None:
        """The node at `path`, None if there is none, of which `what` is going to matter. O(depth)."""
        ...

    def names(self, path: str) -> tuple[str, ...]:
        """The names below a node that exists, sorted."""
        ...

    def write(self, operation: str, path: str, value: bytes) -> None:
        """Replace the value of a node that exists."""
        ...

    def create(self, operation: str, created: Sequence[tuple[str, bytes]], value: bytes) -> None:
        """Create nodes, parents first, each with its metadata; the last gets the value and is the one events name."""
        ...

    def permit(self, operation: str, path: str, meta: bytes) -> None:
        """Replace the metadata of a node that exists."""
        ...

    def remove(self, operation: str, path: str) -> None:
        """Remove a node that exists, and all below it."""
        ...


class Live:
    """The head of the branch, and commits of one request each."""

    __slots__ = ("_head", "_watches", "author")

    def __init__(self, head: Head, watches: Watches, author: str) -> None:
        self._head, self._watches, self.author = head, watches, author

    def node(self, path: str, what: What) -> rrdstore.Node | None:  # noqa: ARG002 - a transaction's view needs it
        """See View."""
        return self._head.tree.get(path)

    def names(self, path: str) -> tuple[str, ...]:
        """See View."""
        return self._head.tree.list(path)

    def write(self, operation: str, path: str, value: bytes) -> None:
        """See View."""
        head = self._head
        before = head.tree
        head.branch.set(path, value, message=f"{operation} {path}", author=self.author)
        head.moved()
        if self._watches.count:
            tell(self._watches, ((path, False),), before, head.tree)

    def create(self, operation: str, created: Sequence[tuple[str, bytes]], value: bytes) -> None:
        """See View."""
        path, meta = created[-1]
        message = f"{operation} {path}"
        if len(created) == 1:
            self._head.branch.set(path, value, meta=meta, message=message, author=self.author)
        else:
            with self._head.branch.transaction(message=message, author=self.author) as change:
                for above, inherited in created[:-1]:
                    change.set(above, b"", meta=inherited)
                change.set(path, value, meta=meta)
        self._tell(path)

    def permit(self, operation: str, path: str, meta: bytes) -> None:
        """See View."""
        value = self._head.tree.stat(path).value
        self._head.branch.set(path, value, meta=meta, message=f"{operation} {path}", author=self.author)
        self._tell(path)

    def remove(self, operation: str, path: str) -> None:
        """See View."""
        self._head.branch.remove(path, message=f"{operation} {path}", author=self.author)
        self._tell(path, removed=True)

    def _tell(self, path: str, removed: bool = False) -> None:
        before = self._head.tree
        self._head.moved()
        tell(self._watches, ((path, removed),), before, self._head.tree)


def nearest(view: View, path: str) -> tuple[str, rrdstore.Node]:
    """The nearest ancestor of `path` that exists, whose permissions are going to matter. O(levels x depth)."""
    while True:
        path = parent(path)
        node = view.node(path, "meta")
        if node is not None:
            return path, node
