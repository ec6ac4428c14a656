"""Frames on a Unix socket: the same bytes to every daemon, next to no work between.

Rule: requests are built before the clock starts. What is measured knows how long each answer is, so an answer is a
matter of counting bytes, and one that is not as long as it should be leaves the client waiting until it gives up.
"""

from __future__ import annotations

import socket
import struct
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.load.daemons import Target

CONTROL, DIRECTORY, READ, GET_PERMS, WATCH, UNWATCH, START, END, INTRODUCE, RELEASE, HOME, WRITE, MKDIR, RM = range(14)
SET_PERMS, EVENT, ERROR, INTRODUCED = range(14, 18)
PART = 22
HEADER = struct.Struct("<4I")  # operation, request, transaction, length
OK = 19  # bytes: a header, and OK with its NUL
AT_ONCE = 64  # requests
PATIENCE = 120  # seconds
ROOM = 1 << 20

Asked = tuple[bytes, int]
"""One frame or several in one, and how many bytes of answers they have together."""


class Refused(Exception):
    """The daemon answered with an error, of this name."""


def frame(operation: int, *strings: bytes, data: bytes = b"", transaction: int = 0) -> bytes:
    """A request: each string with its NUL, then the data."""
    payload = b"".join(string + b"\0" for string in strings) + data
    return HEADER.pack(operation, 0, transaction, len(payload)) + payload


def connected(target: Target) -> socket.socket:
    """A stream that gives up, as BlockingIOError, when nothing comes for two minutes."""
    stream = target.connect()
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", PATIENCE, 0))
    return stream


def exchange(stream: socket.socket, requests: Iterable[Asked], room: memoryview) -> None:
    """Send each of `requests`, and wait for its answer before the next."""
    send, receive = stream.sendall, stream.recv_into
    for request, answer in requests:
        send(request)
        missing = answer
        while missing:
            got = receive(room[:missing])
            if not got:
                raise ConnectionError("the daemon closed the connection")
            missing -= got


def together(requests: Sequence[Asked], count: int) -> list[Asked]:
    """The same, `count` at a time."""
    return [
        (b"".join(request for request, _ in some), sum(length for _, length in some))
        for some in (requests[at : at + count] for at in range(0, len(requests), count))
    ]


class Client:
    """One connection, and the answers that are looked at. Events are kept aside, in order."""

    def __init__(self, target: Target) -> None:
        self.stream = connected(target)
        self.room = memoryview(bytearray(ROOM))
        self.events: deque[bytes] = deque()
        self._left = b""

    def ask(self, request: bytes) -> bytes:
        """The answer's payload; Refused."""
        self.stream.sendall(request)
        return self.answer()

    def answer(self) -> bytes:
        """The next answer's payload; Refused."""
        while True:
            kind, payload = self.message()
            if kind == ERROR:
                raise Refused(payload.rstrip(b"\0").decode())
            if kind != EVENT:
                return payload
            self.events.append(payload)

    def message(self) -> tuple[int, bytes]:
        """The next answer or event."""
        while True:
            if len(self._left) >= HEADER.size:
                kind, _, _, length = HEADER.unpack_from(self._left)
                end = HEADER.size + length
                if len(self._left) >= end:
                    payload, self._left = self._left[HEADER.size : end], self._left[end:]
                    return kind, payload
            data = self.stream.recv(1 << 16)
            if not data:
                raise ConnectionError("the daemon closed the connection")
            self._left += data

    def pour(self, requests: Iterable[bytes]) -> None:
        """All of them, 64 on their way at a time, none of which may be refused."""
        some: list[bytes] = []
        for request in requests:
            some.append(request)
            if len(some) == AT_ONCE:
                self._all(some)
                some = []
        self._all(some)

    def _all(self, requests: list[bytes]) -> None:
        if requests:
            self.stream.sendall(b"".join(requests))
            for _ in requests:
                self.answer()

    def exchange(self, requests: Iterable[Asked]) -> None:
        """As the function of this name."""
        exchange(self.stream, requests, self.room)

    def close(self) -> None:
        """End the connection."""
        self.stream.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
