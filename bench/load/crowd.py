"""Many connections to one daemon: all asking, or there and silent.

All of them are in this process and on one epoll. A client asks again as soon as it has its answer, so as many requests
are on their way as there are clients.
"""

from __future__ import annotations

import itertools
import select
from typing import TYPE_CHECKING

from bench.load.arena import Paced
from bench.load.frames import PATIENCE, ROOM, connected
from bench.race import Lap

if TYPE_CHECKING:
    from bench.load.arena import Arena
    from bench.load.daemons import Target
    from bench.load.frames import Asked

_EVENTS = 512


class Crowd:
    """So many clients that ask random ones of the same requests."""

    def __init__(self, target: Target, count: int, asked: list[Asked]) -> None:
        self._streams = {stream.fileno(): stream for stream in (connected(target) for _ in range(count))}
        self._asked = itertools.cycle(asked)
        self._poll = select.epoll()
        for descriptor in self._streams:
            self._poll.register(descriptor, select.EPOLLIN)
        self._missing = dict.fromkeys(self._streams, 0)
        self._room = memoryview(bytearray(ROOM))
        self.lap = Paced(target, self.act, least=count)

    def act(self, count: int) -> None:
        """So many requests of all together."""
        asked, streams, missing, room = self._asked, self._streams, self._missing, self._room
        waiting = min(count, len(streams))
        left = count - waiting
        for descriptor in itertools.islice(streams, waiting):
            request, missing[descriptor] = next(asked)
            streams[descriptor].sendall(request)
        while waiting:
            ready = self._poll.poll(PATIENCE, _EVENTS)
            if not ready:
                raise TimeoutError(f"{waiting} clients have no answer")
            for descriptor, _ in ready:
                stream = streams[descriptor]
                got = stream.recv_into(room)
                if not got:
                    raise ConnectionError("the daemon closed a connection")
                missing[descriptor] -= got
                if missing[descriptor] > 0:
                    continue
                if left:
                    left -= 1
                    request, missing[descriptor] = next(asked)
                    stream.sendall(request)
                else:
                    waiting -= 1

    def close(self) -> None:
        """End all connections."""
        self._poll.close()
        for stream in self._streams.values():
            stream.close()


class Idle:
    """So many connections that say nothing."""

    def __init__(self, target: Target, count: int, arena: Arena) -> None:
        shown = arena.progress(range(count), f"{target.name}: {count:,} idle connections")
        self._streams = [connected(target) for _ in shown]

    def lap(self) -> Lap:
        """There is nothing to it."""
        return Lap(0, 0, 0)

    def close(self) -> None:
        """End them."""
        for stream in self._streams:
            stream.close()
