"""READ and WRITE of one client: each after the answer to the last, and 64 on their way."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from bench.load.frames import READ, WRITE
from bench.load.host import STATE, Asking, requests, settle

if TYPE_CHECKING:
    from bench.load.arena import Arena
    from bench.race import Best

OPERATIONS = {"READ": READ, "WRITE": WRITE}


def one_by_one(arena: Arena) -> None:
    """One client that waits for each answer."""
    for operation, best in _race(arena, 1, "1 client").items():
        arena.against_c(f"{operation}, 1 client", STATE, best, 1.1)


def outstanding(arena: Arena) -> None:
    """One client with 64 requests on their way."""
    found = _race(arena, 64, "1 client, 64 outstanding")
    for operation, bar in (("READ", 2.5), ("WRITE", 1.8)):
        arena.against_best(f"{operation}, 64 outstanding", STATE, found[operation], bar)


def _race(arena: Arena, on_their_way: int, who: str) -> dict[str, dict[str, Best]]:
    found = {}
    with arena.daemons() as daemons:
        for daemon in daemons:
            settle(daemon)
        for name, operation in OPERATIONS.items():
            asked = requests(operation)
            with contextlib.ExitStack() as stack:
                laps = {
                    daemon.name: stack.enter_context(contextlib.closing(Asking(daemon, asked, on_their_way))).lap
                    for daemon in daemons
                }
                found[name] = arena.race(f"{name}, {who}", laps)
    return found
