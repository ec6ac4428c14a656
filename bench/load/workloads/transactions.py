"""Transactions: those that make siblings, and those that truly conflict; guests and toolstack, one that sleeps."""

from __future__ import annotations

import contextlib
import itertools
import time
from typing import TYPE_CHECKING

from bench.load.cast import Cast, OnRing, OnSocket
from bench.load.daemons import OURS, STOCK
from bench.load.frames import END, ERROR, READ, RM, SET_PERMS, START, WRITE, Client, Refused, frame
from bench.load.hub import Hub
from bench.race import Lap, cpu_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from typing import Any

    from bench.load.arena import Arena
    from bench.load.cast import Actor
    from bench.load.daemons import Target

CLIENTS = 16
KEYS = [b"/bench/key%d" % number for number in range(10)]
WRITTEN = KEYS[:3]
SLEEP = 0.5
"""Seconds, in a transaction."""


class Stage:
    """Actors that commit until so many commits are done, and what that took each of them."""

    def __init__(
        self, target: Target, actors: Sequence[Actor], script: Callable[[Stage, int], Any], seconds: float = 1.0
    ) -> None:
        self._seconds = seconds
        self._over = Lap(0, 0, 0)
        self._pid, self._cast, self._count, self._script = target.pid, Cast(actors), len(actors), script
        self.wanted, self.least = 0, len(actors)
        self._began = 0.0, 0.0
        self.done = self.commits = self.again = 0
        self.most = [0] * len(actors)
        """How often each was refused in a row, at most."""

    def lap(self) -> Lap:
        """About a second of it, or as many as were asked for: as many commits as the last lap's rate allows."""
        self.wanted = self.wanted or self.least * 4
        self.done = 0
        self._began = time.perf_counter(), cpu_of(self._pid)
        self._cast.play([self._script(self, number) for number in range(self._count)])
        self.commits += self.done
        self.wanted = max(self.least, int(self._over.operations / self._over.wall * self._seconds))
        return self._over

    def _committed(self) -> None:
        self.done += 1
        if self.done == self.wanted:
            # What the others are at is not waited for: one of them may sleep.
            wall, cpu = self._began
            self._over = Lap(self.done, time.perf_counter() - wall, cpu_of(self._pid) - cpu)

    def transaction(self, number: int, requests: list[tuple[int, bytes, bytes]], sleep: float = 0.0) -> Any:
        """One, again until it is committed or the lap is over."""
        refused = 0
        while self.done < self.wanted:
            kind, payload = yield frame(START, b"")
            if kind == ERROR:
                raise Refused(payload.decode())
            opened = int(payload.rstrip(b"\0"))
            for operation, path, data in requests:
                kind, payload = yield frame(operation, path, data=data, transaction=opened)
                if kind == ERROR and operation != RM:
                    raise Refused(f"{operation} {path!r}: {payload!r}")
            if sleep:
                yield sleep
            kind, payload = yield frame(END, b"T", transaction=opened)
            if kind != ERROR:
                if not sleep:
                    self._committed()
                return
            if payload != b"EAGAIN\0":
                raise Refused(payload.decode())
            self.again += not sleep
            refused += 1
            self.most[number] = max(self.most[number], refused)

    def close(self) -> None:
        """End the connections."""
        self._cast.close()


def siblings(arena: Arena) -> None:
    """Transactions that each make a child of the same node, 2 to 16 clients."""
    with arena.daemons() as daemons, contextlib.ExitStack() as stack:
        for count in (2, 4, 8, 16):
            stages = {}
            for daemon in daemons:
                _prepare(daemon)
                stages[daemon.name] = _stage(stack, daemon, [OnSocket(daemon) for _ in range(count)], _sibling)
            what = f"transactions that make siblings, {count} clients"
            arena.race(what, {name: stage.lap for name, stage in stages.items()})
            for name, stage in stages.items():
                bar = 0 if name == OURS else None
                arena.aim(f"EAGAIN a commit, {what}", name, stage.again / stage.commits, bar, "")


def _sibling(stage: Stage, number: int) -> Generator[bytes | float, Any, None]:
    for turn in itertools.count():
        if stage.done >= stage.wanted:
            return
        path = b"/bench/siblings/%d-%d" % (number, turn % 8)
        yield from stage.transaction(number, [(RM, path, b""), (WRITE, path, b"x")])


