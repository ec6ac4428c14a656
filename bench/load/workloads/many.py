"""READ and WRITE of a hundred clients at once; and of one while many others are connected and silent."""

from __future__ import annotations

import contextlib
import importlib.util
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.load.apart import Apart
from bench.load.crowd import Crowd, Idle
from bench.load.daemons import OURS
from bench.load.frames import READ, WRITE
from bench.load.host import STATE, Asking, requests, settle

if TYPE_CHECKING:
    from bench.load.arena import Arena
    from bench.race import Best

CLIENTS = 100
OPERATIONS = {"READ": READ, "WRITE": WRITE}
PURE, COMPILED = 0.75, 0.9


def is_compiled() -> bool:
    """Whether the engine runs as a compiled module."""
    found = importlib.util.find_spec("rrdstore.tree.node")
    return found is not None and Path(str(found.origin)).suffix == ".so"


def hundred(arena: Arena) -> None:
    """A hundred clients, each with one request on its way."""
    with arena.daemons() as daemons:
        for daemon in daemons:
            settle(daemon)
        for name, operation in OPERATIONS.items():
            asked = requests(operation)
            with contextlib.ExitStack() as stack:
                laps = {
                    daemon.name: stack.enter_context(contextlib.closing(Crowd(daemon, CLIENTS, asked))).lap
                    for daemon in daemons
                }
                best = arena.race(f"{name}, {CLIENTS} clients", laps)
            kind = "compiled" if is_compiled() else "pure Python"
            bar = COMPILED if is_compiled() else PURE
            arena.against_best(f"{name}, {CLIENTS} clients, {kind}", STATE, best, bar)


def silent(arena: Arena) -> None:
    """One client, and 100 or 10,000 others that are connected and say nothing."""
    before: dict[str, Best] = {}
    with arena.daemons() as daemons, contextlib.ExitStack() as stack:
        asking = {}
        for daemon in daemons:
            settle(daemon)
            for name, operation in OPERATIONS.items():
                one = Asking(daemon, requests(operation))
                asking[daemon.name, name] = stack.enter_context(contextlib.closing(one))
        connected = 0
        for count in (0, 100, arena.many(10_000, 1_000)):
            for daemon in daemons:
                more = partial(Idle, daemon, count - connected, arena)
                stack.enter_context(contextlib.closing(Apart(more)))
            connected = count
            for name in OPERATIONS:
                for daemon in daemons:
                    asking[daemon.name, name].lap.again()
                laps = {daemon.name: asking[daemon.name, name].lap for daemon in daemons}
                what = f"{name}, 1 client, {count:,} idle connections"
                found = arena.race(what, laps)
                if not count:
                    before[name] = found.get(OURS)
                elif OURS in found:
                    arena.beside_none(what, STATE, before[name], found[OURS], 1.1)
