"""One client: what came in and is not answered, what goes out and is not sent.

Rules
1. One queue holds replies and events, in the order in which they came about; a message that was
   begun is finished before the next.
2. An ordinary event equal to one that waits in the queue is dropped, and so is one that would
   exceed 4096 bytes; a watch's initial event and special events are never dropped as equal.
3. A reply that would exceed 4096 bytes becomes E2BIG.
4. A connection with something to send is in the daemon's `waiting` list once, from the moment its
   queue stops being empty; the shell takes it out by sending.

Identity (`domid`, `privileged`) comes from the transport alone. A connection and its watches refer
to each other; `Daemon.disconnect` breaks the circle, since the cyclic collector is off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from xsadapter.operations import Kind
from xsadapter.wire import ERROR_PAYLOADS, HEADER, HEADER_SIZE, PAYLOAD_MAX, FrameReader

if TYPE_CHECKING:
    from xsadapter.engine.transactions import Transaction
    from xsadapter.engine.view import Live
    from xsadapter.engine.watches import Watch

_E2BIG: Final = ERROR_PAYLOADS["E2BIG"]
_TRANSACTION_IDS: Final = 1 << 32


class Connection:
    """A client of the daemon, whatever carries its bytes."""

    __slots__ = (
        "_begun",
        "_next_transaction",
        "_queued_events",
        "_waiting",
        "author",
        "closed",
        "domid",
        "home",
        "late",
        "live",
        "output",
        "privileged",
        "reader",
        "serial",
        "transactions",
        "watches",
    )

    def __init__(self, serial: int, domid: int, privileged: bool, peer: str, waiting: list[Connection]) -> None:
        self.serial, self.domid, self.privileged = serial, domid, privileged
        self.home = f"/local/domain/{domid}"
        self.author = f"dom{domid} conn {serial} {peer}".rstrip()
        self.reader = FrameReader()
        self.output: list[bytes] = []
        self.late: list[bytes] = []
        self.live: Live
        self.watches: dict[tuple[str, bytes], Watch] = {}
        self.transactions: dict[int, Transaction] = {}
        self.closed = False
        self._waiting = waiting
        self._queued_events: set[bytes] = set()
        self._begun = False
        self._next_transaction = 1

    def reply(self, kind: int, request: int, transaction: int, payload: bytes) -> None:
        """Queue a reply, then the events that had to wait for it. O(payload)."""
        if len(payload) > PAYLOAD_MAX:
            kind, payload = Kind.ERROR, _E2BIG
        self._queue(HEADER.pack(kind, request, transaction, len(payload)) + payload)
        if self.late:
            for message in self.late:
                self._queue(message)
            self.late.clear()

    def event(self, path: str, token: bytes) -> None:
        """Queue a watch event, unless an equal one waits. O(path + token)."""
        payload = b"%b\0%b\0" % (path.encode("ascii"), token)
        if len(payload) > PAYLOAD_MAX:
            return
        if not path.startswith("@"):
            if payload in self._queued_events:
                return
            self._queued_events.add(payload)
        self._queue(HEADER.pack(Kind.WATCH_EVENT, 0, 0, len(payload)) + payload)

    def initial_event(self, path: str, token: bytes) -> None:
        """Have a new watch's first event follow the reply that is about to be queued."""
        payload = b"%b\0%b\0" % (path.encode("ascii"), token)
        if len(payload) <= PAYLOAD_MAX:
            self.late.append(HEADER.pack(Kind.WATCH_EVENT, 0, 0, len(payload)) + payload)

    def sent(self, count: int) -> None:
        """Take the first `count` bytes off the queue. O(messages taken)."""
        for done, message in enumerate(self.output):
            if count < len(message):
                if count:
                    self._forget(message)
                    self._begun = True
                    del self.output[:done]
                    self.output[0] = message[count:]
                else:
                    del self.output[:done]
                return
            count -= len(message)
            self._forget(message)
            self._begun = False
        self.output.clear()

    def sent_all(self) -> None:
        """Take everything off the queue. O(messages)."""
        self.output.clear()
        self._begun = False
        if self._queued_events:
            self._queued_events.clear()

    def take_transaction_id(self) -> int:
        """The next transaction id: from 1 up, round the 32 bits, none that is open."""
        while True:
            found = self._next_transaction
            self._next_transaction = (found + 1) % _TRANSACTION_IDS or 1
            if found not in self.transactions:
                return found

    def _queue(self, message: bytes) -> None:
        if not self.output:
            self._waiting.append(self)
        self.output.append(message)

    def _forget(self, message: bytes) -> None:
        if not self._begun and self._queued_events and HEADER.unpack_from(message)[0] == Kind.WATCH_EVENT:
            self._queued_events.discard(message[HEADER_SIZE:])
