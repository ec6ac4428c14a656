"""One client: what came in and is not answered, what goes out and is not sent.

Rules
1. One queue holds replies and events, in the order in which they came about; a message that was
   begun is finished before the next.
2. An ordinary event equal to one that waits in the queue is dropped, and so is one that would
   exceed 4096 bytes; a watch's initial event and special events are never dropped as equal.
3. A reply that would exceed 4096 bytes becomes E2BIG.
4. A connection with something to send is in the flow's `waiting` list once, from the moment its
   queue stops being empty; the shell takes it out by sending.
5. What guests are is in `guest`.

Identity (`domid`, `privileged`, `domain`) comes from the transport alone. A connection and its watches
refer to each other; `Daemon.disconnect` breaks the circle, since the cyclic collector is off.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from xsadapter.engine.message import Message
from xsadapter.operations import Kind
from xsadapter.wire import ERROR_PAYLOADS, HEADER, HEADER_SIZE, PAYLOAD_MAX, FrameReader, pack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xsadapter.commands.walking import Walk
    from xsadapter.engine.domains import Domain
    from xsadapter.engine.flow import Flow, Outstanding
    from xsadapter.engine.telling import Late, Telling
    from xsadapter.engine.transactions import Transaction
    from xsadapter.engine.view import Live
    from xsadapter.engine.watches import Watch
    from xsadapter.wire import Frame

RING: Final = "ring"
"""The `peer` of a domain's ring; any other is a client of a socket."""

_E2BIG: Final = ERROR_PAYLOADS["E2BIG"]
_TRANSACTION_IDS: Final = 1 << 32


