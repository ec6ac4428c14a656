"""Listening sockets, and who is let in.

Rules
1. Who comes by the daemon's own socket is privileged. Who comes by a client socket is the domain that it is for, with
   that domain's rights, quotas and accounts, which all its connections share; and is sent away at once if it
   is another user than the one named, or if there is no such domain now.
2. One is let in by a client socket between two polls, 32 may be there at a time, and of more than 64 that come one in
   50 milliseconds; the others wait outside. So neither time nor descriptors of the daemon are theirs to take: who
   came and went without end took a millisecond of everybody's time for each.
3. Out of descriptors, a listener rests until a connection ends or a second has passed.
"""

from __future__ import annotations

import errno
import logging
import select
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from xsadapter.engine import lives
from xsadapter.engine.quotas import QUIET
from xsadapter.transport.socket import peer
from xsadapter.transport.stream import StreamClient

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from socket import socket

    from xsadapter.engine.connection import Connection
    from xsadapter.engine.daemon import Daemon
    from xsadapter.transport.socket import ClientSocket

_log = logging.getLogger("xsadapter")

_AT_ONCE: Final = 64
_CONFINED_MAX: Final = 32
_BURST: Final = 64
_PACE: Final = 0.05
_REST: Final = 1.0
_OUT_OF_DESCRIPTORS: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Listener:
    """One listening socket; `confined` says whose it is, None is the daemon's own."""

    __slots__ = ("_bound", "_due", "_told", "at_once", "clients", "confined", "path", "socket")

    def __init__(self, socket: socket, confined: ClientSocket | None = None) -> None:
        self.socket, self.confined = socket, confined
        self.path = Path(socket.getsockname())
        self._bound = _file(self.path)
        self.at_once = _AT_ONCE if confined is None else 1
        self.clients = 0
        """How many are there who came by it."""
        self._told = -QUIET
        self._due = 0.0
        """By when all that came would have come, at that pace."""

    @property
    def in_place(self) -> bool:
        """Whether the file of its socket is where it was."""
        return self._bound is not None and _file(self.path) == self._bound

    def moved(self, socket: socket) -> None:
        """Listen there from now on, at a file that was made again."""
        self.socket.close()
        self.socket, self._bound = socket, _file(self.path)

    def remove(self) -> None:
        """Take the file away, if it is not another's by now."""
        if self.in_place:
            self.path.unlink(missing_ok=True)

    def early(self, now: float) -> float | None:
        """When the next may come in, if that is not now; otherwise he is counted."""
        if self.confined is None:
            return None
        due = max(self._due, now - _BURST * _PACE)
        if due > now:
            return due
        self._due = due + _PACE
        return None

    @property
    def full(self) -> bool:
        """Whether nobody more is let in now."""
        return self.confined is not None and self.clients >= _CONFINED_MAX

    def accept(self, daemon: Daemon) -> StreamClient | None:
        """The next who waits, if he may come in; BlockingIOError if nobody waits, another OSError."""
        accepted, _ = self.socket.accept()
        accepted.setblocking(False)
        connection = self._admit(daemon, accepted)
        if connection is None:
            accepted.close()
            return None
        self.clients += 1
        return StreamClient(daemon, accepted, connection, self)

    def _admit(self, daemon: Daemon, accepted: socket) -> Connection | None:
        who, confined = peer(accepted), self.confined
        if confined is None:
            return daemon.connect(str(who))
        if confined.uid is not None and who.uid != confined.uid:
            self._refuse(f"user {who.uid} is not {confined.uid}, {who}", daemon)
            return None
        connection = lives.confine(daemon, confined.domid, str(who))
        if connection is None:
            self._refuse(f"there is no domain {confined.domid}, {who}", daemon)
        return connection

    def _refuse(self, why: str, daemon: Daemon) -> None:
        now = daemon.flow.now
        if self.confined is not None and now - self._told >= QUIET:
            self._told = now
            if daemon.flow.trail.acc:
                daemon.flow.trail.sent_away(self.confined.domid, why)
            _log.warning("%s: sent away: %s", self.confined.path, why)


def _file(path: Path) -> tuple[int, int] | None:
    """Which file lies there."""
    try:
        there = path.lstat()
    except OSError:
        return None
    return there.st_dev, there.st_ino


class Listeners:
    """All of a server's, on its poll. `wake` is when those that rest are to listen again."""

    def __init__(self, poll: select.epoll, listeners: Iterable[Listener]) -> None:
        self._poll = poll
        self._all = {listener.socket.fileno(): listener for listener in listeners}
        self.wake: float | None = None
        for descriptor in self._all:
            poll.register(descriptor, select.EPOLLIN)

    def replace(self, listener: Listener, socket: socket) -> None:
        """Listen there from now on, as the place is another; who waits at the one before it is let go of."""
        del self._all[listener.socket.fileno()]
        listener.moved(socket)
        self._all[socket.fileno()] = listener
        self._poll.register(socket, 0 if listener.full else select.EPOLLIN)

    def get(self, descriptor: int) -> Listener | None:
        """The listener with this descriptor."""
        return self._all.get(descriptor)

    def entering(self, listener: Listener, daemon: Daemon) -> Iterator[StreamClient]:
        """Those who are let in now."""
        for _ in range(listener.at_once):
            early = listener.early(daemon.flow.now)
            if early is not None:
                self._poll.modify(listener.socket, 0)
                self.wake = early if self.wake is None else min(early, self.wake)
                return
            try:
                client = listener.accept(daemon)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _OUT_OF_DESCRIPTORS:
                    _log.warning("cannot accept a client (%s); trying again when one has gone", error.strerror)
                    self._poll.modify(listener.socket, 0)
                    self.wake = time.monotonic() + _REST
                return
            if client is not None:
                yield client
        if listener.full:
            self._poll.modify(listener.socket, 0)

    def left(self, client: StreamClient) -> None:
        """A client has gone, and his descriptor is free."""
        listener = client.listener
        if listener.full:
            self._poll.modify(listener.socket, select.EPOLLIN)
        listener.clients -= 1
        if self.wake is not None:
            self.wake = 0.0

    def rest(self, now: float) -> None:
        """End the rest, if it is time."""
        if self.wake is not None and now >= self.wake:
            self.wake = None
            for listener in self._all.values():
                if not listener.full:
                    self._poll.modify(listener.socket, select.EPOLLIN)
