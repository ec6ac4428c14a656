"""A whole host: its domains are populated, and one is created when there are none and when there are 10,000."""

from __future__ import annotations

import contextlib
import itertools
import time
from typing import TYPE_CHECKING

from bench.load.cast import Cast, OnSocket
from bench.load.daemons import OURS, STOCK, C, resident
from bench.load.frames import Client
from bench.load.host import NODES, settle
from bench.load.hub import Hub
from bench.load.libxl import REQUESTS, Creation, end
from bench.race import Lap, cpu_of

if TYPE_CHECKING:
    from bench.load.arena import Arena
    from bench.load.daemons import Target

CREATORS = (1, 4, 16, 64)
RSS = 190
"""MB."""


def populate(arena: Arena) -> None:
    """10,000 domains of 44 nodes, each WRITE 64 on their way; and the memory that they take."""
    domains = arena.many(10_000, 1_000)
    sizes: dict[str, float] = {}

    def lap(target: Target) -> Lap:
        cpu, wall = cpu_of(target.pid), time.perf_counter()
        settle(target, domains, arena)
        found = Lap(domains * NODES, time.perf_counter() - wall, cpu_of(target.pid) - cpu)
        sizes[target.name] = resident(target)
        return found

    laps: dict[str, list[Lap]] = {}
    for _ in range(min(arena.runs, 3)):
        with arena.daemons() as daemons:
            for daemon in daemons:
                laps.setdefault(daemon.name, []).append(lap(daemon))
    taken = {name: iter(some).__next__ for name, some in laps.items()}
    what, state = f"populating {domains:,} domains of {NODES} nodes", f"a node; the best of {min(arena.runs, 3)}"
    best = arena.race(f"{what}, {state}", taken, min(arena.runs, 3))
    arena.against_best(what, state, best, 1)
    for name, size in sizes.items():
        bar = RSS if name == OURS and not arena.short else None
        arena.aim(f"memory after {what}, {name}", "resident", size, bar, "MB")


def create(arena: Arena) -> None:
    """Creating a domain as libxl does, with none and with 10,000 there; 1, 4, 16 and 64 at once."""
    many = arena.many(10_000, 300)
    with arena.daemons() as daemons, contextlib.ExitStack() as stack:
        found = {}
        for count in (0, many):
            if count:
                for daemon in daemons:
                    settle(daemon, count, arena)
                    stack.enter_context(contextlib.closing(Hub(daemon))).introduce(range(1, count + 1), arena)
            creators = {
                (daemon.name, at_once): stack.enter_context(contextlib.closing(Creators(daemon, at_once)))
                for daemon in daemons
                for at_once in CREATORS
            }
            for at_once in CREATORS:
                # With 10,000 there and others at it too, C would take half an hour.
                taking_part = [daemon for daemon in daemons if daemon.name != C or not count or at_once == 1]
                laps = {daemon.name: creators[daemon.name, at_once].lap for daemon in taking_part}
                what = f"creating a domain, {count:,} there, {at_once} at once"
                best = found[count, at_once] = arena.race(what, laps)
                for name in best:
                    one = creators[name, at_once]
                    if at_once > 1:
                        bar = 0 if name == OURS else None
                        arena.aim(
                            f"EAGAIN a commit, {what}, {name}", "4 commits each", one.again / one.commits, bar, ""
                        )
                if at_once == 1:
                    arena.against_best(what, f"{REQUESTS} requests", best, 1)
    if OURS in found[0, 1]:
        rate = found[many, 1][OURS].cpu / found[0, 1][OURS].cpu
        arena.aim(
            f"creating a domain, {many:,} there, CPU over that with none", f"{REQUESTS} requests", rate, 1.1, "times"
        )


class Creators:
    """Clients that create domains at once; a lap ends with these domains gone again, which is not counted."""

    def __init__(self, target: Target, at_once: int) -> None:
        self._pid = target.pid
        self._client = Client(target)
        self._cast = Cast([OnSocket(target) for _ in range(at_once)])
        self._each = max(1, 8 // at_once) if target.name in STOCK else max(1, 32 // at_once)
        self._at_once = at_once
        self._domids = itertools.count(20_000)
        self.again = self.commits = 0

    def lap(self) -> Lap:
        """So many domains by each."""
        domids = [list(itertools.islice(self._domids, self._each)) for _ in range(self._at_once)]
        if domids[-1][-1] > 30_000:
            self._domids = itertools.count(20_000)
        creation = Creation()
        cpu, wall = cpu_of(self._pid), time.perf_counter()
        self._cast.play([creation.script(some) for some in domids])
        count = self._each * self._at_once
        found = Lap(count, time.perf_counter() - wall, cpu_of(self._pid) - cpu)
        self.again += creation.again
        self.commits += 4 * count
        end(self._client, itertools.chain.from_iterable(domids))
        return found

    def close(self) -> None:
        """End the connections."""
        self._cast.close()
        self._client.close()
