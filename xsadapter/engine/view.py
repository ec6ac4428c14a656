"""What a handler sees of the tree, and how it changes it: live, or inside a transaction.

Rule: a handler asks for a node by naming what of it will decide the reply or the effect ("exists",
"value", "meta", "list"); a live view needs that for nothing, a transaction keeps it as its read set.
So a handler reads only through here. `Live` is the head of the branch: every change is a commit of
its own, and the events are queued before the handler returns, hence before the reply. What would break
the transaction whose turn it is waits (`turns`): Later comes before anything is done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, Protocol

import rrdstore
from xsadapter.engine.events import tell, tell_replaced
from xsadapter.engine.flow import refused
from xsadapter.engine.index import apply, edits, is_index
from xsadapter.engine.permissions import inherited
from xsadapter.engine.turns import CREATED, REMOVED, WRITTEN
from xsadapter.paths import parent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from xsadapter.engine.connection import Connection
    from xsadapter.engine.head import Head
    from xsadapter.engine.index import Move


_FEW: Final = 8
"""Levels of one creation that may be listed one by one, each with its whole path."""

Order = tuple[tuple[str, ...], tuple[tuple[str, bool], ...]]
What = Literal["exists", "value", "meta", "list"]


class View(Protocol):
    """The tree as one request sees it."""

    author: str

    def node(self, path: str, what: What) -> rrdstore.Node | None:
        """The node at `path`, None if there is none, of which `what` is going to matter. O(depth)."""
        ...

    def nearest(self, path: str) -> tuple[str, rrdstore.Node]:
        """The nearest ancestor of a path that is missing, and its node, whose permissions are going to matter.

        O(depth).
        """
        ...

    def names(self, path: str) -> tuple[str, ...]:
        """The names below a node that exists, sorted."""
        ...

    def order(self, path: str) -> Order:
        """The same as they were sorted last, and what came and went since (`rrdstore.Tree.order`)."""
        ...

    def write(self, operation: str, path: str, value: bytes, old: rrdstore.Node) -> None:
        """Replace the value of a node, which is `old` now."""
        ...

    def bear_nodes(self, connection: Connection, count: int) -> None:
        """Refuse so many nodes more if the connection's quota does not bear them; ENOSPC, now or at the END."""
        ...

    def create(self, operation: str, made: Sequence[str], meta: bytes, value: bytes) -> None:
        """Create a chain of nodes, the highest first, all with this metadata; the last has the value and an event."""
        ...

    def permit(self, operation: str, path: str, meta: bytes) -> None:
        """Replace the metadata of a node that exists."""
        ...

    def remove(self, operation: str, path: str) -> None:
        """Remove a node that exists, and all below it."""
        ...


