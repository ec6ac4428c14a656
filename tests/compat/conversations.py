"""Random conversations of domain 0 and two guests, held with several daemons at once.

A conversation lives below a place of its own (`/r17`, and `h` in each guest's home) and is followed by a removal, so
that one that two daemons answered differently, by a listed difference, does not spoil the next. A step is sent to all
daemons before any answer is awaited. Events are gathered by a barrier: a request to each client, behind which all that
was caused before has arrived.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tests.compat import peers
from tests.compat.guest import Guest
from tests.daemon.conversation import NUMBERS, Message, cut, pair
from xsadapter.wire import pack

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

GUESTS = (5, 6)
CLIENTS = (0, 0, *GUESTS)
"""Who takes part: two sockets, and two rings."""

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
        self.events: list[tuple[bytes, bytes]] = []

    def send(self, operation: str, payload: bytes, transaction: int) -> None:
        self.operation = operation
        try:
            self.guest.send(pack(NUMBERS[operation], 1, transaction, payload))
        except OSError as error:
            raise EOFError from error

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
        self.clients: list[Client] = [Stream(daemon), Stream(daemon)]
        for domid in GUESTS:
            home = b"/local/domain/%d\0" % domid
            self.ask(0, "MKDIR", home)
            self.ask(0, "SET_PERMS", home + b"n%d\0" % domid)
            self.clients.append(Ring(daemon, domid))
            assert self.ask(0, "INTRODUCE", b"%d\x001\x001\0" % domid) == b"OK\0"
        self.transactions: list[dict[int, int]] = [{} for _ in CLIENTS]
        """Of each client, its transactions: the conversation's number, and the daemon's."""

    def ask(self, who: int, operation: str, payload: bytes, transaction: int = 0) -> Reply:
        self.clients[who].send(operation, payload, transaction)
        return self.clients[who].receive()

    def close(self) -> None:
        for client in self.clients:
            client.close()


@dataclass
class Step:
    """One request. `transaction` is the conversation's own number of it."""

    who: int
    operation: str
    payload: bytes
    transaction: int = 0
    overlapped: bool = False
    """It is in a transaction, or ends one, during which somebody else changed something."""
    broken: bool = False
    replies: list[Reply] = field(default_factory=list)

    def __str__(self) -> str:
        inside = f" in transaction {self.transaction}" if self.transaction else ""
        return f"client {self.who} (domain {CLIENTS[self.who]}){inside}: {self.operation} {self.payload!r}"


_OFTEN = {
    **dict.fromkeys(("READ", "SET_PERMS", "WATCH", "TRANSACTION_END"), 2),
    **dict.fromkeys(("DIRECTORY", "GET_PERMS", "MKDIR", "RM", "UNWATCH", "TRANSACTION_START"), 1),
    **dict.fromkeys(("RESET_WATCHES", "GET_DOMAIN_PATH", "IS_DOMAIN_INTRODUCED"), 1),
    "WRITE": 3,
}
_CHANGES = {"WRITE", "MKDIR", "RM", "SET_PERMS", "TRANSACTION_END"}


