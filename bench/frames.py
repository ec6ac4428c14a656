"""The client of the bench: raw frames on a Unix socket, the same bytes to every daemon, next to no work between.

Requests are built before the clock starts. All answers of a lap have a known length, so an answer is a matter of
counting bytes; that they are the right answers is looked at once, before the race.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

READ, WRITE, ERROR = 2, 11, 16
HEADER = struct.Struct("<4I")  # operation, request, transaction, length


def frame(operation: int, payload: bytes) -> bytes:
    """A request."""
    return HEADER.pack(operation, 0, 0, len(payload)) + payload


def exchange(stream: socket.socket, requests: Sequence[bytes], answer: int) -> None:
    """Send each of `requests`, which may be several frames in one, and wait for `answer` bytes after each."""
    send, receive = stream.sendall, stream.recv_into
    room = memoryview(bytearray(answer))
    for request in requests:
        send(request)
        missing = answer
        while missing:
            got = receive(room[:missing])
            if not got:
                raise ConnectionError("the daemon closed the connection")
            missing -= got


def ask(stream: socket.socket, request: bytes) -> tuple[int, bytes]:
    """One request, and its answer: operation and payload."""
    stream.sendall(request)
    operation, _, _, length = HEADER.unpack(_exactly(stream, HEADER.size))
    return operation, _exactly(stream, length)


def _exactly(stream: socket.socket, length: int) -> bytes:
    parts = b""
    while len(parts) < length:
        part = stream.recv(length - len(parts))
        if not part:
            raise ConnectionError("the daemon closed the connection")
        parts += part
    return parts
