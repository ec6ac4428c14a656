"""The arena: where a workload finds its daemons, has them take turns, and notes what came of it.

A workload is a function of an arena. It is run by hand (`python -m bench.load`), by pytest (bench/test_load.py) and
by whoever else gives it one; what it found are races and aims, in the arena.
"""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

import click

from bench.aims import Aim
from bench.committers import timed
from bench.load.daemons import OURS, STOCK, C, Kind, pinned
from bench.race import Best, Lap, Race, cpu_of
from tests.compat import peers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from bench.load.daemons import Target

SECONDS = 0.25
"""What a lap takes, about."""
RUNS = 9


@dataclass(slots=True)
class Arena:
    """Who takes part, how large everything is, and what was found."""

    kinds: list[Kind]
    short: bool = False
    runs: int = RUNS
    show: bool = True
    races: list[Race] = field(default_factory=list)
    aims: list[Aim] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)

    def many(self, full: int, short: int) -> int:
        """The first, or in a short form the second."""
        return short if self.short else full

    @property
    def size(self) -> str:
        """Of our store."""
        return "128MiB" if self.short else "1GiB"

    def has(self, *names: str) -> bool:
        """Whether all of these take part."""
        return set(names) <= {kind.name for kind in self.kinds}

    @contextlib.contextmanager
    def daemons(self, *only: str, extra: Kind | None = None) -> Iterator[list[Target]]:
        """Fresh ones, all that take part or those of these names, and one more; pinned to one core with this one."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(pinned())
            started = []
            for kind in [kind for kind in self.kinds if not only or kind.name in only] + ([extra] if extra else []):
                if kind.absent:
                    self.absent[kind.name] = kind.absent
                    continue
                place = stack.enter_context(peers.short_directory())
                started.append(stack.enter_context(kind.start(place, self.size)))
            yield started

    def race(self, title: str, laps: Mapping[str, Callable[[], Lap]], runs: int | None = None) -> dict[str, Best]:
        """Everybody's best lap."""
        race = Race(title, OURS if OURS in laps else next(iter(laps), OURS))
        race.absent.update(self.absent)
        race.best = {name: Best() for name in laps}
        order = list(laps)
        for _ in self.progress(range(runs or self.runs), title):
            for name in order:
                race.best[name].offer(laps[name]())
            order.append(order.pop(0))
        if race.best:
            self.races.append(race)
        return race.best

    def aim(self, what: str, state: str, found: float, bar: float | None, unit: str, *, least: bool = False) -> None:
        """Note a figure beside its bar."""
        self.aims.append(Aim(what, state, found, bar, unit, least))

    def beside_none(self, what: str, state: str, before: Best, after: Best, bar: float) -> None:
        """Our CPU over what it was without whatever is there now, at most."""
        self.aim(f"{what}, CPU over that without", state, after.cpu / before.cpu, bar, "times")

    def against_c(self, what: str, state: str, best: Mapping[str, Best], bar: float) -> None:
        """Our CPU over C's, at most."""
        if OURS in best and C in best:
            self.aim(f"{what}, CPU over C's", state, best[OURS].cpu / best[C].cpu, bar, "times")

    def against_best(self, what: str, state: str, best: Mapping[str, Best], bar: float) -> None:
        """Operations a second of CPU, over those of the best stock daemon, at least."""
        stock = [best[name].cpu for name in STOCK if name in best]
        if OURS in best and stock:
            self.aim(
                f"{what}, rate over the best stock daemon's",
                state,
                min(stock) / best[OURS].cpu,
                bar,
                "times",
                least=True,
            )

    def progress(self, what: Iterable[int], label: str, length: int | None = None) -> Iterator[int]:
        """The same, with a bar on a terminal."""
        if not self.show:
            yield from what
            return
        with click.progressbar(what, label=f"{label[:60]:<60}", length=length, file=sys.stderr) as bar:
            yield from bar


class Paced:
    """An act that can be done any number of times: a lap does it for about a quarter of a second."""

    def __init__(
        self, target: Target, act: Callable[[int], None], least: int = 1, most: int = 1 << 16, seconds: float = SECONDS
    ) -> None:
        self._pid, self._act, self._most, self._seconds = target.pid, act, most, seconds
        self.count = self._least = least

    def __call__(self) -> Lap:
        """One lap; the first finds out how many acts it takes."""
        if self.count == self._least:
            self._calibrate()
        return timed(lambda: self._act(self.count), self.count, lambda: cpu_of(self._pid))

    def again(self, least: int | None = None) -> None:
        """Find out anew, as what an act costs has changed."""
        self.count = self._least = least or self._least

    def _calibrate(self) -> None:
        while self.count < self._most:
            began = time.perf_counter()
            self._act(self.count)
            took = time.perf_counter() - began
            if took > self._seconds / 3:
                self.count = max(self._least, min(self._most, int(self.count * self._seconds / took)))
                return
            self.count = min(self._most, self.count * 4)


def shuffled(paths: Iterable[bytes], count: int, seed: int = 1) -> list[bytes]:
    """So many random ones."""
    return Random(seed).choices(list(paths), k=count)
