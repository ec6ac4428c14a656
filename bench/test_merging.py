"""A merge of one change a side in a directory of many names, right after the fork and 5,000 commits later."""

from __future__ import annotations

import contextlib
import itertools
import random
import time

import pytest

import rrdstore
from bench.race import LAPS

BARS = {10_000: 200, 100_000: 400}
"""Microseconds, by names."""
LATER = 5_000
KEEP, SIZE = "last:6000", "128MiB"
"""All that is made between a fork and its merge is kept: the worst for whoever would walk it."""
AT_ONCE = 500


@pytest.fixture(scope="module", params=BARS)
def wide(request, tmp_path_factory):
    """A store with so many names in one directory, and names to change, none twice."""
    names = [f"/k{number:06}" for number in range(request.param)]
    folder = tmp_path_factory.mktemp("wide")
    with rrdstore.create(folder / "a.rrdb", size=SIZE, keep=KEEP, sync="none") as store:
        main = store.branch("main")
        for begin in range(0, len(names), AT_ONCE):
            with main.transaction() as change:
                for name in names[begin : begin + AT_ONCE]:
                    change.set(name, bytes(16))
        store.tick()
        random.Random(1).shuffle(names)
        yield store, itertools.cycle(names), request.param


@pytest.mark.parametrize("after", [1, LATER])
def test_a_merge_of_one_change_a_side(after, wide, benchmark, aim):
    store, names, count = wide
    main, spent, forks = store.branch("main"), [], itertools.count()
    merges = 20 if after == 1 else 1

    def prepared():
        made = []
        for _ in range(merges):
            work = main.fork(f"w{next(forks)}", "last:8")
            for number in range(after):
                main.set(next(names), b"%d" % number)
            work.set(next(names), b"there")
            made.append(work)
        return (made,), {}

    def merged(branches):
        begun = time.process_time()
        for work in branches:
            main.merge(work)
        spent.append((time.process_time() - begun) / merges * 1e6)
        for work in branches:
            store.delete_branch(work.name)
        store.tick()

    with contextlib.suppress(StopIteration):
        benchmark.pedantic(merged, setup=prepared, rounds=LAPS, warmup_rounds=1)
    state = f"{count:,} names in one directory, {after:,} commits after the fork, all kept"
    aim("merge of one change a side", state, min(spent), BARS[count], "µs")
