"""What watchers are told of a change: its net effect.

Rules
1. An effect is (path, removed): a path that was named by WRITE, by a MKDIR that created, by
   SET_PERMS or by RM, and whether RM named it. Parents made on the way are no effects.
2. An effect tells everyone who watches the path or an ancestor, if the node exists before the
   change or after it, whether it was removed by its own name or, in the same transaction, with its parent. What was
   created and removed again in one transaction tells nobody.
3. A removal tells first those who watch exactly a node below that existed before and does not
   afterwards: each its own path, the deepest first.
4. An unprivileged connection is told of a node that it may read, or whose parent it may read,
   after the change, or that it could read before the change (XSA-115).

Cost: O(depth) an effect, and as much for each watch that it tells; for removals also the places watched
below them, each once however many of them are nested, never the number of nodes that went. A guest chooses
depth, nesting and 128 watches, so nothing here may be looked up again for each watch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xsadapter.engine import private
from xsadapter.engine.permissions import READ, allows
from xsadapter.paths import parent

if TYPE_CHECKING:
    from collections.abc import Iterable

    import rrdstore
    from xsadapter.engine.watches import Watch, Watches

Effect = tuple[str, bool]


def tell(watches: Watches, effects: Iterable[Effect], before: rrdstore.Tree, after: rrdstore.Tree) -> None:
    """Queue the events of one commit."""
    if not watches.count:
        return
    told: set[str] = set()
    looked: set[int] = set()
    for path, removed in effects:
        if path.startswith(private.ROOT):
            continue
        if removed:
            for place, below in watches.below(path, looked):
                if place not in told:
                    change = _Change(place, before, after)
                    if change.old is not None and change.new is None:
                        change.tell(below)
        change = _Change(path, before, after)
        if change.new is not None or change.old is not None:
            told.add(path)
            change.tell(watches.matching(path))


def tell_replaced(watches: Watches, path: str, tree: rrdstore.Tree) -> None:
    """The same for a client's value that was replaced: its node was there and is, and the same may read it."""
    change: _Change | None = None
    for watch in watches.matching(path):
        connection = watch.connection
        if connection.privileged:
            connection.event(path[watch.strip :] if watch.strip else path, watch.token)
        else:
            change = change or _Change(path, tree, tree)
            change.tell((watch,))


class _Change:
    """What became of one path, and who may know of it."""

    __slots__ = ("_metas", "_now", "_path", "_verdicts", "new", "old")

    def __init__(self, path: str, before: rrdstore.Tree, after: rrdstore.Tree) -> None:
        self._path = path
        self.old, self.new = before.get(path), after.get(path)
        # What is gone is judged by what was there: its parent's list counts as it was then.
        self._now = after if self.new is not None else before
        self._metas: list[bytes] | None = None
        self._verdicts: dict[tuple[int, ...], bool] = {}

    def tell(self, watches: Iterable[Watch]) -> None:
        path = self._path
        for watch in watches:
            connection = watch.connection
            if connection.privileged or self._may_see(connection.identities):
                strip = watch.strip
                connection.event(path[strip:] if strip else path, watch.token)

    def _may_see(self, identities: tuple[int, ...]) -> bool:
        verdict = self._verdicts.get(identities)
        if verdict is None:
            if self._metas is None:
                nodes = (self.new, self._now.get(parent(self._path)), self.old)
                self._metas = [node.meta for node in nodes if node is not None]
            verdict = self._verdicts[identities] = any(allows(meta, identities, READ) for meta in self._metas)
        return verdict
