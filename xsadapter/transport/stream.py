"""A socket as a client of the server: bytes between the kernel and the connection.

Rules
1. What comes is received into the client's room in shared memory, where a daemon that is started again finds it;
   while a system call is under way, a word there says whose (`recovery.words`).
2. What the kernel does not take waits; a connection with more than 1 MiB waiting is not read until it has
   taken that.
3. Nor is one whose request has to wait for its turn, or that has as much outstanding as its quota allows: so at
   most what was read at once waits to be carried out.
"""

from __future__ import annotations

import select
from socket import MSG_NOSIGNAL
from typing import TYPE_CHECKING, Final

from xsadapter.recovery.words import CALL, DONE, RECEIVED, ROOM, SENT

if TYPE_CHECKING:
    from socket import socket

    from xsadapter.engine.connection import Connection
    from xsadapter.engine.daemon import Daemon
    from xsadapter.recovery.journal import Journal
    from xsadapter.recovery.words import Room
    from xsadapter.transport.listener import Listener

_WAITING_MAX: Final = 1 << 20
_READ: Final = 32768


class StreamClient:
    """One socket. `interest` is what the poll is asked for, `wanted` what it is to be asked for."""

    __slots__ = (
        "backlog",
        "confined",
        "connection",
        "daemon",
        "interest",
        "journal",
        "left",
        "listener",
        "room",
        "socket",
    )

    def __init__(self, daemon: Daemon, client: socket, connection: Connection, listener: Listener) -> None:
        self.daemon, self.socket, self.connection, self.listener = daemon, client, connection, listener
        self.confined = not connection.privileged
        self.interest: int = select.EPOLLIN
        self.backlog = self.left = False
        """Whether too much waits for it to be read, and whether anything does that the kernel did not take."""
        self.journal: Journal | None = None
        self.room: Room | None = None

    def keep(self, room: Room | None, journal: Journal) -> None:
        """Have what comes be kept there from now on, and the journal know of what is left; no room: not at all."""
        self.room, self.journal = room, None if room is None else journal
        self.connection.kept = -1 if room is None else room.number

    @property
    def wanted(self) -> int:
        """Writing while something is left, reading unless it is not to be read now."""
        connection = self.connection
        deaf = self.backlog or connection.held is not None or connection.stalled
        return (select.EPOLLOUT if self.left else 0) | (0 if deaf else select.EPOLLIN)

    def receive(self) -> bool | None:
        """Take what has come; whether there is something to carry out, None at the end of the stream."""
        room = self.room
        if room is None:
            try:
                data = self.socket.recv(_READ)
            except BlockingIOError:
                return False
            except OSError:
                return None
        else:
            words, at = room.words, room.at
            received = words[at + RECEIVED]
            start = received % ROOM
            # As many as fit before the room's end, over none of those that are not done.
            space = min(ROOM - start, ROOM - received + words[at + DONE])
            if not space:
                return False
            words[CALL] = self.connection.serial
            try:
                data = self.socket.recv(space)
            except BlockingIOError:
                words[CALL] = 0
                return False
            except OSError:
                data = b""
            room.bytes[start : start + len(data)] = data
            words[at + RECEIVED] = received + len(data)
            words[CALL] = 0
        if not data:
            return None
        reader = self.connection.reader
        if reader.at == len(reader.buffer):  # As `feed`, without its call.
            reader.base += reader.at
            reader.buffer, reader.at = data, 0
        else:
            reader.feed(data)
        return True

    def step(self) -> bool:
        """One request carried out, if there is a complete one and the client takes what it is sent; FrameError."""
        connection = self.connection
        if self.backlog or connection.closed or (self.confined and connection.stalled):
            return False
        return self.daemon.step(connection)

    def send(self) -> bool:
        """Send what waits, as far as the kernel takes it, and know what to wait for; False if the stream is broken."""
        connection = self.connection
        output = connection.output
        if connection.closed or not output:
            return True
        data = output[0] if len(output) == 1 else b"".join(output)
        room = self.room
        if room is not None:
            room.words[CALL] = connection.serial
        try:
            sent = self.socket.send(data, MSG_NOSIGNAL)
        except BlockingIOError:
            sent = 0
        except OSError:
            return False
        left = len(data) - sent
        if left:
            connection.sent(sent)
        elif data is output[0] and data.__class__ is bytes:
            # As `sent_all`, without its call: nearly all are sent one message, and ten thousand may be sent one event.
            output.clear()
            connection.begun = False
            if connection.queued_events:
                connection.queued_events.clear()
        else:
            connection.sent_all()
        if room is not None:
            written = connection.written = connection.written + sent
            if left and self.journal is not None:
                self.journal.unsent(connection)
            words, at, reader = room.words, room.at, connection.reader
            words[at + SENT] = written
            words[at + DONE] = reader.base + reader.at if connection.held is None else connection.done
            words[CALL] = 0
        self.left = left > 0
        self.backlog = left > _WAITING_MAX or (self.backlog and left > 0)
        return True