class Connection:
    """A client of the daemon, whatever carries its bytes."""

    __slots__ = (
        "asked",
        "author",
        "begun",
        "closed",
        "domain",
        "domid",
        "flow",
        "held",
        "home",
        "identities",
        "ignored",
        "kept",
        "late",
        "let_go",
        "live",
        "logged",
        "next_transaction",
        "operations",
        "output",
        "peer",
        "port",
        "privileged",
        "queued_events",
        "reader",
        "serial",
        "since",
        "transactions",
        "walk",
        "watches",
        "written",
    )

    def __init__(self, serial: int, domain: Domain, privileged: bool, peer: str, flow: Flow) -> None:
        self.serial, self.domain, self.privileged, self.flow = serial, domain, privileged, flow
        self.domid, self.home, self.peer = domain.domid, domain.home, peer
        self.identities: tuple[int, ...] = (domain.domid,)
        """The domains whose rights it has: its own, and its target's."""
        self.author = f"dom{self.domid} conn {serial} {peer}".rstrip()
        self.reader = FrameReader()
        self.output: list[bytes] = []
        self.late: list[bytes] = []
        self.live: Live
        self.watches: dict[tuple[str, bytes], Watch] = {}
        self.transactions: dict[int, Transaction] = {}
        self.walk: Walk | None = None
        """A listing that is being told in parts."""
        self.held: Frame | None = None
        """A request that waits for its turn, and is carried out before anything that came later."""
        self.asked: Frame = (0, 0, 0, b"")
        """The request that is being carried out, or was last."""
        self.written = self.logged = self.let_go = 0
        """Bytes since it began: sent; sent, or written down so that they will be; of requests, those that whoever
        carries them has no more."""
        self.operations = 0
        """Requests carried out."""
        self.since = 0.0
        """When that began to wait."""
        self.closed = False
        self.ignored = False
        """It broke its ring: nothing is read or written until it begins anew."""
        self.queued_events: set[bytes] = set()
        """The payloads of events that wait, but for a watch's first."""
        self.begun = False
        """Part of the first message that waits is sent."""
        self.next_transaction = 1
        self.kept = -1
        """Where what it sent is kept until it is answered, as the journal knows it; -1 is nowhere."""
        self.port = 0
        """The event channel that a ring was introduced with."""

    @property
    def done(self) -> int:
        """How many bytes of what came in are carried out."""
        waits = self.held
        return self.reader.taken - (0 if waits is None else HEADER_SIZE + len(waits[3]))

    @property
    def input(self) -> bytes:
        """What came in and is not carried out: from byte `done` on."""
        waits = self.held
        return self.reader.rest if waits is None else pack(*waits) + self.reader.rest

    @property
    def stalled(self) -> bool:
        """Whether it is not to be read now, for what it has outstanding."""
        return False

    @property
    def behind(self) -> bool:
        """Whether there is something that it is still to be told, and is not in its queue."""
        return False

    @property
    def owed(self) -> tuple[Late, ...]:
        """What that is."""
        return ()

    @property
    def crowded(self) -> bool:
        """Whether it is to be told later of what happens now."""
        return False

    def later(self, telling: Telling) -> None:
        """Have it be told when it has read what waits."""
        raise NotImplementedError

    def reply(self, kind: int, request: int, transaction: int, payload: bytes) -> None:
        """Queue a reply, then the events that had to wait for it; nothing if it ended meanwhile. O(payload)."""
        if self.closed:
            self.late.clear()
            return
        if len(payload) > PAYLOAD_MAX:
            kind, payload = Kind.ERROR, _E2BIG
        message, cause = HEADER.pack(kind, request, transaction, len(payload)) + payload, self.flow.cause
        if cause is None and self.privileged:
            # As `_queue`, without its call.
            if not self.output:
                self.flow.waiting.append(self)
            self.output.append(message)
        else:
            self._queue(message, cause)
        if self.late:
            for message in self.late:
                self._queue(message, None)
            self.late.clear()

    def event(self, path: str, token: bytes) -> None:
        """Queue a watch event, unless an equal one waits. O(path + token)."""
        self.told(*event_message(path, token))

    def told(self, payload: bytes, message: bytes) -> None:
        """The same of an event that is made already, for all of whom it is one. O(1)."""
        if len(payload) > PAYLOAD_MAX:
            return
        if payload[:1] != b"@":
            if payload in self.queued_events:
                return
            self.queued_events.add(payload)
        flow = self.flow
        if flow.cause is None and self.privileged:
            # As `_queue_event`, without its calls: of one change ten thousand may be told.
            if not self.output:
                flow.waiting.append(self)
            self.output.append(message)
        else:
            self._queue_event(message, flow.cause)

    def initial_event(self, path: str, token: bytes) -> None:
        """Have a new watch's first event follow the reply that is about to be queued; it fits, as the request did."""
        self.late.append(event_message(path, token)[1])

    def sent(self, count: int) -> None:
        """Take the first `count` bytes off the queue. O(messages taken)."""
        for done, message in enumerate(self.output):
            if count < len(message):
                if done:
                    del self.output[:done]
                if count:
                    self._begin(message)
                    self.output[0] = self._rest(message, count)
                return
            count -= len(message)
            self._finish(message)
        self.output.clear()

    def sent_all(self) -> None:
        """Take everything off the queue. O(messages)."""
        for message in self.output:
            if message.__class__ is Message:
                self._finish(message)
        self.output.clear()
        self.begun = False
        if self.queued_events:
            self.queued_events.clear()

    def clear(self) -> None:
        """Forget what came in and what waits to go out."""
        self.reader, self.held = FrameReader(), None
        self.written = self.logged = self.let_go = 0
        if self.walk is not None:
            self.walk.close()
            self.walk = None
        self.late.clear()
        self.sent_all()

    def resume_output(self, messages: Sequence[bytes], *, begun: bool) -> None:
        """Have wait what waited before the daemon was started again; `begun`: the first is the rest of a message."""
        for message in messages:
            self._queue(message, None)
        self.begun = begun

    def expire(self, now: float) -> int:
        """Drop the events that waited too long; how many. What is left of one that was begun has no end. O(queue)."""
        old = [message for message in self.output if message.__class__ is Message and 0 < message.until <= now]
        for message in old:
            self._finish(message)
        if old:
            dropped = {id(message) for message in old}
            self.output = [message for message in self.output if id(message) not in dropped]
        return len(old)

    def take_transaction_id(self) -> int:
        """The next transaction id: from 1 up, round the 32 bits, none that is open."""
        while True:
            found = self.next_transaction
            self.next_transaction = (found + 1) % _TRANSACTION_IDS or 1
            if found not in self.transactions:
                return found

    def _queue(self, message: bytes, cause: Outstanding | None) -> None:
        if cause is not None:
            message = caused(message, cause)
        if not self.output:
            self.flow.waiting.append(self)
        self.output.append(message)

    def _queue_event(self, message: bytes, cause: Outstanding | None) -> None:
        self._queue(message, cause)

    def _rest(self, message: bytes, count: int) -> bytes:
        rest = message[count:]
        if message.__class__ is Message:
            left = Message(rest)
            left.cause = message.cause
            return left
        return rest

    def _begin(self, message: bytes) -> None:
        """Some of it is on its way: from now on an equal event is another one, and it can be dropped no more."""
        if not self.begun:
            self.begun = True
            self._forget(message)

    def _finish(self, message: bytes) -> None:
        if self.begun and message is self.output[0]:
            self.begun = False
        else:
            self._forget(message)
        if message.__class__ is Message and message.cause is not None:
            message.cause.done()

    def _forget(self, message: bytes) -> None:
        if self.queued_events and HEADER.unpack_from(message)[0] == Kind.WATCH_EVENT:
            self.queued_events.discard(message[HEADER_SIZE:])


@lru_cache(maxsize=64)
def event_message(path: str, token: bytes) -> tuple[bytes, bytes]:
    """An event's payload and all of it: those who watch the same place mostly call it the same."""
    payload = b"%b\0%b\0" % (path.encode("ascii"), token)
    return payload, HEADER.pack(Kind.WATCH_EVENT, 0, 0, len(payload)) + payload


def caused(message: bytes, cause: Outstanding) -> Message:
    """A message that a request is answerable for."""
    made = Message(message)
    made.cause = cause
    cause.queued()
    return made
