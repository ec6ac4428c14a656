"""A guest's ring as a client of the server: bytes between the page and the connection.

Rules
1. What is copied from the ring at once is at most what it holds; the next is copied only when the requests
   in it are carried out, and not while the guest has too much outstanding. Never more than a whole frame
   and a ring wait to be carried out. A request stays in the ring until it is carried out and its answer is there
   too, or written down; only one that fills the ring and has more to come is written down and let go of.
2. Each index that moved is told by one notification at the end of a turn. Then the page is looked at once more: a guest
   tells what it sends only if all before it was let go of by then, and what it reads only if that had filled the ring
   (Linux, xenbus_comms.c), so what came before our index moved is told by nobody. The notification, a system call, lies
   between our store and that look. For the same reason the beginning of a request is let go of, written
   down, if its rest has not come a turn later: as long as it lies in the ring, the guest tells nothing.
3. A broken ring, or a frame too long, makes the connection ignored, with the code in the page's error
   field if the domain has that feature; the domain stays. It begins anew when the guest asks for it,
   or when it is introduced again.
4. A ring whose connection has ended is not touched: its page is unmapped, and a request of anyone may have
   ended it since it was found ready (XSA-425).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from xsadapter.engine.domains import ERROR_FIELD, RECONNECTION
from xsadapter.engine.ring import HALF, PROTOCOL, RingError
from xsadapter.wire import FRAME_MAX, FrameReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from xsadapter.engine.connection import Connection
    from xsadapter.engine.daemon import Daemon
    from xsadapter.engine.ring import Ring
    from xsadapter.recovery.journal import Journal

_FAR: Final = 1 << 30
_WRAP: Final = 0xFFFFFFFF


class RingClient:
    """One ring; `notify` tells the guest that indexes have moved."""

    __slots__ = (
        "_moved",
        "_notify",
        "_partial",
        "confined",
        "connection",
        "daemon",
        "journal",
        "port",
        "rewritten",
        "ring",
    )

    def __init__(
        self, daemon: Daemon, connection: Connection, ring: Ring | None, port: int, notify: Callable[[int], None]
    ) -> None:
        """`ring`: None if it is set before anything else is done (`transport.unmapped`)."""
        self.daemon, self.connection, self.port = daemon, connection, port
        if ring is not None:
            self.ring: Ring = ring
        self.confined = not connection.privileged
        self._notify = notify
        self.journal: Journal | None = None
        self._moved = self._partial = False
        self.rewritten = connection.done + connection.written
        """Where both streams together were when the log was written that has what was said of them."""

    @property
    def moved(self) -> int:
        """How far both streams together have come since then."""
        connection = self.connection
        return max(connection.done, connection.let_go) + connection.written - self.rewritten

    def resume(self, indexes: tuple[int, int] | None) -> None:
        """Go on where a daemon before this one was: where the page says, or else its indexes are to be these."""
        if indexes is not None:
            self.ring.resume(*indexes)
        connection = self.connection
        connection.let_go, connection.written = self.ring.indexes if indexes is None else indexes
        connection.logged = connection.written
        self.rewritten = connection.let_go + connection.written
        self._moved = True

    def written_down(self, journal: Journal) -> None:
        """Have it written down there where its indexes are."""
        connection = self.connection
        consumed = max(connection.done, connection.let_go)
        journal.words.ring_is(connection.domid, consumed & _WRAP, connection.written & _WRAP)

    def begin(self, features: int) -> None:
        """Begin the ring anew, its guest waiting for that."""
        if self.journal is not None:
            self.journal.words.ring_is(self.connection.domid, 0, 0)
        self.ring.offer(features)
        self.ring.begin()
        self._notify(self.port)

    def join(self, features: int) -> None:
        """Go on with a ring that others have served, which is not to begin anew, where its indexes are."""
        self.ring.offer(features)
        self.ring.connected()
        self.resume(None)
        self.connection.reader = FrameReader(self.connection.let_go)
        if self.journal is not None:
            self.written_down(self.journal)
        self.turn_ends()

    def receive(self) -> bool:
        """Copy what the guest sent, unless it is not to be read now; whether anything came."""
        connection = self.connection
        if connection.closed:
            return False
        if connection.domain.features & RECONNECTION and self.ring.wants_reconnection:
            self.daemon.restart(connection)
            self.begin(connection.domain.features)
            return False
        if connection.ignored or connection.stalled:
            return False
        reader = connection.reader
        pending = reader.pending
        try:
            held = reader.taken + pending - connection.let_go
            data = self.ring.copy(held, HALF) if pending < FRAME_MAX else b""
        except RingError as error:
            self.broke(error.code, found=error.found)
            return False
        if not data:
            return False
        reader.feed(data)
        return True

    def step(self) -> bool:
        """One request carried out, if there is a complete one and the guest is to be served now; FrameError."""
        connection = self.connection
        if connection.ignored or connection.stalled:
            return False
        return self.daemon.step(connection) or (self.receive() and self.daemon.step(connection))

    def send(self) -> bool:
        """Put as much as there is room for in, and let go of what was carried out; whether everything went."""
        connection = self.connection
        if connection.ignored or connection.closed:
            return True
        try:
            output = connection.output
            data = output[0] if len(output) == 1 else b"".join(output)
            sent = self.ring.fill(data)
            if sent < len(data) and self.journal is not None:
                self.journal.unsent(connection)
            self._settle(sent)
        except RingError as error:
            self.broke(error.code, found=error.found)
            return True
        return sent == len(data)

    def _settle(self, sent: int) -> None:
        """Move both indexes, having written down where they go."""
        connection, journal = self.connection, self.journal
        consumed = max(connection.done, connection.let_go)
        written = connection.written + sent
        if journal is not None:
            journal.words.ring_is(connection.domid, consumed & _WRAP, written & _WRAP)
            if consumed + written - self.rewritten > _FAR:
                # Positions are compared modulo 2^32: what is written down must not be far behind.
                self.rewritten = consumed + written
                journal.rewriting = True
        if sent:
            self._moved = True
            self.ring.show(sent)
            connection.written = written
            connection.sent(sent)
        if consumed != connection.let_go:
            self._moved = True
            self.ring.let_go(consumed - connection.let_go)
            connection.let_go = consumed

    def let_go(self) -> None:
        """Give back the room of all that was copied, carried out or not; what was not is written down."""
        connection, reader = self.connection, self.connection.reader
        taken = reader.taken + reader.pending
        if self.journal is not None:
            self.journal.half_read(connection)
            self.journal.words.ring_is(connection.domid, taken & _WRAP, connection.written & _WRAP)
        self.ring.let_go(taken - connection.let_go)
        connection.let_go = taken
        self._moved = True

    def turn_ends(self) -> bool:
        """Tell the guest, if there is something to tell; whether the ring is to be looked at again at once."""
        connection = self.connection
        reader = connection.reader
        held = reader.taken + reader.pending - connection.let_go
        partial = held > 0 and reader.partial and not connection.closed and not connection.ignored
        if partial and (self._partial or held >= HALF):
            # The rest of this request comes, or is told, only if there is room for it.
            self.let_go()
            partial = False
        self._partial = partial
        if self._moved:
            self._moved = False
            self._notify(self.port)
        return partial or self._goes_on()

    def _goes_on(self) -> bool:
        """Whether there is something to be read or written that nobody will tell of."""
        connection = self.connection
        if connection.closed or connection.ignored:
            return False
        try:
            if connection.output and self.ring.room():
                return True
            if connection.stalled or connection.held is not None:
                return False
            reader = connection.reader
            pending = reader.pending
            return pending < FRAME_MAX and self.ring.waiting() > reader.taken + pending - connection.let_go
        except RingError as error:
            self.broke(error.code, found=error.found)
            return False

    def broke(self, code: int = PROTOCOL, *, found: str) -> None:
        """The guest broke the protocol."""
        if self.connection.domain.features & ERROR_FIELD:
            self.ring.fail(code)
        self.daemon.ignore(self.connection, found)
