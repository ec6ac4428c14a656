"""A daemon that goes on where one before it was killed: its part at the start, and who is kept from then on.

What cannot be written down any more is gone without, and tried again: until then nobody can go on from it, and the
log and CONTROL say so.

Order at the start: the keeper gives back sockets; the store is opened; the state that was left is restored, each client
with the socket that was his; all of it is written down anew; then anybody is served. Killed on the way, the next
start finds what this one found. A daemon that takes over by a live update has state and sockets from there: what was
written down it goes on with (`inherited`), or writes down anew likewise.
"""

from __future__ import annotations

import errno
import logging
import select
import socket
import stat
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from xsadapter.errands import Again
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
    from xsadapter.errands import Errands
    from xsadapter.recovery.inherited import Inherited
    from xsadapter.recovery.left import Left
    from xsadapter.recovery.words import Room
    from xsadapter.server import Server
    from xsadapter.transport.host import Host
    from xsadapter.transport.listener import Listener

_log = logging.getLogger("xsadapter")

_WRITING: Final = "state"
_KEEPER: Final = "keeper"


class GoingOn:
    """One daemon's."""

    def __init__(self, directory: Path, *, anew: bool = False) -> None:
        """Reach whoever keeps the sockets; OSError if that serves another daemon.

        `anew`: this daemon has its clients from elsewhere, and takes nothing of what was kept.
        """
        self._directory, self._anew = directory, anew
        self.keeper, self._kept = reach(directory)
        self.journal: Journal | None = None
        self._listeners: Sequence[Listener] = ()
        self._poll: select.epoll
        self._daemon: Daemon
        self._boot = ""
        self._paused = False
        self._xen: Host | None = None
        self._writing: Again
        self._keeping: Again

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
        xen: Host | None,
        head: int | None = None,
    ) -> bool:
        """As `Daemon.begin`, with what was left; who is still there of sockets is added to `clients`. OSError.

        `head` is the number of the commit that has the tree, if it is not the daemon's own head.
        """
        found = left.load(self._directory, boot, daemon.branch.head.number if head is None else head)
        if found is None:
            return daemon.begin(boot, at_once=AT_ONCE)
        if head is not None:
            told = tuple(replace(each, before=daemon.branch.head.number) for each in found.told)
            found = replace(found, told=told)
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
        xen: Host | None,
        errands: Errands,
        inherited: Inherited | None = None,
    ) -> None:
        """Keep all there is from now on; what was left before is gone. What cannot be kept now is tried again.

        What is `inherited` is gone on with instead.
        """
        self._listeners, self._daemon, self._boot, self._xen = listeners, daemon, boot, xen
        self._writing, self._keeping = Again(errands, self._written), Again(errands, self._kept_again)
        self._hold(clients)
        for key, descriptor in self._kept.items():
            # It is held anew, or nobody's: its client is to see that it has ended.
            socket.close(descriptor)
            if key not in self._held(clients):
                self.keeper.drop(key)
        self._kept.clear()
        try:
            if inherited is None or not self._go_on(inherited, clients):
                self._begin(clients)
        except OSError as error:
            with suppress(OSError):
                (self._directory / log.NAME).unlink()
            self._broke(error)
        self._look_for_keeper()

    def _go_on(self, inherited: Inherited, clients: Sequence[StreamClient]) -> bool:
        """Whether all there is was written down by the daemon before, and is so from now on by this one."""
        words, rooms = inherited.words, inherited.rooms
        if not inherited.whole:
            words.close()
            return False
        journal = Journal(self._daemon, self._directory, self._boot, inherited.generation, words)
        journal.broke = self._broke
        try:
            journal.start(anew=False)
        except OSError:
            words.close()
            return False
        self._written_in(journal, [(client, rooms.pop(client.connection.serial, None)) for client in clients])
        for room in rooms.values():
            words.give_back(room)
        for ring in () if self._xen is None else self._xen.clients.values():
            ring.rewritten -= inherited.far
        return True

    def _begin(self, clients: Sequence[StreamClient]) -> None:
        """Write down all there is in a journal, which takes the place of the one there was, if any; OSError."""
        before, xen = self.journal, self._xen
        after = log.generation(self._directory / log.NAME) if before is None else before.generation
        journal = Journal(self._daemon, self._directory, self._boot, after + 1)
        journal.broke = self._broke
        rooms = [(client, self._room(client, journal)) for client in clients]
        rings = [] if xen is None else list(xen.clients.values())
        for ring in rings:
            ring.written_down(journal)
        try:
            journal.start()
        except OSError:
            journal.give_up()
            raise
        self._written_in(journal, rooms)
        if before is not None:
            before.words.close()

    def _written_in(self, journal: Journal, rooms: Sequence[tuple[StreamClient, Room | None]]) -> None:
        """Whoever carries bytes writes down there from now on."""
        self.journal = journal
        for client, room in rooms:
            client.keep(room, journal)
        if self._xen is not None:
            self._xen.journal = journal
            for ring in self._xen.clients.values():
                ring.journal = journal

    @property
    def generation(self) -> int:
        """Of what is written down, if all there is is: who takes over can go on with it. 0 if it is not."""
        journal = self.journal
        if journal is None or self._paused or journal.broken is not None or journal.rewriting or not journal.in_place:
            return 0
        return journal.generation

    def listens_anew(self) -> None:
        """A listener has another socket, which is to be kept."""
        for key, descriptor in self._held(()).items():
            self.keeper.hold(key, descriptor)

    def look(self) -> None:
        """Whether all of it is in its place; if not, it is written down anew."""
        journal = self.journal
        if journal is None or self._paused or journal.broken is not None or journal.in_place:
            return
        journal.breaks(FileNotFoundError(errno.ENOENT, "it is not in its place any more"))

    def _broke(self, error: OSError) -> None:
        self._writing.begin()
        if self._paused:
            return
        what = f"{self._directory / log.NAME} cannot be written ({error.strerror or error})"
        _log.error("%s: killed from now on, the daemon goes on with the tree alone, and its clients end", what)
        self._daemon.troubles.begin(_WRITING, f"{what}; clients, watches and rings end with a kill", _now(self._daemon))

    def pause(self) -> None:
        """The tree is in memory only: nobody could go on from what is written down, so nothing is."""
        self._paused = True
        if self.journal is not None:
            self.journal.breaks(OSError(errno.EIO, "the store is in memory"))

    def resume(self) -> None:
        """It is not any more."""
        self._paused = False
        self._writing.soon()

    def _written(self, server: Server) -> bool:
        if self._paused:
            return False
        try:
            self._begin(server.clients)
        except OSError:
            return False
        self._hold(server.clients)
        _log.warning("%s is written again: killed, the daemon goes on with everything", self._directory / log.NAME)
        self._daemon.troubles.end(_WRITING)
        return True

    def _look_for_keeper(self) -> None:
        if self.keeper.missing:
            what = "no keeper can be started; clients end with a kill"
            self._daemon.troubles.begin(_KEEPER, what, _now(self._daemon))
            self._keeping.begin()

    def _kept_again(self, _: Server) -> bool:
        self.keeper.died()
        if self.keeper.missing:
            return False
        self.watch(self._poll)
        _log.warning("there is a keeper again")
        self._daemon.troubles.end(_KEEPER)
        return True

    def leave(self) -> None:
        """Another program takes over, which keeps nothing: what is kept here is no more."""
        self.keeper.end()
        (self._directory / log.NAME).unlink(missing_ok=True)

    def stay(self, clients: Sequence[StreamClient]) -> None:
        """It did not; OSError."""
        if self.journal is not None:
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
        self._look_for_keeper()
        return True

    def entered(self, client: StreamClient) -> None:
        """A client of a socket is there: keep him, if there is room."""
        if self.journal is not None:
            client.keep(self._room(client, self.journal), self.journal)
        if client.room is not None:
            self.keeper.hold(_key(client), client.socket.fileno())

    def _room(self, client: StreamClient, journal: Journal) -> Room | None:
        connection = client.connection
        waits = connection.input
        room = journal.words.take(connection.serial) if len(waits) <= ROOM else None
        if room is not None:
            room.put(waits, connection.done, connection.written)
        return room

    def gone(self, client: StreamClient) -> None:
        """A client of a socket has ended."""
        self.keeper.drop(_key(client))
        if client.room is not None and self.journal is not None:
            self.journal.words.give_back(client.room)
            client.keep(None, self.journal)

    def close(self) -> None:
        """The daemon ends as it should; every client has gone."""
        if self.journal is not None:
            self.journal.close()
        self.keeper.end()

    def _held(self, clients: Iterable[StreamClient]) -> dict[str, int]:
        """What is to be kept, by key."""
        held = {f"listen {each.path}": each.socket.fileno() for each in self._listeners}
        return held | {_key(client): client.socket.fileno() for client in clients}

    def _hold(self, clients: Iterable[StreamClient]) -> None:
        for key, descriptor in self._held(clients).items():
            self.keeper.hold(key, descriptor)

    def _took(
        self,
        found: Left,
        daemon: Daemon,
        listeners: Sequence[Listener],
        clients: list[StreamClient],
        xen: Host | None,
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


def _now(daemon: Daemon) -> float:
    return daemon.flow.now or time.monotonic()


def _key(client: StreamClient) -> str:
    return f"client {client.connection.serial}"


def _took_ring(xen: Host, connection: Connection, found: Left) -> bool:
    ring = found.rings[connection.serial]
    try:
        xen.resume(connection, (ring.consumer, ring.producer))
    except OSError as error:
        _log.warning("the ring of domain %d cannot be mapped again: %s", connection.domid, error)
        return False
    return True
