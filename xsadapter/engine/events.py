"""What watchers are told of a change: its net effect.

Rules
1. An effect is (path, removed): a path that was named by WRITE, by a MKDIR that created, by
   SET_PERMS or by RM, and whether RM named it. Parents made on the way are no effects.
2. An effect tells everyone who watches the path or an ancestor, if the node exists after the
   change, or existed before it and was removed by name. What was created and removed again in one
   transaction tells nobody.
3. A removal tells first those who watch exactly a node below that existed before and does not
   afterwards: each its own path, the deepest first.
4. An unprivileged connection is told of a node that it may read, or whose parent it may read,
   after the change, or that it could read before the change (XSA-115).

Cost: O(levels with watches) an effect; for a removal also the places watched below it, never the
number of nodes that went.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xsadapter.engine import private
from xsadapter.engine.permissions import READ, allows
from xsadapter.paths import parent

if TYPE_CHECKING:
    from collections.abc import Iterable

    import rrdstore
    from xsadapter.engine.connection import Connection
    from xsadapter.engine.watches import Watches

Effect = tuple[str, bool]


def tell(watches: Watches, effects: Iterable[Effect], before: rrdstore.Tree, after: rrdstore.Tree) -> None:
    """Queue the events of one commit."""
    if not watches.count:
        return
    told: set[str] = set()
    for path, removed in effects:
        if path.startswith(private.ROOT):
            continue
        if removed:
            for watch in watches.below(path):
                gone = watch.path not in told and watch.path in before and watch.path not in after
                if gone and _may_see(watch.connection, watch.path, before, after):
                    watch.tell(watch.path)
        if path in after or (removed and path in before):
            told.add(path)
            for watch in watches.matching(path):
                if _may_see(watch.connection, path, before, after):
                    watch.tell(path)


def _may_see(connection: Connection, path: str, before: rrdstore.Tree, after: rrdstore.Tree) -> bool:
    if connection.privileged:
        return True
    # What is gone is judged by what was there: its parent's list counts as it was then.
    now = after if path in after else before
    for tree, place in ((now, path), (now, parent(path)), (before, path)):
        node = tree.get(place)
        if node is not None and allows(node.meta, connection.identities, READ):
            return True
    return False
