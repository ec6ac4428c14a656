"""WATCH, UNWATCH, RESET_WATCHES.

Rules
1. The same path and token again is EEXIST, whatever the depth. The path need not exist.
2. The reply comes before the initial event, which is sent whatever the caller may read.
3. UNWATCH of a pair that is not there is ENOENT; events already queued are still delivered.
4. RESET_WATCHES also aborts all the connection's transactions, the one it was asked in included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from xsadapter.arguments import number
from xsadapter.commands.access import place_or_special
from xsadapter.engine.bearing import bear_watch
from xsadapter.engine.domains import DEPTH
from xsadapter.errors import RequestError
from xsadapter.wire import OK

if TYPE_CHECKING:
    from xsadapter.engine.connection import Connection
    from xsadapter.engine.daemon import Daemon
    from xsadapter.engine.view import View

_DEPTH_MAX: Final = 2**31 - 1


def watch(daemon: Daemon, connection: Connection, _: View, arguments: list[bytes]) -> bytes:
    """Register; EINVAL, EEXIST."""
    raw, token, *rest = arguments
    if rest and not connection.domain.features & DEPTH and connection.domid:
        raise RequestError("EINVAL")
    depth = number(rest[0], _DEPTH_MAX) if rest else None
    path = place_or_special(connection, raw)
    if (path, token) in connection.watches:
        raise RequestError("EEXIST")
    if not connection.privileged:
        bear_watch(connection, path, token)
    strip = 0 if raw.startswith((b"/", b"@")) else len(connection.home) + 1
    daemon.watches.add(connection, path, token, depth, strip)
    connection.initial_event(path[strip:], token)
    return OK


def unwatch(daemon: Daemon, connection: Connection, _: View, arguments: list[bytes]) -> bytes:
    """Forget; EINVAL, ENOENT."""
    raw, token = arguments
    found = connection.watches.get((place_or_special(connection, raw), token))
    if found is None:
        raise RequestError("ENOENT")
    daemon.watches.remove(found)
    return OK


def reset_watches(daemon: Daemon, connection: Connection, _view: View, _nothing: None) -> bytes:
    """Forget every watch and abort every transaction of the caller."""
    daemon.reset(connection)
    return OK
