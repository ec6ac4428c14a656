"""Reading a key of any kept commit: looked up by id each time, from what was read lately and from the file."""

from __future__ import annotations

import random
import time

import pytest

import rrdstore
from bench.committers import LOADED_AT_ONCE, SHAPES
from bench.race import LAPS
from bench.test_commits import TITLES
from rrdstore.storage.objects import Objects

READS = 500
KEEP = {"warm": "last:256 1s:5m 1m:2h 1h:2d 1d:30d 1w:1y *:64", "cold": "last:12000"}
COMMITS = {"warm": 2_000, "cold": 12_000}
SIZE = "64MiB"
BARS, OBJECTS = {"warm": 20, "cold": 200}, 7
"""Microseconds, and the objects that a cold read may touch."""


@pytest.fixture(scope="module", params=[(shape, how) for how in KEEP for shape in SHAPES], ids="-".join)
def past(request, tmp_path_factory):
    """A store with a past, and the ids of all kept commits that have all keys."""
    shape, how = request.param
    paths, choose = SHAPES[shape], random.Random(1)
    folder = tmp_path_factory.mktemp("past")
    with rrdstore.create(folder / "a.rrdb", size=SIZE, keep=KEEP[how], sync="none") as store:
        main = store.branch("main")
        for begin in range(0, len(paths), LOADED_AT_ONCE):
            with main.transaction() as change:
                for path in paths[begin : begin + LOADED_AT_ONCE]:
                    change.set(path, bytes(16))
        loaded = main.head.number
        for number in range(COMMITS[how]):
            main.set(choose.choice(paths), b"%016d" % number)
            if not number % 1000:
                store.tick()
        store.tick()
        ids = [commit.id for commit in main.log() if commit.number >= loaded]
        yield store, ids, paths, shape, how


def test_a_key_of_any_kept_commit(past, benchmark, aim, monkeypatch):
    store, ids, paths, shape, how = past
    main, choose, spent, found = store.branch("main"), random.Random(2), [], []
    storage, read = store.ledger.storage, Objects.read
    monkeypatch.setattr(Objects, "read", lambda objects, number: found.append(number) or read(objects, number))

    def chosen():
        few, keys = (choose.sample(ids, 16), choose.sample(paths, 64)) if how == "warm" else (ids, paths)
        work = [(choose.choice(few), choose.choice(keys)) for _ in range(READS)]
        if how == "warm":
            warm(work)
        return (work,), {}

    def warm(work):
        for commit, path in work:
            with main.at(commit) as snapshot:
                snapshot.get(path)

    def cold(work):
        """Each with nothing remembered, be it as parts of trees or as segments; what forgets is not counted."""
        cpu = most = 0.0
        for commit, path in work:
            storage._parts.forget()
            storage._objects.segments._cache.clear()
            found.clear()
            begun = time.process_time()
            with main.at(commit) as snapshot:
                snapshot.get(path)
            cpu += time.process_time() - begun
            most = max(most, len(found))
        return cpu, most

    def lap(work):
        if how == "cold":
            cpu, objects = cold(work)
        else:
            begun, objects = time.process_time(), 0
            warm(work)
            cpu = time.process_time() - begun
        spent.append((cpu / READS * 1e6, objects))

    benchmark.pedantic(lap, setup=chosen, rounds=LAPS)
    info = store.info()
    policy = "default policy" if how == "warm" else KEEP[how]
    state, fill = f"{TITLES[shape]}, {policy}", f"{info.kept:,} kept, {info.live / info.room:.0%} live"
    aim(f"read of a kept commit's key by the commit's id, {how}", state, min(spent)[0], BARS[how], "µs", fill=fill)
    if how == "cold":
        aim("objects that a cold read touches", state, max(objects for _, objects in spent), OBJECTS, "", fill=fill)
