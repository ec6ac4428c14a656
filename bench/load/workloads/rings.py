"""Rings: what 10,000 idle ones cost one client, and how fair the daemon is when all of them ask at once."""

from __future__ import annotations

import contextlib
from statistics import fmean
from typing import TYPE_CHECKING

from bench.load.daemons import OURS
from bench.load.frames import HEADER, READ, SET_PERMS, WRITE, Client, frame
from bench.load.host import STATE, Asking, requests, settle
from bench.load.hub import Hub, Round
from bench.race import cpu_of

if TYPE_CHECKING:
    from bench.load.arena import Arena
    from bench.load.daemons import Target
    from bench.race import Best

OPERATIONS = {"READ": READ, "WRITE": WRITE}
VALUE = b"0123456789abcdef"


def idle(arena: Arena) -> None:
    """READ and WRITE of one client, and 10,000 introduced rings that say nothing."""
    count = arena.many(10_000, 1_000)
    with arena.daemons() as daemons, contextlib.ExitStack() as stack:
        asking: dict[tuple[str, str], Asking] = {}
        for daemon in daemons:
            settle(daemon)
            for name, operation in OPERATIONS.items():
                one = stack.enter_context(contextlib.closing(Asking(daemon, requests(operation))))
                asking[daemon.name, name] = one
        before = _race(arena, daemons, asking, "no rings")
        for daemon in daemons:
            hub = stack.enter_context(contextlib.closing(Hub(daemon)))
            hub.introduce(range(1, count + 1), arena)
        for one in asking.values():
            one.lap.again(1)
        after = _race(arena, daemons, asking, f"{count:,} idle rings")
    for name in OPERATIONS:
        if OURS in after[name]:
            rate = before[name][OURS].wall / after[name][OURS].wall
            arena.aim(
                f"{name} with {count:,} idle rings, rate over that with none", STATE, rate, 0.9, "times", least=True
            )
            rate = before[name][OURS].cpu / after[name][OURS].cpu
            what = f"{name} with {count:,} idle rings, rate of CPU over that with none"
            arena.aim(what, STATE, rate, 0.9, "times", least=True)


def _race(
    arena: Arena, daemons: list[Target], asking: dict[tuple[str, str], Asking], what: str
) -> dict[str, dict[str, Best]]:
    return {
        name: arena.race(f"{name}, 1 client, {what}", {one.name: asking[one.name, name].lap for one in daemons})
        for name in OPERATIONS
    }


def active(arena: Arena) -> None:
    """10,000 rings that all ask at once, each again when it has its answer; and one among them that floods."""
    count = arena.many(10_000, 1_000)
    with arena.daemons(OURS) as daemons, contextlib.ExitStack() as stack:
        for daemon in daemons:
            hub = stack.enter_context(contextlib.closing(Hub(daemon)))
            hub.introduce(range(1, count + 2), arena)
            _own(daemon, hub)
            for guests in (count, 100):
                _fairness(arena, daemon, hub, guests)


def _own(daemon: Target, hub: Hub) -> None:
    """A node of its own for each guest."""
    with Client(daemon) as client:
        for domid in hub.guests:
            place = b"/local/domain/%d/data" % domid
            client.pour((frame(WRITE, place, data=VALUE), frame(SET_PERMS, place, b"n%d" % domid)))


def _fairness(arena: Arena, daemon: Target, hub: Hub, count: int) -> None:
    answers = 5 if count > 1_000 else 50
    length = HEADER.size + len(VALUE)
    asked = {domid: (frame(READ, b"/local/domain/%d/data" % domid), length) for domid in range(1, count + 1)}
    flooding = count + 1
    request = frame(READ, b"/local/domain/%d/data" % flooding)
    worst, alone, flooded = [], [], []
    for _ in arena.progress(range(arena.runs), f"{count:,} active rings"):
        for flood, found in ((None, alone), ((flooding, request), flooded)):
            turns = Round(hub, asked, flood)
            before = cpu_of(daemon.pid)
            longest = turns.run(answers)
            found.append((cpu_of(daemon.pid) - before) / (count * answers))
            if flood is None:
                worst.append(max(longest.values()) / fmean(turns.waits))
    state = f"{count:,} rings, READ, {answers} each"
    arena.aim("the longest wait of a ring over the mean", state, min(worst), 3, "times")
    arena.aim("a request of a ring, CPU", state, min(alone) * 1e6, None, "µs")
    cost = (min(flooded) / min(alone) - 1) * 100
    arena.aim("what one guest that floods costs the others, of CPU", state, cost, 10, "%")
