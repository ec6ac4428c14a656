"""What a kept commit takes in the file, and how many edges it has in the graph."""

from __future__ import annotations

import random

import pytest

import rrdstore
from bench.committers import LOADED_AT_ONCE, SHAPES
from bench.test_commits import TITLES
from rrdstore.storage.layout import KEPT_A_PAGE, PAGE
from rrdstore.testing import ManualClock

COMMITS = 4_000
BYTES = {"deep": 700}
EDGES = 2
STEPS, MERGES, BRANCHES = 6_000, 0.3, 4


@pytest.mark.parametrize("shape", SHAPES)
def test_bytes_that_a_retained_commit_adds(shape, aim, tmp_path):
    """Each stored, none dropped; the share of its row on a page of the table is added."""
    paths, choose = SHAPES[shape], random.Random(1)
    with rrdstore.create(tmp_path / "a.rrdb", size="64MiB", keep="last:5000", sync="none") as store:
        main = store.branch("main")
        for begin in range(0, len(paths), LOADED_AT_ONCE):
            with main.transaction() as change:
                for path in paths[begin : begin + LOADED_AT_ONCE]:
                    change.set(path, bytes(16))
        store.tick()
        before, segments = store.info(), store.ledger.storage._objects.segments
        bytes_before = sum(segments.live)
        for number in range(COMMITS):
            main.set(choose.choice(paths), b"%016d" % number, message="WRITE", author="dom0")
        store.tick()
        after = store.info()
        assert after.kept - before.kept == COMMITS
        row = PAGE / KEPT_A_PAGE
        counted = (after.live - before.live) / COMMITS + row
        taken = (sum(segments.live) - bytes_before) / COMMITS + row
    state, fill = f"{TITLES[shape]}, its row included", f"{after.live / after.room:.0%} live"
    aim("bytes that a kept one-key commit adds, as room counts them", state, counted, BYTES.get(shape), "B", fill=fill)
    aim("bytes that a kept one-key commit adds, as they lie there", state, taken, BYTES.get(shape), "B", fill=fill)


def test_edges_of_a_kept_commit(aim):
    """Branches that merge with their upstream, either way, at random; the default policy has thinned most of it."""
    choose, clock = random.Random(1), ManualClock()
    with rrdstore.memory("last:64 1m:2h 1h:2d 1d:30d *:64", clock=clock) as store:
        main = store.branch("main")
        main.set("/n", b"0")
        forks = [main.fork(f"work{number}", "last:32 1m:1h 1h:2d") for number in range(BRANCHES)]
        merged = 0
        for number in range(STEPS):
            clock.advance(30)
            work = choose.choice(forks)
            where = choose.choice((main, work))
            if choose.random() < MERGES:
                merged += 1
                main.merge(work) if where is main else work.merge(main)
            else:
                where.set(f"/{where.name}/{number % 50}", b"%d" % number)
        records = store.ledger.history.graph.records.values()
        edges = sum(len(record.grafts) for record in records) / len(records)
        state, fill = f"{BRANCHES} forks of main, {STEPS:,} steps, {MERGES:.0%} merges", f"{len(records)} kept"
        assert merged > 0.25 * STEPS
    aim("edges of a kept commit", state, edges, EDGES, "", fill=fill)
