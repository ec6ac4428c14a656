"""The tree of another daemon, taken over.

Rules
1. It replaces what clients can see, in as few commits as the store can take: the first takes away what was there,
   the last says that the tree is this boot's. So who is killed meanwhile begins with a fresh tree, never with half.
   What is between, the indexes too, is stored by the ticks that come, while everybody is served.
2. Whoever owns a node or is named in a list by then is known by the unique id that he has now.

Cost: O(nodes).
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

import rrdstore
from xsadapter.engine import lives, private
from xsadapter.engine.permissions import ANY_DOMAIN, DEFAULT, listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xsadapter.engine.daemon import Daemon

_MESSAGE: Final = "START on the tree of another daemon"


def plant(daemon: Daemon, boot: str, nodes: Mapping[str, tuple[bytes, bytes]], uniques: Mapping[int, int]) -> None:
    """Make the tree these nodes (value and list of each, parents first), for a daemon that has no clients yet.

    `uniques`: the ids of domains that are known by them. StoreError.
    """
    with daemon.branch.transaction(message=_MESSAGE, author=lives.AUTHOR) as change:
        for name in daemon.branch.tree.list("/"):
            change.remove(f"/{name}")
        change.set("/", *nodes.get("/", (b"", DEFAULT)))
        change.set(private.ROOT, b"", meta=DEFAULT)
        for name, meta in private.SPECIAL_LISTS.items():
            change.set(private.special_place(name), b"", meta=nodes.get(name, (b"", meta))[1])
    places = [(path, value, meta) for path, (value, meta) in nodes.items() if path[0] == "/" != path]
    if places:
        daemon.branch.plant(places, message=_MESSAGE, author=lives.AUTHOR, later=True)
    with suppress(rrdstore.StoreFull, rrdstore.TooLarge):  # Without them it is begun without them, and says so.
        made = daemon.head.indexes.made_of(nodes)
        daemon.branch.plant(made, message=_MESSAGE, author=lives.AUTHOR, later=True)
    named = {domid for meta in {meta for _, meta in nodes.values()} for domid in listed(meta).named} | set(uniques)
    with daemon.branch.transaction(message=_MESSAGE, author=lives.AUTHOR) as change:
        for domid in sorted(named - {0, ANY_DOMAIN}):
            life = daemon.domains.life(domid)
            unique = uniques.get(domid) or (life.unique if life is not None else 0)
            if unique:
                change.set(private.domain_place(domid), b"%d" % unique, meta=DEFAULT)
        change.set(private.BOOT, boot.encode(), meta=DEFAULT)
    daemon.head.moved()
