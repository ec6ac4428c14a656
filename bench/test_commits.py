"""One-key commits in a tree of 10,000 keys: ours in memory and in a file, SQLite, git."""

from __future__ import annotations

import contextlib
import shutil

import pytest

import rrdstore
from bench.committers import KEYS, SHAPES, Git, Ours, Sqlite

TITLES = {
    "flat": f"One-key commits, {KEYS:,} keys in one directory",
    "nested": f"One-key commits, {KEYS:,} keys in 100 directories of 100",
    "deep": f"One-key commits, {KEYS:,} keys four levels deep, 10 names in each directory",
}
GIT_COMMITS = {
    "flat": 100,
    "nested": 500,
    "deep": 500,
}  # a lap: git writes the 10,000 names of a flat directory for every commit
KEEP = "last:256 1s:5m 1m:2h 1h:2d 1d:30d 1w:1y *:64"
SIZE = "64MiB"


@pytest.mark.parametrize("shape", SHAPES)
def test_one_key_commits(shape, benchmark, race, tmp_path):
    paths = SHAPES[shape]
    here = race(TITLES[shape], "rrdstore, file")
    contestants = [
        Ours("rrdstore, file", rrdstore.create(tmp_path / "a.rrdb", size=SIZE, keep=KEEP), paths),
        Ours("rrdstore, memory", rrdstore.memory(keep=KEEP), paths),
        Sqlite("SQLite, synchronous=NORMAL", tmp_path / "n.db", paths, "NORMAL"),
    ]
    if shutil.which("git"):
        contestants.append(Git(tmp_path / "git", paths, GIT_COMMITS[shape]))
    else:
        here.absent["git fast-import"] = "not installed"
    with contextlib.ExitStack() as stack:
        for contestant in contestants:
            stack.callback(contestant.close)
        here.run(benchmark, contestants)


@pytest.mark.parametrize("shape", SHAPES)
def test_one_key_commits_that_survive_a_power_loss_one_by_one(shape, benchmark, race, tmp_path):
    paths = SHAPES[shape]
    ours = Ours(
        "rrdstore, sync=commit", rrdstore.create(tmp_path / "a.rrdb", size=SIZE, keep=KEEP, sync="commit"), paths
    )
    rival = Sqlite("SQLite, synchronous=FULL", tmp_path / "f.db", paths, "FULL")
    ours.operations = rival.operations = 200
    with contextlib.closing(ours), contextlib.closing(rival):
        race(f"{TITLES[shape]}, each synced to disk", ours.name).run(benchmark, [ours, rival])
