"""Finding and listing: a domain by its name, the whole tree with a tool, and ten thousand names in parts."""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
import subprocess
import time
from random import Random
from typing import TYPE_CHECKING

from bench.load.daemons import OURS, STOCK, C
from bench.load.frames import DIRECTORY, PART, READ, RM, WRITE, Client, Refused, frame
from bench.load.host import NODES, settle
from bench.race import Lap, cpu_of
from tests.compat import peers

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.load.arena import Arena
    from bench.load.daemons import Target

INDEX = b"/@index/name/%b"
ENTRIES = 10_000


def lookup(arena: Arena) -> None:
    """From a name to its domain's number, at 10,000 domains: by the index if there is one, else as xl does."""
    domains = arena.many(10_000, 1_000)
    with arena.daemons() as daemons, contextlib.ExitStack() as stack:
        laps = {}
        for daemon in daemons:
            settle(daemon, domains, arena)
            search = stack.enter_context(contextlib.closing(Search(daemon, domains)))
            laps[daemon.name] = search.lap
            if daemon.name == OURS:
                how = "one request" if search.indexed else "every name read"
        best = arena.race(f"name to domid, {domains:,} domains", laps)
        if OURS in best:
            arena.aim("name to domid, wall", f"{domains:,} domains, {how}", best[OURS].wall, 100, "µs")


class Search:
    """Looks for domains by their names, and finds out first whether the daemon has an index."""

    def __init__(self, target: Target, domains: int) -> None:
        self._pid, self._client, self._domains = target.pid, Client(target), domains
        self._choose = Random(1)
        try:
            self.indexed = self._client.ask(frame(READ, INDEX % b"guest-1")) == b"1"
        except Refused:
            self.indexed = False

    def lap(self) -> Lap:
        """A thousand look-ups with an index, one without."""
        find, count = (self._ask, 1_000) if self.indexed else (self._scan, 1)
        wanted = [self._choose.randint(1, self._domains) for _ in range(count)]
        cpu, wall = cpu_of(self._pid), time.perf_counter()
        found = [find(b"guest-%d" % domid) for domid in wanted]
        lap = Lap(count, time.perf_counter() - wall, cpu_of(self._pid) - cpu)
        if found != wanted:
            raise AssertionError("a domain was not found by its name")
        return lap

    def _ask(self, name: bytes) -> int:
        return int(self._client.ask(frame(READ, INDEX % name)))

    def _scan(self, name: bytes) -> int | None:
        found = None
        for domid in listed(self._client, b"/local/domain"):
            try:
                value = self._client.ask(frame(READ, b"/local/domain/%b/name" % domid))
            except Refused:
                continue
            if value == name and found is None:
                found = int(domid)
        return found

    def close(self) -> None:
        """End the connection."""
        self._client.close()


def listed(client: Client, path: bytes) -> list[bytes]:
    """The names below a node, in parts if they are too many for one answer; in one over-long answer of oxenstored."""
    try:
        return client.ask(frame(DIRECTORY, path)).split(b"\0")[:-1]
    except Refused:
        return parts(client, path)


def parts(client: Client, path: bytes) -> list[bytes]:
    """The names below a node, asked for in parts."""
    found = b""
    while not found.endswith(b"\0\0") and found != b"\0":
        found += client.ask(frame(PART, path, b"%d" % len(found))).partition(b"\0")[2]
    return found[:-1].split(b"\0")[:-1]


def directory(arena: Arena) -> None:
    """DIRECTORY_PART through 10,000 names, each time just after one was added."""
    with arena.daemons() as daemons, contextlib.ExitStack() as stack:
        laps = {}
        for daemon in daemons:
            client = stack.enter_context(Client(daemon))
            client.pour(frame(WRITE, b"/bench/many/%d" % number, data=b"x") for number in range(ENTRIES))
            try:
                client.ask(frame(PART, b"/bench/many", b"0"))
            except Refused:
                arena.absent[daemon.name] = "it does not know DIRECTORY_PART"
            else:
                laps[daemon.name] = _added(daemon, client)
        what = f"DIRECTORY_PART through {ENTRIES:,} names just after one was added"
        best = arena.race(what, laps)
        if OURS in best and C in best:
            arena.against_c(what, "the adding not counted", best, 1)


def _added(target: Target, client: Client) -> Callable[[], Lap]:
    numbers = itertools.count(ENTRIES)

    def lap() -> Lap:
        wall = cpu = 0.0
        count = 20
        for _ in range(count):
            added = b"/bench/many/%d" % next(numbers)
            client.ask(frame(WRITE, added, data=b"x"))
            before, began = cpu_of(target.pid), time.perf_counter()
            names = parts(client, b"/bench/many")
            wall, cpu = wall + time.perf_counter() - began, cpu + cpu_of(target.pid) - before
            if len(names) != ENTRIES + 1:
                raise AssertionError(f"{len(names)} names, expected {ENTRIES + 1}")
            client.ask(frame(RM, added))
        return Lap(count, wall, cpu)

    return lap


def tree(arena: Arena) -> None:
    """`xsadapter ls` of 550,000 nodes, beside xenstore-ls on the stock daemons."""
    domains = arena.many(12_500, 500)
    runs = min(arena.runs, arena.many(3, 2))
    ours, stock = [peers.PROGRAMS / "xsadapter", "ls", "-f"], ["xenstore-ls", "-f"]
    with arena.daemons() as daemons:
        laps = {}
        for daemon in daemons:
            if daemon.name in STOCK and (why := peers.missing("xenstore-ls")):
                arena.absent[daemon.name] = why
                continue
            settle(daemon, domains, arena)
            command = stock if daemon.name in STOCK else ours
            lap = _listing(daemon, command, domains)
            try:
                lap()
            except AssertionError as error:
                arena.absent[daemon.name] = str(error)
            else:
                laps[daemon.name] = lap
        best = arena.race(f"listing {domains * NODES:,} nodes, CPU of daemon and tool", laps, runs)
        beside = [best[name] for name in STOCK if name in best]
        if OURS in best and beside:
            bar = None if arena.short else 20
            what, state = "xsadapter ls over xenstore-ls on the best stock daemon", f"{domains * NODES:,} nodes"
            times = min(one.wall for one in beside) / best[OURS].wall
            arena.aim(f"{what}, wall", state, times, bar, "times", least=True)
            times = min(one.cpu for one in beside) / best[OURS].cpu
            arena.aim(f"{what}, CPU of daemon and tool", state, times, bar, "times", least=True)


def _tools() -> float:
    """CPU of all tools that have ended: seconds."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _listing(target: Target, command: list[object], domains: int) -> Callable[[], Lap]:
    environment = {**os.environ, "XENSTORED_PATH": str(target.socket), "XENSTORED_RUNDIR": str(target.directory)}
    # As with an installed one, modules are compiled to bytecode once.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    words = [str(word) for word in command]

    def lap() -> Lap:
        cpu, wall = cpu_of(target.pid) + _tools(), time.perf_counter()
        ran = subprocess.run(words, env=environment, stdout=subprocess.PIPE, check=False)
        found = Lap(domains * NODES, time.perf_counter() - wall, cpu_of(target.pid) + _tools() - cpu)
        lines = ran.stdout.count(b"\n")
        if lines < domains * NODES:
            raise AssertionError(f"{words[0]} printed {lines:,} lines, expected {domains * NODES:,} at least")
        return found

    return lap
