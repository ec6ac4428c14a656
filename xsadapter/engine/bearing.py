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
from xsadapter.engine.permissions import entries

if TYPE_CHECKING:
    from collections.abc import Sequence

    import rrdstore
    from xsadapter.engine.connection import Connection
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
