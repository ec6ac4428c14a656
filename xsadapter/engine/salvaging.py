"""What can still be read of a tree whose store is damaged, and a daemon that goes on with that.

Rules
1. What can be read is taken as it is; a place that cannot, because its node or the listing below it is damaged, is
   named once, with all below it. Nothing is guessed.
2. A place that cannot be read is filled in later by what another tree of the same moment has there.
3. What the daemon keeps for itself is made again from what it knows, where that was lost, and indexes from names.

Cost: O(nodes), and once more for each level on the way to a place that cannot be read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import rrdstore
from xsadapter.engine import lives, private
from xsadapter.engine.moving import goes_on_in
from xsadapter.engine.permissions import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from xsadapter.engine.daemon import Daemon

_MESSAGE = "START on what can be read of a damaged store"


def salvage(daemon: Daemon, store: rrdstore.Store, boot: str) -> list[str]:
    """Have the daemon go on in an empty `store` with what can be read of its tree; the places that cannot be.

    The store it leaves is the caller's to close.
    """
    with store.branch("main").transaction(message=_MESSAGE, author=lives.AUTHOR) as change:
        lost = copied(daemon.head.still(), change, ["/"])
    goes_on_in(daemon, store)
    if lost:
        _made_whole(daemon, boot)
    return lost


def fill(daemon: Daemon, tree: rrdstore.Tree, lost: Iterable[str], boot: str) -> list[str]:
    """Fill in places that were lost from another tree, if that is of this boot; what stays lost."""
    mark = tree.get(private.BOOT)
    if mark is None or mark.value != boot.encode():
        return list(lost)
    with daemon.branch.transaction(message=_MESSAGE, author=lives.AUTHOR) as change:
        left = copied(tree, change, lost)
    daemon.head.moved()
    _made_whole(daemon, boot)
    return left


def _made_whole(daemon: Daemon, boot: str) -> None:
    head = daemon.head
    with daemon.branch.transaction(message=_MESSAGE, author=lives.AUTHOR) as change:
        for place, value, meta in _needed(daemon, boot):
            if _is_missing(change, place):
                change.set(place, value, meta=meta)
    head.moved()
    for domain in daemon.domains:
        domain.uncharge()
    if daemon.counting is None:
        daemon.accounts.recount(head.tree)
    else:
        daemon.counting.moved()
    head.mend(lives.AUTHOR)


def copied(tree: rrdstore.Tree, change: rrdstore.Transaction, tops: Iterable[str]) -> list[str]:
    """Set what is at and below these places as the tree has it, where nothing is yet; what cannot be read, topmost."""
    lost, waiting = [], list(tops)
    while waiting:
        top = waiting.pop()
        try:
            nodes = list(tree.descend(top))
        except rrdstore.StoreError:
            # Its parts one by one; so deep in, as most of what is damaged is small.
            try:
                nodes, names = [(top, tree.stat(top))], tree.list(top)
            except rrdstore.StoreError:
                lost.append(top)
                continue
            waiting += [f"{top.rstrip('/')}/{name}" for name in names]
        for path, node in nodes:
            if _is_missing(change, path):
                change.set(path, node.value, meta=node.meta)
    return sorted(lost)


def _is_missing(change: rrdstore.Transaction, path: str) -> bool:
    # The root of an empty store is there, and nobody's.
    found = change.tree.get(path)
    return found is None or (path == "/" and not found.meta)


def _needed(daemon: Daemon, boot: str) -> Iterable[tuple[str, bytes, bytes]]:
    yield from (("/", b"", DEFAULT), (private.ROOT, b"", DEFAULT), (private.BOOT, boot.encode(), DEFAULT))
    for name, meta in private.SPECIAL_LISTS.items():
        yield private.special_place(name), b"", meta
    for domain in daemon.domains:
        if domain.domid and domain.unique:
            yield private.domain_place(domain.domid), b"%d" % domain.unique, DEFAULT
