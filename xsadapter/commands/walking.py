"""CONTROL walk: all that is below a node, in few answers, for who lists much.

Rules
1. `walk <path> values|permissions [<when>]` begins at what is below a node, now or as it was, and answers the first
   part; `walk` alone answers the next. A part without nodes is the end, and so is whatever is asked for after it: so
   a client may ask for several parts before it has the first.
2. It is of one moment, however long it takes. A connection has one walk at a time; the commit it shows is kept until
   it ends, another begins, or the connection ends.
3. Nodes come parents first, siblings by name. A node too large for an answer comes without its value and permissions,
   whose lengths are then 65,535: the client asks for them by themselves.
4. CONTROL is domain 0's, which may read every node; nothing is left out but what the daemon keeps for itself.

A part, in the numbers of the protocol's headers:

    part    := count:u32 column{2 or 3} names values [lists]
    column  := u16 for each node: its level, 1 directly below the node; the length of its value; with
               `permissions` that of its list
    names   := each name with a NUL          values := one after the other
    lists   := what GET_PERMS answers for each, one after the other

Cost: O(4,096 bytes) a request, about 2 µs a node.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import rrdstore
from xsadapter.commands.access import place
from xsadapter.engine import permissions, private
from xsadapter.errors import RequestError
from xsadapter.wire import PAYLOAD_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xsadapter.engine.connection import Connection
    from xsadapter.engine.daemon import Daemon

COUNT: Final = struct.Struct("=I")
UNSENT: Final = 0xFFFF
"""The length of what is to be asked for by itself."""
_NUMBER: Final = 2
_LEVELS_MAX: Final = 0xFFFF


class Walk:
    """One that goes on; `part` is the next answer."""

    __slots__ = ("_above", "_left", "_next", "_permissions", "_snapshot")

    def __init__(self, snapshot: rrdstore.Snapshot, path: str, permissions: bool) -> None:
        """NotFound."""
        self._snapshot, self._permissions = snapshot, permissions
        self._above = 0 if path == "/" else path.count("/")
        self._left = _below(snapshot.tree, path)
        self._next = next(self._left, None)

    def part(self) -> bytes:
        """The next nodes, as many as fit. O(answer)."""
        following = self._next
        levels, lengths, sizes = list[int](), list[int](), list[int]()
        names, values, lists = list[str](), list[bytes](), list[bytes]()
        room = PAYLOAD_MAX - COUNT.size
        above, with_lists = self._above, self._permissions
        fixed = _NUMBER * (3 if with_lists else 2) + 1
        while following is not None:
            path, node = following
            name = path[path.rfind("/") + 1 :]
            value = node.value
            taken = fixed + len(name) + len(value)
            entries = b""
            if with_lists:
                entries = permissions.text(node.meta)
                taken += len(entries)
            unsent = taken > PAYLOAD_MAX - COUNT.size
            if unsent:
                value = entries = b""
                taken = fixed + len(name)
            if taken > room:
                break
            room -= taken
            levels.append(path.count("/") - above)
            lengths.append(UNSENT if unsent else len(value))
            names.append(name)
            values.append(value)
            if with_lists:
                sizes.append(UNSENT if unsent else len(entries))
                lists.append(entries)
            following = next(self._left, None)
        self._next = following
        numbers = (*levels, *lengths, *sizes)
        columns = struct.pack(f"={len(numbers)}H", *numbers)
        text = "".join([f"{name}\0" for name in names]).encode()
        return b"".join((COUNT.pack(len(names)), columns, text, *values, *lists))

    @property
    def done(self) -> bool:
        """Whether every node has been told."""
        return self._next is None

    def close(self) -> None:
        """Let the commit go; twice is no error."""
        self._left, self._next = iter(()), None
        self._snapshot.close()


_END: Final = COUNT.pack(0)
_WHAT: Final = {b"values": False, b"permissions": True}


def walk(daemon: Daemon, connection: Connection, parameters: list[bytes]) -> bytes:
    """Begin, or go on; EINVAL, ENOENT."""
    if parameters:
        _begin(daemon, connection, parameters)
    going_on = connection.walk
    if going_on is None:
        return _END
    found = going_on.part()
    if going_on.done:
        going_on.close()
        connection.walk = None
    return found


def _begin(daemon: Daemon, connection: Connection, parameters: list[bytes]) -> None:
    if len(parameters) == 1:
        raise RequestError("EINVAL")
    path, (what, *moment) = place(connection, parameters[0]), parameters[1:]
    try:
        lists = _WHAT[what]
        snapshot = daemon.branch.at(moment[0].decode("ascii") if moment else daemon.branch.head.id)
        try:
            begun = Walk(snapshot, path, lists)
        except rrdstore.NotFound:
            snapshot.close()
            raise
    except (KeyError, UnicodeDecodeError, rrdstore.InvalidWhen):
        raise RequestError("EINVAL") from None
    except (rrdstore.NotFound, rrdstore.Thinned):
        raise RequestError("ENOENT") from None
    if connection.walk is not None:
        connection.walk.close()
    connection.walk = begun


def _below(tree: rrdstore.Tree, path: str) -> Iterator[tuple[str, rrdstore.Node]]:
    """All below a node, without what the daemon keeps for itself; NotFound at once."""
    if path == "/":
        return (found for name in tree.list("/") if name != private.NAME for found in tree.descend(f"/{name}"))
    nodes = tree.descend(path)
    next(nodes)
    return nodes
