"""Watches: what they cost a WRITE that fires none of them, and what an event costs that one WRITE sends to many."""

from __future__ import annotations

import contextlib
import itertools
import select
from functools import partial
from typing import TYPE_CHECKING

from bench.load.apart import Apart
from bench.load.arena import Paced
from bench.load.daemons import OCAML, OURS, STOCK, C
from bench.load.frames import HEADER, OK, PATIENCE, ROOM, WATCH, WRITE, Client, connected, frame
from bench.load.host import DOMAINS, STATE, Asking, requests, settle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.load.arena import Arena
    from bench.load.daemons import Target

HOLDERS = 200
"""Connections that hold the watches: C compares each new one with all that its connection has."""
PATH, TOKEN = b"/local/domain/1/memory/target", b"t"
"""No name: to change that moves an index as well, in ours alone."""


def unrelated(arena: Arena) -> None:
    """WRITE with 100,000 watches registered, none of which it fires."""
    count = arena.many(100_000, 10_000)
    asked = requests(WRITE)
    with arena.daemons() as daemons, contextlib.ExitStack() as stack:
        for daemon in daemons:
            settle(daemon)
        asking = {daemon.name: stack.enter_context(contextlib.closing(Asking(daemon, asked))) for daemon in daemons}
        laps = {name: one.lap for name, one in asking.items()}
        before = arena.race("WRITE, 1 client, no watches", laps)
        for daemon in daemons:
            stack.enter_context(registered(daemon, count, arena))
        for one in asking.values():
            one.lap.again(1)
        found = arena.race(f"WRITE, 1 client, {count:,} watches that it does not fire", laps)
    if OURS not in found:
        return
    what = f"WRITE with {count:,} watches that it does not fire"
    arena.beside_none(what, STATE, before[OURS], found[OURS], 1.3)
    for name, bar in ((OCAML, 20), (C, 500)):
        if name in found:
            times = found[name].wall / found[OURS].wall
            arena.aim(f"{what}, rate over {name}'s", STATE, times, None if arena.short else bar, "times", least=True)


@contextlib.contextmanager
def registered(target: Target, count: int, arena: Arena) -> Iterator[None]:
    """So many watches on places of their own, below the domains."""
    each = count // HOLDERS
    with contextlib.ExitStack() as stack:
        for holder in arena.progress(range(HOLDERS), f"{target.name}: {count:,} watches"):
            client = stack.enter_context(Client(target))
            places = range(holder * each, (holder + 1) * each)
            client.pour(frame(WATCH, b"/local/domain/%d/watched/%d" % (at % DOMAINS + 1, at), TOKEN) for at in places)
        yield


def fired(arena: Arena) -> None:
    """WRITE that fires: one watcher, one write to 100 of them, and to 10,000."""
    most = arena.many(10_000, 1_000)
    for count in (1, 100, most):
        with arena.daemons() as daemons, contextlib.ExitStack() as stack:
            laps = {}
            for daemon in daemons:
                settle(daemon, 10)
                audience = stack.enter_context(contextlib.closing(Apart(partial(Audience, daemon, count, arena))))
                laps[daemon.name] = audience.lap
            what = "WRITE that fires 1 watch" if count == 1 else f"an event of a WRITE that fires {count:,}"
            best = arena.race(what, laps)
            stock = [best[name].cpu for name in STOCK if name in best]
            if OURS in best and stock:
                over = best[OURS].cpu / min(stock)
                arena.aim(f"{what}, CPU over the best stock daemon's", "each watcher a connection", over, 1, "times")


class Audience:
    """Connections that watch one path, and a client that writes it; a lap counts events."""

    def __init__(self, target: Target, count: int, arena: Arena) -> None:
        self.writer = Client(target)
        self._poll = select.epoll()
        self._watchers = {}
        for _ in arena.progress(range(count), f"{target.name}: {count:,} watchers"):
            stream = connected(target)
            self._watchers[stream.fileno()] = stream
            self._poll.register(stream.fileno(), select.EPOLLIN)
            self._answered(stream)
        self._room = memoryview(bytearray(ROOM))
        self._length = HEADER.size + len(PATH) + len(TOKEN) + 2
        self._turn = itertools.cycle((b"one", b"two"))
        self.lap = Paced(target, self.act, least=count)

    @staticmethod
    def _answered(stream: object) -> None:
        stream.sendall(frame(WATCH, PATH, TOKEN))
        missing = OK + HEADER.size + len(PATH) + len(TOKEN) + 2
        while missing:
            missing -= len(stream.recv(missing))

    def act(self, count: int) -> None:
        """So many events, as many writes as that takes, each after the events of the last."""
        for _ in range(count // len(self._watchers)):
            self.writer.exchange([(frame(WRITE, PATH, data=next(self._turn)), OK)])
            missing = len(self._watchers) * self._length
            while missing:
                ready = self._poll.poll(PATIENCE, 1024)
                if not ready:
                    raise TimeoutError(f"events of {missing} bytes have not come")
                for descriptor, _ in ready:
                    missing -= self._watchers[descriptor].recv_into(self._room)

    def close(self) -> None:
        """End all connections."""
        self._poll.close()
        self.writer.close()
        for stream in self._watchers.values():
            stream.close()
