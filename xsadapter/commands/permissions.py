"""GET_PERMS and SET_PERMS, on nodes and on the two special names.

Rules
1. SET_PERMS judges the list first (ENOSPC, EINVAL; ENOENT if the owner does not exist, while others
   that do not are kept but do not count), then the node, then the caller: only the owner, with
   write access, may change it (EACCES), and only a privileged caller may change the owner (EPERM);
   last, the quotas must bear the longer list (ENOSPC, ENOMEM: `engine.bearing`).
2. A special name without a list is ENOENT, for a privileged caller; others get EACCES, because the
   ancestor that would have to grant it is the root.
3. Setting a list is a change: it tells watchers.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from xsadapter.commands.access import need, place_or_special
from xsadapter.engine import bearing, lives, permissions
from xsadapter.engine.domains import WILDCARD
from xsadapter.engine.flow import refused
from xsadapter.engine.permissions import ANY_DOMAIN
from xsadapter.engine.private import special_place
from xsadapter.errors import RequestError
from xsadapter.paths import is_special, named
from xsadapter.wire import OK

if TYPE_CHECKING:
    from xsadapter.engine.connection import Connection
    from xsadapter.engine.daemon import Daemon
    from xsadapter.engine.transactions import Transaction
    from xsadapter.engine.view import View


def get_perms(_: Daemon, connection: Connection, view: View, raw: bytes) -> bytes:
    """The list as it was set; ENOENT, EACCES."""
    place = _place(connection, raw)
    return permissions.text(need(connection, view, place, permissions.READ, "meta").meta)


def set_perms(daemon: Daemon, connection: Connection, view: View, arguments: list[bytes]) -> bytes:
    """Replace the list; EINVAL, ENOENT, EACCES, EPERM, ENOSPC, ENOMEM."""
    raw, *texts = arguments
    if not connection.privileged and 0 < connection.domain.limits["node-permissions"] < len(texts):
        raise refused(connection.domain, "node-permissions", connection.flow)
    wildcard = not connection.domid or bool(connection.domain.features & WILDCARD)
    entries = permissions.judged(
        permissions.parse(texts), lambda domid: lives.current(daemon, domid) is not None, wildcard
    )
    packed = permissions.pack(entries)
    place = _place(connection, raw)
    node = need(connection, view, place, permissions.WRITE, "exists")
    if not connection.privileged:
        if not permissions.owns(node.meta, connection.identities):
            raise RequestError("EACCES")
        if entries[0].domid != permissions.owner(node.meta):
            raise RequestError("EPERM")
        view.node(place, "value")  # whose length decides
        bearing.bear(connection, view, place, packed, node.value, node)
    view.permit("SET_PERMS", place, packed)
    return OK


def get_perms_within(_: Daemon, view: Transaction, payload: bytes) -> bytes | None:
    """What GET_PERMS of a privileged client answers in a transaction; None if there is more to it."""
    found = named(payload[:-1])
    if found is None or payload[-1:] != b"\0":
        return None
    node = view.find(*found, "meta")
    return None if node is None else permissions.text(node.meta)


def set_perms_within(daemon: Daemon, view: Transaction, payload: bytes) -> bytes | None:
    """Carry out SET_PERMS of a privileged client in a transaction; None if there is more to it."""
    raw, _, texts = payload.partition(b"\0")
    found = named(raw)
    if found is None:
        return None
    domids, packed = _spelled(texts)
    if ANY_DOMAIN in domids:
        return None
    for domid in domids:
        if not lives.is_known(daemon, domid):
            return None
    return OK if view.set_list("SET_PERMS", *found, packed) else None


@lru_cache(maxsize=4096)
def _spelled(texts: bytes) -> tuple[tuple[int, ...], bytes]:
    """The domains that a list names, and the list as it is kept if there are all of them; EINVAL."""
    entries = permissions.parse(texts.split(b"\0")[:-1])
    return tuple(entry.domid for entry in entries), permissions.pack(entries)


def _place(connection: Connection, raw: bytes) -> str:
    """Where in the store the named list is."""
    path = place_or_special(connection, raw)
    return special_place(path) if is_special(path) else path
