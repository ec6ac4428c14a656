"""One-key commits in a tree of 10,000 keys: ours in memory and in a file, SQLite, git's fast-import and library."""

from __future__ import annotations

import contextlib
import shutil

import pytest

import rrdstore
from bench.committers import KEYS, SHAPES, Git, Libgit2, Ours, Sqlite

TITLES = {
    "flat": f"{KEYS:,} keys in one directory",
    "nested": f"{KEYS:,} keys in 100 directories of 100",
    "deep": f"{KEYS:,} keys four levels deep, 10 names in each directory",
}
LAP = 2000
RIVAL_LAP = {"flat": 100, "nested": LAP, "deep": LAP}
"""Commits between two checkpoints; git and libgit2 write the 10,000 names of a flat directory for each."""
EVERY = "last:4000"
"""Two laps: every commit is stored, and dropped two laps later."""
KEEP = "last:256 1s:5m 1m:2h 1h:2d 1d:30d 1w:1y *:64"
SIZE = "64MiB"
AGAINST_GIT = {"deep": 5, "nested": 3}
FILE, MEMORY = "rrdstore, every commit stored", "rrdstore, memory"


@pytest.fixture(scope="module")
def rates():
    """CPU microseconds of our commits, by shape, as they are found."""
    return {}


@pytest.mark.parametrize("shape", ["nested", "deep", "flat"])
def test_one_key_commits(shape, benchmark, race, aim, rates, tmp_path):
    paths = SHAPES[shape]
    here = race(f"One-key commits, {TITLES[shape]}", FILE)
    ours = Ours(FILE, rrdstore.create(tmp_path / "a.rrdb", size=SIZE, keep=EVERY), paths, laps=2)
    contestants = [
        ours,
        Ours(MEMORY, rrdstore.memory(keep=EVERY), paths, laps=2),
        Ours("rrdstore, default policy", rrdstore.create(tmp_path / "d.rrdb", size=SIZE, keep=KEEP), paths),
        Sqlite("SQLite, synchronous=NORMAL", tmp_path / "n.db", paths, "NORMAL"),
    ]
    if shutil.which("git"):
        contestants.append(Git(tmp_path / "git", paths, RIVAL_LAP[shape]))
        contestants.append(Git(tmp_path / "kept", paths, RIVAL_LAP[shape], kept=True))
    else:
        here.absent[Git.name] = "not installed"
    if missing := Libgit2.missing():
        here.absent[Libgit2.name] = missing
    else:
        contestants.append(Libgit2(tmp_path / "libgit2", paths, RIVAL_LAP[shape]))
    with contextlib.ExitStack() as stack:
        for contestant in contestants:
            stack.callback(contestant.close)
        here.run(benchmark, contestants)
        info = ours.store.info()
    state, fill = f"{TITLES[shape]}, {EVERY}, {SIZE}", f"{info.live / info.room:.0%} live"
    cpu = {name: best.cpu for name, best in here.best.items()}
    mean = {name: best.mean for name, best in here.best.items()}
    rates[shape] = cpu[FILE]

    def times(what, ratio, bar):
        aim(f"commits, {what}", state, ratio, bar, "times", least=True, fill=fill)

    if Git.name in cpu and shape in AGAINST_GIT:
        times("git fast-import over ours, all laps", mean[Git.name] / mean[FILE], AGAINST_GIT[shape])
        times("git with its heap kept over ours", cpu[f"{Git.name}, heap kept"] / cpu[FILE], AGAINST_GIT[shape])
    if Libgit2.name in cpu and shape == "nested":
        times("libgit2 over ours", cpu[Libgit2.name] / cpu[FILE], 10)
    if shape == "flat" and "nested" in rates:
        times("our rate over that in 100 directories of 100", rates["nested"] / cpu[FILE], 0.5)
    aim("commits in memory, of CPU", f"{TITLES[shape]}, {EVERY}", 1e6 / cpu[MEMORY], 50_000, "/s", least=True)


@pytest.mark.parametrize("shape", SHAPES)
def test_one_key_commits_that_survive_a_power_loss_one_by_one(shape, benchmark, race, tmp_path):
    paths = SHAPES[shape]
    ours = Ours(
        "rrdstore, sync=commit", rrdstore.create(tmp_path / "a.rrdb", size=SIZE, keep=KEEP, sync="commit"), paths
    )
    rival = Sqlite("SQLite, synchronous=FULL", tmp_path / "f.db", paths, "FULL")
    ours.operations = rival.operations = 200
    with contextlib.closing(ours), contextlib.closing(rival):
        race(f"One-key commits, {TITLES[shape]}, each synced to disk", ours.name).run(benchmark, [ours, rival])
