"""A guest's ring as a client of the server: bytes between the page and the connection.

Rules
1. What is taken from the ring at once is at most what it holds; the next is taken only when the requests
   in it are carried out, and not while the guest has too much outstanding. Never more than a whole frame
   and a ring wait to be carried out.
2. Each index that moved is told by one notification at the end of a turn.
3. A broken ring, or a frame too long, makes the connection ignored, with the code in the page's error
   field if the domain has that feature; the domain stays. It begins anew when the guest asks for it,
   or when it is introduced again.
4. A ring whose connection has ended is not touched: its page is unmapped, and a request of anyone may have
   ended it since it was found ready (XSA-425).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xsadapter.engine.domains import ERROR_FIELD, RECONNECTION
from xsadapter.engine.ring import HALF, PROTOCOL, RingError
from xsadapter.wire import FRAME_MAX

if TYPE_CHECKING:
    from collections.abc import Callable

    from xsadapter.engine.connection import Connection
    from xsadapter.engine.daemon import Daemon
    from xsadapter.engine.ring import Ring


class RingClient:
    """One ring; `notify` tells the guest that indexes have moved."""

    __slots__ = ("_moved", "_notify", "confined", "connection", "daemon", "port", "ring")

    def __init__(
        self, daemon: Daemon, connection: Connection, ring: Ring, port: int, notify: Callable[[int], None]
    ) -> None:
        self.daemon, self.connection, self.ring, self.port = daemon, connection, ring, port
        self.confined = not connection.privileged
        self._notify = notify
        self._moved = False

    def begin(self, features: int) -> None:
        """Begin the ring anew, its guest waiting for that."""
        self.ring.offer(features)
        self.ring.begin()
        self._notify(self.port)

    def receive(self) -> bool:
        """Take what the guest sent, unless it is not to be read now; whether anything came."""
        connection = self.connection
        if connection.closed:
            return False
        if connection.domain.features & RECONNECTION and self.ring.wants_reconnection:
            self.daemon.restart(connection)
            self.begin(connection.domain.features)
            return False
        if connection.ignored or connection.stalled:
            return False
        try:
            data = self.ring.take(HALF) if connection.reader.pending < FRAME_MAX else b""
        except RingError as error:
            self.broke(error.code, found=error.found)
            return False
        if not data:
            return False
        self._moved = True
        connection.reader.feed(data)
        return True

    def step(self) -> bool:
        """One request carried out, if there is a complete one and the guest is to be served now; FrameError."""
        connection = self.connection
        if connection.ignored or connection.stalled:
            return False
        return self.daemon.step(connection) or (self.receive() and self.daemon.step(connection))

    def send(self) -> bool:
        """Put as much as there is room for into the ring; whether everything went."""
        connection = self.connection
        if connection.ignored or connection.closed:
            return True
        try:
            while connection.output:
                data = connection.output[0] if len(connection.output) == 1 else b"".join(connection.output[:64])
                sent = self.ring.put(data)
                if sent:
                    self._moved = True
                    connection.sent(sent)
                if sent < len(data):
                    return False
        except RingError as error:
            self.broke(error.code, found=error.found)
        return True

    def turn_ends(self) -> None:
        """Tell the guest, if there is something to tell."""
        if self._moved:
            self._moved = False
            self._notify(self.port)

    def broke(self, code: int = PROTOCOL, *, found: str) -> None:
        """The guest broke the protocol."""
        if self.connection.domain.features & ERROR_FIELD:
            self.ring.fail(code)
        self.daemon.ignore(self.connection, found)
