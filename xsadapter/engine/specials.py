"""@introduceDomain and @releaseDomain: what is told of domains that come and go.

Rules
1. A watch on the bare name is told that name; one with a depth of 1 or more is told
   `NAME/<domid>` instead, and so is a watch on that name itself.
2. The list of the special name decides who is told, or the root's, as for any node and its parent.
3. Several shutdowns found in one look are one event for those who watch the bare name. No special
   event is ever dropped as equal to another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from xsadapter.engine.permissions import READ, allows
from xsadapter.engine.private import special_place

if TYPE_CHECKING:
    import rrdstore
    from xsadapter.engine.watches import Watch, Watches

INTRODUCE: Final = "@introduceDomain"
RELEASE: Final = "@releaseDomain"


def tell(watches: Watches, tree: rrdstore.Tree, name: str, domid: int, *, bare: bool = True) -> None:
    """Tell of one domain; without `bare`, only those who want to know which."""
    one = f"{name}/{domid}"
    for watch in watches.matching(one):
        if watch.path == name and watch.depth is None:
            if bare and _may_see(watch, tree, name):
                watch.tell(name)
        elif _may_see(watch, tree, name):
            watch.tell(one)


def tell_bare(watches: Watches, tree: rrdstore.Tree, name: str) -> None:
    """Tell those who watch the bare name that some domain came or went."""
    for watch in watches.matching(name):
        if watch.depth is None and _may_see(watch, tree, name):
            watch.tell(name)


def _may_see(watch: Watch, tree: rrdstore.Tree, name: str) -> bool:
    connection = watch.connection
    if connection.privileged:
        return True
    nodes = (tree.get(special_place(name)), tree.get("/"))
    return any(node is not None and allows(node.meta, connection.identities, READ) for node in nodes)
