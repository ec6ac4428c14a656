"""A guest on a simulated ring: the other side of the page, for our daemon and the stock ones alike.

The conventions are those of fakexen.c: the page is DIR/ring.N, DIR/evtchn takes the port 1000 + N, DIR/port.P is told.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import select
import socket
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.daemon.conversation import NAMES, NUMBERS, Message, pair
from xsadapter.wire import HEADER, pack

if TYPE_CHECKING:
    from collections.abc import Callable

HALF = 1024
REQ_CONS, REQ_PROD, RSP_CONS, RSP_PROD, FEATURES, CONNECTION, ERROR, PORT = range(512, 520)
PATIENCE = 120.0


class Guest:
    """Domain `domid`; introduce it through the daemon's socket before anything is asked."""

    def __init__(self, directory: Path, domid: int) -> None:
        self.directory, self.domid, self.port = Path(directory), domid, 1000 + domid
        descriptor = os.open(self.directory / f"ring.{domid}", os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(descriptor, 4096)
        self.map = mmap.mmap(descriptor, 4096)
        os.close(descriptor)
        self.page = memoryview(self.map)
        self.words = self.page.cast("I")
        self.told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        place = self.directory / f"port.{self.port}"
        place.unlink(missing_ok=True)
        self.told.bind(str(place))
        self.kicks = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.request = 0
        self.received = b""
        self.queued: list[Message] = []
        self.alive: Callable[[], bool] = lambda: True
        """Whether there is still a daemon to wait for."""

    def close(self) -> None:
        self.told.close()
        self.kicks.close()
        self.words.release()
        self.page.release()
        self.map.close()

    def __enter__(self) -> Guest:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def kick(self, port: int | None = None) -> None:
        """Have the daemon look: at this ring, or at the domains (port 1)."""
        self.kicks.sendto(struct.pack("=I", self.port if port is None else port), str(self.directory / "evtchn"))

    def put(self, data: bytes) -> int:
        """As much as there is room for into the ring, unseen until the kick."""
        producer = self.words[REQ_PROD]
        count = min(HALF - ((producer - self.words[REQ_CONS]) & 0xFFFFFFFF), len(data))
        for at in range(count):
            self.page[(producer + at) % HALF] = data[at]
        self.words[REQ_PROD] = (producer + count) & 0xFFFFFFFF
        return count

    def send(self, data: bytes) -> None:
        """All of it, waiting for room; what comes meanwhile is kept."""
        deadline = time.monotonic() + PATIENCE
        while data:
            data = data[self.put(data) :]
            self.kick()
            self.take()
            if data:
                assert self.alive(), "the daemon has ended"
                assert time.monotonic() < deadline, "the daemon does not read"
                self.wait(0.01)

    def take(self) -> None:
        """Copy what the daemon has put in."""
        consumer = self.words[RSP_CONS]
        count = (self.words[RSP_PROD] - consumer) & 0xFFFFFFFF
        assert count <= HALF
        if count:
            data = bytes(self.page[HALF + (consumer + at) % HALF] for at in range(count))
            self.words[RSP_CONS] = (consumer + count) & 0xFFFFFFFF
            self.received += data
            self.kick()
        while len(self.received) >= 16:
            kind, request, transaction, length = HEADER.unpack_from(self.received)
            assert length <= 4096
            if len(self.received) < 16 + length:
                break
            self.queued.append(Message(NAMES[kind], request, transaction, self.received[16 : 16 + length]))
            self.received = self.received[16 + length :]

    def wait(self, seconds: float) -> None:
        """Until the daemon tells something, at most so long."""
        if select.select([self.told], [], [], seconds)[0]:
            with contextlib.suppress(BlockingIOError):
                while True:
                    self.told.recv(4)

    def message(self) -> Message:
        """The next message of the daemon."""
        deadline = time.monotonic() + PATIENCE
        while True:
            self.take()
            if self.queued:
                return self.queued.pop(0)
            assert self.alive(), "the daemon has ended"
            assert time.monotonic() < deadline, "the daemon does not answer"
            self.wait(0.05)

    def ask(self, operation: str, payload: bytes = b"", transaction: int = 0) -> bytes | str:
        """The reply: its payload, or the error's name. Events that come before it are kept for `events`."""
        self.request += 1
        self.send(pack(NUMBERS[operation], self.request, transaction, payload))
        kept = []
        while True:
            found = self.message()
            if found.kind != "EVENT":
                break
            kept.append(found)
        self.queued[:0] = kept
        assert (found.request, found.transaction) == (self.request, transaction)
        return found.payload.rstrip(b"\0").decode() if found.kind == "ERROR" else found.payload

    def events(self) -> list[tuple[bytes, bytes]]:
        """Every event that came before the answer to one more request."""
        self.ask("GET_DOMAIN_PATH", b"0\0")
        found, self.queued = self.queued, []
        return [pair(message) for message in found]

    def start(self) -> int:
        """A transaction's id."""
        reply = self.ask("TRANSACTION_START", b"\0")
        assert isinstance(reply, bytes), reply
        return int(reply.rstrip(b"\0"))
