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

Cost: O(4,096 bytes) a request, about 1 µs a node.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from itertools import chain
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


class Walk:
    """One that goes on; `part` is the next answer."""

    __slots__ = ("_left", "_next", "_permissions", "_snapshot")

    def __init__(self, snapshot: rrdstore.Snapshot, path: str, permissions: bool) -> None:
        """NotFound."""
        self._snapshot, self._permissions = snapshot, permissions
        self._left = _below(snapshot.tree, path)
        self._next = next(self._left, None)

    def part(self) -> bytes:
        """The next nodes, as many as fit. O(answer)."""
        found, lists = list[tuple[int, str, rrdstore.Node]](), list[bytes]()
        unsent = list[int]()
        with_lists, first = self._permissions, self._next
        whole = room = PAYLOAD_MAX - COUNT.size
        fixed = _NUMBER * (3 if with_lists else 2) + 1
        self._next = None
        for following in chain(() if first is None else (first,), self._left):
            _, name, node = following
            taken = fixed + len(name) + len(node.value)
            if with_lists:
                entries = permissions.text(node.meta)
                taken += len(entries)
            if taken > room:
                large = taken > whole
                if large:
                    taken, entries = fixed + len(name), b""
                if taken > room:
                    self._next = following
                    break
                if large:
                    unsent.append(len(found))
            room -= taken
            found.append(following)
            if with_lists:
                lists.append(entries)
        levels, names, nodes = zip(*found, strict=True) if found else ((), (), ())
        values = [node.value for node in nodes]
        for at in unsent:
            values[at] = b""
        sent = [values, lists] if with_lists else [values]
        columns = [list(map(len, column)) for column in sent]
        for at in unsent:
            for column in columns:
                column[at] = UNSENT
        text = "\0".join([*names, ""]).encode()
        numbers = list(chain(levels, *columns))
        return b"".join((COUNT.pack(len(names)), _packed(len(numbers)).pack(*numbers), text, *chain(*sent)))

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


@lru_cache(maxsize=1024)
def _packed(count: int) -> struct.Struct:
    return struct.Struct(f"={count}H")


def _below(tree: rrdstore.Tree, path: str) -> Iterator[tuple[int, str, rrdstore.Node]]:
    """Level, name and node of what clients see below one; NotFound."""
    if path != "/":
        return tree.outline(path)
    shown = [name for name in tree.list("/") if name != private.NAME]
    return chain.from_iterable(
        chain(((1, name, tree.stat(f"/{name}")),), tree.outline(f"/{name}", 2)) for name in shown
    )
