"""The floor: about the least that a daemon in Python can do, so that it is seen how far above it ours is.

    python bench/load/floor.py SOCKET [JOURNAL]

Rule: one `epoll_wait` a turn, one `recv` and one `send` for each client that is ready, a dictionary instead of a tree.
READ and WRITE are carried out; WATCH gives events of exactly its path. No permission, no transaction, no history, no
quota, no error but ENOENT: no daemon. A bar that this misses is missed by every one in Python with these system calls.
With a JOURNAL a WRITE is a commit, at its least: a record with number, time, path and value behind the last one in a
ring file that is mapped into memory, chained by its checksum, and the value that was there, by which the newest can be
undone. Nothing is ever brought to disk or thinned, so this is what the first half of history costs at least.
"""

from __future__ import annotations

import gc
import mmap
import os
import select
import socket
import struct
import sys
import time
from collections import deque
from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Callable

    Send = Callable[[bytes], int]
    Watchers = dict[bytes, list[tuple[Send, bytes]]]
    """By path: who is to be sent which event."""

_READ, _WATCH, _WRITE, _EVENT, _ERROR = 2, 4, 11, 15, 16
_HEADER = struct.Struct("=4I")
_ROOM = 32768
_EVENTS = 512
_MISSING = b"ENOENT\0"
RECORD = struct.Struct("=2I2Q")
_JOURNAL = 8 << 20
_UNDONE = 8192


class Commits:
    """What is kept of WRITEs: each in a ring file, and of the newest what they replaced."""

    def __init__(self, path: str) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.posix_fallocate(descriptor, 0, _JOURNAL)
        self.ring = mmap.mmap(descriptor, _JOURNAL)
        os.close(descriptor)
        self.at = self.number = self.check = 0
        self.newest: deque[tuple[int, bytes, bytes | None]] = deque(maxlen=_UNDONE)

    def add(self, payload: bytes, path: bytes, old: bytes | None) -> None:
        """A WRITE with this payload is to be made."""
        number = self.number = self.number + 1
        check = self.check = crc32(payload, self.check)
        record = RECORD.pack(len(payload), check, number, time.time_ns()) + payload
        at, end = self.at, self.at + len(record)
        if end > _JOURNAL:
            at, end = 0, len(record)
        self.ring[at:end] = record
        self.at = end
        self.newest.append((number, path, old))


def answers(
    data: bytes, tree: dict[bytes, bytes], watchers: Watchers, send: Send, commits: Commits | None = None
) -> tuple[list[bytes], bytes]:
    """The answers to all whole requests in `data`, and the rest of it. Keys are paths with their NUL."""
    found: list[bytes] = []
    at, size = 0, len(data)
    while at + 16 <= size:
        kind, request, _, length = _HEADER.unpack_from(data, at)
        end = at + 16 + length
        if end > size:
            break
        payload = data[at + 16 : end]
        at = end
        if kind == _READ:
            value = tree.get(payload)
            if value is None:
                kind, value = _ERROR, _MISSING
            found.append(_HEADER.pack(kind, request, 0, len(value)) + value)
            continue
        path = payload[: payload.index(0) + 1]
        found.append(_HEADER.pack(kind, request, 0, 3) + b"OK\0")
        if kind == _WRITE:
            if commits is not None:
                commits.add(payload, path, tree.get(path))
            tree[path] = payload[len(path) :]
            for tell, event in watchers.get(path, ()):
                tell(event)
        elif kind == _WATCH:
            found.append(_HEADER.pack(_EVENT, 0, 0, length) + payload)
            watchers.setdefault(path, []).append((send, found[-1]))
    return found, data[at:]


def serve(listener: socket.socket, commits: Commits | None) -> None:
    """For ever."""
    tree: dict[bytes, bytes] = {b"/\0": b""}
    watchers: Watchers = {}
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    streams: dict[int, socket.socket] = {}
    calls: dict[int, tuple[Callable[[int], bytes], Send]] = {}
    rests: dict[int, bytes] = {}
    while True:
        for descriptor, _ in poll.poll(-1, _EVENTS):
            known = calls.get(descriptor)
            if known is None:
                stream, _ = listener.accept()
                streams[stream.fileno()] = stream
                calls[stream.fileno()] = stream.recv, stream.send
                poll.register(stream, select.EPOLLIN)
                continue
            receive, send = known
            try:
                data = receive(_ROOM)
            except ConnectionResetError:
                data = b""
            if not data:
                poll.unregister(descriptor)
                del calls[descriptor]
                streams.pop(descriptor).close()
                rests.pop(descriptor, None)
                for told in watchers.values():
                    told[:] = [one for one in told if one[0] != send]
                continue
            if rests:
                data = rests.pop(descriptor, b"") + data
            found, rest = answers(data, tree, watchers, send, commits)
            if rest:
                rests[descriptor] = rest
            if found:
                send(found[0] if len(found) == 1 else b"".join(found))


def main(path: str, journal: str = "") -> None:
    """Listen there, and keep what is written in a file if one is named."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen(128)
        gc.disable()
        serve(listener, Commits(journal) if journal else None)


if __name__ == "__main__":
    main(*sys.argv[1:])
