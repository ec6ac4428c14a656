"""Whether a guest's quotas bear what it asks for: each refusal comes before anything has changed.

Rules
1. The size of a node is 16 bytes + 8 an entry + its value + the names of its children, each with a
   NUL; so a creation must also fit the parent. Whoever changes value or list is asked, as in C, even
   if the node becomes smaller: one that domain 0 has made too large stays as it is.
2. Nodes are counted where the tree is changed: at once, or at the END of a transaction, against what
   the domain has then.
3. Memory (`engine.accounts`) refuses growth: ENOMEM, EIO for a node that cannot be made.

Cost: O(1); O(children of the parent, at most what its size allows) for a creation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xsadapter.engine import private
from xsadapter.engine.accounts import ENTRY, NODE
from xsadapter.engine.flow import refused
from xsadapter.engine.permissions import entries, owner
from xsadapter.engine.view import along
from xsadapter.paths import topmost

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import rrdstore
    from xsadapter.engine.connection import Connection
    from xsadapter.engine.domains import Domain
    from xsadapter.engine.view import View


def bear(connection: Connection, view: View, path: str, meta: bytes, value: bytes, old: rrdstore.Node) -> None:
    """A node with this value and list, instead of `old`; ENOSPC, ENOMEM."""
    own = NODE + ENTRY * len(entries(meta)) + len(value)
    limit = connection.domain.limits["node-size"]
    if limit and own + _names(view, path, old, limit) > limit:
        raise refused(connection.domain, "node-size", connection.flow)
    growth = own - NODE - ENTRY * len(entries(old.meta)) - len(old.value)
    if growth > 0:
        _bear_memory(connection, growth, "ENOMEM")


def bears_nodes(
    domain: Domain, now: rrdstore.Tree, wanted: rrdstore.Tree, made: Iterable[str], gone: Iterable[str]
) -> bool:
    """Whether a domain may have the nodes that a tree has more than the one now: what shrinks always may be.

    The two differ by the places that were `made`, and by what is below those that are `gone`.
    """
    limit, domid = domain.limits["nodes"], domain.domid
    places = tuple(made)
    more = sum(
        _is_owned(after, domid) and not _is_owned(before, domid)
        for after, before in zip(along(wanted, places), along(now, places), strict=True)
    )
    if domain.usage.nodes + more <= limit:
        return True
    less = sum(
        _is_owned(node, domid) and not _is_owned(wanted.get(path), domid)
        for top in topmost(path for path in gone if path in now)
        for path, node in now.descend(top)
    )
    return more <= less or domain.usage.nodes + more - less <= limit


def _is_owned(node: rrdstore.Node | None, domid: int) -> bool:
    return node is not None and owner(node.meta) == domid


def bear_creation(
    connection: Connection,
    view: View,
    above: str,
    parent: rrdstore.Node,
    made: Sequence[str],
    meta: bytes,
    value: bytes,
) -> None:
    """New nodes, a chain below `above`, the last with the value; ENOSPC, EIO."""
    domain = connection.domain
    limit = domain.limits["node-size"]
    own = NODE + ENTRY * len(entries(meta))
    if limit:
        view.node(above, "value")  # whose length decides
        first = made[0]
        grown = NODE + ENTRY * len(entries(parent.meta)) + len(parent.value) + len(first) - first.rfind("/")
        if own + len(value) > limit or grown + _names(view, above, parent, limit) > limit:
            raise refused(domain, "node-size", connection.flow)
    view.bear_nodes(connection, len(made))
    needed = sum(own + 2 * len(path) - path.rfind("/") for path in made) + len(value)
    _bear_memory(connection, needed, "EIO")


def bear_watch(connection: Connection, path: str, token: bytes) -> None:
    """One watch more; ENOSPC, ENOMEM."""
    domain = connection.domain
    limit = domain.limits["watches"]
    if limit and domain.usage.watches >= limit:
        raise refused(domain, "watches", connection.flow)
    _bear_memory(connection, len(path) + len(token), "ENOMEM")


def bear_transaction(connection: Connection) -> None:
    """One transaction more; ENOSPC."""
    domain = connection.domain
    limit = domain.limits["transactions"]
    if limit and domain.usage.transactions >= limit:
        raise refused(domain, "transactions", connection.flow)


def _bear_memory(connection: Connection, growth: int, error: str) -> None:
    domain = connection.domain
    limit = domain.limits["memory"]
    if limit and domain.usage.memory + growth > limit:
        raise refused(domain, "memory", connection.flow, error)


def _names(view: View, path: str, node: rrdstore.Node, limit: int) -> int:
    """Bytes of the names below a node, each with a NUL, but for our own; no more than needed is looked at."""
    if not node.children:
        return 0
    if 2 * node.children > limit:
        return 2 * node.children
    ours = len(private.NAME) + 1 if path == "/" else 0
    return sum(map(len, view.names(path))) + node.children - ours
