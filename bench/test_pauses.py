"""How long any one call holds up who makes it, in a store of 500,000 nodes: CPU milliseconds, the collector's included.

A host of 10,870 domains. Commits at speed with slices of a tick between them, a fork that makes commits of its own and
is deleted, freeing and cleaning all the while; then the same in a file so small that it thins beyond its policy.
Branches, policies, tags and pins change when all is stored, and at speed, when hundreds of commits wait.
The program does what docs/python.md asks of one with so large a heap: gc.freeze() after loading, and after each slice.
"""

from __future__ import annotations

import gc
import random
import time
from collections import defaultdict
from functools import partial

import pytest

import rrdstore

DOMAINS, DEVICES, KEYS = 10_870, 4, 10
"""A domain has 46 nodes with these: itself, device, four of these, 40 keys."""
NODES = 500_000
COMMITS, A_SLICE, SLICE = 20_000, 50, 0.002
OWN, KEEP_OWN = 4_000, "last:2000"
KEEP = "last:256 1s:5m 1m:2h 1h:2d 1d:30d 1w:1y *:64"
BAR = 50
"""Milliseconds."""

PATHS = [
    f"/local/domain/{domain}/device/{device}/key{key}"
    for domain in range(DOMAINS)
    for device in range(DEVICES)
    for key in range(KEYS)
]


class Timed:
    """CPU milliseconds of calls, by kind."""

    def __init__(self) -> None:
        self.calls = defaultdict(list)

    def __call__(self, kind, call, *args, **named):
        begun = time.process_time()
        done = call(*args, **named)
        self.calls[kind].append((time.process_time() - begun) * 1e3)
        return done

    def say(self, aim, state, fill):
        for kind, spent in self.calls.items():
            spent.sort()
            aim(f"longest {kind}", state, spent[-1], BAR, "ms", fill=fill)
            if len(spent) >= 1_000:
                aim(f"99.9 % of calls, {kind}", state, spent[len(spent) * 999 // 1000], None, "ms", fill=fill)


def loaded(store, at_once=1_000):
    main = store.branch("main")
    for begin in range(0, len(PATHS), at_once):
        with main.transaction() as change:
            for path in PATHS[begin : begin + at_once]:
                change.set(path, b"0123456789abcdef")
    store.tick()
    gc.collect()
    gc.freeze()
    return main


def slice_of_a_tick(store, timed, kind):
    done = timed(kind, store.tick, SLICE)
    gc.freeze()
    return done


def rest(store, timed, kind="slice of a tick"):
    while not slice_of_a_tick(store, timed, kind):
        pass


def commits(store, branch, timed, many, choose, kind="commit"):
    for number in range(many):
        timed(kind, branch.set, choose.choice(PATHS), b"%016d" % number)
        if not number % A_SLICE:
            slice_of_a_tick(store, timed, "slice of a tick")


def refs_at_speed(store, timed, main, number):
    timed("pin at speed", store.pin, main.head)
    timed("fork at speed", main.fork, f"at speed {number}", "last:4")
    timed("new branch at speed", partial(store.branch, f"new {number}", create=True))
    timed("commit of a fork at speed", store.branch(f"at speed {number}").set, PATHS[0], b"%d" % number)
    timed("tag at speed", store.tag, f"tag {number}", main.head)
    timed("unpin at speed", store.unpin, min(store.pins))
    timed("untag at speed", store.untag, f"tag {number}")
    timed("deletion at speed", store.delete_branch, f"at speed {number}")
    timed("deletion at speed", store.delete_branch, f"new {number}")


@pytest.fixture(autouse=True)
def thawed():
    assert gc.isenabled()
    yield
    gc.unfreeze()
    gc.collect()


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_no_call_takes_long(kind, aim, tmp_path):
    timed, choose = Timed(), random.Random(1)
    made = rrdstore.memory(KEEP) if kind == "memory" else rrdstore.create(tmp_path / "a.rrdb", size="512MiB", keep=KEEP)
    with made as store:
        main = loaded(store)
        commits(store, main, timed, COMMITS, choose)
        timed("tag at speed", store.tag, "here", main.head)
        for number in range(100):
            commits(store, main, timed, 20, choose)
            refs_at_speed(store, timed, main, number)
        rest(store, timed)
        commits(store, main, timed, 3_000, choose)
        timed("compaction at speed", store.compact, keep=KEEP.replace("last:256", "last:128"))
        commits(store, main, timed, 3_000, choose)
        timed("another policy at speed", store.tune, "main", KEEP.replace("last:256", "last:64"))
        timed("forecast at speed", store.forecast)
        rest(store, timed)
        timed("another policy, all stored", store.tune, "main", KEEP)
        timed("pin, all stored", store.pin, main.head)
        work = timed("fork, all stored", main.fork, "work", KEEP_OWN)
        commits(store, work, timed, OWN, choose)
        for _ in range(200):
            with timed("look-up of a kept commit", main.at, "here") as past:
                timed("read of the past", past.get, choose.choice(PATHS))
        rest(store, timed)
        kept = store.info().kept
        timed("compaction of 500 commits, all stored", store.compact, "work", KEEP_OWN.replace("2000", "1500"))
        rest(store, timed, "slice that frees them")
        timed("another policy that drops 500 commits, all stored", store.tune, "work", KEEP_OWN.replace("2000", "1000"))
        rest(store, timed, "slice that frees them")
        store.tune("work", KEEP_OWN)
        commits(store, work, timed, OWN, choose)
        rest(store, timed)
        timed("deletion of a branch of 2,000 commits, all stored", store.delete_branch, "work")
        rest(store, timed, "slice that frees it")
        timed("removal of all nodes", main.remove, "/local")
        for number in range(300):
            timed("commit that lets them go", main.set, "/n", b"%d" % number)
        rest(store, timed, "slice that frees them")
        info = store.info()
        assert store.check() == [] or kind == "memory"
    if kind == "file":
        timed("opening", rrdstore.open, tmp_path / "a.rrdb").close()
    live = f", {info.live / info.room:.0%} live" if info.room else ""
    where = "a file of 512MiB" if kind == "file" else kind
    timed.say(aim, f"{NODES:,} nodes in {where}", f"{kept:,} kept{live}")


def test_no_call_takes_long_under_pressure(aim, tmp_path):
    timed, choose = Timed(), random.Random(1)
    with rrdstore.create(tmp_path / "a.rrdb", size="25MiB", keep="last:2500") as store:
        main = loaded(store, 200)
        for number in range(8_000):
            timed("commit under pressure", main.set, choose.choice(PATHS), b"%016d" % number)
            if not number % A_SLICE:
                slice_of_a_tick(store, timed, "slice of a tick under pressure")
        info = store.info()
        if info.kept > 2_400:
            pytest.skip(f"no pressure: {info.live / info.room:.0%} of the room is enough")
        fill = f"{info.kept:,} kept of 2,500, {info.live / info.room:.0%} live"
        timed.say(aim, f"{NODES:,} nodes in a file of 25MiB", fill)
