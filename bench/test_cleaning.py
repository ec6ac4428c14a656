"""What the cleaner costs: objects stored a second while much of the file lives, overwritten at random.

The root has directories of 32 values of 300 bytes each. A commit sets seven of one: these, their directory and
the two or three containers above it are ten or eleven objects. Nothing is thinned in time to help: the history is
short, and what lives is the tree of now. A store of 64 MiB refuses what would make more than 64 % live, and keeps the
sixteenth above that for what shrinks the tree; so here it is told that there is room.
"""

from __future__ import annotations

import random
import time

import pytest

import rrdstore
from bench.race import LAPS
from rrdstore.storage.objects import Objects
from rrdstore.storage.segments import MOVED, NEW

SIZE = 64 << 20
KEEP = "last:8"
VALUE, A_DIRECTORY, A_COMMIT = 300, 32, 7
COMMITS, A_TICK = 1_000, 100
BAR = 8_000
"""Objects a second."""


def directory(number):
    return [f"/d{number:05}/k{key:02}" for key in range(A_DIRECTORY)]


@pytest.mark.parametrize("share", [0.60, 0.70, 0.75])
def test_objects_a_second(share, benchmark, aim, tmp_path, monkeypatch):
    counts, laps, add_run, move = [0, 0], [], Objects.add_run, Objects._move

    def added(objects, numbers, run):
        counts[NEW] += len(run)
        return add_run(objects, numbers, run)

    def moved(objects, number, record):
        counts[MOVED] += 1
        return move(objects, number, record)

    monkeypatch.setattr(Objects, "add_run", added)
    monkeypatch.setattr(Objects, "_move", moved)
    choose = random.Random(1)
    with rrdstore.create(tmp_path / "a.rrdb", size=SIZE, keep=KEEP) as store:
        main, count = store.branch("main"), 0
        monkeypatch.setattr(store.ledger.storage, "lacking", lambda cost, *, shrinks: -1)
        while store.info().live < share * SIZE:
            for _ in range(20):
                with main.transaction() as change:
                    for path in directory(count):
                        change.set(path, bytes(VALUE))
                count += 1
            store.tick()
        live = store.info().live

        def commits(many):
            for number in range(many):
                paths = choose.sample(directory(choose.randrange(count)), A_COMMIT)
                with main.transaction() as change:
                    for path in paths:
                        change.set(path, b"%0*d" % (VALUE, number))
                if number % A_TICK == A_TICK - 1:
                    store.tick()

        def lap():
            before = counts[:]
            cpu, wall = time.process_time(), time.perf_counter()
            commits(COMMITS)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            stored, evacuated = (counts[stream] - before[stream] for stream in (NEW, MOVED))
            laps.append((stored / cpu, stored / wall, evacuated / stored))

        while not counts[MOVED]:
            commits(COMMITS)
        commits(4 * COMMITS)  # Until hardly a segment is as it was filled.
        benchmark.pedantic(lap, rounds=LAPS)
        assert abs(store.info().live - live) < 0.02 * SIZE
        assert store.check() == []
    state = f"{share:.0%} of {SIZE >> 20} MiB live, 10 objects a commit, synchronous FULL"
    cpu, _, evacuated = max(laps)
    fill = f"{evacuated:.1f} moved for each"
    bar = BAR if share <= 0.70 else None
    aim("objects stored, of CPU", state, cpu, bar, "/s", least=True, fill=fill)
    wall = max(wall for _, wall, _ in laps)
    aim("objects stored, of wall time", state, wall, bar, "/s", least=True, fill=fill)
