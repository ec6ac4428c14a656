"""The workloads, in the order of the table of bars; each a function of an arena, with its bars beside its measuring."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.load.workloads import day, everywhere, history, host, many, reading, rings, single, transactions, watching

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.load.arena import Arena

WORKLOADS: dict[str, Callable[[Arena], None]] = {
    "single": single.one_by_one,
    "outstanding": single.outstanding,
    "clients": many.hundred,
    "everywhere": everywhere.everywhere,
    "idle": many.silent,
    "watches": watching.unrelated,
    "events": watching.fired,
    "rings": rings.idle,
    "fairness": rings.active,
    "populate": host.populate,
    "create": host.create,
    "siblings": transactions.siblings,
    "conflicts": transactions.conflicts,
    "guests": transactions.guests,
    "sleeper": transactions.sleeper,
    "lookup": reading.lookup,
    "ls": reading.tree,
    "directory": reading.directory,
    "history": history.cost,
    "day": day.day,
}
