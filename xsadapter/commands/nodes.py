"""READ, WRITE, MKDIR, RM: nodes and their values.

Rules
1. WRITE of a missing node makes its missing parents too, all in one commit, each with its parent's
   permissions; one event, for the named path. A WRITE of the same value is a change like any other.
2. MKDIR of a node that exists changes nothing, makes no commit and no event.
3. What a guest writes has to fit its quotas (`engine.bearing`).
4. RM of a missing node is OK if its parent exists, ENOENT if not; "/" is EINVAL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xsadapter.commands.access import find, need, place
from xsadapter.engine import bearing, permissions
from xsadapter.errors import RequestError
from xsadapter.paths import canonical, chain, named, parent
from xsadapter.wire import OK

if TYPE_CHECKING:
    from xsadapter.engine.connection import Connection
    from xsadapter.engine.daemon import Daemon
    from xsadapter.engine.transactions import Transaction
    from xsadapter.engine.view import View


def read(_: Daemon, connection: Connection, view: View, raw: bytes) -> bytes:
    """The value, verbatim; ENOENT, EACCES."""
    return need(connection, view, place(connection, raw), permissions.READ, "value").value


def read_at_once(daemon: Daemon, _: Connection, payload: bytes) -> bytes | None:
    """What READ of a privileged client, in no transaction, answers; None if there is more to it."""
    node = daemon.head.find(payload)
    return None if node is None else node.value


def read_within(_: Daemon, view: Transaction, payload: bytes) -> bytes | None:
    """What READ of a privileged client answers in a transaction; None if there is more to it."""
    found = named(payload[:-1])
    if found is None or payload[-1:] != b"\0":
        return None
    node = view.find(*found, "value")
    return None if node is None else node.value


def write_within(_: Daemon, view: Transaction, payload: bytes) -> bytes | None:
    """Carry out WRITE of a privileged client in a transaction; None if there is more to it."""
    raw, separator, value = payload.partition(b"\0")
    found = named(raw)
    if found is None or not separator:
        return None
    return OK if view.put("WRITE", *found, value) else None


def mkdir_within(_: Daemon, view: Transaction, payload: bytes) -> bytes | None:
    """The same of MKDIR."""
    found = named(payload[:-1])
    if found is None or payload[-1:] != b"\0":
        return None
    return OK if view.put("MKDIR", *found, b"", new=True) else None


def write_at_once(_: Daemon, connection: Connection, payload: bytes) -> bytes | None:
    """Have WRITE of a privileged client, in no transaction, replace the value of a small leaf; None if it is more."""
    raw, separator, value = payload.partition(b"\0")
    found = named(raw)
    if found is None or not separator:
        return None
    return OK if connection.live.replace("WRITE", *found, value) else None


def write(_: Daemon, connection: Connection, view: View, arguments: tuple[bytes, bytes]) -> bytes:
    """Set a value, creating what is missing; EACCES."""
    raw, value = arguments
    if connection.privileged:
        # What most are, spared a few calls.
        path = canonical(raw, connection.home)
        node = view.node(path, "exists")
        if node is not None:
            view.write("WRITE", path, value, node)
            return OK
    else:
        path = place(connection, raw)
    node = find(connection, view, path, permissions.WRITE, "exists")
    if node is None:
        _create(connection, view, "WRITE", path, value)
    else:
        if not connection.privileged:
            bearing.bear(connection, view, path, node.meta, value, node)
        view.write("WRITE", path, value, node)
    return OK


def mkdir(_: Daemon, connection: Connection, view: View, raw: bytes) -> bytes:
    """Create a node without a value unless it exists; EACCES."""
    path = place(connection, raw)
    if find(connection, view, path, permissions.WRITE, "exists") is None:
        _create(connection, view, "MKDIR", path, b"")
    return OK


def rm(_: Daemon, connection: Connection, view: View, raw: bytes) -> bytes:
    """Remove a node and all below it; ENOENT, EACCES, EINVAL for "/"."""
    path = place(connection, raw)
    if path == "/":
        raise RequestError("EINVAL")
    if find(connection, view, path, permissions.WRITE, "exists") is not None:
        view.remove("RM", path)
    elif view.node(parent(path), "exists") is None:
        raise RequestError("ENOENT")
    return OK


def _create(connection: Connection, view: View, operation: str, path: str, value: bytes) -> None:
    above, node = view.nearest(path)
    creator = None if connection.privileged else connection.domid
    meta = permissions.inherited(node.meta, creator)
    made = [each for each in chain(path) if len(each) > len(above)]
    if creator is not None:
        bearing.bear_creation(connection, view, above, node, made, meta, value)
    view.create(operation, made, meta, value)
