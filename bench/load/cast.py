"""Actors: clients that each follow a script of their own, all at once.

A script is a generator: it yields a request and gets (operation, payload) of the answer, or yields a number of seconds
to sleep, None. What an actor gets as events is counted and dropped. Scripts may be played on sockets and on rings; a
ring is looked at between polls.
"""

from __future__ import annotations

import heapq
import itertools
import select
import time
from typing import TYPE_CHECKING

from bench.load.frames import EVENT, HEADER, PATIENCE, connected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.load.daemons import Target
    from bench.load.hub import Guest, Hub

Script = "Generator[bytes | float, Any, None]"
_EVENTS = 256


class Actor:
    """One client: its script, and how its bytes go out and come in."""

    def __init__(self) -> None:
        self.script: Script
        self.left = b""
        self.events = 0

    def send(self, request: bytes) -> None:
        raise NotImplementedError

    def receive(self) -> bytes:
        raise NotImplementedError


class OnSocket(Actor):
    """A client of the toolstack."""

    def __init__(self, target: Target) -> None:
        super().__init__()
        self.stream = connected(target)

    def send(self, request: bytes) -> None:
        self.stream.sendall(request)

    def receive(self) -> bytes:
        return self.stream.recv(1 << 16)


class OnRing(Actor):
    """A guest."""

    def __init__(self, hub: Hub, guest: Guest) -> None:
        super().__init__()
        self._hub, self._guest = hub, guest

    def send(self, request: bytes) -> None:
        if not self._guest.put(request):
            raise RuntimeError(f"the ring of domain {self._guest.domid} is full")
        self._hub.kick((self._guest.domid,))

    def receive(self) -> bytes:
        """What there is, which may be nothing."""
        return self._guest.take()


class Cast:
    """All actors of a daemon."""

    def __init__(self, actors: Sequence[Actor]) -> None:
        self._poll = select.epoll()
        self._on_sockets = {actor.stream.fileno(): actor for actor in actors if isinstance(actor, OnSocket)}
        self._on_rings = [actor for actor in actors if not isinstance(actor, OnSocket)]
        self._actors = actors
        self._sleeping: list[tuple[float, int, Actor]] = []
        self._order = itertools.count()
        self._playing = 0
        for descriptor in self._on_sockets:
            self._poll.register(descriptor, select.EPOLLIN)

    def play(self, scripts: Sequence[Script]) -> None:
        """A script for each, in order, to the end of all."""
        for actor, script in zip(self._actors, scripts, strict=True):
            actor.script = script
            self._playing += 1
            self._go_on(actor, None)
        give_up = time.monotonic() + PATIENCE
        while self._playing:
            ready = self._poll.poll(self._pause(), _EVENTS)
            for descriptor, _ in ready:
                self._heard(self._on_sockets[descriptor])
            heard = bool(ready)
            for actor in self._on_rings:
                heard = self._heard(actor) or heard
            while self._sleeping and self._sleeping[0][0] <= time.monotonic():
                heard = True
                self._go_on(heapq.heappop(self._sleeping)[2], None)
            if heard:
                give_up = time.monotonic() + PATIENCE
            elif time.monotonic() > give_up:
                raise TimeoutError(f"{self._playing} actors have no answer")

    def close(self) -> None:
        """End the connections."""
        self._poll.close()
        for actor in self._on_sockets.values():
            actor.stream.close()

    def _pause(self) -> float:
        if self._on_rings:
            return 0.0002
        return max(0.0, self._sleeping[0][0] - time.monotonic()) if self._sleeping else PATIENCE

    def _heard(self, actor: Actor) -> bool:
        data = actor.receive()
        if not data:
            if isinstance(actor, OnSocket):
                raise ConnectionError("the daemon closed a connection")
            return False
        actor.left += data
        while len(actor.left) >= HEADER.size:
            kind, _, _, length = HEADER.unpack_from(actor.left)
            end = HEADER.size + length
            if len(actor.left) < end:
                break
            payload, actor.left = actor.left[HEADER.size : end], actor.left[end:]
            if kind == EVENT:
                actor.events += 1
            else:
                self._go_on(actor, (kind, payload))
        return True

    def _go_on(self, actor: Actor, answer: tuple[int, bytes] | None) -> None:
        try:
            wanted = actor.script.send(answer)
        except StopIteration:
            self._playing -= 1
            return
        if isinstance(wanted, bytes):
            actor.send(wanted)
        else:
            heapq.heappush(self._sleeping, (time.monotonic() + wanted, next(self._order), actor))
