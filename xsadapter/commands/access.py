"""Finding the node a request names, and hiding what the asker may not know.

Rule (error hiding): if the node is missing, or the caller lacks the right, the nearest existing
ancestor decides: if it grants the wanted right the true error is told (ENOENT or EACCES), else
EACCES; so an outsider cannot tell absent from forbidden. Privileged callers are always told the truth.
Permissions count on the node itself only, never on ancestors of a node that exists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xsadapter.engine.permissions import allows
from xsadapter.engine.view import nearest
from xsadapter.errors import RequestError

if TYPE_CHECKING:
    import rrdstore
    from xsadapter.engine.connection import Connection
    from xsadapter.engine.view import View, What


def need(connection: Connection, view: View, path: str, rights: int, what: What) -> rrdstore.Node:
    """The node at `path`, if the caller has `rights` on it; ENOENT, EACCES."""
    node = find(connection, view, path, rights, what)
    if node is None:
        raise RequestError("ENOENT")
    return node


def find(connection: Connection, view: View, path: str, rights: int, what: What) -> rrdstore.Node | None:
    """As `need`, but None for a node that is missing where the caller may know that; EACCES."""
    node = view.node(path, what)
    if connection.privileged:
        return node
    if node is None:
        _, above = nearest(view, path)
        if not allows(above.meta, connection.domid, rights):
            raise RequestError("EACCES")
        return None
    view.node(path, "meta")
    if not allows(node.meta, connection.domid, rights):
        raise RequestError("EACCES")
    return node