class Live:
    """The head of the branch, and commits of one request each."""

    __slots__ = ("_connection", "_head", "author")

    def __init__(self, head: Head, connection: Connection) -> None:
        self._head, self._connection, self.author = head, connection, connection.author

    def node(self, path: str, what: What) -> rrdstore.Node | None:  # noqa: ARG002 - a transaction's view needs it
        """See View."""
        return self._head.tree.get(path)

    def nearest(self, path: str) -> tuple[str, rrdstore.Node]:
        """See View."""
        return reached(self._head.tree, path)[1:]

    def names(self, path: str) -> tuple[str, ...]:
        """See View."""
        return self._head.tree.list(path)

    def order(self, path: str) -> Order:
        """See View."""
        return self._head.tree.order(path)

    def write(self, operation: str, path: str, value: bytes, old: rrdstore.Node) -> None:
        """See View."""
        head = self._head
        moves = head.indexes.written(path, old.value, value) if path.endswith(head.indexes.ends) else ()
        if head.turns.held:
            self._wait_for_turns([(path, WRITTEN)], moves)
        if head.journal is not None:
            head.journal.change(self._connection, ((path, False),))
        if moves:
            named = [*edits(head.tree, moves), (path, value, None)]
            head.moved(head.branch.change(named, message=f"{operation} {path}", author=self.author))
        else:
            head.moved(head.branch.set(path, value, None, f"{operation} {path}", self.author))
        self._told(operation, path, value, old)

    def _told(self, operation: str, path: str, value: bytes, old: rrdstore.Node) -> None:
        """A value was replaced: settle what follows."""
        head = self._head
        more = len(value) - len(old.value)
        if more:
            head.accounts.grew(old.meta, more)
        trail = self._connection.flow.trail
        if trail.changes:
            trail.changed(self._connection, ((operation, path),), head, self._connection.flow.now)
        if head.watches.count:
            tell_replaced(head.watches, path, head.tree)

    def replace(self, operation: str, path: str, names: tuple[str, ...], value: bytes) -> bool:
        """As `write`, for a client that may do it, if it is the value of a small leaf and nothing else is concerned.

        Or as `create`, if there is nothing. Of a path and its components; whether it is done, and nothing has happened
        if not. One walk of the tree.
        """
        head, connection = self._head, self._connection
        if head.turns.held or connection.flow.touched.any:
            return False
        journal = head.journal
        if journal is not None:
            journal.change(connection, ((path, False),))
        done = False
        try:
            done = self.put_there(operation, path, names, value)
        finally:
            if not done and journal is not None:
                journal.undo()
        return done

    def put_there(self, operation: str, path: str, names: tuple[str, ...], value: bytes) -> bool:
        """The same of what has been announced, while nobody has a turn."""
        head = self._head
        key = path.encode("ascii") + b"\0"
        spot = head.spots.get(key)
        old = None if spot is None else spot.node
        if old is None:
            way = head.branch.way(names)
            if way is None or way.node is None:
                return way is not None and not is_index(path) and self._made(operation, path, way, value)
            spot, old = head.spot(key, names), way.node
        if spot is None or old.__class__ is not rrdstore.Node:
            return False
        if path.endswith(head.indexes.ends) and (moves := head.indexes.written(path, old.value, value)):
            new = [*edits(head.tree, moves), (path, value, None)]
            head.moved(head.branch.change(new, f"{operation} {path}", self.author))
        else:
            number = head.branch.set_at(spot, value, f"{operation} ", self.author)
            if not number:  # It may be known no more, which another look mends.
                spot = head.spot(key, names)
                number = 0 if spot is None else head.branch.set_at(spot, value, f"{operation} ", self.author)
            if not number:
                return False
            head.replaced(number)
        self._told(operation, path, value, old)
        return True

    def _made(self, operation: str, path: str, way: rrdstore.Way, value: bytes) -> bool:
        """The same where it leads to nothing."""
        head = self._head
        made, node = missing(path, way)
        meta, message = inherited(node.meta, None), f"{operation} {path}"
        moves = head.indexes.written(path, b"", value) if path.endswith(head.indexes.ends) else ()
        if moves:
            new = [*edits(head.tree, moves), *[(each, b"", meta) for each in made[:0:-1]], (path, value, meta)]
            number = head.branch.change(new, message, self.author).number
        else:
            number = head.branch.make(made, way, value, meta, message, self.author)
        if number:
            head.made(number)
            head.accounts.made(made, meta, len(value))
            self._tell(operation, path, head.tree)
        return number > 0

    def bear_nodes(self, connection: Connection, count: int) -> None:
        """See View."""
        domain = connection.domain
        limit = domain.limits["nodes"]
        if limit and domain.usage.nodes + count > limit:
            raise refused(domain, "nodes", connection.flow)

    def create(self, operation: str, made: Sequence[str], meta: bytes, value: bytes) -> None:
        """See View."""
        path, indexes = made[-1], self._head.indexes
        moves = indexes.written(path, b"", value) if path.endswith(indexes.ends) else ()
        if self._head.turns.held:
            self._wait_for_turns([(each, CREATED) for each in made], moves)
        self._announce(path)
        message, branch = f"{operation} {path}", self._head.branch
        if len(made) <= _FEW:
            named = edits(self._head.tree, moves) if moves else ()
            above = [(each, b"", meta) for each in made[:-1]]
            commit = branch.change([*named, *above, (path, value, meta)], message=message, author=self.author)
            self._head.moved(commit)
        else:
            with branch.transaction(message=message, author=self.author) as change:
                apply(change, moves)
                change.set(path, value, meta=meta, parents=meta)
            self._head.moved()
        for each, node in zip(made, along(self._head.tree, made), strict=True):
            if node is not None:
                self._head.accounts.came(each, node)
        # Who may know of it is decided by what is there now, so one tree stands for both.
        self._tell(operation, path, self._head.tree)

    def permit(self, operation: str, path: str, meta: bytes) -> None:
        """See View."""
        if self._head.turns.held:
            self._head.turns.change(self._connection, ((path, WRITTEN),))
        before = self._head.still()
        old = before.stat(path)
        self._announce(path)
        message = f"{operation} {path}"
        self._head.moved(self._head.branch.set(path, old.value, meta=meta, message=message, author=self.author))
        self._head.accounts.went(path, old)
        self._head.accounts.came(path, self._head.tree.stat(path))
        self._tell(operation, path, before)

    def remove(self, operation: str, path: str) -> None:
        """See View."""
        moves = self._head.indexes.removed(self._head.tree, path)
        if self._head.turns.held:
            self._wait_for_turns([(path, REMOVED)], moves)
        before = self._head.still()
        self._announce(path, removed=True)
        message, branch = f"{operation} {path}", self._head.branch
        if moves:
            made = branch.change([*edits(before, moves), (path, None, None)], message=message, author=self.author)
        else:
            made = branch.remove(path, message=message, author=self.author)
        self._head.moved(made)
        for gone, node in before.descend(path):
            self._head.accounts.went(gone, node)
        self._tell(operation, path, before, removed=True)

    def _wait_for_turns(self, effects: list[tuple[str, int]], moves: Iterable[Move]) -> None:
        self._head.turns.change(self._connection, effects + [(move.place, WRITTEN) for move in moves])

    def _announce(self, path: str, removed: bool = False) -> None:
        journal = self._head.journal
        if journal is not None:
            journal.change(self._connection, ((path, removed),))

    def _tell(self, operation: str, path: str, before: rrdstore.Tree, removed: bool = False) -> None:
        trail = self._connection.flow.trail
        if trail.changes:
            trail.changed(self._connection, ((operation, path),), self._head, self._connection.flow.now)
        tell(self._head.watches, ((path, removed),), before, self._head.tree)


