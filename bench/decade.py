"""Ten years, one commit a minute, in simulated time: what is kept, how far it reaches, what it takes.

    python -m bench.decade [--years 10] [--jump] [--size 64MiB] [--tick-every N] [--seed 1]

A commit sets one key of 100 in ten directories. Held at every commit: kept <= slots + 3 a branch + pins; at every
stretch of 1,000: the files' bytes, none more than at creation. At the end: how old the oldest commits are,
and CPU microseconds a commit, with ticks and without. A tick comes when the journal is half full, and
every N commits if asked for. `--jump` sets the wall clock ten years ahead in the middle, for one hour, and back.
What is found goes to bench/results.json too.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

import rrdstore
from bench import results
from bench.aims import Aim

CPU, REACH = 30, 0.98
"""Microseconds a commit, and the share of the time that the oldest commit is to reach back."""
MINUTE = 60_000_000
DAY = 1_440 * MINUTE
YEAR = 365 * DAY
STRETCH = 1_000
START = 1_767_225_600_000_000


class Minutes:
    """A clock that a loop moves by hand."""

    def __init__(self) -> None:
        self.now, self.wrong = START, 0

    def wall(self) -> int:
        return self.now + self.wrong

    def monotonic(self) -> int:
        return self.now


@dataclass
class Outcome:
    """What a run came to."""

    commits: int
    most_kept: int
    bound: int
    first: float
    """Years back to the oldest commit, the first of all."""
    oldest: float
    """Years back to the next."""
    farthest: float
    """Hours by which retention time was from the true time, at most."""
    bytes: set[int]
    """Of the main file and the journal together, whenever looked."""
    most_bytes: int
    """Of all files."""
    size: int
    cpu: float
    """Microseconds of CPU a commit, all told."""
    least: float
    """The same of the quickest stretch."""
    ticks: float
    """Of these, of ticks."""
    count: int
    """Ticks."""
    problems: list[str]


class Timed:
    """A store's ticks, and what CPU they take; compiled, nothing can be put into them."""

    def __init__(self, ticks: object) -> None:
        self._ticks, self.spent = ticks, 0.0

    def __getattr__(self, name: str) -> object:
        return getattr(self._ticks, name)

    def run(self, *asked: object, **more: object) -> object:
        begun = time.process_time()
        try:
            return self._ticks.run(*asked, **more)
        finally:
            self.spent += time.process_time() - begun


def run(
    path: Path, minutes: int, *, size: str = "64MiB", jump: bool = False, tick_every: int = 0, seed: int = 1,
    show: bool = False,
) -> Outcome:  # fmt: skip
    clock, random = Minutes(), Random(seed)
    keys = [f"/d{n // 10}/k{n % 10}" for n in range(100)]
    with rrdstore.create(path, size, clock=clock) as store:
        main = store.branch("main")
        for key in keys:
            main.set(key, b"0")
        store.pin(main.head)
        ledger, bound = store.ledger, store.info().bound
        records = ledger.history.graph.records
        ticks = ledger.ticks = Timed(ledger.ticks)
        most = farthest = most_bytes = 0
        used, cpu, least = set(), 0.0, float("inf")
        middle = minutes // 2 // STRETCH * STRETCH
        for first in range(0, minutes, STRETCH):
            many = min(STRETCH, minutes - first)
            plan = [(keys[random.randrange(100)], b"%d" % random.randrange(10_000)) for _ in range(many)]
            begun = time.process_time()
            for at, (key, value) in enumerate(plan, first):
                clock.now += MINUTE
                if jump and first == middle and at in {first, first + 60}:
                    clock.wrong = 10 * YEAR if at == first else 0
                commit = main.set(key, value)
                if len(records) > most:
                    most = len(records)
                    assert most <= bound, f"{most} kept, at most {bound} promised"
                if jump and first == middle:
                    farthest = max(farthest, abs(round(commit.time.timestamp() * 1e6) - clock.now))
                if tick_every and not at % tick_every:
                    store.tick()
            lap = time.process_time() - begun
            cpu, least = cpu + lap, min(least, lap / many)
            files = store.info().files
            used.add(sum(files[name] for name in files if not name.endswith(("wal", "shm"))))
            most_bytes = max(most_bytes, sum(files.values()))
            if show:
                print(
                    f"\r{first / minutes:6.1%}  {cpu / (first + many) * 1e6:6.1f} us a commit", end="", file=sys.stderr
                )
        ages = sorted((clock.now - round(commit.time.timestamp() * 1e6)) / YEAR for commit in main.log())
        begun_at = (clock.now - START) / YEAR
        if show:
            print("\r" + " " * 60 + "\r", end="", file=sys.stderr)
        return Outcome(
            minutes, most, bound, ages[-1], max(age for age in ages if age < begun_at),
            farthest / 60 / MINUTE, used, most_bytes, store.info().size, cpu / minutes * 1e6, least * 1e6,
            ticks.spent / minutes * 1e6, store.info().ticks, store.check(),
        )  # fmt: skip


def main() -> int:
    given = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    given.add_argument("--years", type=float, default=10)
    given.add_argument("--size", default="64MiB")
    given.add_argument("--jump", action="store_true")
    given.add_argument("--tick-every", type=int, default=0, metavar="N")
    given.add_argument("--seed", type=int, default=1)
    asked = given.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        done = run(
            Path(folder) / "decade.rrdb", int(asked.years * YEAR / MINUTE), size=asked.size, jump=asked.jump,
            tick_every=asked.tick_every, seed=asked.seed, show=sys.stderr.isatty(),
        )  # fmt: skip
    print(
        f"{done.commits:,} commits, seed {asked.seed}{', with a jump of ten years for an hour' if asked.jump else ''}"
    )
    print(f"kept at most {done.most_kept}, bound {done.bound}")
    print(f"the first is {done.first:.2f} years old, the next {done.oldest:.2f}")
    print(f"bytes of file and journal: {sorted(done.bytes)}; of all files at most {done.most_bytes} of {done.size}")
    print(f"CPU a commit {done.cpu:.1f} us, of which ticks ({done.count}) {done.ticks:.1f}; quickest {done.least:.1f}")
    if asked.jump:
        print(f"retention time was at most {done.farthest:.3f} hours from the true time")
    state = f"{asked.years:g} years at a commit a minute, default policy{', the clock jumps' if asked.jump else ''}"
    results.add(aims=[
        Aim("commits kept", state, done.most_kept, done.bound, ""),
        Aim("age of the oldest commit beside the first", state, done.oldest, REACH * asked.years, "years", least=True),
        Aim("CPU a commit, ticks and all", state, done.cpu, CPU, "µs"),
    ])  # fmt: skip
    wrong = [*done.problems]
    if done.first < REACH * asked.years:
        wrong.append(f"the oldest commit is {done.first:.2f} years old, expected {REACH * asked.years:.2f}")
    if len(done.bytes) != 1 or done.most_bytes > done.size:
        wrong.append(f"bytes {sorted(done.bytes)} of {done.size}, expected one figure")
    for problem in wrong:
        print(problem)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
