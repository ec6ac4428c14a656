"""Both ends of the protocol in one process: a daemon on a store in memory, and clients that are only bytes.

`Peer.send` feeds a request's bytes and carries out everything that is complete; `Peer.take` is what came back, frame
by frame. Nothing here knows more of the daemon than its bytes, but for who a client is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import rrdstore
from xsadapter.engine.daemon import Daemon
from xsadapter.engine.hypervisor import FIRST_RESERVED, Life, each
from xsadapter.wire import HEADER, pack

if TYPE_CHECKING:
    from collections.abc import Collection

    from xsadapter.engine.connection import Connection

NUMBERS = {
    "CONTROL": 0,
    "DIRECTORY": 1,
    "READ": 2,
    "GET_PERMS": 3,
    "WATCH": 4,
    "UNWATCH": 5,
    "TRANSACTION_START": 6,
    "TRANSACTION_END": 7,
    "INTRODUCE": 8,
    "RELEASE": 9,
    "GET_DOMAIN_PATH": 10,
    "WRITE": 11,
    "MKDIR": 12,
    "RM": 13,
    "SET_PERMS": 14,
    "EVENT": 15,
    "ERROR": 16,
    "IS_DOMAIN_INTRODUCED": 17,
    "RESUME": 18,
    "SET_TARGET": 19,
    "RESTRICT": 20,
    "RESET_WATCHES": 21,
    "DIRECTORY_PART": 22,
    "GET_FEATURE": 23,
    "SET_FEATURE": 24,
    "GET_QUOTA": 25,
    "SET_QUOTA": 26,
    "INVALID": 0xFFFF,
}
NAMES = {number: name for name, number in NUMBERS.items()}


class Message(NamedTuple):
    """What a client gets."""

    kind: str
    request: int
    transaction: int
    payload: bytes


def cut(data: bytes) -> list[Message]:
    """Frames, by the header alone and not by the daemon's own reader."""
    found = []
    while data:
        kind, request, transaction, length = HEADER.unpack_from(data)
        payload = data[16 : 16 + length]
        assert len(payload) == length <= 4096
        found.append(Message(NAMES[kind], request, transaction, payload))
        data = data[16 + length :]
    return found


class Peer:
    """A client."""

    def __init__(self, daemon: Daemon, domid: int = 0, *, privileged: bool = True) -> None:
        self.daemon = daemon
        self.connection = daemon.connect("pid 1 (test)", domid, privileged)
        self.request = 0

    def feed(self, data: bytes) -> None:
        """Bytes arrive; what is complete is carried out."""
        self.connection.reader.feed(data)
        while self.daemon.step(self.connection):
            pass

    def take(self) -> list[Message]:
        """All that waits for this client."""
        found: list[Message] = []
        self.daemon.flow.make()
        while self.connection.output:
            found += cut(b"".join(self.connection.output))
            self.connection.sent_all()
            self.daemon.flow.make()
        return found

    def exchange(self, operation: str, payload: bytes = b"", transaction: int = 0) -> list[Message]:
        """One request and all that comes back, the reply among it."""
        self.request += 1
        self.feed(pack(NUMBERS[operation], self.request, transaction, payload))
        found = self.take()
        replies = [message for message in found if message.kind != "EVENT"]
        assert [(message.request, message.transaction) for message in replies] == [(self.request, transaction)]
        assert replies[0].kind in {operation, "ERROR"}
        return found

    def ask(self, operation: str, payload: bytes = b"", transaction: int = 0) -> bytes | str:
        """The reply alone: its payload, or the name of the error."""
        for message in self.exchange(operation, payload, transaction):
            if message.kind == "ERROR":
                return message.payload.rstrip(b"\0").decode()
            if message.kind != "EVENT":
                return message.payload
        raise AssertionError("no reply")

    def events(self) -> list[tuple[bytes, bytes]]:
        """The events that wait: path and token of each. There must be no reply among them."""
        found = self.take()
        assert all((message.kind, message.request, message.transaction) == ("EVENT", 0, 0) for message in found)
        return [pair(message) for message in found]

    def start(self) -> int:
        """A transaction's id."""
        reply = self.ask("TRANSACTION_START", b"\0")
        assert isinstance(reply, bytes)
        return int(reply.rstrip(b"\0"))


def pair(event: Message) -> tuple[bytes, bytes]:
    """Path and token of an event."""
    path, token, nothing = event.payload.split(b"\0")
    assert nothing == b""
    return path, token


class Host:
    """A hypervisor of dictionaries: every domid lives until it is killed, rings are nothing but a note."""

    def __init__(self) -> None:
        self.lives: dict[int, Life | None] = {}
        self.rings: dict[int, int] = {}
        self.refuses: set[int] = set()

    def life(self, domid: int) -> Life | None:
        return self.lives.get(domid, Life(1000 + domid)) if domid < FIRST_RESERVED else None

    def living(self, domids: Collection[int]) -> dict[int, Life]:
        return each(self.life, domids)

    def connect(self, connection: Connection, port: int, features: int) -> None:
        if connection.domid in self.refuses:
            raise OSError("refused")
        self.rings[connection.domid] = port

    def resume(self, connection: Connection, indexes: tuple[int, int] | None = None) -> None:
        self.connect(connection, 0, 0)

    def rebind(self, connection: Connection, port: int) -> None:
        self.connect(connection, port, 0)

    def disconnect(self, connection: Connection) -> None:
        del self.rings[connection.domid]

    def kill(self, domid: int) -> None:
        self.lives[domid] = None

    def reuse(self, domid: int) -> None:
        """Another domain with the same number."""
        self.lives[domid] = Life((self.lives.get(domid) or Life(1000 + domid)).unique + 100_000)


def fresh_daemon(host: Host | None = None) -> Daemon:
    """A daemon on a new store in memory, its tree ready."""
    daemon = Daemon(rrdstore.memory(), host)
    daemon.begin("boot")
    return daemon


def ring_of(daemon: Daemon, domid: int) -> Peer:
    """The guest at the other end of an introduced domain's ring."""
    domain = daemon.domains.get(domid)
    assert domain is not None
    assert domain.connection is not None
    peer = Peer.__new__(Peer)
    peer.daemon, peer.connection, peer.request = daemon, domain.connection, 0
    return peer
