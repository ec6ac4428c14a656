"""A daemon that goes on where one before it was killed: its part at the start, and who is kept from then on.

Order at the start: the keeper gives back sockets; the store is opened; the state that was left is restored, each client
with the socket that was his; all of it is written down anew; then anybody is served. Killed on the way, the next
start finds what this one found. A daemon that takes over by a live update has state and sockets from there: of what was
left it looks at nothing, and writes down all anew likewise.
"""

from __future__ import annotations

import logging
import select
import socket
import stat
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from xsadapter.recovery import left, log
from xsadapter.recovery.journal import Journal
from xsadapter.recovery.keeping import reach
from xsadapter.recovery.words import ROOM
from xsadapter.tallying import AT_ONCE
from xsadapter.transport.stream import StreamClient

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from xsadapter.engine.connection import Connection
    from xsadapter.engine.daemon import Daemon
    from xsadapter.engine.state import ConnectionState
    from xsadapter.recovery.left import Left
    from xsadapter.transport.hub import SimulatedXen
    from xsadapter.transport.listener import Listener

_log = logging.getLogger("xsadapter")


class GoingOn:
    """One daemon's."""

    def __init__(self, directory: Path, *, anew: bool = False) -> None:
        """Reach whoever keeps the sockets; OSError if that serves another daemon.

        `anew`: this daemon has its clients from elsewhere, and takes nothing of what was kept.
        """
        self._directory, self._anew = directory, anew
        self.keeper, self._kept = reach(directory)
        self.journal: Journal
        self._listeners: Sequence[Listener] = ()
        self._poll: select.epoll

    def listener(self, path: Path) -> socket.socket | None:
        """The listening socket of that path, if it was kept and its file is still there."""
        key = f"listen {path}"
        with suppress(FileNotFoundError):
            if not self._anew and key in self._kept and stat.S_ISSOCK(path.lstat().st_mode):
                return socket.socket(fileno=self._kept.pop(key))
        return None

    def restore(
        self,
        daemon: Daemon,
        boot: str,
        listeners: Sequence[Listener],
        clients: list[StreamClient],
        xen: SimulatedXen | None,
    ) -> bool:
        """As `Daemon.begin`, with what was left; who is still there of sockets is added to `clients`. OSError."""
        found = left.load(self._directory, boot, daemon.branch.head.number)
        if found is None:
            return daemon.begin(boot, at_once=AT_ONCE)
        took = partial(self._took, found, daemon, listeners, clients, xen)
        continued = daemon.begin(boot, (found.state, took), found.told, at_once=AT_ONCE)
        _log.info("going on with %d clients and %d rings", len(clients), len(xen.clients) if xen is not None else 0)
        return continued

    def start(
        self,
        daemon: Daemon,
        boot: str,
        listeners: Sequence[Listener],
        clients: Sequence[StreamClient],
        xen: SimulatedXen | None,
    ) -> None:
        """Keep all there is from now on; what was left before is gone. OSError."""
        self._listeners = listeners
        self.journal = Journal(daemon, self._directory, boot, log.generation(self._directory / log.NAME) + 1)
        for client in clients:
            self._room(client)
        self._hold(clients)
        for key, descriptor in self._kept.items():
            # It is held anew, or nobody's: its client is to see that it has ended.
            socket.close(descriptor)
            if key not in self._held(clients):
                self.keeper.drop(key)
        self._kept.clear()
        if xen is not None:
            xen.journal = self.journal
            for ring in xen.clients.values():
                ring.journal = self.journal
                ring.written_down()
        self.journal.start()

    def leave(self) -> None:
        """Another program takes over, which keeps nothing: what is kept here is no more."""
        self.keeper.end()
        (self._directory / log.NAME).unlink(missing_ok=True)

    def stay(self, clients: Sequence[StreamClient]) -> None:
        """It did not; OSError."""
        self.journal.rewriting = True
        self.keeper, _ = reach(self._directory)
        self.watch(self._poll)
        self._hold(clients)

    def watch(self, poll: select.epoll) -> None:
        """Have it noticed by this poll when the keeper dies."""
        self._poll = poll
        for descriptor in self.keeper.descriptors():
            poll.register(descriptor, select.EPOLLIN)

    def fired(self, descriptor: int) -> bool:
        """Whether it was the keeper that died, instead of which there is another one now."""
        if descriptor not in self.keeper.descriptors():
            return False
        self._poll.unregister(descriptor)
        self.keeper.died()
        self.watch(self._poll)
        return True

    def entered(self, client: StreamClient) -> None:
        """A client of a socket is there: keep him, if there is room."""
        self._room(client)
        if client.room is not None:
            self.keeper.hold(_key(client), client.socket.fileno())

    def _room(self, client: StreamClient) -> None:
        waits = client.connection.reader.rest
        room = self.journal.words.take(client.connection.serial) if len(waits) <= ROOM else None
        if room is not None:
            room.put(waits)
            client.room, client.journal = room, self.journal

    def gone(self, client: StreamClient) -> None:
        """A client of a socket has ended."""
        if client.room is not None:
            self.keeper.drop(_key(client))
            self.journal.words.give_back(client.room)
            client.room = None

    def close(self) -> None:
        """The daemon ends as it should; every client has gone."""
        self.journal.close()
        self.keeper.end()

    def _held(self, clients: Iterable[StreamClient]) -> dict[str, int]:
        """What is to be kept, by key."""
        held = {f"listen {each.path}": each.socket.fileno() for each in self._listeners}
        return held | {_key(client): client.socket.fileno() for client in clients if client.room is not None}

    def _hold(self, clients: Iterable[StreamClient]) -> None:
        for key, descriptor in self._held(clients).items():
            self.keeper.hold(key, descriptor)

    def _took(
        self,
        found: Left,
        daemon: Daemon,
        listeners: Sequence[Listener],
        clients: list[StreamClient],
        xen: SimulatedXen | None,
        connection: Connection,
        known: ConnectionState,
    ) -> bool:
        if known.ring:
            return xen is not None and _took_ring(xen, connection, found)
        key = f"client {known.serial}"
        if key not in self._kept or known.serial == found.doubtful:
            return False
        confined = None if known.privileged else known.domid
        listener = next(
            (each for each in listeners if (each.confined.domid if each.confined else None) == confined), None
        )
        if listener is None:
            return False
        kept = socket.socket(fileno=self._kept.pop(key))
        kept.setblocking(False)
        listener.clients += 1
        clients.append(StreamClient(daemon, kept, connection, listener))
        return True


def _key(client: StreamClient) -> str:
    return f"client {client.connection.serial}"


def _took_ring(xen: SimulatedXen, connection: Connection, found: Left) -> bool:
    ring = found.rings[connection.serial]
    try:
        xen.resume(connection, (ring.consumer, ring.producer))
    except OSError as error:
        _log.warning("the ring of domain %d cannot be mapped again: %s", connection.domid, error)
        return False
    return True