def missing(path: str, way: rrdstore.Way) -> tuple[list[str], rrdstore.Node]:
    """What of a path is missing, the lowest first, and the nearest node above that, by a way that leads to nothing."""
    found, at = [path], -1
    for _ in range(len(way.names) - way.levels):
        found.append(parent(found[-1]))
    while not isinstance(node := way.containers[at], rrdstore.Node):
        at -= 1
    return found, node


def along(tree: rrdstore.Tree, paths: Iterable[str]) -> Iterator[rrdstore.Node | None]:
    """What is at each of these paths, none of them the root. O(depth) for a run of them, each below the one before."""
    run: list[str] = []
    for path in (*paths, ""):
        if run and not path.startswith(f"{run[-1]}/"):
            nodes = list(tree.walk(run[-1]))
            for each in run:
                level = each.count("/")
                yield nodes[level] if level < len(nodes) else None
            run.clear()
        run.append(path)


def reached(tree: rrdstore.Tree, path: str) -> tuple[str, str, rrdstore.Node]:
    """Of a path that is missing: the first of it that is, the nearest ancestor that exists, and its node. O(depth).

    One way down: a guest may name a thousand levels that do not exist, and to look each up from the root takes 12 ms.
    """
    nodes = list(tree.walk(path))
    levels = len(nodes)
    parts = path.split("/", levels + 1)
    return "/".join(parts[: levels + 1]), "/".join(parts[:levels]) or "/", nodes[-1]
