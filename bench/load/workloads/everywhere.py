"""READ and WRITE of every node in turn, in random order.

Elsewhere the same 6,400 random requests come again and again, as on a host whose toolstack and backends look at
what they looked at before. Here whatever remembers what it was asked, a daemon or the processor, has all of a host to
remember.
"""

from __future__ import annotations

import contextlib
from random import Random
from typing import TYPE_CHECKING, Final

from bench.load.crowd import Crowd
from bench.load.frames import READ, WRITE
from bench.load.host import DOMAINS, Asking, requests, settle, values
from bench.load.workloads.many import CLIENTS, COMPILED, PURE, is_compiled

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.load.arena import Arena
    from bench.load.daemons import Target
    from bench.load.frames import Asked

_WAYS: Final[dict[str, Callable[[Target, list[Asked]], Asking | Crowd]]] = {
    "1 client": Asking,
    "64 outstanding": lambda target, asked: Asking(target, asked, 64),
    f"{CLIENTS} clients": lambda target, asked: Crowd(target, CLIENTS, asked),
}
_BARS: Final = {"READ": (READ, 1.1, 2.5), "WRITE": (WRITE, 1.1, 1.8)}
"""Of one client, over C's CPU; with 64 outstanding, over the best rate."""


def everywhere(arena: Arena) -> None:
    """One client, each request after the answer to the last and 64 on their way; a hundred clients."""
    of_hundred = COMPILED if is_compiled() else PURE
    with arena.daemons() as daemons:
        for daemon in daemons:
            settle(daemon)
        every = sum(1 for _ in values(DOMAINS))
        state = f"{every:,} nodes with values, of {DOMAINS:,} domains"
        for name, (operation, of_one, of_many) in _BARS.items():
            asked = requests(operation, count=None)
            Random(1).shuffle(asked)
            bars = of_one, of_many, of_hundred
            for (who, makes), bar in zip(_WAYS.items(), bars, strict=True):
                what = f"{name} of every node in turn, {who}"
                with contextlib.ExitStack() as stack:
                    laps = {
                        daemon.name: stack.enter_context(contextlib.closing(makes(daemon, asked))).lap
                        for daemon in daemons
                    }
                    best = arena.race(what, laps)
                if bar is of_one:
                    arena.against_c(what, state, best, bar)
                else:
                    arena.against_best(what, state, best, bar)
