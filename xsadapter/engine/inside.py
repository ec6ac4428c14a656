"""The tree as it is inside a transaction: what its requests have read of it, changed, and named.

Rule: what decides a reply or an effect is noted before the change is made; a change is noted in order, by what it is to
be called and by its path. Creating siblings reads no listing, so it conflicts with nothing.

Cost: O(depth) a request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import rrdstore
from xsadapter.engine.accounts import ENTRY, NODE
from xsadapter.engine.flow import refused
from xsadapter.engine.index import apply
from xsadapter.engine.permissions import DEFAULT
from xsadapter.engine.turns import CREATED, REMOVED, WRITTEN
from xsadapter.engine.view import missing, reached
from xsadapter.paths import INDEX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xsadapter.engine.connection import Connection
    from xsadapter.engine.head import Head
    from xsadapter.engine.index import Move
    from xsadapter.engine.view import Order, What

_INDEX: Final = INDEX[1:]


class Inside:
    """The view of an open transaction; see `view.View` for what the methods promise."""

    __slots__ = (
        "_changes",
        "_effects",
        "_ended",
        "_followed",
        "_guest",
        "_head",
        "_made",
        "_memory",
        "_moves",
        "_poisoned",
        "_tx",
        "author",
        "touched",
    )

    def __init__(self, head: Head, connection: Connection) -> None:
        self._head, self.author = head, connection.author
        self._guest = None if connection.privileged else connection
        self._memory, self._poisoned, self._ended = 0, False, False
        self._tx: rrdstore.Transaction
        self._begin()

    def _begin(self) -> None:
        """Nothing is changed yet, in a snapshot of what there is now."""
        self._tx = self._head.branch.transaction(author=self.author)
        self._effects: dict[str, bool] = {}
        self._changes: list[tuple[str, str]] = []
        self.touched: set[str] = set()
        """Every path that a request of it named or was decided by, where that matters."""
        self._followed = self._guest is not None or bool(self._head.turns.held)
        """Whether it does: to a quota, or to somebody's turn, which begins before its transaction."""
        self._made: dict[str, None] = {}
        self._moves: dict[str, None] = {}

    def bear_nodes(self, connection: Connection, count: int) -> None:
        """See View: judged at the END."""

    def node(self, path: str, what: What) -> rrdstore.Node | None:
        """See View."""
        if path not in self.touched:
            self._touch(path)
        return self._tx.look(path, what)

    def nearest(self, path: str) -> tuple[str, rrdstore.Node]:
        """See View. That the first missing name is missing says that all below it are."""
        missing, above, node = reached(self._tx.now, path)
        for place in (missing, above):
            if place not in self.touched:
                self._touch(place)
        self._tx.note(missing, "exists")
        self._tx.note(above, "meta")
        return above, node

    def names(self, path: str) -> tuple[str, ...]:
        """See View."""
        self._tx.note(path, "list")
        return self._tx.now.list(path)

    def order(self, path: str) -> Order:
        """See View."""
        self._tx.note(path, "list")
        return self._tx.now.order(path)

    def find(self, path: str, names: tuple[str, ...], what: What) -> rrdstore.Node | None:
        """As `node`, of a privileged client's path and its components. O(depth)."""
        if self._followed:
            self.touched.add(path)
        return self._tx.reach(path, names, what)

    def put(self, operation: str, path: str, names: tuple[str, ...], value: bytes, *, new: bool = False) -> bool:
        """Have a privileged client's value there: replace it, or make the node and those that are missing above it.

        As `node`, `nearest`, `write` and `create` in one, if no index is concerned; whether that was done. What is
        there stays as it is if it is to be `new`.
        """
        tx = self._tx
        if path.endswith(self._head.indexes.ends):
            return False
        way = tx.way(names)
        if way.node is not None:
            made, above = [path], ""
            tx.note(path, "exists")
            if not new:
                tx.set(path, value, None, None, way)
        elif names[0] == _INDEX:
            return False
        else:
            if way.levels == len(names):  # Mostly; the rest is `missing`, without its call.
                made, at = [path], -1
                while not isinstance(node := way.containers[at], rrdstore.Node):
                    at -= 1
            else:
                made, node = missing(path, way)
                tx.note(path, "exists")
            above = made[-1].rpartition("/")[0] or "/"
            tx.note(above, "meta")
            tx.make(made, way, value, node.meta or DEFAULT)
            made.reverse()
            self._made.update(dict.fromkeys(made))
        if self._followed:
            self.touched.update((*made, above) if above else made)
        if above or not new:
            self._effects.setdefault(path, False)
            self._changes.append((operation, path))
        return True

    def set_list(self, operation: str, path: str, names: tuple[str, ...], meta: bytes) -> bool:
        """Replace a node's metadata for a privileged client: as `node` and `permit` in one; whether it is there."""
        tx = self._tx
        way = tx.way(names)
        node = way.node
        if node is None:
            return False
        if self._followed:
            self.touched.add(path)
        tx.note(path, "value")
        tx.set(path, node.value, meta, None, way)
        self._effects.setdefault(path, False)
        self._changes.append((operation, path))
        return True

    def write(self, operation: str, path: str, value: bytes, old: rrdstore.Node) -> None:
        """See View."""
        if path.endswith(self._head.indexes.ends):
            self._move(path, self._head.indexes.written(path, old.value, value))
        self._tx.set(path, value)
        self._changed(operation, path, len(value))

    def create(self, operation: str, made: Sequence[str], meta: bytes, value: bytes) -> None:
        """See View. That the first was missing says that all below it were."""
        path = made[-1]
        self._tx.note(made[0], "exists")
        if path.endswith(self._head.indexes.ends):
            self._move(path, self._head.indexes.written(path, b"", value))
        self._tx.set(path, value, meta=meta, parents=meta)
        self._made.update(dict.fromkeys(made))
        self._changed(operation, path, len(value))

    def permit(self, operation: str, path: str, meta: bytes) -> None:
        """See View. The engine sets value and metadata together, so the value counts as read."""
        self._tx.note(path, "value")
        self._tx.set(path, self._tx.now.stat(path).value, meta=meta)
        self._changed(operation, path)

    def remove(self, operation: str, path: str) -> None:
        """See View."""
        self._move(path, self._head.indexes.removed(self._tx.now, path))
        self._tx.remove(path)
        self._changed(operation, path, removed=True)

    def _move(self, path: str, moves: list[Move]) -> None:
        """The indexes change with what is at and below a path; what that depends on counts as read (`index` 3)."""
        for _, _, source in self._head.indexes.sources(path):
            self._tx.note(source, "value")
        apply(self._tx, moves)
        self._moves.update(dict.fromkeys(move.place for move in moves))

    def _changed(self, operation: str, path: str, size: int = 0, removed: bool = False) -> None:
        self._charge(NODE + ENTRY + len(path) + size)
        self._effects[path] = self._effects.get(path, False) or removed
        self._changes.append((operation, path))

    def _charge(self, more: int) -> None:
        if self._guest is not None and not self._ended:
            self._memory += more
            self._guest.domain.charge(more)

    def _touch(self, path: str) -> None:
        guest = self._guest
        if guest is not None:
            limit = guest.domain.limits["transaction-nodes"]
            if limit and len(self.touched) >= limit:
                self._poisoned = True
                raise refused(guest.domain, "transaction-nodes", guest.flow)
        self.touched.add(path)

    def _done(self) -> list[tuple[str, int]]:
        """What this does to which paths."""
        made = self._made
        done = [(path, REMOVED if removed else WRITTEN) for path, removed in self._effects.items() if path not in made]
        return done + [(path, CREATED) for path in made] + [(place, WRITTEN) for place in self._moves]
