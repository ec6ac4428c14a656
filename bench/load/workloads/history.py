"""What history costs: CPU of a WRITE, the longest waits while ticks store it, and what is left of a saturated rate."""

from __future__ import annotations

import contextlib
import itertools
import time
from typing import TYPE_CHECKING

from bench.load.daemons import OFF, OURS, UNKEPT
from bench.load.frames import WRITE, Client
from bench.load.host import STATE, Asking, requests, settle

if TYPE_CHECKING:
    from bench.load.arena import Arena
    from bench.load.daemons import Target

RATE = 2_000
"""Writes a second."""


def cost(arena: Arena) -> None:
    """WRITE with the whole of history, and with a store in memory that keeps one commit."""
    with arena.daemons(OURS, extra=UNKEPT) as daemons, contextlib.ExitStack() as stack:
        if OURS not in {daemon.name for daemon in daemons}:
            return
        for daemon in daemons:
            settle(daemon)
        for outstanding in (1, 64):
            asking = [
                stack.enter_context(contextlib.closing(Asking(daemon, requests(WRITE), outstanding)))
                for daemon in daemons
            ]
            laps = {daemon.name: one.lap for daemon, one in zip(daemons, asking, strict=True)}
            best = arena.race(f"WRITE, history on and off, {outstanding} outstanding", laps)
            with_it, without = best[OURS].cpu, best[OFF].cpu
            if outstanding == 1:
                share = (1 - without / with_it) * 100
                arena.aim("history's share of a WRITE, CPU", f"{STATE}, 1 outstanding", share, 15, "%")
            else:
                what = "saturated WRITE, rate over that without history"
                arena.aim(what, f"{STATE}, 64 outstanding", without / with_it, 0.5, "times", least=True)
        for daemon in daemons:
            waits = _paced(daemon, arena)
            for share, bar in ((0.999, 5), (0.5, None)):
                at = waits[int(len(waits) * share)] * 1000
                what = f"{share:.1%} of replies, {RATE:,} WRITE/s, wall"
                arena.aim(what, f"{STATE}, {daemon.name}", at, bar if daemon.name == OURS else None, "ms")


def _paced(target: Target, arena: Arena) -> list[float]:
    """How long each reply took at a steady rate, sorted: seconds."""
    asked = itertools.cycle(requests(WRITE))
    found = []
    with Client(target) as client:
        began = time.perf_counter()
        for number in arena.progress(range(RATE * arena.many(30, 5)), f"{target.name}: {RATE:,} WRITE/s"):
            due = began + number / RATE
            while (now := time.perf_counter()) < due:
                time.sleep(due - now)
            sent = time.perf_counter()
            client.exchange([next(asked)])
            found.append(time.perf_counter() - sent)
    return sorted(found)