class Talk:
    """A random conversation, as it goes on."""

    def __init__(self, chance: random.Random, number: int, malformed: bool) -> None:
        self.chance, self.place, self.malformed = chance, b"/r%d" % number, malformed
        self.mixed = False
        """A guest has made a node where the parent may be somebody else's."""
        self.open: list[dict[int, bool]] = [{} for _ in CLIENTS]
        """Of each client, its open transactions, and whether somebody else has changed something meanwhile."""
        self.next = 1

    def opening(self) -> list[Step]:
        """A place where guests may do something."""
        lists = [b"n0\0b5\0b6\0", b"b0\0", b"r0\0w5\0", b"n5\0r6\0", b"w0\0r6\0", b"n0\0"]
        made = [
            Step(0, "MKDIR", self.place + b"\0"),
            Step(0, "SET_PERMS", self.place + b"\0" + self.chance.choice(lists)),
        ]
        for domid in GUESTS:
            home = b"/local/domain/%d/h\0" % domid
            made += [
                Step(domid - 3, "MKDIR", home),
                Step(domid - 3, "SET_PERMS", home + self.chance.choice([b"n%d\0", b"r%d\0", b"b%d\0"]) % domid),
            ]
        return made

    def step(self) -> Step:
        chance = self.chance
        who = chance.choice([0, 0, 1, 2, 2, 3])
        [operation] = chance.choices(list(_OFTEN), list(_OFTEN.values()))
        mine = self.open[who]
        if operation == "TRANSACTION_START" and len(mine) >= 2:
            operation = "TRANSACTION_END"
        if operation == "RESET_WATCHES" and chance.random() < 0.7:
            operation = "WRITE"
        transaction = 0
        if mine and operation not in {"TRANSACTION_START", "WATCH", "UNWATCH", "RESET_WATCHES"}:
            transaction = chance.choice([*mine, *mine, 0])
        made = Step(who, operation, self.payload(who, operation), transaction)
        if self.malformed and chance.random() < 0.4:
            made.payload, made.broken = self.broken(made.payload), True
        self.follow(made)
        return made

    def follow(self, step: Step) -> None:
        """What it means to the open transactions, and to who owns what."""
        domid = CLIENTS[step.who]
        home = (b"h", b"/local/domain/%d/h" % domid)
        if step.operation in {"WRITE", "MKDIR"} and domid and not step.payload.startswith(home):
            self.mixed = True
        if step.operation == "SET_PERMS" and not domid and not step.payload.startswith(self.place):
            self.mixed = True
        mine = self.open[step.who]
        step.overlapped = bool(step.transaction and mine.get(step.transaction))
        if step.operation in _CHANGES and (not step.transaction or step.operation == "TRANSACTION_END"):
            for at, theirs in enumerate(self.open):
                for number in theirs:
                    if (at, number) != (step.who, step.transaction):
                        theirs[number] = True

    def path(self, who: int) -> bytes:
        chance = self.chance
        name = b"/".join(chance.choices([b"a", b"b", b"c"], k=chance.choice([0, 1, 1, 2, 2, 3])))
        domid = CLIENTS[who]
        top = chance.choice([self.place, self.place, self.place, b"h", b"/local/domain/5/h", b"/local/domain/6/h"])
        if top == b"h" and not domid:
            top = self.place
        return (top + b"/" + name).rstrip(b"/")

    def payload(self, who: int, operation: str) -> bytes:
        chance = self.chance
        path = self.path(who)
        if operation == "WRITE":
            return path + b"\0" + chance.choice([b"", b"1", b"two", b"\0\xff", b"v" * 40])
        if operation == "SET_PERMS":
            first = (
                b"%d" % CLIENTS[who] if CLIENTS[who] and chance.random() < 0.8 else chance.choice([b"0", b"5", b"6"])
            )
            more = [
                chance.choice([b"r5", b"b5", b"r6", b"w6", b"n5", b"b0"]) for _ in range(chance.choice([0, 1, 1, 2]))
            ]
            return (
                path
                + b"\0"
                + b"".join(entry + b"\0" for entry in (chance.choice([b"n", b"r", b"w", b"b"]) + first, *more))
            )
        if operation in {"WATCH", "UNWATCH"}:
            path = chance.choice([path, path, path, b"@releaseDomain" if not CLIENTS[who] else path])
            return path + b"\0" + chance.choice([b"t", b"u"]) + b"\0"
        if operation == "TRANSACTION_END":
            return chance.choice([b"T\0", b"T\0", b"T\0", b"F\0"])
        if operation in {"TRANSACTION_START", "RESET_WATCHES"}:
            return b"\0"
        if operation in {"GET_DOMAIN_PATH", "IS_DOMAIN_INTRODUCED"}:
            return chance.choice([b"0", b"5", b"6", b"7", b"32752"]) + b"\0"
        return path + b"\0"

    def broken(self, payload: bytes) -> bytes:
        chance = self.chance
        at = chance.randrange(len(payload) + 1)
        how = chance.randrange(5)
        if how == 0:
            return payload.rstrip(b"\0")
        if how == 1:
            return payload[:at] + chance.choice([b"\0", b"/", b"//", b"@", b" ", b".", b"\xff"]) + payload[at:]
        if how == 2:
            return payload[:at]
        if how == 3:
            return payload + chance.choice([b"\0", b"x", b"x\0"])
        return chance.choice([b"", b"\0", b"/\0", b"//\0", b"@\0", b"/local/domain/\0"])


class Table:
    """Several daemons at one table."""

    def __init__(self, parties: Sequence[Party]) -> None:
        self.parties = list(parties)

    def ask(self, step: Step, talk: Talk) -> list[Reply]:
        """All replies to one step, and what follows for the transactions."""
        for party in self.parties:
            known = party.transactions[step.who]
            party.clients[step.who].send(step.operation, step.payload, known.get(step.transaction, 0))
        step.replies = [party.clients[step.who].receive() for party in self.parties]
        self.follow(step, talk)
        return step.replies

    def follow(self, step: Step, talk: Talk) -> None:
        started = step.operation == "TRANSACTION_START" and all(isinstance(reply, bytes) for reply in step.replies)
        ended = step.operation == "TRANSACTION_END" and step.replies[-1] != "EINVAL"
        if started:
            for party, reply in zip(self.parties, step.replies, strict=True):
                party.transactions[step.who][talk.next] = int(bytes(reply)[:-1])  # type: ignore[arg-type]
            talk.open[step.who][talk.next] = False
            talk.next += 1
            step.replies = [b"started\0"] * len(step.replies)
        if ended:
            talk.open[step.who].pop(step.transaction, None)
            for party in self.parties:
                party.transactions[step.who].pop(step.transaction, None)
        if step.operation == "RESET_WATCHES" and step.replies[-1] == b"OK\0":
            talk.open[step.who].clear()
            for party in self.parties:
                party.transactions[step.who].clear()

    def events(self) -> list[list[set[tuple[bytes, bytes]]]]:
        """Of each party, of each client, what it was told since the last time."""
        for party in self.parties:
            for client in party.clients:
                client.send("GET_DOMAIN_PATH", b"0\0", 0)
        found = []
        for party in self.parties:
            told = []
            for client in party.clients:
                client.receive()
                told.append(set(client.events))
                client.events.clear()
            found.append(told)
        return found

    def clear(self, talk: Talk) -> None:
        """Nothing of the conversation is left."""
        for party in self.parties:
            for who in range(len(CLIENTS)):
                party.ask(who, "RESET_WATCHES", b"\0")
                party.transactions[who].clear()
            for path in (talk.place, b"/local/domain/5/h", b"/local/domain/6/h"):
                party.ask(0, "RM", path + b"\0")
        self.events()