def conflicts(arena: Arena) -> None:
    """Transactions that truly conflict: 16 clients on the same ten keys."""
    with arena.daemons() as daemons, contextlib.ExitStack() as stack:
        stages = {}
        for daemon in daemons:
            _prepare(daemon)
            stages[daemon.name] = _stage(stack, daemon, [OnSocket(daemon) for _ in range(CLIENTS)], _conflicting)
        what, state = f"transactions on the same keys, {CLIENTS} clients", "10 READ and 3 WRITE"
        best = arena.race(f"{what}, {state}", {name: stage.lap for name, stage in stages.items()})
        for name, stage in stages.items():
            bars = (0.3, 4) if name == OURS else (None, None)
            arena.aim(f"EAGAIN a commit, {what}", f"{state}, {name}", stage.again / stage.commits, bars[0], "")
            arena.aim(f"refused in a row, {what}", f"{state}, {name}", max(stage.most), bars[1], "")
        stock = [best[name].wall for name in STOCK if name in best]
        if OURS in best and stock:
            arena.aim(
                f"{what}, commits/s over the best stock daemon's",
                state,
                min(stock) / best[OURS].wall,
                2,
                "times",
                least=True,
            )


def _conflicting(stage: Stage, number: int) -> Generator[bytes | float, Any, None]:
    requests = [(READ, key, b"") for key in KEYS] + [(WRITE, key, b"%d" % number) for key in WRITTEN]
    while stage.done < stage.wanted:
        yield from stage.transaction(number, requests)


def guests(arena: Arena) -> None:
    """14 guests on rings against 2 clients of the toolstack, all on the same ten keys."""
    with arena.daemons() as daemons, contextlib.ExitStack() as stack:
        for daemon in daemons:
            _prepare(daemon, range(1, 15))
            hub = stack.enter_context(contextlib.closing(Hub(daemon)))
            hub.introduce(range(1, 15))
            actors = [OnSocket(daemon), OnSocket(daemon), *(OnRing(hub, guest) for guest in hub.guests.values())]
            stage = _stage(stack, daemon, actors, _conflicting)
            for _ in arena.progress(range(min(3, arena.runs)), f"{daemon.name}: guests against toolstack"):
                stage.lap()
            bar = 2 if daemon.name == OURS else None
            what = "the toolstack refused in a row, 14 guests against 2 toolstack clients"
            arena.aim(what, f"same keys, {daemon.name}", max(stage.most[:2]), bar, "")
            arena.aim("guests refused in a row", f"same keys, {daemon.name}", max(stage.most[2:]), None, "")


def sleeper(arena: Arena) -> None:
    """Two clients on the same keys, alone and beside one that sleeps in a transaction on them."""
    with arena.daemons() as daemons, contextlib.ExitStack() as stack:
        found = {}
        for asleep in (0, 1):
            laps = {}
            for daemon in daemons:
                _prepare(daemon)
                script = _conflicting if not asleep else _beside_sleeper
                stage = _stage(stack, daemon, [OnSocket(daemon) for _ in range(4 + asleep)], script, 4 * SLEEP)
                laps[daemon.name] = stage.lap
            what = "beside one that sleeps in a transaction" if asleep else "alone"
            found[asleep] = arena.race(f"transactions on the same keys, 4 clients, {what}", laps)
    if OURS in found[0]:
        rate = found[0][OURS].wall / found[1][OURS].wall
        what = "commits/s of 4 clients beside one that sleeps in a transaction, over those without"
        arena.aim(what, f"sleeps of {SLEEP} s", rate, 0.9, "times", least=True)


def _beside_sleeper(stage: Stage, number: int) -> Generator[bytes | float, Any, None]:
    if number < 4:
        return (yield from _conflicting(stage, number))
    requests = [(READ, key, b"") for key in KEYS] + [(WRITE, key, b"sleeper") for key in WRITTEN]
    while stage.done < stage.wanted:
        yield from stage.transaction(number, requests, SLEEP)
    return None


def _stage(
    stack: contextlib.ExitStack,
    target: Target,
    actors: Sequence[Actor],
    script: Callable[..., Any],
    seconds: float = 1.0,
) -> Stage:
    return stack.enter_context(contextlib.closing(Stage(target, actors, script, seconds)))


def _prepare(target: Target, owners: Sequence[int] = ()) -> None:
    rights = [b"n0", *(b"b%d" % domid for domid in owners)]
    if len(rights) > 5:
        rights = [b"b0"]
    with Client(target) as client:
        for path in (b"/bench", b"/bench/siblings", *KEYS):
            client.pour((frame(WRITE, path, data=b"0"), frame(SET_PERMS, path, *rights)))
