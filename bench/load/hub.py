"""Guests on simulated rings, by the thousand: the other side of the pages of a hub.

The conventions are those of tests/compat/fakexen.c: DIR/ring.N is the page, DIR/evtchn takes the port 1000 + N. Nobody
listens to what the daemon notifies: answers are found by looking at the pages. Our daemon takes kicks by a pipe too,
`evtchn.fifo`, since a datagram socket has room for ten.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from typing import TYPE_CHECKING

from bench.load.frames import INTRODUCE, PATIENCE, Client, frame
from xsadapter.transport.page import Mapping

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.load.arena import Arena
    from bench.load.daemons import Target

HALF = 1024
REQ_CONS, REQ_PROD, RSP_CONS, RSP_PROD = range(512, 516)
_PORT = struct.Struct("=I")
_SENDERS = 64


class Guest:
    """One ring."""

    __slots__ = ("_page", "bytes", "domid", "words")

    def __init__(self, target: Target, domid: int) -> None:
        self.domid = domid
        descriptor = os.open(target.directory / f"ring.{domid}", os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(descriptor, 4096)
        self._page = Mapping(descriptor, 4096)
        os.close(descriptor)
        self.bytes = self._page.bytes
        self.words = self.bytes.cast("I")

    def put(self, data: bytes) -> bool:
        """A whole request into the ring, unless it has no room."""
        producer = self.words[REQ_PROD]
        if HALF - ((producer - self.words[REQ_CONS]) & 0xFFFFFFFF) < len(data):
            return False
        at = producer % HALF
        first = min(len(data), HALF - at)
        self.bytes[at : at + first] = data[:first]
        self.bytes[: len(data) - first] = data[first:]
        self.words[REQ_PROD] = (producer + len(data)) & 0xFFFFFFFF
        return True

    @property
    def waiting(self) -> int:
        """Bytes of answers that are there."""
        return (self.words[RSP_PROD] - self.words[RSP_CONS]) & 0xFFFFFFFF

    def take(self) -> bytes:
        """Take them."""
        consumer, count = self.words[RSP_CONS], self.waiting
        at = consumer % HALF
        first = min(count, HALF - at)
        data = bytes(self.bytes[HALF + at : HALF + at + first]) + bytes(self.bytes[HALF : HALF + count - first])
        self.words[RSP_CONS] = (consumer + count) & 0xFFFFFFFF
        return data

    def drop(self) -> None:
        """Take them, and do not look at them."""
        self.words[RSP_CONS] = self.words[RSP_PROD]

    def close(self) -> None:
        """Unmap."""
        self.words.release()
        self._page.close()


class Hub:
    """The guests of one daemon."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.guests: dict[int, Guest] = {}
        fifo = target.directory / "evtchn.fifo"
        self._pipe = os.open(fifo, os.O_WRONLY) if fifo.exists() else None
        self._datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._place = str(target.directory / "evtchn")

    def introduce(self, domids: Iterable[int], arena: Arena | None = None) -> None:
        """Have the daemon serve these domains.

        By many connections at once: stock daemons visit every domain in each round, and serve each connection once.
        """
        waiting = list(domids)
        for domid in waiting:
            self.guests[domid] = Guest(self._target, domid)
        clients = [Client(self._target) for _ in range(_SENDERS)]
        asked = [frame(INTRODUCE, b"%d" % domid, b"1", b"1") for domid in waiting]
        steps = range(0, len(asked), _SENDERS)
        shown = steps if arena is None else arena.progress(steps, f"{self._target.name}: {len(asked):,} rings")
        for at in shown:
            some = list(zip(clients, asked[at : at + _SENDERS], strict=False))
            for client, request in some:
                client.stream.sendall(request)
            for client, _ in some:
                client.answer()
        for client in clients:
            client.close()

    def kick(self, domids: Iterable[int]) -> None:
        """Have the daemon look at these rings; waits until it has room to be told."""
        ports = [_PORT.pack(1000 + domid) for domid in domids]
        if self._pipe is not None:
            told = b"".join(ports)
            while told:
                told = told[os.write(self._pipe, told[:4096]) :]
            return
        for port in ports:
            self._datagrams.sendto(port, self._place)

    def close(self) -> None:
        """Let go of all pages; the daemon keeps its own."""
        for guest in self.guests.values():
            guest.close()
        self._datagrams.close()
        if self._pipe is not None:
            os.close(self._pipe)


class Round:
    """Many guests that ask at once, each again when it has its answer; how long each waits is known.

    One more may flood: its ring is filled whenever somebody looks, and nobody waits for its answers.
    """

    def __init__(self, hub: Hub, asked: dict[int, tuple[bytes, int]], flood: tuple[int, bytes] | None = None) -> None:
        self._hub, self._asked, self._flood = hub, asked, flood
        self.waits: list[float] = []
        """Seconds, of every answer."""

    def run(self, count: int) -> dict[int, float]:
        """Let each guest have `count` answers; the longest wait of each, seconds."""
        guests, kick = self._hub.guests, self._hub.kick
        began, longest, left = {}, dict.fromkeys(self._asked, 0.0), dict.fromkeys(self._asked, count)
        for domid, (request, _) in self._asked.items():
            guests[domid].put(request)
            began[domid] = time.perf_counter()
        kick(self._asked)
        give_up = time.monotonic() + PATIENCE
        while began:
            asked = []
            self._pour()
            for domid in list(began):
                guest = guests[domid]
                request, length = self._asked[domid]
                if guest.waiting < length:
                    continue
                now = time.perf_counter()
                self.waits.append(now - began[domid])
                longest[domid] = max(longest[domid], self.waits[-1])
                guest.drop()
                left[domid] -= 1
                if left[domid]:
                    guest.put(request)
                    began[domid] = now
                    asked.append(domid)
                else:
                    del began[domid]
            if asked:
                kick(asked)
            elif began:
                time.sleep(0.0005)
                if time.monotonic() > give_up:
                    raise TimeoutError(f"{len(began)} rings have no answer")
        return longest

    def _pour(self) -> None:
        if self._flood is not None:
            domid, request = self._flood
            guest = self._hub.guests[domid]
            guest.drop()
            while guest.put(request):
                pass
            self._hub.kick((domid,))
