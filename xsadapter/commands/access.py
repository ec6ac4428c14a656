"""Finding the node a request names, and hiding what the asker may not know.

Rule (error hiding): if the node is missing, or the caller lacks the right, the nearest existing
ancestor decides: if it grants the wanted right the true error is told (ENOENT or EACCES), else
EACCES; so an outsider cannot tell absent from forbidden. Privileged callers are always told the truth.
Permissions count on the node itself only, never on ancestors of a node that exists.
An index (`/@index/...`, no node of any client's) is for privileged callers: others get EACCES; changes of it EROFS.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from xsadapter.engine import index
from xsadapter.engine.flow import refused
from xsadapter.engine.permissions import WRITE, allows
from xsadapter.errors import RequestError
from xsadapter.paths import canonical, canonical_or_special

if TYPE_CHECKING:
    import rrdstore
    from xsadapter.engine.connection import Connection
    from xsadapter.engine.view import View, What

_HOME: Final = re.compile("/local/domain/[0-9]{1,5}/")


def place(connection: Connection, raw: bytes) -> str:
    """The absolute path that a client means; EINVAL, also if it is longer than its quota allows.

    The quota counts the path without a leading `/local/domain/<domid>/`, whosoever that is, so that a path
    stays valid when a domain gets a number of another length.
    """
    path = canonical(raw, connection.home)
    if not connection.privileged:
        _short_enough(connection, path)
    return path


def place_or_special(connection: Connection, raw: bytes) -> str:
    """As `place`, but a special name is itself; EINVAL."""
    path = canonical_or_special(raw, connection.home)
    if not connection.privileged:
        _short_enough(connection, path)
    return path


def _short_enough(connection: Connection, path: str) -> None:
    limit = connection.domain.limits["path-max"]
    if limit and len(path) > limit:
        home = _HOME.match(path)
        if len(path) - (home.end() if home else 0) > limit:
            raise refused(connection.domain, "path-max", connection.flow)


def need(connection: Connection, view: View, path: str, rights: int, what: What) -> rrdstore.Node:
    """The node at `path`, if the caller has `rights` on it; ENOENT, EACCES."""
    node = find(connection, view, path, rights, what)
    if node is None:
        raise RequestError("ENOENT")
    return node


def find(connection: Connection, view: View, path: str, rights: int, what: What) -> rrdstore.Node | None:
    """As `need`, but None for a node that is missing where the caller may know that; EACCES, EROFS."""
    node = view.node(path, what)
    if node is None and index.is_index(path):
        if not connection.privileged:
            raise RequestError("EACCES")
        if rights & WRITE:
            raise RequestError("EROFS")
        return index.node(view, path, what)
    if connection.privileged:
        return node
    if node is None:
        _, above = view.nearest(path)
        if not allows(above.meta, connection.identities, rights):
            raise RequestError("EACCES")
        return None
    view.node(path, "meta")
    if not allows(node.meta, connection.identities, rights):
        raise RequestError("EACCES")
    return node
