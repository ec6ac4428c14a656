"""Who takes part in a conversation with a daemon: clients on its socket, guests on its rings."""

from __future__ import annotations

import struct
import time
from typing import Protocol

from tests.compat import peers
from tests.compat.guest import Guest
from tests.daemon.conversation import NUMBERS, Message, cut, pair
from xsadapter.wire import pack

GUESTS = (5, 6)
WANDERER = 7
CLIENTS = (0, 0, *GUESTS, WANDERER)
"""Who takes part: two sockets, two rings, and a third one now and then."""

Reply = bytes | str


class Client(Protocol):
    events: list[tuple[bytes, bytes]]

    def send(self, operation: str, payload: bytes, transaction: int) -> None: ...

    def receive(self) -> Reply: ...

    def close(self) -> None: ...


class Stream:
    """A privileged client on the socket. EOFError if the daemon ends."""

    def __init__(self, daemon: peers.Daemon) -> None:
        self.stream = daemon.connect()
        self.stream.settimeout(peers.PATIENCE)
        self.events: list[tuple[bytes, bytes]] = []

    def send(self, operation: str, payload: bytes, transaction: int) -> None:
        self.operation = operation
        try:
            self.stream.sendall(pack(NUMBERS[operation], 1, transaction, payload))
        except OSError as error:
            raise EOFError from error

    def receive(self) -> Reply:
        while True:
            header = self._exactly(16)
            [message] = cut(header + self._exactly(struct.unpack("=4I", header)[3]))
            if message.kind != "EVENT":
                return _reply(self.operation, message)
            self.events.append(pair(message))

    def close(self) -> None:
        self.stream.close()

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            try:
                piece = self.stream.recv(count - len(data))
            except ConnectionError as error:
                raise EOFError from error
            if not piece:
                raise EOFError
            data += piece
        return data


class Ring:
    """A guest. EOFError if the daemon ends."""

    def __init__(self, daemon: peers.Daemon, domid: int) -> None:
        self.daemon, self.guest = daemon, Guest(daemon.directory, domid)
        self.guest.alive = lambda: daemon.process.poll() is None
        self.events: list[tuple[bytes, bytes]] = []

    def send(self, operation: str, payload: bytes, transaction: int) -> None:
        self.operation = operation
        try:
            self.guest.send(pack(NUMBERS[operation], 1, transaction, payload))
        except (OSError, AssertionError) as error:
            if self.daemon.process.poll() is not None:
                raise EOFError from error
            raise

    def receive(self) -> Reply:
        while True:
            try:
                message = self.guest.message()
            except (OSError, AssertionError) as error:
                if self.daemon.process.poll() is not None:
                    raise EOFError from error
                raise
            if message.kind != "EVENT":
                return _reply(self.operation, message)
            self.events.append(pair(message))

    def close(self) -> None:
        self.guest.close()

    def kick(self, port: int) -> None:
        self.guest.kick(port)


def _reply(operation: str, message: Message) -> Reply:
    if message.kind == "ERROR":
        return message.payload[:-1].decode()
    if operation == "DIRECTORY":
        return b"".join(name + b"\0" for name in sorted(message.payload.split(b"\0")[:-1]))
    return message.payload


class Party:
    """One daemon and everybody who talks to it."""

    def __init__(self, daemon: peers.Daemon) -> None:
        self.daemon = daemon
        self.clients: list[Client | None] = [Stream(daemon), Stream(daemon)]
        for domid in GUESTS:
            home = b"/local/domain/%d\0" % domid
            self.ask(0, "MKDIR", home)
            self.ask(0, "SET_PERMS", home + b"n%d\0" % domid)
            self.clients.append(Ring(daemon, domid))
            assert self.ask(0, "INTRODUCE", b"%d\x001\x001\0" % domid) == b"OK\0"
        self.clients.append(None)
        self.transactions: list[dict[int, int]] = [{} for _ in CLIENTS]
        """Of each client, its transactions: the conversation's number, and the daemon's."""

    def client(self, who: int) -> Client:
        found = self.clients[who]
        assert found is not None
        return found

    @property
    def present(self) -> list[int]:
        return [who for who, client in enumerate(self.clients) if client is not None]

    def ask(self, who: int, operation: str, payload: bytes, transaction: int = 0) -> Reply:
        self.client(who).send(operation, payload, transaction)
        return self.client(who).receive()

    def begins(self, domid: int) -> None:
        """Its ring is about to be introduced: the guest has nothing of it yet, or no more."""
        who = CLIENTS.index(domid)
        self.goes(who)
        (self.daemon.directory / f"dead.{domid}").unlink(missing_ok=True)
        self.clients[who] = Ring(self.daemon, domid)

    def goes(self, who: int) -> None:
        client, self.clients[who] = self.clients[who], None
        self.transactions[who].clear()
        if client is not None:
            client.close()

    def dies(self) -> None:
        """The wanderer is gone, and the daemon knows it."""
        (self.daemon.directory / f"dead.{WANDERER}").touch()
        deadline = time.monotonic() + peers.PATIENCE
        while self.ask(0, "IS_DOMAIN_INTRODUCED", b"%d\0" % WANDERER) != b"F\0":
            assert time.monotonic() < deadline, "the death of a domain is not seen"
            self.client(2).kick(1)  # type: ignore[attr-defined]  # a ring's
        self.goes(CLIENTS.index(WANDERER))

    def close(self) -> None:
        for who in self.present:
            self.client(who).close()
